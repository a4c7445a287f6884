/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The authority of a URI without user information: "host" or "host:port" (RFC 3986 section 3.2),
 * as the Host field has it (RFC 9110 section 7.2). */
#ifndef HTTP_AUTHORITY_H
#define HTTP_AUTHORITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct authority {
	struct slice host; /* as written; an IPv6 literal with its brackets */
	uint16_t port;	   /* 0: none written */
};

/* False for anything else: empty, user information, percent-encoding, list, empty or zero port.
 * Host names are letters, digits, '-', '_' and '.'. */
bool authority_parse(struct slice text, struct authority *authority);

/* Whether both name the same host and port, where default_port stands for none written. */
bool authority_equal(const struct authority *a, const struct authority *b, uint16_t default_port);

#endif
