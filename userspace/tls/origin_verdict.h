/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one table of names for what can be wrong with an origin. */
#ifndef TLS_ORIGIN_VERDICT_H
#define TLS_ORIGIN_VERDICT_H

#include <stddef.h>

/* The name of the result of a verification: X509_V_ERR_… or enum origin_rule. */
const char *origin_verdict_of_certificate(long result);
/* The name of an error of OpenSSL's TLS part, by its reason (SSL_R_…); *text is what it means. */
const char *origin_verdict_of_handshake(int reason, const char **text);
/* The n-th name, NULL after the last; some stand there more than once. */
const char *origin_verdict_name(size_t n);

#define ORIGIN_VERDICT_CLOSED	 "closed"
#define ORIGIN_VERDICT_HANDSHAKE "handshake_failed"
#define ORIGIN_VERDICT_OTHER	 "certificate_refused"

#endif
