/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One request and its response: the one place where HTTP, OpenAI, origins and audit meet.
 * exchange.c holds its beginning and its end, exchange_request.c and exchange_response.c tell what
 * lies between, and exchange_event.c writes down what happened. */
#ifndef PROXY_EXCHANGE_H
#define PROXY_EXCHANGE_H

#include "http/fields.h"
#include "io/share.h"
#include "openai/operation.h"
#include "proxy/attempt.h"
#include "proxy/client.h"
#include "proxy/deadline.h"
#include "proxy/edit_memory.h"
#include "proxy/ending.h"
#include "proxy/intake.h"
#include "proxy/replay.h"

/* How far the answer that the client gets has come. */
enum exchange_answer {
	ANSWER_NONE,
	ANSWER_BEGUN,  /* its head is handed over, from the origin */
	ANSWER_MARKED, /* its stream has said that it is over: what follows waits in tail */
};

struct exchange {
	unsigned magic;
	struct list node;
	struct garbage garbage;
	struct worker *worker;
	struct client *client;		/* NULL once it is gone */
	enum exchange_phase phase;
	struct deadline owed;		/* who owes the next bytes */
	double owed_since;		/* ev_now of the last of them */
	uint64_t owed_sent;		/* what the origin had taken then */
	ev_timer timer;			/* of owed; may fire early */
	struct share share;		/* of the work that reading is */

	/* the request */
	const struct head *head;	/* the client's reader's; NULL with the client */
	struct buf text;		/* owns the slices below */
	struct slice method, target, user_agent;
	const struct config_host *host;
	struct operation_match match;
	struct intake request;
	struct replay replay;		/* of its body */
	struct fields trailers;
	bool unreadable;		/* the body cannot be read; counted */

	/* the tries */
	const struct config_backend *backend; /* NULL: the origin the client named */
	struct attempt attempt;		/* the last one */
	struct attempt_record tried[ATTEMPTS_MAX];
	unsigned tries;
	enum edit_known edit_known;	/* what this model makes of our edit */

	/* the response */
	enum exchange_answer answer;
	struct buf tail;
	const struct secret *mask;	/* the service key, which no error is to show; or NULL */
	struct secret_masking masked;	/* the body, of which is held back what may be the key's beginning */

	/* the record */
	struct recorder_waiter waiter;
	enum ending ending;
	bool drained;			/* the rest was read for its usage */
	struct address_port source, destination;
	char sni[HOST_NAME_SIZE];
	const char *tls_version;
	bool tls_resumed;
	uint64_t started_ns, started_realtime_ns, handshake_ns, first_byte_ns;
	uint64_t response_bytes, drain_bytes;
	uint64_t client_read_bytes, client_written_bytes; /* of the connection, at the start */
	int status;
	const char *action;		/* the verdict */
	const char *error_type;		/* of ending; NULL: none */
	struct why why;
};

struct exchange *exchange_of(struct list *node);

/* ---- called by the client ---- */

/* A request's head was read; fin: it has no body. Never NULL unless there is no memory and the
 * client is closed, or the exchange is over already. */
struct exchange *exchange_start(struct client *client, const struct head *head, bool fin);
/* Answers what is not a request at all, with that error. */
struct exchange *exchange_refuse(
	struct client *client, enum ending ending, const struct ending_detail *detail);
bool exchange_wants_input(struct exchange *exchange);
/* The next bytes of the body; fin: the last ones (span may be empty then). */
void exchange_body(struct exchange *exchange, struct slice span, bool fin);
/* The end of the body, with trailers. */
void exchange_trailers(struct exchange *exchange, const struct header *fields, size_t n);
/* The body turned out to be malformed. */
void exchange_body_error(struct exchange *exchange, const struct message_fault *fault);
void exchange_client_gone(struct exchange *exchange);
void exchange_client_flushed(struct exchange *exchange);
/* Ends at once, recorded as far as it came: the worker has no more time. */
void exchange_cut(struct exchange *exchange);
/* Records a connection that never came to a request. */
void exchange_record_handshake(struct client *client, const char *type, const char *message);

/* ---- between the files of the exchange ---- */

/* exchange_request.c: the reader of the body, where the operation is one we read. 0 or -ENOMEM. */
int exchange_open_request_reader(struct exchange *exchange, const struct head *head);
/* Whether all of the request has come and is read. */
bool exchange_request_is_whole(const struct exchange *exchange);

/* Goes on with the reading of a body, in a later turn. */
void exchange_read_request_on(struct exchange *exchange);
void exchange_read_response_on(struct exchange *exchange);

/* The only ways on are those of the table in exchange.c. */
void exchange_enter(struct exchange *exchange, enum exchange_phase phase);
/* Nothing more is read, sent or timed: all is said, and perhaps not yet recorded. */
bool exchange_is_over(const struct exchange *exchange);
/* Who owes the next bytes is asked anew, after something has moved. */
void exchange_moved(struct exchange *exchange, enum ending_side side);

/* Ends: answers with the ending's error in the client's dialect, or cuts a response that has
 * begun. detail: what the case knows better than the ending's row, or NULL. */
void exchange_fail(struct exchange *exchange, enum ending ending,
	const struct ending_detail *detail);
/* The last try has ended, and what came of it does not go on: the request is sent once more where
 * that is safe, or the exchange fails with the try's ending. */
void exchange_attempt_over(struct exchange *exchange, const struct attempt_end *end);
/* The connection was lost with this error (a positive errno, or 0 for its end). */
void exchange_origin_lost(struct exchange *exchange, int error);
/* Sends what is handed to the origin. */
void exchange_flush_origin(struct exchange *exchange);
/* All is composed: records, and then lets the last bytes and the exchange go. */
void exchange_finish(struct exchange *exchange);

/* exchange_edit.c: whether this operation's requests are edited at all; how much of the body is held
 * for it; what this try edits now, and whether it may edit more later; up to which offset the body
 * may go on, which makes an edit that has become known. */
bool exchange_may_edit(const struct exchange *exchange);
size_t exchange_hold_max(const struct exchange *exchange);
void exchange_choose_edit(struct exchange *exchange);
uint64_t exchange_settle_edit(struct exchange *exchange);
/* The answer: whether it may be an error about the edit; that it is none; whether what is held of
 * it, which is whole, is. */
bool exchange_judges(const struct exchange *exchange, const struct head *head);
void exchange_edit_taken(struct exchange *exchange);
bool exchange_edit_was_refused(struct exchange *exchange);

/* exchange_response.c: the user of slots, and the composition of our own answers. */
extern const struct upstream_user exchange_upstream_user;
int exchange_compose_error(struct exchange *exchange, int status, bool final);
/* The grace after the stream's end mark has passed: it is the end. */
void exchange_end_by_mark(struct exchange *exchange);
/* Goes on reading the response, unless there is no room for it. */
void exchange_watch_origin(struct exchange *exchange);
/* Hands over what waited behind the end mark. 0 or -ENOMEM. */
int exchange_join_tail(struct exchange *exchange);

/* exchange_event.c: once. 0, or -EAGAIN: the exchange's waiter waits for room in the audit ring. */
int exchange_record(struct exchange *exchange);

#endif
