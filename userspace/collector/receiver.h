/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes connections of Forward senders and acknowledges what is safely stored. Whoever may send is
 * known before a message of his is read: on the socket by the user that the kernel names, over TCP
 * by the shared key, or by a certificate. Senders that are not known yet are bounded apart, so that they keep nobody
 * out. */
#ifndef COLLECTOR_RECEIVER_H
#define COLLECTOR_RECEIVER_H

#include <ev.h>
#include <openssl/ssl.h>

#include "base/address.h"
#include "base/slice.h"
#include "base/why.h"
#include "collector/store.h"

struct receiver;

struct receiver_options {
	struct ev_loop *loop;
	struct store *store;
	const char *socket;		   /* a path; NULL: no socket */
	const uid_t *users;		   /* who may send on it, besides root and ourselves */
	size_t nusers;
	const struct address_port *listen; /* NULL: no TCP */
	struct slice key;		   /* shared by the senders over TCP; empty: there is none */
	SSL_CTX *tls; /* of connections over TCP, which ask for certificates when there is no key */
	uint64_t hello_ns;		   /* a sender over TCP has this long to prove it */
	uint64_t stall_ns;		   /* between two bytes of one message */
};

/* Listens at once; a socket that nobody listens on any more is replaced. NULL with why. All of the
 * options stays the caller's and outlives the receiver. */
struct receiver *receiver_new(const struct receiver_options *options, struct why *why);
/* Commits what is there, acknowledges it, closes all connections and removes the socket. */
void receiver_free(struct receiver *receiver);

#endif
