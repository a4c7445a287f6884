/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A connected socket that does not block, plain or with TLS on it, for peers who are few and known: the
 * collector's senders and the appliance's collector. Calls of clients have io/stream. */
#ifndef IO_SECURE_SOCKET_H
#define IO_SECURE_SOCKET_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/slice.h"
#include "base/why.h"

struct secure_socket {
	int fd;
	SSL *ssl;	  /* NULL: plain */
	bool wants_write; /* TLS has to write before it goes on, whatever it is asked for */
};

/* Takes the descriptor and ssl (NULL, or one whose side was set) over, also when that fails: 0 or
 * -ENOMEM. */
int secure_open(struct secure_socket *s, int fd, SSL *ssl);
/* Says goodbye where it is due, and closes; one that is closed is allowed. */
void secure_close(struct secure_socket *s);

/* 1: the handshake is done, or there is none; 0: it goes on when the socket is readable, or writable
 * while wants_write; -EPROTO with why. */
int secure_handshake(struct secure_socket *s, struct why *why);
/* As recv(2) and send(2): bytes, 0 at the end, -EAGAIN, or negative errno (-EPROTO: TLS). One call
 * takes at most one record: what a peer sends without payload keeps nobody busy. */
ssize_t secure_read(struct secure_socket *s, void *memory, size_t size);
ssize_t secure_write(struct secure_socket *s, struct slice data);
/* Whether there is input that the kernel does not tell of any more. */
bool secure_pending(const struct secure_socket *s);

#endif
