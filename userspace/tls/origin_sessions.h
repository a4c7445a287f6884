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

/* Keeps a copy of the session for host: a copy, because OpenSSL spoils a session whose connection
 * ends without close_notify (a rule of TLS 1.0, RFC 2246 section 7.2.1, that later versions
 * dropped). verified is the chain that was verified in this handshake; NULL: the handshake was
 * itself a resumption, and the session inherits the end of the one before. */
void origin_sessions_put(struct origin_sessions *sessions, const char *host,
	const SSL_SESSION *session, STACK_OF(X509) *verified, uint64_t realtime_ns);
/* A session to offer to host, the caller's to free, for the same reason a copy; NULL: none. */
SSL_SESSION *origin_sessions_get(
	struct origin_sessions *sessions, const char *host, uint64_t realtime_ns);

#endif
