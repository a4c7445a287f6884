/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Leaves: the certificates that clients see. Minted in the signer, cached in the worker. */
#ifndef TLS_LEAF_H
#define TLS_LEAF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "base/slice.h"
#include "base/why.h"
#include "config/config.h"
#include "tls/ca.h"
#include "tls/host_name.h"

/* ipc_message types on the socket between a worker and the signer. */
enum leaf_message { LEAF_REQUEST = 1, LEAF_REPLY = 2, LEAF_KEY = 3 };
/* Bytes of the longest message of any kind. */
#define LEAF_MESSAGE_MAX 32768

/* All leaves of a worker and a kind share one key. */
enum leaf_kind {
	LEAF_ECDSA, /* P-256 */
	LEAF_RSA,   /* of 2048 bits, for clients that take no other */
	LEAF_KINDS
};

/* ---- the leaf keys of a worker ---- */

/* Makes a key of each kind (about 0.1 s); they live in this process only. 0, or -EIO with why, and
 * then all are NULL. leaf_keys_free takes both, and what is NULL. */
int leaf_keys_make(EVP_PKEY *keys[LEAF_KINDS], struct why *why);
void leaf_keys_free(EVP_PKEY *keys[LEAF_KINDS]);
/* Appends the body of a LEAF_KEY, the public half of that kind: what a worker sends to a signer
 * before all else, once for each kind. It is not answered. 0 or -ENOMEM. */
int leaf_key_write(EVP_PKEY *const *keys, enum leaf_kind kind, struct buf *message);
/* The signer's side: takes the body of a LEAF_KEY into keys, which begin as NULL and hold those of
 * one worker. 0, also for a key that is there already; -EBADMSG: it is none, -EPERM: not of its
 * kind, or the CA's own, -EEXIST: another one is there, and stays. why then says it as an object:
 * "a second leaf key". */
int leaf_key_bind(
	EVP_PKEY *keys[LEAF_KINDS], const struct ca *ca, struct slice message, struct why *why);

/* ---- signer side ---- */

/* Mints a server certificate for exactly host (see host_name_read) with leaf_key's public half.
 * Valid from a day before now for validity_ns in all, never beyond the authority's own end. 0, or
 * negative errno with why. */
int leaf_mint(const struct ca *ca, struct slice host, EVP_PKEY *leaf_key, uint64_t validity_ns,
	uint64_t realtime_ns, X509 **leaf, struct why *why);
/* leaf_keys holds the asking worker's key of each kind, or NULL: that is refused.
 * Answers the body of a LEAF_REQUEST with the body of a LEAF_REPLY. 1: minted; 0: refused, which
 * the reply says (leaf_refusal), for instance because the configuration does not list the host;
 * -EBADMSG: the request is not one (no reply), -ENOMEM. */
int leaf_answer(const struct ca *ca, EVP_PKEY *const *leaf_keys, const struct config *config,
	struct slice request, uint64_t realtime_ns, struct buf *reply);
/* The reason in a reply that refuses. */
struct slice leaf_refusal(struct slice reply);

/* ---- worker side ---- */

struct leaf {
	char host[HOST_NAME_SIZE];
	unsigned char context[32]; /* SHA-256 of host: what a session is bound to */
	X509 *certificate;
	/* To be sent after the certificate; the self-signed root is left out. */
	STACK_OF(X509) *chain;
	uint64_t not_before_ns, not_after_ns; /* realtime */
	enum leaf_kind kind;
	unsigned references;
};

struct leaf *leaf_ref(struct leaf *leaf);
void leaf_release(struct leaf *leaf); /* NULL is fine */

struct leaf_cache;

/* leaf is the cache's (leaf_ref to keep it), or NULL and error says why there is none. */
typedef void leaf_done(void *context, struct leaf *leaf, const char *error);

/* Keeps leaves of one kind: of LEAF_ECDSA at most config->tls.leaf_cache, of LEAF_RSA an eighth of
 * that (least recently used go first). send gives the body
 * of a LEAF_REQUEST to the signer: 0, or negative errno, and then it is sent again by
 * leaf_cache_resend or after the next reply. NULL without memory. */
struct leaf_cache *leaf_cache_new(const struct config *config, enum leaf_kind kind,
	int (*send)(void *context, const void *message, size_t len), void *context);
/* Those still waiting are not told. */
void leaf_cache_free(struct leaf_cache *cache);

/* Asks for the leaf of host, a name by host_name_read that is on the list. 1: done was called
 * before the return (the leaf was cached; one near its end is renewed behind its back). 0: done
 * will be called, and *ticket cancels it; requests for the same host share one minting. Negative
 * errno: done will not be called (-EINVAL no host name, -EBUSY too many are waiting, -ENOMEM). The
 * deadline is the caller's. */
int leaf_cache_get(struct leaf_cache *cache, const char *host, uint64_t realtime_ns,
	leaf_done *done, void *context, uint64_t *ticket);
/* done will not be called any more; an unknown ticket is fine. */
void leaf_cache_cancel(struct leaf_cache *cache, uint64_t ticket);
/* Which kind's cache the body of a LEAF_REPLY is for, or -EBADMSG. */
int leaf_reply_kind(const void *message, size_t len);
/* Takes the body of a LEAF_REPLY and calls done of all who wait for it, who may call
 * any function of the cache but leaf_cache_free. 0, or -EBADMSG for what is not a reply. */
int leaf_cache_reply(struct leaf_cache *cache, const void *message, size_t len);
/* There is a new signer, or room in its socket: sends every request that has no reply yet. */
void leaf_cache_resend(struct leaf_cache *cache, bool new_signer);
/* Leaves in the cache, and hosts being waited for. */
size_t leaf_cache_count(const struct leaf_cache *cache);
size_t leaf_cache_waiting(const struct leaf_cache *cache);

#endif
