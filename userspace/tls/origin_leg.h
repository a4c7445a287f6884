/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The origin's leg: we are the client, and the only one who still verifies. Every rule of
 * TLS 1.2/1.3, RFC 5280 and RFC 9525 is applied before the handshake can end; one that fails ends
 * the handshake with an alert, so that SSL_write has nowhere to write to. One per worker. */
#ifndef TLS_ORIGIN_LEG_H
#define TLS_ORIGIN_LEG_H

#include <stdbool.h>
#include <openssl/ssl.h>

#include "base/why.h"
#include "config/config.h"

struct tls_origin_leg;

/* Reads all roots now (no file is opened later): the system's bundle when config->tls.system_roots,
 * and origin_roots, whose files may hold CRLs too: the certificates of an issuer with a CRL are
 * checked against it. own_ca_certificate_fd is the authority of the client leg: a chain through it
 * is refused (it would be ourselves, or somebody with our key); it stays the caller's; -1: none.
 * NULL with why. */
struct tls_origin_leg *tls_origin_leg_new(
	const struct config *config, int own_ca_certificate_fd, struct why *why);
/* The same by the roots of a backend alone, which has some. */
struct tls_origin_leg *tls_origin_leg_of_backend(
	const struct config_backend *backend, int own_ca_certificate_fd, struct why *why);
void tls_origin_leg_free(struct tls_origin_leg *leg); /* its SSLs first */

/* An SSL in connect state, without a BIO. host (NUL-terminated, by host_name_read) is
 * the SNI and the name that is verified; a session of an earlier, verified connection to the same
 * host is offered. Modes as of tls_client_leg_accept, ALPN http/1.1.
 * NULL: host is no host name, or no memory. SSL_free. */
SSL *tls_origin_leg_connect(struct tls_origin_leg *leg, const char *host);

/* To be called when SSL_do_handshake succeeded, before the first byte is written; or right after it
 * failed (it takes the thread's error queue; error_number is the errno of that moment). 0: this is
 * the host, verified. Else negative errno (-EKEYREJECTED: a rule; -EPROTO: no TLS that we accept;
 * -ECONNRESET: closed), *name is a short name from one const table ("expired", "name_mismatch",
 * "own_ca" …) for counters and events, and why is for a person. */
int tls_origin_verdict(SSL *ssl, int error_number, struct why *why, const char **name);
/* The n-th name of that table, NULL after the last. */
const char *tls_origin_verdict_name(size_t n);

#endif
