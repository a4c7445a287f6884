/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TLS sessions to resume, one per origin: a session is offered to the host it came from and to no
 * other, and only for an hour after its chain was verified, so that what was true then (dates,
 * revocation, our roots) is looked at again. */
#ifndef TLS_ORIGIN_SESSIONS_H
#define TLS_ORIGIN_SESSIONS_H

#include <stddef.h>
#include <stdint.h>
#include <openssl/ssl.h>

struct origin_sessions;

/* Of at most max hosts, the least recently used are forgotten. NULL without memory. */
struct origin_sessions *origin_sessions_new(size_t max);
void origin_sessions_free(struct origin_sessions *sessions);

/* Keeps the session for host. verified is the chain that was verified in this handshake; NULL: the
 * handshake was itself a resumption, and the session inherits the end of the one before. 1: session
 * is ours from now on; 0: it was not kept and stays the caller's. */
int origin_sessions_put(struct origin_sessions *sessions, const char *host, SSL_SESSION *session,
	STACK_OF(X509) * verified, uint64_t realtime_ns);
/* The session to offer to host, valid until the next call; NULL: none. */
SSL_SESSION *origin_sessions_get(
	struct origin_sessions *sessions, const char *host, uint64_t realtime_ns);

#endif
