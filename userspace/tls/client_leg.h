/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The client's leg: we are the server. TLS 1.3, and 1.2 with ECDHE and AEAD; no renegotiation, no
 * early data, no compression; ALPN h2 if so configured, http/1.1, or http/1.0 (a client that offers ALPN
 * without them gets the alert no_application_protocol, RFC 7301 section 3.2). One per worker. */
#ifndef TLS_CLIENT_LEG_H
#define TLS_CLIENT_LEG_H

#include <stdbool.h>
#include <openssl/ssl.h>

#include "base/why.h"
#include "config/config.h"
#include "tls/leaf.h"
#include "tls/ticket_keys.h"

struct tls_client_leg;

/* leaf_keys has one of each kind. keys may be NULL: no resumption, as with ticket_rotation_ns 0. Both
 * and the configuration outlive the leg. NULL with why. */
struct tls_client_leg *tls_client_leg_new(const struct config *config, EVP_PKEY *const *leaf_keys,
	const struct ticket_keys *keys, struct why *why);
void tls_client_leg_free(struct tls_client_leg *leg); /* its SSLs first */

/* An SSL in accept state, without a BIO; it answers with that leaf, of which it keeps what it needs.
 * Partial writes and moving write buffers are on, and an SSL_read that met something other than
 * payload says SSL_ERROR_WANT_READ although more may be there. Read-ahead is on: after SSL_read gave
 * fewer bytes than it could, or was not called to its end (SSL_ERROR_WANT_READ), bytes may be
 * waiting inside (SSL_has_pending) while the socket is not readable. NULL without memory. */
SSL *tls_client_leg_accept(struct tls_client_leg *leg, const struct leaf *leaf);

/* Whether the handshake, which is done, has chosen HTTP/2. */
bool tls_client_leg_is_h2(const SSL *ssl);

/* Why a handshake failed, right after the SSL function that said so (it takes the thread's error
 * queue): a short name from one const table ("client_rejected_certificate", "no_common_cipher",
 * "client_closed" …), and for a person why. error_number is the errno of that moment. */
const char *tls_client_leg_failure(SSL *ssl, int ssl_error, int error_number, struct why *why);

#endif
