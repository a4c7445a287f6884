/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A name server (RFC 1035) in the test's loop, on a port of loopback over UDP. What it answers is
 * its owner's to say. */
#ifndef SUPPORT_NAME_SERVER_H
#define SUPPORT_NAME_SERVER_H

#include <ev.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/address.h"

struct name_question {
	uint8_t packet[4096]; /* the question, and room for what is put behind it */
	size_t end;	      /* of the question */
	unsigned type;
	char name[256]; /* with dots, a final one too */
	struct sockaddr_storage from;
	socklen_t from_len;
};

struct name_server {
	struct ev_loop *loop;
	ev_io io;
	int fd;
	struct address_port address;
	void (*asked)(void *context, struct name_question *question);
	void *context;
};

/* asked is called for every question. Fails the test when there is no port. */
void name_server_open(struct name_server *server, struct ev_loop *loop,
	void (*asked)(void *context, struct name_question *question), void *context);
void name_server_close(struct name_server *server);

/* Answers with a response code and so many records, which the caller has written from end on. */
void name_server_answer(const struct name_server *server, struct name_question *question,
	unsigned code, unsigned records, size_t len);

#endif
