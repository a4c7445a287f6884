/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One try of a request: whom it asks, over which connection, how much of the request it has sent and
 * with which edits, and what has come of the response. */
#ifndef PROXY_ATTEMPT_H
#define PROXY_ATTEMPT_H

#include "backend/backend_outcome.h"
#include "http/fields.h"
#include "io/stream_fate.h"
#include "proxy/edits.h"
#include "proxy/ending.h"
#include "proxy/hold.h"
#include "proxy/intake.h"
#include "proxy/origin.h"
#include "proxy/replay.h"

/* More tries of one request are not made, whatever the configuration says. */
#define ATTEMPTS_MAX 8

/* Why a try is not the one that answers. */
enum attempt_left {
	ATTEMPT_NOT_LEFT,    /* it answers, or none does */
	ATTEMPT_STALE,	     /* its connection, kept from before, was lost before the response */
	ATTEMPT_EDIT_REFUSED, /* its answer is an error about what we added */
	ATTEMPT_ELSEWHERE,   /* another backend is asked */
};

/* What is remembered of a try, also when another has followed. */
struct attempt_record {
	const struct config_backend *backend; /* NULL: the origin that the client named */
	struct address_port address;	      /* port 0: there was no connection */
	uint64_t connect_ns, first_byte_ns;   /* durations; 0: not reached, or a kept connection */
	int status;			      /* 0: no response */
	enum attempt_left left;
	enum backend_outcome outcome;	      /* ATTEMPT_ELSEWHERE: why */
	const char *error_type; /* NULL: none */
};

/* Whether what we add to requests is added to this one. */
enum attempt_edit {
	ATTEMPT_UNEDITED,
	ATTEMPT_MAY_EDIT, /* it depends on what of the body is still to come */
	ATTEMPT_EDITED,
};

struct attempt {
	struct attempt_record *record;
	struct origin_target target;
	struct origin_request *opening; /* while there is no slot; or NULL */
	struct upstream_slot *slot;	/* or NULL */
	uint64_t started_ns;		/* CLOCK_MONOTONIC */
	/* the request */
	enum attempt_edit edit;
	struct edits edits;
	uint64_t sent; /* of the body, before edits */
	bool request_whole; /* all of it is handed over, trailers too */
	/* the response */
	const struct head *head; /* the slot's; NULL: none yet */
	struct intake response;
	struct fields trailers;
	struct hold hold;
};

/* How a try ended whose response is not passed on. */
struct attempt_end {
	enum attempt_left left;	 /* why another is made, if one is */
	enum ending ending;	 /* what becomes of the exchange if none is */
	const struct ending_detail *detail; /* of ending; or NULL */
	enum stream_fate fate;	 /* of the request; of interest where there was no answer */
	enum backend_outcome outcome; /* what it says of the backend */
};

/* Asks for a connection, and for nothing yet. done: as origin_acquire's. */
void attempt_start(struct attempt *attempt, struct attempt_record *record,
	const struct origin_target *target, struct origins *origins, bool fresh,
	const struct upstream_user *handler, origin_done *done, void *user);
/* There is a connection. */
void attempt_connected(struct attempt *attempt, struct upstream_slot *slot);

/* Sends what the replay holds of the body, from what was sent before up to the offset `to`, edited;
 * last: that is the end of the body, and the trailers follow it. 0, or a negative errno. */
int attempt_send(struct attempt *attempt, const struct replay *replay, uint64_t to, bool last,
	const struct fields *trailers);
/* What could be sent again has been, if the connection fails now with this error. */
enum stream_fate attempt_fate(const struct attempt *attempt, int error);

/* The connection is needed no more: it stays for others if it can. */
void attempt_release(struct attempt *attempt);
/* Releases it, and forgets all of the try but its record. Any number of times. */
void attempt_close(struct attempt *attempt);

#endif
