/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef COLLECTOR_SENDER_TLS_H
#define COLLECTOR_SENDER_TLS_H

#include <openssl/ssl.h>

#include "base/why.h"

struct sender_tls {
	const char *certificate, *key; /* paths; the key's file is for its owner alone */
	const char *authority;	       /* of senders; NULL: they need no certificate */
};

/* Reads the files, once. NULL with why; SSL_CTX_free. */
SSL_CTX *sender_tls_new(const struct sender_tls *files, struct why *why);

#endif
