/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A connection of a client, and the places on it where requests are: HTTP/1 has one, HTTP/2 has
 * many. downstream.h makes connections, a wire (downstream_h1.h) reads the requests on them. */
#ifndef PROXY_CLIENT_H
#define PROXY_CLIENT_H

#include "http/message.h"
#include "io/hangup.h"
#include "io/stream.h"
#include "proxy/worker.h"
#include "tls/clienthello.h"

struct client;
struct client_slot;
struct exchange;

/* Bytes of a place's connection, or, where it has many places, of the bodies of this one. */
struct client_traffic {
	uint64_t in, out; /* read, and composed */
	uint64_t taken;	  /* of out, what the client has taken from us */
};

/* What an exchange tells the place that its request came by. */
struct client_ops {
	/* The response; to: the slot. Its abort is close with reset. */
	struct message_ops response;
	/* Sends what was handed over. 0, or a negative errno: the client is gone. */
	int (*flush)(struct client_slot *slot);
	/* Keeps what is handed over from being sent, or lets it go, as flush. */
	int (*cork)(struct client_slot *slot, bool cork);
	struct client_traffic (*traffic)(const struct client_slot *slot);
	/* The exchange is over and all of its response is handed over. */
	void (*exchange_done)(struct client_slot *slot);
	/* The exchange can take input again. */
	void (*resume)(struct client_slot *slot);
	/* Closes; the exchange in progress, if any, hears of it. reset: the client must not take
	 * what it got for a whole response. */
	void (*close)(struct client_slot *slot, bool reset);
};

/* Where one request and its response are. */
struct client_slot {
	const struct client_ops *ops;
	struct client *connection;
	struct exchange *exchange; /* the one in progress */
};

/* What a connection tells its wire, once TLS stands. */
struct client_wire {
	void (*readable)(struct client *client);
	void (*flushed)(struct client *client);
	/* As stream_handler's, NULL too. */
	void (*rests)(struct client *client);
	/* The deadline has passed that was set by client_arm. */
	void (*timed_out)(struct client *client);
	/* The worker drains: what is idle is closed soon. */
	void (*drain)(struct client *client);
	/* The connection is closed: its exchanges hear of it. */
	void (*closed)(struct client *client);
	void (*free)(struct client *client);
};

enum client_state {
	CLIENT_HELLO,	  /* peeking at the ClientHello */
	CLIENT_SILENT,	  /* denied by policy: it hears nothing until its deadline */
	CLIENT_LEAF,	  /* waiting for the signer */
	CLIENT_HANDSHAKE,
	CLIENT_OPEN,	  /* its wire has it */
	CLIENT_CLOSED,
};

struct client {
	unsigned magic;
	struct list node;
	struct garbage garbage;
	struct worker *worker;
	enum client_state state;
	int fd;			/* until the stream has it */
	struct stream stream;
	struct hangup hangup;	/* while the stream is not read */
	ev_io peek;
	ssize_t peeked;		/* bytes of an incomplete hello */
	ev_timer deadline;
	struct address_port source, destination; /* as the client sent them */
	bool gateway;		/* it calls the appliance itself, by the gateway's name */
	char sni[HOST_NAME_SIZE];
	const struct config_host *host;
	struct leaf_cache *leaves; /* of the kind that it takes */
	uint64_t leaf_ticket;
	struct leaf *leaf;
	const struct client_wire *wire; /* from CLIENT_OPEN on */
	void *wire_state;	/* the wire's own */
	uint64_t accepted_ns;	/* CLOCK_MONOTONIC */
	uint64_t handshake_ns;	/* duration, from the first byte that was seen */
};

/* A connection on that socket, whose addresses are not known yet; NULL without memory. */
struct client *client_new(struct worker *worker, int fd);
/* Leaves the worker; the memory follows at the end of the turn. The socket is somebody else's. */
void client_leave(struct client *client);
/* Closes the socket and leaves; the exchanges in progress hear of it. Any number of times. */
void client_close(struct client *client, bool reset);
/* The one deadline: it passes so long from now, unless it is set anew. */
void client_arm(struct client *client, uint64_t deadline_ns);
void client_disarm(struct client *client);
/* Reads, or no longer; that the client leaves is heard in either case. */
void client_watch(struct client *client, bool input);

#endif
