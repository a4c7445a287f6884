// SPDX-License-Identifier: GPL-2.0-or-later
/* The life of a request: read, held until it is clear what to change, sent to its origin. */
#include "proxy/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/credential.h"
#include "proxy/again.h"
#include "tls/part_digest.h"

static void exchange_try(struct exchange *ex, bool fresh);

/* ---- the body ---- */

int exchange_open_request_reader(struct exchange *ex, const struct head *head)
{
	const struct config *config = ex->worker->config;
	const struct reader_options options = {
		.operation = ex->match.operation,
		.content_max = config->audit.content ? config->audit.content_max : 0,
		.expansion_max = config->http.expansion_max,
		.digest = &part_digest,
	};

	if (!ex->match.operation || !ex->match.operation->family)
		return 0;
	/* What has a body with some methods is not unreadable with others. */
	if (ex->match.operation->subtree && head->framing == HEAD_NO_BODY)
		return 0;
	ex->request.reader = reader_open_request(head, &options);
	return ex->request.reader ? 0 : -ENOMEM;
}

bool exchange_request_is_whole(const struct exchange *ex)
{
	return intake_is_whole(&ex->request);
}

bool exchange_takes_request(const struct exchange *ex)
{
	const struct upstream_slot *slot = ex->attempt.slot;

	switch (ex->phase) {
	case EXCHANGE_HOLDING:
		return true;
	case EXCHANGE_SENDING:
	case EXCHANGE_ANSWERING: /* an answer that came early */
		return slot->ops->request.room(slot);
	default:
		return false;
	}
}

bool exchange_wants_input(struct exchange *ex)
{
	return ex->request.state == INTAKE_OPEN && exchange_takes_request(ex);
}

/* Whether the body is kept although it was sent: as long as it may be sent again. */
static bool exchange_keeps_body(const struct exchange *ex)
{
	const struct config_http *http = &ex->worker->config->http;
	uint64_t end = replay_end(&ex->replay);

	if (ex->phase != EXCHANGE_SENDING && ex->phase != EXCHANGE_AWAITING)
		return false;
	return exchange_request_is_whole(ex) || end <= http->request_window ||
	       (end <= http->replay_window && replay_may_grow(&ex->replay));
}

/* Hands to the origin what may go of the body, as far as there is room. 0, or a negative errno. */
static int exchange_send_body(struct exchange *ex)
{
	struct attempt *attempt = &ex->attempt;
	const struct message_ops *request = &attempt->slot->ops->request;
	uint64_t to = ex->session ? session_cleared(ex->session) : exchange_settle_edit(ex), left;
	bool last = exchange_request_is_whole(ex);
	int error;

	/* An edit may make it shorter: what goes on later waits for room, which must be used up. */
	do {
		size_t room = request->room(attempt->slot);
		uint64_t part = to - attempt->sent < room ? to : attempt->sent + room;

		if (last && part == to)
			exchange_limits_send(ex);
		error = attempt_send(attempt, &ex->replay, part, last && part == to, &ex->trailers);
		left = to - attempt->sent;
	} while (!error && left && request->room(attempt->slot));
	if (!error && (!replay_is_whole(&ex->replay) || !exchange_keeps_body(ex)))
		replay_forget(&ex->replay, attempt->sent);
	return error;
}

/* 0, or -ECANCELED: the exchange has failed. */
int exchange_send_on(struct exchange *ex)
{
	if (exchange_is_over(ex) || ex->attempt.request_whole ||
		ex->attempt.sent == replay_end(&ex->replay))
		return 0;
	if (exchange_send_body(ex) < 0)
		exchange_fail(ex, ENDING_MEMORY, NULL);
	else
		exchange_flush_origin(ex);
	return exchange_is_over(ex) ? -ECANCELED : 0;
}

/* A piece that goes on at once. */
static int exchange_pass(struct exchange *ex, struct slice span)
{
	if (replay_append(&ex->replay, span) < 0 || exchange_send_body(ex) < 0)
		return -ENOMEM;
	if (exchange_request_is_whole(ex) && ex->phase == EXCHANGE_SENDING)
		exchange_enter(ex, EXCHANGE_AWAITING);
	exchange_flush_origin(ex);
	return 0;
}

/* True: the exchange is over, because its body cannot be read. */
static bool exchange_refuses_body(struct exchange *ex)
{
	const struct request_facts *facts;
	char message[128];

	if (!ex->request.reader || ex->unreadable)
		return false;
	facts = reader_request_facts(ex->request.reader);
	if (facts->readable)
		return false;
	ex->unreadable = true;
	counter_add(ex->worker->counters, COUNTER_REQUEST_UNREADABLE, 1);
	if (ex->worker->config->http.unreadable == CONFIG_UNREADABLE_PASS)
		return false;
	snprintf(message, sizeof(message), "The request's body cannot be inspected: %s.",
		facts->problem);
	exchange_fail(ex, ENDING_UNREADABLE,
		&(struct ending_detail){NULL, message, request_problem_status(facts->problem)});
	return true;
}

/* A body that is not kept whole goes over a connection of its own: a kept one may be stale, and what
 * was lost with it could not be sent again. */
static bool exchange_can_send_again(struct exchange *ex)
{
	return exchange_request_is_whole(ex) ||
	       (ex->head->framing == HEAD_LENGTH &&
		       ex->head->length <= ex->worker->config->http.replay_window &&
		       replay_reserve(&ex->replay, ex->head->length));
}

static int exchange_hold(struct exchange *ex, struct slice span)
{
	if (replay_append(&ex->replay, span) < 0)
		return -ENOMEM;
	if (exchange_request_is_whole(ex) || replay_end(&ex->replay) > exchange_hold_max(ex))
		exchange_try(ex, !exchange_can_send_again(ex));
	return 0;
}

/* True: the exchange is over. Before the last of a body goes on: what is not whole the origin does not
 * act on. */
static bool exchange_refuses_what_was_read(struct exchange *ex, size_t more)
{
	return exchange_refuses_body(ex) || exchange_policy_body(ex, more) ||
	       (exchange_request_is_whole(ex) && exchange_limits_take(ex, more));
}

/* What was read goes on, or is held. */
static int exchange_body_read(void *user, struct slice span, bool last)
{
	struct exchange *ex = user;
	int error = 0;

	if (ex->session && session_client(ex, span) < 0)
		return -ECANCELED;
	if (last && ex->request.reader)
		reader_end(ex->request.reader);
	if (!ex->session && exchange_refuses_what_was_read(ex, span.len))
		return -ECANCELED;
	switch (ex->phase) {
	case EXCHANGE_HOLDING:
		error = exchange_hold(ex, span);
		break;
	case EXCHANGE_SENDING:
	case EXCHANGE_ANSWERING:
		error = exchange_pass(ex, span);
		break;
	default:
		break;
	}
	if (error)
		exchange_fail(ex, ENDING_MEMORY, NULL);
	if (exchange_is_over(ex))
		return -ECANCELED;
	exchange_moved(ex, ENDING_BY_CLIENT);
	return 0;
}

/* After a share of reading. A reader that cannot go on says so in its facts. */
static void exchange_request_read(struct exchange *ex, int error)
{
	if (error == -EAGAIN)
		share_wait(&ex->share);
	else if (error == -ENOMEM)
		exchange_fail(ex, ENDING_MEMORY, NULL);
}

void exchange_body(struct exchange *ex, struct slice span, bool fin)
{
	exchange_request_read(ex, intake_read(&ex->request, span, fin, share_work(&ex->share),
					  exchange_body_read, ex));
}

static int exchange_inside_read(void *user, struct slice span, bool last)
{
	struct exchange *ex = user;

	if (last && ex->request.reader)
		reader_end(ex->request.reader);
	return exchange_refuses_what_was_read(ex, span.len) ? -ECANCELED : 0;
}

bool exchange_read_inside(
	struct exchange *ex, const struct head *head, struct slice request, bool held)
{
	const struct operation *named = ex->match.operation;
	struct operation_match responses;
	struct work work = {.left = INT64_MAX};
	int error;

	/* Whatever the session is called, its messages are those of responses. */
	operation_match(CONFIG_PROVIDER_OPENAI, SLICE("POST"), SLICE("/v1/responses"), &responses);
	ex->match.operation = responses.operation;
	error = exchange_open_request_reader(ex, head);
	ex->match.operation = named;
	if (error) {
		exchange_fail(ex, ENDING_MEMORY, NULL);
		return false;
	}
	if (!held)
		exchange_policy_know(ex, head);
	else if (exchange_policy_head(ex, head))
		return false;
	replay_append(&ex->replay, request);
	replay_forget(&ex->replay, replay_end(&ex->replay));
	if (held) {
		error = intake_read(
			&ex->request, request, true, &work, exchange_inside_read, ex);
	} else {
		struct slice pass;

		while (reader_feed(ex->request.reader, &request, &work, &pass) == READER_AGAIN)
			;
		reader_end(ex->request.reader);
		ex->request.state = INTAKE_WHOLE;
		/* The service has begun by itself: what it may cost is asked now. */
		exchange_limits_take(ex, 0);
	}
	if (exchange_is_over(ex))
		return false;
	exchange_limits_send(ex);
	if (error == -ENOMEM) {
		exchange_fail(ex, ENDING_MEMORY, NULL);
		return false;
	}
	/* Until it ends only its session knows it. */
	list_remove(&ex->node);
	return true;
}

void exchange_read_request_on(struct exchange *ex)
{
	int error;

	/* Whoever ends the waiting calls again; he owes it. */
	if (!exchange_takes_request(ex)) {
		exchange_moved(ex, ENDING_BY_US);
		return;
	}
	error = intake_read_on(&ex->request, share_work(&ex->share), exchange_body_read, ex);
	exchange_request_read(ex, error);
	if (!error && ex->client && ex->request.state == INTAKE_OPEN)
		ex->client->ops->resume(ex->client);
}

void exchange_trailers(struct exchange *ex, const struct header *fields, size_t n)
{
	/* Without memory they are left out, as they may be (RFC 9110 section 6.5.1). */
	fields_copy(&ex->trailers, fields, n);
	exchange_body(ex, SLICE_NONE, true);
}

void exchange_body_error(struct exchange *ex, const struct message_fault *fault)
{
	exchange_fail(ex, ENDING_REQUEST_MALFORMED,
		&(struct ending_detail){fault->name, fault->text, fault->status});
}

/* ---- towards the origin ---- */

/* What could be the client's credential never goes on together with the service key. */
static bool exchange_is_credential(const struct header *header)
{
	return credential_field(header->name) || credential_value(header->name, header->value) ||
	       /* Who pays for the client's own key, and is refused with another's. */
	       slice_equal_nocase(header->name, SLICE("openai-organization")) ||
	       slice_equal_nocase(header->name, SLICE("openai-project"));
}

/* The service key as its header's value, whose memory is text. 0 or -ENOMEM. */
static int exchange_key_field(const struct exchange *ex, struct buf *text, struct header *field)
{
	struct slice key = secret_text(ex->credential.secret);
	bool bearer = ex->credential.bearer;
	int error = bearer ? buf_append_slice(text, SLICE("Bearer ")) : 0;

	if (!error)
		error = buf_append_slice(text, key);
	*field = (struct header){
		.name = bearer ? SLICE("Authorization") : SLICE("api-key"),
		.value = buf_slice(text),
	};
	return error;
}

/* A list of subprotocols that had a key in it is not passed on: what is left of it, which a browser
 * insists upon. How many fields that is. */
static size_t exchange_subprotocol(const struct head *head, struct header *field)
{
	for (size_t i = 0; i < head->nheaders; i++) {
		const struct header *header = &head->headers[i];
		struct slice list = header->value, element;

		if (!slice_equal_nocase(header->name, SLICE("sec-websocket-protocol")) ||
			!exchange_is_credential(header))
			continue;
		while (head_list_next(&list, &element))
			if (slice_equal(element, SLICE("realtime"))) {
				*field = (struct header){header->name, element};
				return 1;
			}
	}
	return 0;
}

/* The fields as they go on, in the worker's memory; how many they are. */
static size_t exchange_choose_fields(struct exchange *ex, const struct header *key)
{
	struct header *fields = ex->worker->fields;
	const struct head *head = ex->head;
	/* What is to be hidden, a chunk or an echo of the key, has to be readable. */
	bool readable = ex->attempt.edit != ATTEMPT_UNEDITED || key;
	size_t n = 0;

	fields[n++] = (struct header){
		.name = SLICE("Host"), .value = slice_of_string(ex->attempt.target.host)};
	for (size_t i = 0; i < head->nheaders; i++) {
		const struct header *header = &head->headers[i];

		if (slice_equal_nocase(header->name, SLICE("host")) ||
			(key && exchange_is_credential(header)) ||
			exchange_policy_hides_field(ex, header) ||
			(readable &&
				slice_equal_nocase(header->name, SLICE("accept-encoding"))) ||
			/* Frames are read, and nothing else. */
			(head->websocket && slice_equal_nocase(header->name,
						    SLICE("sec-websocket-extensions"))))
			continue;
		fields[n++] = *header;
	}
	if (key && head->websocket)
		n += exchange_subprotocol(head, fields + n);
	if (readable)
		fields[n++] = (struct header){
			.name = SLICE("Accept-Encoding"), .value = SLICE("identity")};
	if (key)
		fields[n++] = *key;
	return n;
}

/* How long the body becomes, or that it is not known yet. */
static void exchange_frame_request(const struct exchange *ex, struct head *head)
{
	if (ex->attempt.edit == ATTEMPT_MAY_EDIT)
		head->framing = HEAD_STREAMED;
	else if (head->framing == HEAD_LENGTH)
		head->length += (uint64_t)edits_growth(&ex->attempt.edits);
}

/* Hands over the head. 0, or a negative errno; -EINVAL: it cannot be forwarded. */
static int exchange_send_head(struct exchange *ex)
{
	const struct upstream_slot *slot = ex->attempt.slot;
	bool keyed = ex->credential.kind == CREDENTIAL_OURS;
	struct buf key = BUF_EMPTY, mapped = BUF_EMPTY, target = BUF_EMPTY;
	struct head head = *ex->head;
	struct header field;
	int error = 0;

	if (exchange_maps(ex)) {
		error = exchange_map_target(ex, &mapped);
		head.path = buf_slice(&mapped);
	}
	if (!error && keyed)
		error = exchange_key_field(ex, &key, &field);
	if (!error && (keyed || exchange_policy_hides_query(ex))) {
		error = credential_strip_query(head.path, &target);
		head.path = buf_slice(&target);
	}
	head.headers = ex->worker->fields;
	head.nheaders = exchange_choose_fields(ex, keyed ? &field : NULL);
	exchange_frame_request(ex, &head);
	if (!error)
		error = slot->ops->request.head(
			ex->attempt.slot, &head,
			ex->head->framing == HEAD_NO_BODY && !ex->session);
	buf_wipe(&target);
	buf_wipe(&mapped);
	buf_wipe(&key);
	return error;
}

static void exchange_not_connected(struct exchange *ex, const struct origin_failure *failure)
{
	const struct ending_detail detail = {failure->type, failure->why.text, 0};
	enum ending ending = failure->timeout	     ? ENDING_ORIGIN_UNCONNECTED
			       : failure->unverified ? ENDING_ORIGIN_UNVERIFIED
						     : ENDING_ORIGIN_UNAVAILABLE;

	exchange_attempt_over(ex, &(struct attempt_end){.ending = ending, .detail = &detail,
					  .outcome = BACKEND_UNREACHED});
}

static void exchange_connected(
	void *user, struct upstream_slot *slot, const struct origin_failure *failure)
{
	struct exchange *ex = user;
	int error;

	if (!slot) {
		exchange_not_connected(ex, failure);
		return;
	}
	attempt_connected(&ex->attempt, slot);
	exchange_enter(ex, exchange_request_is_whole(ex) ? EXCHANGE_AWAITING : EXCHANGE_SENDING);
	error = exchange_map_body(ex);
	exchange_choose_edit(ex);
	ex->attempt.request_whole = ex->head->framing == HEAD_NO_BODY && !ex->session;
	if (ex->head->framing == HEAD_NO_BODY)
		exchange_limits_send(ex);
	if (!error)
		error = exchange_send_head(ex);
	if (!error && ex->head->framing != HEAD_NO_BODY)
		error = exchange_send_body(ex);
	if (error) {
		exchange_fail(
			ex, error == -ENOMEM ? ENDING_MEMORY : ENDING_REQUEST_UNFIT, NULL);
		return;
	}
	exchange_flush_origin(ex);
	if (exchange_is_over(ex))
		return;
	exchange_moved(ex, ENDING_BY_ORIGIN);
	if (intake_waits(&ex->request))
		share_wait(&ex->share);
	else if (ex->client && ex->request.state == INTAKE_OPEN)
		ex->client->ops->resume(ex->client);
}

/* ---- the tries ---- */

/* That of now: the exchange keeps what it sent, to hide it in what comes back. False: there is none,
 * and the try is over. */
static bool exchange_take_credential(struct exchange *ex)
{
	struct credential credential = worker_credential(ex->worker, ex->backend);
	struct attempt_end end = {
		.ending = ENDING_CREDENTIAL_MISSING, .outcome = BACKEND_UNREACHED};
	struct why why;

	if (credential.secret)
		secret_share(credential.secret);
	secret_free(ex->credential.secret);
	ex->credential = credential;
	if (credential.kind != CREDENTIAL_MISSING)
		return true;
	why_set(&why, EACCES, "The appliance has no credential for the backend %s now: %s",
		ex->backend->name, credential.why);
	end.detail = &(struct ending_detail){NULL, why.text, 0};
	ex->attempt.record->error_type = ending_row(end.ending)->name;
	exchange_attempt_over(ex, &end);
	return false;
}

static void exchange_ask(struct exchange *ex, bool fresh)
{
	const struct config_backend *backend = ex->backend;
	const struct origin_target target = {
		.host = backend && backend->host ? backend->host : ex->sni,
		.port = backend && backend->port ? backend->port : ex->destination.port,
		.addresses = backend ? backend->addresses : NULL,
		.naddresses = backend ? backend->naddresses : 0,
		.leg = worker_origin_leg(ex->worker, backend),
	};
	struct attempt_record *record = &ex->tried[ex->tries++];

	record->backend = backend;
	exchange_enter(ex, EXCHANGE_CONNECTING);
	ex->attempt.record = record;
	if (!exchange_take_credential(ex))
		return;
	attempt_start(&ex->attempt, record, &target, ex->worker->origins, fresh,
		&exchange_upstream_user, exchange_connected, ex);
}

static void exchange_try(struct exchange *ex, bool fresh)
{
	if (exchange_choose_backend(ex))
		exchange_ask(ex, fresh);
	else
		exchange_fail_for_want_of_backends(ex);
}

void exchange_upgrade(struct exchange *ex)
{
	exchange_try(ex, true);
	if (!exchange_is_over(ex))
		exchange_moved(ex, ENDING_BY_US);
}

/* Whether another try of the same backend may follow on one that ended so. */
static bool exchange_may_try_again(const struct exchange *ex, const struct attempt_end *end)
{
	const unsigned most = ex->worker->config->origin.attempts_max;

	if (!ex->client || !replay_is_whole(&ex->replay))
		return false;
	switch (end->left) {
	case ATTEMPT_STALE:
		return ex->tries < most && ex->attempt.slot->reused &&
		       again_allowed(ex->match.operation, ex->method, end->fate);
	case ATTEMPT_EDIT_REFUSED:
		/* Once, and beyond what is configured: without the edit it had not been refused. */
		return ex->tries <= most;
	case ATTEMPT_ELSEWHERE:
	case ATTEMPT_NOT_LEFT:
		break;
	}
	return false;
}

void exchange_try_again(struct exchange *ex, enum attempt_left why)
{
	ex->attempt.record->left = why;
	attempt_close(&ex->attempt);
	ex->status = 0;
	exchange_ask(ex, why == ATTEMPT_STALE || !exchange_can_send_again(ex));
	if (!exchange_is_over(ex))
		exchange_moved(ex, ENDING_BY_US);
}

void exchange_attempt_over(struct exchange *ex, const struct attempt_end *end)
{
	if (end->left != ATTEMPT_EDIT_REFUSED)
		ex->attempt.record->error_type = end->detail && end->detail->name
							 ? end->detail->name
							 : ending_row(end->ending)->name;
	if (exchange_may_try_again(ex, end)) {
		if (end->left == ATTEMPT_STALE)
			counter_add(ex->worker->counters, COUNTER_ORIGIN_STALE, 1);
		exchange_try_again(ex, end->left);
	} else if (!exchange_turn_away(ex, end->outcome)) {
		if (ex->pool.throttled && ex->answer == ANSWER_NONE)
			exchange_fail_for_want_of_backends(ex);
		else
			exchange_fail(ex, end->ending, end->detail);
	}
}

void exchange_origin_lost(struct exchange *ex, int error)
{
	struct ending_detail detail = {0};
	struct attempt_end end = {
		.ending = error ? ENDING_ORIGIN_LOST : ENDING_ORIGIN_CLOSED,
		.detail = &detail,
		.outcome = BACKEND_LOST};
	char message[128];

	if (ex->session && session_is_closed(ex->session)) {
		exchange_finish(ex); /* both sides had said so: how the connection ends is nobody's concern */
		return;
	}
	if (!ex->attempt.head) {
		end.left = ATTEMPT_STALE;
		end.fate = attempt_fate(&ex->attempt, error);
	}
	snprintf(message, sizeof(message), "The connection to the origin failed: %s.",
		error == EPROTO ? "TLS error" : strerror(error));
	if (error)
		detail.message = message;
	exchange_attempt_over(ex, &end);
}

void exchange_flush_origin(struct exchange *ex)
{
	int error;

	if (!ex->attempt.slot)
		return;
	error = ex->attempt.slot->ops->flush(ex->attempt.slot);
	/* An origin that refuses a request before its end may have said why: that is read first. */
	if (error && error != -EPIPE && error != -ECONNRESET)
		exchange_origin_lost(ex, -error);
}
