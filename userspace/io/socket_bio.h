/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The socket as OpenSSL reads and writes it: a BIO that gives only so much in a turn of the loop.
 * One call of OpenSSL's goes on for as long as its BIO gives it records without payload, which a
 * peer can send without end; beyond its share of the turn the BIO says "later", as a socket does
 * that has nothing, while the rest stays in the socket and so wakes the loop again. */
#ifndef IO_SOCKET_BIO_H
#define IO_SOCKET_BIO_H

#include <openssl/bio.h>
#include <stdbool.h>
#include <stddef.h>

#include "io/turn.h"

/* Bytes that a connection may read in one turn: four records of full size. */
#define SOCKET_BIO_SHARE 65536

struct socket_bio {
	struct turn *turn;
	int fd;
	unsigned iteration;	/* of the loop, to which left belongs */
	size_t left;		/* of the share of this turn */
	bool dry;		/* the last read gave nothing: the loop will tell of more */
	bool refused;		/* no read gives anything any more */
};

/* A BIO for SSL_set_bio, or NULL without memory. The socket (non-blocking) and s stay the caller's
 * and outlive the BIO; turn is open. */
BIO *socket_bio_new(struct socket_bio *s, struct turn *turn, int fd);

#endif
