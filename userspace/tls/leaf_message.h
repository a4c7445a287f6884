/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bodies of LEAF_KEY, LEAF_REQUEST and LEAF_REPLY: between leaf_key.c, leaf_mint.c and
 * leaf_cache.c only. */
#ifndef TLS_LEAF_MESSAGE_H
#define TLS_LEAF_MESSAGE_H

#include <stdint.h>

/* Followed by the SubjectPublicKeyInfo (RFC 5280 section 4.1) as DER, to the end of the message. */
struct leaf_key {
	uint32_t kind; /* enum leaf_kind */
	uint32_t reserved;
};

/* Followed by the host, without NUL, to the end of the message. */
struct leaf_request {
	uint64_t id;
	uint32_t kind; /* enum leaf_kind */
	uint32_t reserved;
};

/* Followed, when error is 0, by certificates in the order of a chain, each its length (uint32_t)
 * and its DER; else by the reason as text. */
struct leaf_reply {
	uint64_t id;
	int32_t error; /* a positive errno */
	uint32_t kind; /* the request's */
};

#endif
