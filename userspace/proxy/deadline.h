/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who owes the next bytes of an exchange, and how long it may take. At any moment it is one side
 * at most; only that deadline runs, and only that side is blamed. A side that is not being read is
 * not waited for. A pure function of what the exchange sees. */
#ifndef PROXY_DEADLINE_H
#define PROXY_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "proxy/ending.h"

/* Where an exchange stands. See exchange.c for the ways from one to the next. */
enum exchange_phase {
	EXCHANGE_HOLDING,    /* the request is kept until it is clear what to change … */
	EXCHANGE_CONNECTING, /* … and until there is a connection to the origin */
	EXCHANGE_SENDING,    /* the request goes on as it comes */
	EXCHANGE_AWAITING,   /* all of it is written: the response is to begin */
	EXCHANGE_JUDGING,    /* an error is read before the client sees it: is it about our edit? */
	EXCHANGE_ANSWERING,  /* the response goes on as it comes */
	EXCHANGE_DRAINING,   /* the client left: the rest is read for its usage */
	EXCHANGE_RECORDING,  /* all is said: the last bytes wait until the event is safe */
	EXCHANGE_OVER,
};

struct deadline_view {
	enum exchange_phase phase;
	bool reading;	    /* we have bytes that are not read yet: nobody owes more */
	bool origin_full;   /* the origin takes no more: the client is not read */
	bool origin_unsent; /* bytes wait that the origin has not taken */
	bool client_full;   /* the client takes no more: the origin is not read */
	bool end_mark;	    /* the stream has said that it is over, its message has not */
	bool session;	    /* of a WebSocket: nobody owes anything but room, once it stands */
	bool request_open;  /* the request is not whole: the answer came early */
	uint64_t first_output_ns; /* left: then another backend is asked; 0: none is */
};

enum deadline_kind {
	DEADLINE_NONE,	      /* nobody, or somebody with a deadline of their own */
	DEADLINE_CLIENT_BODY, /* the client: more of the request */
	DEADLINE_CLIENT_ROOM, /* the client: to take what waits */
	DEADLINE_ORIGIN_ROOM, /* the origin: likewise */
	DEADLINE_ORIGIN_HEAD,
	DEADLINE_ORIGIN_OUTPUT, /* the first output, or another backend is asked */
	DEADLINE_ORIGIN_BODY,
	DEADLINE_ORIGIN_END, /* after the end mark: the end of the message, which should be there */
	DEADLINE_DRAIN,	     /* ours */
};

/* Since when it runs. */
enum deadline_since {
	SINCE_SIDE_MOVED,   /* since that side has moved last */
	SINCE_ANYONE_MOVED, /* likewise, or the other: they may be waiting for each other */
	SINCE_BEGUN,	    /* in all, whatever moves */
};

struct deadline {
	enum deadline_kind kind;
	enum ending_side side;
	uint64_t ns;	      /* 0: without end */
	enum ending ending; /* when it passes; ENDING_NONE: not a failure */
	enum deadline_since since;
};

struct deadline deadline_of(const struct deadline_view *view, const struct config *config);

#endif
