// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/session.h"

#include <errno.h>
#include <stdlib.h>
#include <yyjson.h>

#include "http/websocket.h"
#include "openai/error.h"
#include "proxy/exchange.h"

/* A message that is held, or read, is no longer. */
#define SESSION_MESSAGE_MAX (8u << 20)
/* Of a message's memory so much is kept for the next. */
#define SESSION_KEEP 16384
/* Codes of a Close (RFC 6455 section 7.4.1). */
#define WEBSOCKET_POLICY   1008
#define WEBSOCKET_INTERNAL 1011
/* Responses at a time. */
#define SESSION_CALLS 16
/* The name of a lane. */
#define SESSION_LANE 128

enum session_kind {
	SESSION_PLAIN,	   /* its messages are not read */
	SESSION_REALTIME,  /* the service begins responses */
	SESSION_RESPONSES, /* the client does: each is asked for as by a POST */
};

struct session_call {
	char lane[SESSION_LANE];
	struct exchange *exchange;
};

/* A message on its way: of the same total as all that is held. */
struct session_message {
	struct buf text; /* unmasked */
	struct replay hold;
	bool too_long;	 /* it is not read */
};

struct session {
	enum session_kind kind;
	struct websocket_reader client, origin;
	struct session_message asked, told; /* that come */
	uint64_t cleared;
	bool opened;
	struct session_call calls[SESSION_CALLS];
	size_t ncalls;
	struct buf items; /* REALTIME: what was said since the last response, as a JSON array's inside */
};

/* ---- beginning and end ---- */

int session_open(struct exchange *ex, const struct head *head)
{
	const struct operation *operation = ex->match.operation;
	enum session_kind kind;

	if (!head->websocket || !operation || !slice_equal(head->method, SLICE("GET")) ||
		head->framing != HEAD_NO_BODY)
		return -EPROTO;
	switch (operation->id) {
	case OPERATION_REALTIME:
		kind = SESSION_REALTIME;
		break;
	case OPERATION_STORED_RESPONSE:
		kind = SESSION_RESPONSES;
		operation_match(ex->host->provider, SLICE("POST"), ex->target, &ex->match);
		if (!ex->match.operation || ex->match.operation->id != OPERATION_RESPONSES)
			return -EPROTO;
		break;
	case OPERATION_LIVE:
		kind = SESSION_PLAIN;
		break;
	default:
		return -EPROTO;
	}
	ex->session = calloc(1, sizeof(*ex->session));
	if (!ex->session)
		return -ENOMEM;
	ex->session->kind = kind;
	replay_open(&ex->session->asked.hold, &ex->worker->replays);
	replay_open(&ex->session->told.hold, &ex->worker->replays);
	websocket_open(&ex->session->client, true);
	websocket_open(&ex->session->origin, false);
	return 0;
}

static void message_close(struct session_message *message)
{
	buf_wipe(&message->text);
	replay_close(&message->hold);
}

/* It is over: a short one's memory stays for the next. */
static void message_end(struct exchange *ex, struct session_message *message)
{
	if (message->text.capacity > SESSION_KEEP)
		buf_wipe(&message->text);
	buf_clear(&message->text);
	replay_close(&message->hold);
	replay_open(&message->hold, &ex->worker->replays);
}

void session_free(struct session *session)
{
	if (!session)
		return;
	message_close(&session->asked);
	message_close(&session->told);
	buf_wipe(&session->items);
	free(session);
}

bool session_take_opened(struct session *session)
{
	bool first = !session->opened;

	session->opened = true;
	return first;
}

uint64_t session_cleared(const struct session *session)
{
	return session->cleared;
}

bool session_is_closed(const struct session *session)
{
	return session->client.closed && session->origin.closed;
}

/* Hands over an event, where there is text for one, and a Close; as far as the frames of the origin,
 * which may have begun one, allow. */
static void session_say(struct exchange *ex, unsigned code, struct slice reason, struct slice event)
{
	struct session *session = ex->session;
	struct buf frames = BUF_EMPTY;
	int error = 0;

	if (session->origin.closed)
		return;
	if (event.len && websocket_between_messages(&session->origin))
		error = websocket_write_text(&frames, event);
	if (!error && websocket_between_frames(&session->origin))
		error = websocket_write_close(&frames, code, reason);
	if (!error && buf_len(&frames))
		ex->client->ops->response.body(ex->client, buf_slice(&frames), false);
	buf_free(&frames);
}

bool session_say_failed(struct exchange *ex)
{
	if (!ex->session || ex->status != 101)
		return false;
	session_say(ex, WEBSOCKET_INTERNAL, slice_of_string(ex->why.text), SLICE_NONE);
	return true;
}

/* The session is over for a reason that the client is told. */
static int session_refuse(struct exchange *ex, unsigned code, enum ending ending,
	const struct ending_detail *detail, struct slice event)
{
	if (ex->client && ex->answer != ANSWER_NONE)
		session_say(ex, code, slice_of_string(detail->message), event);
	exchange_end_session(ex, ending, detail);
	return -ECANCELED;
}

static int session_malformed(struct exchange *ex, enum websocket_error error, bool by_client)
{
	const struct websocket_refusal row = websocket_refusal(error);
	const struct ending_detail detail = {row.name, row.text, 0};

	return session_refuse(ex, by_client ? row.code : WEBSOCKET_INTERNAL,
		by_client ? ENDING_REQUEST_MALFORMED : ENDING_RESPONSE_MALFORMED, &detail,
		SLICE_NONE);
}

/* ---- calls ---- */

static struct session_call *session_call_of(struct session *session, struct slice lane)
{
	for (size_t i = 0; i < session->ncalls; i++)
		if (slice_equal(slice_of_string(session->calls[i].lane), lane))
			return &session->calls[i];
	return NULL;
}

/* Ends the call, whose event says all that has come of it; ending: ENDING_NONE, as the service said. */
static void session_call_end(
	struct session *session, struct session_call *call, enum ending ending)
{
	struct exchange *ex = call->exchange;

	*call = session->calls[--session->ncalls];
	exchange_finish_inside(ex, ending);
}

void session_end(struct exchange *ex)
{
	struct session *session = ex->session;

	while (session->ncalls)
		session_call_end(session, &session->calls[0],
			ex->ending == ENDING_NONE ? ENDING_ORIGIN_CLOSED
			/* What is denied is what came last. */
			: ending_row(ex->ending)->deny ? ENDING_CLIENT_CLOSED
						       : ex->ending);
}

/* The call that the client, or the service, has begun with that request. 0; -EBUSY: too many, or one is
 * in that lane; -EACCES: it is denied, *why says how, valid in this turn; or -ENOMEM. */
static int session_call_begin(struct exchange *ex, struct slice lane, struct slice request,
	const struct exchange **why)
{
	struct session *session = ex->session;
	struct session_call *call;
	struct exchange *inside;

	if (lane.len >= SESSION_LANE || session->ncalls == SESSION_CALLS ||
		session_call_of(session, lane))
		return -EBUSY;
	inside = exchange_new_inside(ex);
	if (!inside)
		return -ENOMEM;
	*why = inside;
	if (!exchange_read_inside(inside, ex->head, request,
		    session->kind == SESSION_RESPONSES))
		return -EACCES;
	call = &session->calls[session->ncalls++];
	*call = (struct session_call){.exchange = inside};
	if (lane.len)
		memcpy(call->lane, lane.data, lane.len);
	return 0;
}

/* ---- messages of the client ---- */

static struct slice text_of(yyjson_val *object, const char *name)
{
	yyjson_val *text = yyjson_obj_get(object, name);

	return slice_of(yyjson_get_str(text), yyjson_get_len(text));
}

static bool is(struct slice type, const char *name)
{
	return slice_equal(type, slice_of_string(name));
}

/* The error as an event of the service would have it. */
static int session_deny(struct exchange *ex, const struct exchange *inside)
{
	const struct ending_row *row = ending_row(inside->ending);
	const struct ending_detail detail = {inside->error_type, inside->why.text, 0};
	struct buf event = BUF_EMPTY, body = BUF_EMPTY;
	int error = error_body(
		ex->match.dialect, row->status, inside->error_type, inside->why.text, &body);

	/* {"type":"error","status":403,"error":{…}} */
	if (!error)
		error = buf_printf(&event, "{\"type\":\"error\",\"status\":%d,", row->status);
	if (!error)
		error = buf_append_slice(&event, slice_after(buf_slice(&body), 1));
	session_refuse(ex, WEBSOCKET_POLICY, inside->ending, &detail, error ? SLICE_NONE : buf_slice(&event));
	buf_free(&body);
	buf_free(&event);
	return -ECANCELED;
}

/* A response is asked for. */
static int session_create(struct exchange *ex, yyjson_val *root)
{
	static const struct ending_detail busy = {
		"websocket_lanes", "Too many responses at a time, or two in one lane.", 0};
	const struct exchange *inside = NULL;

	switch (session_call_begin(
		ex, text_of(root, "stream_id"), buf_slice(&ex->session->asked.text), &inside)) {
	case 0:
		return 0;
	case -EACCES:
		return session_deny(ex, inside);
	case -EBUSY:
		return session_refuse(ex, WEBSOCKET_POLICY, ENDING_REQUEST_UNFIT, &busy, SLICE_NONE);
	default:
		exchange_fail(ex, ENDING_MEMORY, NULL);
		return -ECANCELED;
	}
}

/* What was said goes into the record of the next response; as much as a record holds. */
static void session_keep_item(struct exchange *ex, yyjson_val *item)
{
	struct buf *items = &ex->session->items;
	size_t len;
	char *json = yyjson_is_obj(item) ? yyjson_val_write(item, YYJSON_WRITE_NOFLAG, &len) : NULL;

	if (json && buf_len(items) + len < ex->worker->config->audit.content_max) {
		if (buf_len(items))
			buf_append_slice(items, SLICE(","));
		buf_append(items, json, len);
	}
	free(json);
}

/* Whether every reader of the object takes the same for its type and its lane. */
static bool is_unambiguous(yyjson_val *root)
{
	static const struct slice names[] = {{"type", 4}, {"stream_id", 9}};
	size_t found[2] = {0}, at, count;
	yyjson_val *key, *value;

	yyjson_obj_foreach(root, at, count, key, value) {
		struct slice name = slice_of(unsafe_yyjson_get_str(key), unsafe_yyjson_get_len(key));

		for (size_t i = 0; i < 2; i++) {
			if (!slice_equal_nocase(name, names[i]))
				continue;
			if (!slice_equal(name, names[i]) || found[i]++)
				return false;
		}
	}
	return yyjson_is_obj(root);
}

/* A whole message, which is held. 0, or -ECANCELED. */
static int session_asked(struct exchange *ex)
{
	static const struct ending_detail unreadable = {NULL,
		"The message cannot be inspected: it is no JSON object, or has its type twice.", 0};
	struct session *session = ex->session;
	struct slice text = buf_slice(&session->asked.text), type;
	yyjson_doc *json = yyjson_read(text.data, text.len, 0);
	yyjson_val *root = yyjson_doc_get_root(json);
	int error = 0;

	type = text_of(root, "type");
	if (session->kind == SESSION_REALTIME) {
		if (is(type, "conversation.item.create"))
			session_keep_item(ex, yyjson_obj_get(root, "item"));
	} else if (!is_unambiguous(root)) {
		counter_add(ex->worker->counters, COUNTER_REQUEST_UNREADABLE, 1);
		if (ex->worker->config->http.unreadable != CONFIG_UNREADABLE_PASS)
			error = session_refuse(ex, WEBSOCKET_POLICY, ENDING_UNREADABLE,
				&unreadable, SLICE_NONE);
	} else if (is(type, "response.create")) {
		error = session_create(ex, root);
	}
	yyjson_doc_free(json);
	return error;
}

/* Adds a piece to the message. False: it has become too long just now; from then on it is not read. */
static bool message_add(struct exchange *ex, struct session_message *message,
	const struct websocket_event *event)
{
	size_t len = buf_len(&message->text) + event->span.len;

	if (event->first)
		message->too_long = false;
	if (message->too_long)
		return true;
	message->too_long =
		len > SESSION_MESSAGE_MAX ||
		(len > ex->worker->config->http.request_window &&
			!replay_reserve(&message->hold, len)) ||
		websocket_unmask(event, &message->text) < 0;
	if (message->too_long)
		message_end(ex, message);
	return !message->too_long;
}

static int session_client_piece(struct exchange *ex, const struct websocket_event *event)
{
	struct session *session = ex->session;
	int error;

	if (session->kind == SESSION_PLAIN)
		return 0;
	if (!message_add(ex, &session->asked, event) && session->kind == SESSION_RESPONSES)
		return session_malformed(ex, WEBSOCKET_ERROR_TOO_LONG, true);
	if (!event->last || session->asked.too_long)
		return 0;
	error = session_asked(ex);
	if (!error)
		message_end(ex, &session->asked);
	return error;
}

int session_client(struct exchange *ex, struct slice span)
{
	struct session *session = ex->session;
	uint64_t before = replay_end(&ex->replay);
	struct slice input = span;
	struct websocket_event event;
	enum websocket_result result;
	int error;

	do {
		result = websocket_read(&session->client, &input, &event);
		if (result == WEBSOCKET_REFUSED)
			return session_malformed(ex, event.error, true);
		if (result == WEBSOCKET_PIECE) {
			error = session_client_piece(ex, &event);
			if (error)
				return error;
		}
		if (session->kind != SESSION_RESPONSES ||
			websocket_between_messages(&session->client))
			session->cleared = before + span.len - input.len;
	} while (result != WEBSOCKET_MORE);
	return 0;
}

/* ---- messages of the origin ---- */

/* As an event of a stream, in which no line ends before the event does. */
static int session_feed(struct exchange *inside, struct buf *message)
{
	struct buf event = BUF_EMPTY;
	int error = buf_append_slice(&event, SLICE("data: "));

	for (size_t i = message->start; i < message->end; i++)
		if (message->memory[i] == '\n' || message->memory[i] == '\r')
			message->memory[i] = ' ';
	if (!error)
		error = buf_append_slice(&event, buf_slice(message));
	if (!error)
		error = buf_append_slice(&event, SLICE("\n\n"));
	if (!error)
		error = exchange_answer_inside(inside, buf_slice(&event));
	buf_free(&event);
	return error;
}

static bool is_terminal(struct slice type)
{
	return is(type, "response.completed") || is(type, "response.incomplete") ||
	       is(type, "response.failed") || is(type, "response.done") || is(type, "error");
}

/* The service begins a response by itself: what it answers is what was said before. */
static int session_realtime_begins(struct exchange *ex)
{
	struct session *session = ex->session;
	const struct exchange *inside;
	struct buf request = BUF_EMPTY;
	int error = 0;

	if (!buf_append_slice(&request, SLICE("{\"input\":[")) &&
		!buf_append_slice(&request, buf_slice(&session->items)) &&
		!buf_append_slice(&request, SLICE("]}")))
		error = session_call_begin(ex, SLICE_NONE, buf_slice(&request), &inside);
	buf_free(&request);
	buf_wipe(&session->items);
	return error == -EACCES ? session_deny(ex, inside) : 0;
}

/* A whole text. 0; -ENOMEM, or -ECANCELED: the exchange is over. */
static int session_told(struct exchange *ex)
{
	struct session *session = ex->session;
	struct slice text = buf_slice(&session->told.text), type;
	yyjson_doc *json = yyjson_read(text.data, text.len, 0);
	yyjson_val *root = yyjson_doc_get_root(json);
	struct session_call *call;
	int error = 0;

	type = text_of(root, "type");
	if (session->kind == SESSION_REALTIME && is(type, "response.created"))
		error = session_realtime_begins(ex);
	/* Of a realtime session its responses' ends say all. */
	call = error || (session->kind == SESSION_REALTIME && !is(type, "response.done"))
		       ? NULL
		       : session_call_of(session, text_of(root, "stream_id"));
	if (call && (slice_starts_with(type, SLICE("response.")) || is(type, "error"))) {
		error = session_feed(call->exchange, &session->told.text);
		if (!error && is_terminal(type))
			session_call_end(session, call, ENDING_NONE);
	}
	yyjson_doc_free(json);
	return error;
}

static int session_origin_piece(struct exchange *ex, const struct websocket_event *event)
{
	struct session *session = ex->session;
	int error;

	if (session->kind == SESSION_PLAIN || event->opcode != WEBSOCKET_TEXT)
		return 0;
	if (!message_add(ex, &session->told, event))
		counter_add(ex->worker->counters, COUNTER_RESPONSE_UNREADABLE, 1);
	if (!event->last || session->told.too_long)
		return 0;
	error = session_told(ex);
	message_end(ex, &session->told);
	return error;
}

int session_origin(struct exchange *ex, struct slice span)
{
	struct session *session = ex->session;
	struct websocket_event event;
	enum websocket_result result;

	do {
		result = websocket_read(&session->origin, &span, &event);
		if (result == WEBSOCKET_REFUSED)
			return session_malformed(ex, event.error, false);
		if (result == WEBSOCKET_PIECE && session_origin_piece(ex, &event) < 0) {
			exchange_fail(ex, ENDING_MEMORY, NULL);
			return -ECANCELED;
		}
	} while (result != WEBSOCKET_MORE);
	return 0;
}

int session_origin_ended(struct exchange *ex)
{
	static const struct ending_detail lost = {
		NULL, "The origin closed the connection without a Close.", 0};

	return ex->session->origin.closed
		       ? 0
		       : session_refuse(ex, WEBSOCKET_INTERNAL, ENDING_ORIGIN_CLOSED, &lost,
				 SLICE_NONE);
}
