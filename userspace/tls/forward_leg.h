/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TLS between an appliance and its collector, of either side: who the other is, a certificate tells, of
 * an authority that is given for this alone (the system's roots count for nothing here). */
#ifndef TLS_FORWARD_LEG_H
#define TLS_FORWARD_LEG_H

#include <openssl/ssl.h>

#include "base/slice.h"
#include "base/why.h"

/* PEM texts, each with what names it in messages; empty: none. */
struct forward_leg_pem {
	struct slice authority, certificate, key; /* the certificate with those that lead to its root */
	const char *authority_name, *certificate_name, *key_name;
};

/* The collector's side needs a certificate and its key; with an authority it takes senders alone whom
 * that has certified. The appliance's side needs an authority; a certificate and its key it shows when
 * it has them. NULL with why; SSL_CTX_free. */
SSL_CTX *forward_leg_new(bool collector, const struct forward_leg_pem *pem, struct why *why);

/* An SSL of the appliance's side that takes only a collector of this name: a DNS name, or an address as
 * text. NULL without memory. */
SSL *forward_leg_connect(SSL_CTX *context, const char *name);

#endif
