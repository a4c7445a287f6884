/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A connection of a client, as those see it who work for it. downstream.h makes it. */
#ifndef PROXY_CLIENT_H
#define PROXY_CLIENT_H

#include "http/h1.h"
#include "http/message.h"
#include "io/hangup.h"
#include "io/stream.h"
#include "proxy/worker.h"
#include "tls/clienthello.h"

struct client;
struct exchange;

/* What an exchange tells the connection that it came by. */
struct client_ops {
	/* The response; to: the client. Its abort is close with reset. */
	struct message_ops response;
	/* Sends what was handed over. 0, or a negative errno: the client is gone. */
	int (*flush)(struct client *client);
	/* The exchange is over and all of its response is handed over. */
	void (*exchange_done)(struct client *client);
	/* The exchange can take input again. */
	void (*resume)(struct client *client);
	/* Closes; the exchange in progress, if any, hears of it. reset: the client must not take
	 * what it got for a whole response. */
	void (*close)(struct client *client, bool reset);
};

enum client_state {
	CLIENT_HELLO,	  /* peeking at the ClientHello */
	CLIENT_SILENT,	  /* denied by policy: it hears nothing until its deadline */
	CLIENT_LEAF,	  /* waiting for the signer */
	CLIENT_HANDSHAKE,
	CLIENT_OPEN,
	CLIENT_LINGERING, /* all is sent, what still comes is thrown away (RFC 9112 section 9.6) */
	CLIENT_CLOSED,
};

/* How the body of a response is delimited. */
enum client_framing { FRAMING_NONE, FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_CLOSE };

struct client {
	unsigned magic;
	struct list node;
	struct garbage garbage;
	const struct client_ops *ops;
	struct worker *worker;
	enum client_state state;
	int fd;			/* until the stream has it */
	struct stream stream;
	struct hangup hangup;	/* while the stream is not read */
	ev_io peek;
	ssize_t peeked;		/* bytes of an incomplete hello */
	ev_timer deadline;
	struct address_port source, destination; /* as the client sent them */
	char sni[HOST_NAME_SIZE];
	const struct config_host *host;
	struct leaf_cache *leaves; /* of the kind that it takes */
	uint64_t leaf_ticket;
	struct leaf *leaf;
	struct h1_reader *reader;
	struct buf pending;	/* input that was not parsed yet */
	struct exchange *exchange; /* the one in progress */
	uint64_t accepted_ns;	/* CLOCK_MONOTONIC */
	uint64_t handshake_ns;	/* duration, from the first byte that was seen */
	uint8_t minor;		/* of the last request's version */
	bool request_whole;	/* it is read to its end */
	bool close_after;	/* no further request on this connection */
	enum client_framing framing; /* of the response */
	bool parsing;		/* client_parse is on the stack */
};

#endif
