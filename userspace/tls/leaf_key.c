// SPDX-License-Identifier: GPL-2.0-or-later
/* The keys of a worker's leaves: made in the worker, named to the signer, never handed on. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "tls/leaf.h"
#include "tls/leaf_message.h"
#include "tls/pem.h"

#define EC_GROUP "prime256v1"
#define EC_BITS	 256
#define RSA_BITS 2048 /* as the services' own certificates have: no client refuses it */
/* RFC 8017 section 3.2: found in a third of the time of two, for which a worker's clients wait; seen
 * from outside it is the same key. */
#define RSA_PRIMES 3

static EVP_PKEY *key_make_rsa(void)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *key = NULL;

	if (context && EVP_PKEY_keygen_init(context) == 1 &&
		EVP_PKEY_CTX_set_rsa_keygen_bits(context, RSA_BITS) == 1 &&
		EVP_PKEY_CTX_set_rsa_keygen_primes(context, RSA_PRIMES) == 1)
		(void)EVP_PKEY_generate(context, &key);
	EVP_PKEY_CTX_free(context);
	return key;
}

int leaf_keys_make(EVP_PKEY *keys[LEAF_KINDS], struct why *why)
{
	keys[LEAF_ECDSA] = EVP_EC_gen(EC_GROUP);
	keys[LEAF_RSA] = key_make_rsa();
	if (keys[LEAF_ECDSA] && keys[LEAF_RSA])
		return 0;
	leaf_keys_free(keys);
	return why_set(why, EIO, "cannot make the keys of leaves: %s", pem_openssl_reason());
}

void leaf_keys_free(EVP_PKEY *keys[LEAF_KINDS])
{
	for (unsigned kind = 0; kind < LEAF_KINDS; kind++) {
		EVP_PKEY_free(keys[kind]);
		keys[kind] = NULL;
	}
}

int leaf_key_write(EVP_PKEY *const *keys, enum leaf_kind kind, struct buf *message)
{
	const struct leaf_key head = {.kind = kind};
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(keys[kind], &der), error = -ENOMEM;

	if (len > 0 && !buf_append(message, &head, sizeof(head)))
		error = buf_append(message, der, (size_t)len);
	OPENSSL_free(der);
	ERR_clear_error();
	return error;
}

static bool key_is_of(EVP_PKEY *key, enum leaf_kind kind)
{
	char group[32] = "";

	if (kind == LEAF_RSA)
		return EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) == RSA_BITS;
	return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) == EC_BITS &&
	       EVP_PKEY_get_utf8_string_param(
		       key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group), NULL) == 1 &&
	       strcmp(group, EC_GROUP) == 0;
}

int leaf_key_bind(
	EVP_PKEY *keys[LEAF_KINDS], const struct ca *ca, struct slice message, struct why *why)
{
	const unsigned char *at, *end = (const unsigned char *)message.data + message.len;
	struct leaf_key head;
	EVP_PKEY *key;
	int error = 0;

	if (message.len <= sizeof(head))
		return why_set(why, EBADMSG, "no leaf key that can be read");
	memcpy(&head, message.data, sizeof(head));
	if (head.kind >= LEAF_KINDS || head.reserved)
		return why_set(why, EBADMSG, "a leaf key of no known kind");
	at = (const unsigned char *)message.data + sizeof(head);
	key = d2i_PUBKEY(NULL, &at, (long)(end - at));
	if (!key || at != end)
		error = why_set(why, EBADMSG, "no leaf key that can be read");
	else if (!key_is_of(key, head.kind))
		error = why_set(why, EPERM, "a leaf key that is not %s",
			head.kind == LEAF_RSA ? "RSA of 2048 bits" : "on the curve P-256");
	else if (EVP_PKEY_eq(key, ca->key) == 1)
		error = why_set(why, EPERM, "the CA's key for a leaf");
	else if (keys[head.kind] && EVP_PKEY_eq(key, keys[head.kind]) != 1)
		error = why_set(why, EEXIST, "a second leaf key");
	ERR_clear_error();
	if (error || keys[head.kind])
		EVP_PKEY_free(key);
	else
		keys[head.kind] = key;
	return error;
}
