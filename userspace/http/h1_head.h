/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The head of an HTTP/1 message: what is HTTP of it, and what belongs to this wire alone. */
#ifndef HTTP_H1_HEAD_H
#define HTTP_H1_HEAD_H

#include "http/head.h"

struct h1_head {
	struct head head;
	uint8_t minor;	 /* of the version: HTTP/1.0 or HTTP/1.1 */
	bool keep_alive; /* the sender lets the connection go on after this message */
	/* The fields that nobody forwards (RFC 9110 section 7.6.1): Connection, Keep-Alive,
	 * Proxy-Connection, TE, Transfer-Encoding, Upgrade, and what Connection names. They are not
	 * among the head's. */
	const struct header *hop;
	size_t nhop;
};

#endif
