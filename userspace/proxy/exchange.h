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

enum exchange_request_state {
	REQUEST_HELD,	 /* its first bytes are kept until it is clear what to change */
	REQUEST_WAITING, /* … and until there is a connection to the origin */
	REQUEST_FLOWING, /* goes on as it comes */
	REQUEST_OVER,	 /* refused or failed: what still comes is of no interest */
};

/* How the response's body is delimited for the client. */
enum exchange_framing { FRAMING_NONE, FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_CLOSE };

struct exchange {
	unsigned magic;
	struct list node;
	struct garbage garbage;
	struct worker *worker;
	struct client *client;		/* NULL once it is gone */

	/* the request */
	const struct head *head;	/* the client's reader's; NULL with the client */
	struct buf text;		/* owns the slices below */
	struct slice method, target, user_agent;
	const struct config_host *host;
	const struct config_backend *backend; /* NULL: the origin the client named */
	struct operation_match match;
	enum exchange_request_state request_state;
	bool request_whole;
	struct reader *request;		/* NULL: the operation is none whose body is read */
	struct buf request_unread;	/* came, but was not read yet */
	bool request_unread_fin;	/* with it the body ends */
	bool reading_request;		/* the reader's work was spent: it goes on in another turn */
	struct buf body;		/* held, and kept to be sent again */
	bool replayable;		/* body is all of it so far */
	bool chunked;			/* towards the origin */
	bool may_inject, injected;
	struct buf trailers;		/* the last chunk and the trailers, as they are sent */

	/* the origin */
	struct origin_target origin_target;
	struct origin_request *opening;
	struct origin_connection *connection;
	unsigned attempts;
	ev_timer deadline;
	struct share share;		/* of the work that reading is */

	/* the response */
	const struct head *response_head; /* the connection's reader's */
	bool response_started;		/* its head is composed for the client */
	bool response_whole;
	bool keep_client;
	enum exchange_framing framing;
	struct reader *response;	/* likewise */
	struct buf response_unread;	/* input that was not read yet … */
	size_t response_unread_body;	/* … and how much of its beginning is of the body, */
	bool response_unread_fin;	/* which ends there */
	bool reading_response;		/* as reading_request */
	struct buf response_trailers;	/* as trailers */
	const struct secret *mask;	/* the service key, which no error is to show; or NULL */
	size_t masked;			/* held back of the body, as it may be the key's beginning */
	bool origin_reusable;		/* the connection, after the response */
	bool done_seen;			/* the mark that ends a stream was read */

	/* the record */
	struct recorder_waiter waiter;
	bool recorded, waiting, drained;
	struct address_port source, destination, origin_address;
	char sni[HOST_NAME_SIZE];
	const char *tls_version;
	bool tls_resumed;
	uint64_t started_ns, started_realtime_ns, handshake_ns, connect_ns, first_byte_ns;
	uint64_t request_bytes, response_bytes, drain_bytes;
	uint64_t client_read_bytes, client_written_bytes; /* of the connection, at the start */
	int status;
	const char *action;		/* the verdict */
	const char *error_type;		/* NULL: none */
	struct why why;
};

struct exchange *exchange_of(struct list *node);

/* ---- called by the client ---- */

/* A request's head was read; fin: it has no body. Never NULL unless there is no memory and the
 * client is closed, or the exchange is over already. */
struct exchange *exchange_start(struct client *client, const struct head *head, bool fin);
/* Answers what is not a request at all, with that error. */
struct exchange *exchange_refuse(
	struct client *client, int status, const char *type, const char *message);
bool exchange_wants_input(struct exchange *exchange);
bool exchange_request_is_whole(const struct exchange *exchange);
/* The next bytes of the body; fin: the last ones (span may be empty then). */
void exchange_body(struct exchange *exchange, struct slice span, bool fin);
/* Before the fin. */
void exchange_trailers(struct exchange *exchange, const struct h1_event *event);
/* The body turned out to be malformed, or stopped coming. */
void exchange_body_error(struct exchange *exchange, const struct h1_error *error);
void exchange_client_gone(struct exchange *exchange);
void exchange_client_drained(struct exchange *exchange);
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

/* Answers with an error in the client's dialect, or cuts a response that has begun. final: the
 * client's library shall not try again (x-should-retry). type is kept, message is copied. */
void exchange_fail(struct exchange *exchange, int status, const char *type, const char *message,
	bool final);
/* Sends the request once more on a fresh connection, where that is safe. False: it is not. */
bool exchange_retry(struct exchange *exchange);
/* Sends what is composed for the origin. */
void exchange_flush_origin(struct exchange *exchange);
/* All is composed: records, and then lets the last bytes and the exchange go. */
void exchange_finish(struct exchange *exchange);
void exchange_release_origin(struct exchange *exchange, bool reusable);
/* (Re)starts the deadline; 0 stops it. */
void exchange_expect(struct exchange *exchange, uint64_t ns);

/* Composes the last chunk with these trailers, to be sent at the end; without memory the trailers
 * are left out, as they may be (RFC 9110 section 6.5.1). */
void exchange_keep_trailers(struct buf *trailers, const struct h1_event *event);
/* Writes what was kept, or a last chunk without trailers. 0 or -ENOMEM. */
int exchange_write_last_chunk(struct buf *out, const struct buf *trailers);

/* exchange_response.c: the connection's user, and the composition of our own answers. */
extern const struct origin_user exchange_origin_user;
int exchange_compose_error(
	struct exchange *exchange, int status, const char *type, const char *message, bool final);
void exchange_free_response(struct exchange *exchange);

/* exchange_event.c: 0, or -EAGAIN while the audit ring is full. */
int exchange_record(struct exchange *exchange);

#endif
