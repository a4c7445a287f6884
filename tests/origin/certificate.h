/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Certificates by SNI out of a directory: NAME.pem, else default.pem, each with chain and key.
 * They are read at first use, so a test may add some while the origin runs. */
#ifndef ORIGIN_CERTIFICATE_H
#define ORIGIN_CERTIFICATE_H

#include <openssl/ssl.h>

struct certificates;

/* tls_max: 0x0303 for at most TLS 1.2 and so on; 0: no limit. NULL: a message was printed. */
struct certificates *certificates_open(const char *directory, int tls_max);
SSL *certificates_accept(struct certificates *c, int fd);
void certificates_close(struct certificates *c);

#endif
