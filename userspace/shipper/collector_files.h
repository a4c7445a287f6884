/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parent has handed over for the connection to the collector: the key that both share, and
 * certificates. */
#ifndef SHIPPER_COLLECTOR_FILES_H
#define SHIPPER_COLLECTOR_FILES_H

#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/why.h"

struct role_context;

/* audit.collector_key_file. 0, or negative errno and why. */
int collector_files_key(struct role_context *context, struct buf *key, struct why *why);
/* The appliance's side of TLS, as audit.collector_ca_file and the like have it; the caller's to free.
 * 0, or negative errno and why. */
int collector_files_tls(struct role_context *context, SSL_CTX **tls, struct why *why);

#endif
