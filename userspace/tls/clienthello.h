/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The first flight of a TLS client, read without answering it (RFC 8446 section 4.1.2, RFC 6066
 * section 3): who is asked for, before it is decided whether we are the one who answers. */
#ifndef TLS_CLIENTHELLO_H
#define TLS_CLIENTHELLO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* No client needs more, post-quantum key shares included. Also the size to peek with. */
#define CLIENTHELLO_MAX 16384

enum clienthello_result {
	CLIENTHELLO_MORE, /* a true prefix so far: come again with more bytes */
	CLIENTHELLO_OK,
	CLIENTHELLO_NOT_TLS,   /* not a TLS handshake record */
	CLIENTHELLO_MALFORMED, /* TLS by its first bytes, but not a well-formed ClientHello */
	CLIENTHELLO_TOO_LONG,  /* does not end within CLIENTHELLO_MAX bytes */
};

struct clienthello {
	char sni[256]; /* lower case, without the root's dot, NUL-terminated; "" unless sni_valid */
	bool has_sni;  /* there is a server_name extension with a host_name */
	bool sni_valid; /* … and it is a host name by host_name_read */
	char named[255]; /* with has_sni: what was sent, in lower case, and of more than fits the end */
	size_t named_len;
	bool has_ech;	/* encrypted_client_hello, real or GREASE: nobody can tell */
	bool alpn_present;
	bool alpn_h1; /* http/1.1 is offered */
	bool alpn_h2;
	/* Takes a certificate with a P-256 key: a suite and a signature algorithm for it are offered,
	 * or not said to be not. */
	bool ecdsa;
	uint16_t version_max; /* the highest offered: 0x0303 is TLS 1.2, 0x0304 TLS 1.3 */
};

/* Reads the bytes from the start of the connection (all that were seen so far, each time). The
 * hello may span records and end anywhere within or before the end of the bytes. Only the result
 * CLIENTHELLO_OK fills hello. */
enum clienthello_result clienthello_parse(struct slice bytes, struct clienthello *hello);
/* The same of handshake messages without records, as QUIC carries them (RFC 9001 section 4.1.3). */
enum clienthello_result clienthello_parse_handshake(struct slice bytes, struct clienthello *hello);

#endif
