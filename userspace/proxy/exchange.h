/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One request and its response: the one place where HTTP, OpenAI, origins and audit meet.
 * exchange.c holds its beginning and its end, exchange_request.c and exchange_response.c tell what
 * lies between, and exchange_event.c writes down what happened. */
#ifndef PROXY_EXCHANGE_H
#define PROXY_EXCHANGE_H

#include "io/share.h"
#include "openai/operation.h"
#include "openai/reader.h"
#include "proxy/client.h"
#include "proxy/deadline.h"
#include "proxy/ending.h"

/* How the response's body is delimited for the client. */
enum exchange_framing { FRAMING_NONE, FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_CLOSE };

struct exchange {
	unsigned magic;
	struct list node;
	struct garbage garbage;
	struct worker *worker;
	struct client *client;		/* NULL once it is gone */
	enum exchange_phase phase;
	struct deadline owed;		/* who owes the next bytes */
	double owed_since;		/* ev_now of the last of them */
	uint64_t owed_written;		/* what the origin had taken then */
	ev_timer timer;			/* of owed; may fire early */

	/* the request */
	const struct head *head;	/* the client's reader's; NULL with the client */
	struct buf text;		/* owns the slices below */
	struct slice method, target, user_agent;
	const struct config_host *host;
	const struct config_backend *backend; /* NULL: the origin the client named */
	struct operation_match match;
	bool request_whole;
	struct reader *request;		/* NULL: the operation is none whose body is read */
	struct buf request_unread;	/* came, but was not read yet */
	bool request_unread_fin;	/* with it the body ends */
	bool reading_request;		/* the reader's work was spent: it goes on in another turn */
	struct buf body;		/* held, and kept to be sent again */
	bool replayable;		/* body is all of it so far */
	bool unreadable;		/* the body cannot be read; counted */
	bool chunked;			/* towards the origin */
	bool may_inject, injected;
	bool edit_is_known;		/* this model takes the edit */
	bool edit_refused;		/* it does not: the request goes as the client wrote it */
	struct buf judged;		/* the error that may be about the edit */
	struct buf trailers;		/* the last chunk and the trailers, as they are sent */

	/* the origin */
	struct origin_target origin_target;
	struct origin_request *opening;
	struct origin_connection *connection;
	unsigned attempts;
	struct share share;		/* of the work that reading is */
	uint64_t sent_before;		/* on the connection, before this request */

	/* the response */
	const struct head *response_head; /* the connection's reader's */
	bool response_started;		/* its head is composed for the client */
	bool keep_client;
	enum exchange_framing framing;
	struct reader *response;	/* likewise */
	struct buf response_unread;	/* input that was not read yet … */
	size_t response_unread_body;	/* … and how much of its beginning is of the body, */
	bool response_unread_fin;	/* which ends there */
	bool reading_response;		/* as reading_request */
	struct buf response_trailers;	/* as trailers */
	const struct secret *mask;	/* the service key, which no error is to show; or NULL */
	struct secret_masking masked;	/* the body, of which is held back what may be the key's beginning */
	bool origin_reusable;		/* the connection, after the response */
	bool no_memory;			/* a part of the response could not be composed */
	/* The client takes the stream's end mark for the end, and the event has to say what finally
	 * happened: what comes from the mark on waits in tail until the message ends. */
	bool end_mark;
	size_t end_mark_at;		/* in what is composed in this turn */
	bool tail_open;
	struct buf tail;

	/* the record */
	struct recorder_waiter waiter;
	enum ending ending;
	bool drained;			/* the rest was read for its usage */
	struct address_port source, destination, origin_address;
	char sni[HOST_NAME_SIZE];
	const char *tls_version;
	bool tls_resumed;
	uint64_t started_ns, started_realtime_ns, handshake_ns, connect_ns, first_byte_ns;
	uint64_t request_bytes, response_bytes, drain_bytes;
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
/* Before the fin. */
void exchange_trailers(struct exchange *exchange, const struct h1_event *event);
/* The body turned out to be malformed. */
void exchange_body_error(struct exchange *exchange, const struct h1_error *error);
void exchange_client_gone(struct exchange *exchange);
void exchange_client_flushed(struct exchange *exchange);
/* Ends at once, recorded as far as it came: the worker has no more time. */
void exchange_cut(struct exchange *exchange);
/* Records a connection that never came to a request. */
void exchange_record_handshake(struct client *client, const char *type, const char *message);

/* ---- between the files of the exchange ---- */

/* exchange_request.c: the reader of the body, where the operation is one we read. 0 or -ENOMEM. */
int exchange_open_request_reader(struct exchange *exchange, const struct head *head);

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
/* The connection is lost before the response has begun (error: a positive errno, or 0 for its end):
 * sends the request once more on a fresh one, where that is safe. False: it is not. */
bool exchange_retry(struct exchange *exchange, int error);
/* Sends what is composed for the origin. */
void exchange_flush_origin(struct exchange *exchange);
/* All is composed: records, and then lets the last bytes and the exchange go. */
void exchange_finish(struct exchange *exchange);
void exchange_release_origin(struct exchange *exchange, bool reusable);

/* Composes the last chunk with these trailers, to be sent at the end; without memory the trailers
 * are left out, as they may be (RFC 9110 section 6.5.1). */
void exchange_keep_trailers(struct buf *trailers, const struct h1_event *event);
/* Writes what was kept, or a last chunk without trailers. 0 or -ENOMEM. */
int exchange_write_last_chunk(struct buf *out, const struct buf *trailers);

/* exchange_edit.c: whether this operation's requests are edited at all; how much of the body is held
 * for it; what is edited now, and whether more may be later (may_inject, injected). */
bool exchange_may_edit(const struct exchange *exchange);
size_t exchange_hold_max(const struct exchange *exchange);
void exchange_choose_edit(struct exchange *exchange, struct request_splice *splice);
/* The answer: whether it may be an error about the edit; that it is none; whether judged, which is
 * whole, is; whether it is too long to be. */
bool exchange_judges(const struct exchange *exchange, const struct head *head);
void exchange_edit_taken(struct exchange *exchange);
bool exchange_edit_was_refused(struct exchange *exchange);
bool exchange_judge_full(const struct exchange *exchange);
/* exchange_request.c: the same request once more, after an answer that had no effect. */
void exchange_send_again(struct exchange *exchange, bool reusable);

/* exchange_response.c: the connection's user, and the composition of our own answers. */
extern const struct origin_user exchange_origin_user;
int exchange_compose_error(struct exchange *exchange, int status, bool final);
/* The grace after the stream's end mark has passed: it is the end. */
void exchange_end_by_mark(struct exchange *exchange);
/* Goes on reading the response, unless the client has no room for it. */
void exchange_watch_origin(struct exchange *exchange);
/* Where the response's bytes are composed. */
struct buf *exchange_out(struct exchange *exchange);
/* Lets go what waited behind the end mark. 0 or -ENOMEM. */
int exchange_join_tail(struct exchange *exchange);
void exchange_free_response(struct exchange *exchange);

/* exchange_event.c: once. 0, or -EAGAIN: the exchange's waiter waits for room in the audit ring. */
int exchange_record(struct exchange *exchange);

#endif
