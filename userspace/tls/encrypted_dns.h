/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Public resolvers that answer over TLS, HTTPS or QUIC: what they answer passes unread. */
#ifndef TLS_ENCRYPTED_DNS_H
#define TLS_ENCRYPTED_DNS_H

#include <stdbool.h>

#include "base/address.h"
#include "base/slice.h"

/* DNS over TLS (RFC 7858) and over QUIC (RFC 9250). */
#define ENCRYPTED_DNS_PORT 853

/* Lower-case name: one of theirs, or a name below one. */
bool encrypted_dns_name(struct slice name);
bool encrypted_dns_address(const struct address *address);

#endif
