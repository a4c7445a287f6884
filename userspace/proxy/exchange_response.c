// SPDX-License-Identifier: GPL-2.0-or-later
/* The life of a response: read as it passes, handed on in the turn in which it came. */
#include "proxy/exchange.h"

#include <errno.h>
#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "openai/error.h"

/* What waits behind a stream's end mark: no more than comes in two turns. */
#define RESPONSE_TAIL_MAX 131072

/* ---- the head ---- */

/* Whether what is asked for is what a file holds, and not what it is. */
static bool exchange_asks_for_file(const struct exchange *ex)
{
	struct slice path = slice_first(ex->target, slice_index(ex->target, '?')), end = SLICE("/content");

	return path.len > end.len && slice_equal_nocase(slice_after(path, path.len - end.len), end);
}

/* The reader of the body, where the operation is one we read. Without memory for it the call fails:
 * nothing passes unread that should have been read. */
static int exchange_open_response_reader(struct exchange *ex, const struct head *head)
{
	const struct config *config = ex->worker->config;
	const struct reader_options options = {
		.operation = ex->match.operation,
		.content_max = config->audit.content ? config->audit.content_max : 0,
		.expansion_max = config->http.expansion_max,
		.file = exchange_asks_for_file(ex) && ex->status >= 200 && ex->status <= 299,
		/* The client is not to see the usage that was asked for in its name. */
		.hide_usage = ex->attempt.edit == ATTEMPT_EDITED,
	};
	struct reader *reader;

	if (!ex->match.operation || !ex->match.operation->family || head->framing == HEAD_NO_BODY)
		return 0;
	reader = reader_open_response(head, &options);
	if (!reader)
		return -ENOMEM;
	ex->attempt.response.reader = reader;
	if (!response_reader_facts(reader_response(reader))->readable)
		counter_add(ex->worker->counters, COUNTER_RESPONSE_UNREADABLE, 1);
	return 0;
}

/* Whether the client is promised as many bytes as the origin has promised. */
static bool exchange_promises_length(const struct exchange *ex)
{
	const struct reader *reader = ex->attempt.response.reader;

	return ex->attempt.head->framing == HEAD_LENGTH && !(reader && reader_hides(reader));
}

/* Whether the field says how long to wait. */
static bool exchange_is_wait(struct slice name)
{
	return slice_equal_nocase(name, SLICE("retry-after")) ||
	       slice_equal_nocase(name, SLICE("retry-after-ms")) ||
	       slice_equal_nocase(name, SLICE("x-ms-retry-after-ms"));
}

/* The time after which a call is worth another try, which all backends are asked for; how many fields
 * that is. */
static size_t exchange_wait_fields(struct exchange *ex, struct header *fields)
{
	uint64_t ms = (ex->pool.wait_ns + NS_PER_MS - 1) / NS_PER_MS;

	if (!ms)
		return 0;
	snprintf(ex->wait_text[0], sizeof(ex->wait_text[0]), "%" PRIu64, ms);
	snprintf(ex->wait_text[1], sizeof(ex->wait_text[1]), "%" PRIu64, (ms + 999) / 1000);
	fields[0] = (struct header){
		.name = SLICE("retry-after-ms"), .value = slice_of_string(ex->wait_text[0])};
	fields[1] = (struct header){
		.name = SLICE("Retry-After"), .value = slice_of_string(ex->wait_text[1])};
	return 2;
}

/* The fields as they go on, in the worker's memory and in masked; *n: how many they are. An error
 * that echoes the service key shows it to nobody, in no field either. */
static int exchange_choose_response_fields(
	struct exchange *ex, const struct head *head, struct buf *masked, size_t *n)
{
	struct header *fields = ex->worker->fields;
	struct secret_masking held = {.literal = {.at = 0}};
	size_t total = 1;
	int error = 0;

	for (size_t i = 0; i < head->nheaders; i++)
		total += head->headers[i].value.len;
	/* At once: the values do not move any more. */
	if (ex->mask && !buf_reserve(masked, total))
		return -ENOMEM;
	*n = 0;
	for (size_t i = 0; i < head->nheaders && !error; i++) {
		struct header field = head->headers[i];
		size_t before = buf_len(masked);

		/* Alt-Svc would lead clients to HTTP/3, past the inspection; the other is ours. */
		if (slice_equal_nocase(field.name, SLICE("alt-svc")) ||
			slice_equal_nocase(field.name, SLICE("x-sallyport-backend")) ||
			exchange_limits_hide(ex, field.name) ||
			(ex->pool.wait_ns && exchange_is_wait(field.name)))
			continue;
		if (ex->mask && secret_found(ex->mask, field.value)) {
			error = secret_mask(ex->mask, &held, field.value, true, masked);
			field.value = slice_after(buf_slice(masked), before);
		}
		fields[(*n)++] = field;
	}
	*n += exchange_wait_fields(ex, fields + *n);
	*n += exchange_limits_fields(ex, fields + *n);
	if (ex->backend && ex->worker->config->http.tell_backend)
		fields[(*n)++] = (struct header){.name = SLICE("x-sallyport-backend"),
			.value = slice_of_string(ex->backend->name)};
	return error;
}

static int exchange_hand_over_head(struct exchange *ex, const struct head *head)
{
	struct head out = *head;
	struct buf masked = BUF_EMPTY;
	int error = exchange_choose_response_fields(ex, head, &masked, &out.nheaders);

	out.headers = ex->worker->fields;
	/* A reason of the origin's own is of no use, and could hold anything. */
	if (ex->mask)
		out.reason = SLICE_NONE;
	if (head->framing != HEAD_NO_BODY && !exchange_promises_length(ex))
		out.framing = HEAD_STREAMED;
	if (!error)
		error = ex->client->ops->response.head(
			ex->client, &out, head->framing == HEAD_NO_BODY);
	buf_wipe(&masked);
	return error;
}

/* Whatever is no success may tell what it was asked with. False: its body is in a coding that was
 * not asked for, and nobody looks into it. */
static bool exchange_mask_error(struct exchange *ex, const struct head *head)
{
	bool coded = false;

	for (size_t i = 0; i < head->nheaders; i++)
		coded |= slice_equal_nocase(head->headers[i].name, SLICE("content-encoding")) &&
			 !slice_equal_nocase(head->headers[i].value, SLICE("identity"));
	ex->mask = head->status >= 300 ? ex->credential.secret : NULL;
	return !ex->mask || !coded || head->framing == HEAD_NO_BODY;
}

/* This try answers: what has come of its response goes to the client. 0, or -ECANCELED: the
 * exchange has failed. */
static int exchange_answer(struct exchange *ex)
{
	const struct head *head = ex->attempt.head;

	exchange_backend_outcome(ex, ex->pool.says);
	if (head->status == 429 || head->status == 503)
		ex->pool.wait_ns = exchange_pool_wait(ex);
	if (exchange_has_better(ex)) {
		exchange_fail_for_want_of_backends(ex);
		return -ECANCELED;
	}
	if (head->status <= 299)
		exchange_edit_succeeded(ex);
	if (ex->attempt.request_whole)
		replay_close(&ex->replay);
	/* What is added from now on could not be hidden from the client. */
	if (ex->attempt.edit == ATTEMPT_MAY_EDIT)
		ex->attempt.edit = ATTEMPT_UNEDITED;
	if (!exchange_mask_error(ex, head)) {
		exchange_fail(ex, ENDING_ERROR_CODED, NULL);
		return -ECANCELED;
	}
	if (ex->phase != EXCHANGE_DRAINING && ex->phase != EXCHANGE_ANSWERING)
		exchange_enter(ex, EXCHANGE_ANSWERING);
	if (!ex->client)
		return 0;
	if (exchange_hand_over_head(ex, head) < 0) {
		exchange_fail(ex, ENDING_RESPONSE_UNFIT, NULL);
		return -ECANCELED;
	}
	ex->answer = ANSWER_BEGUN;
	return 0;
}

/* ---- the body ---- */

static int exchange_hand_over(struct exchange *ex, struct slice span)
{
	if (!span.len)
		return 0;
	if (ex->answer == ANSWER_MARKED)
		return buf_append_slice(&ex->tail, span);
	return ex->client->ops->response.body(ex->client, span, false);
}

/* An error inside a stream that is a success otherwise tells as much as others do. */
static void exchange_mask_stream(struct exchange *ex)
{
	const struct reader *reader = ex->attempt.response.reader;

	if (!ex->mask && reader &&
		response_reader_facts(reader_response(reader))->has_error)
		ex->mask = ex->credential.secret;
}

/* fin: nothing follows. 0 or -ENOMEM. */
static int exchange_forward(struct exchange *ex, struct slice span, bool fin)
{
	struct buf masked = BUF_EMPTY;
	int error = 0;

	if (!ex->client)
		return 0;
	if (ex->phase == EXCHANGE_JUDGING)
		return hold_append(&ex->attempt.hold, span);
	exchange_mask_stream(ex);
	if (ex->mask) {
		error = secret_mask(ex->mask, &ex->masked, span, fin, &masked);
		span = buf_slice(&masked);
	}
	if (!error)
		error = exchange_hand_over(ex, span);
	buf_wipe(&masked);
	return error;
}

int exchange_join_tail(struct exchange *ex)
{
	struct slice tail = buf_slice(&ex->tail);

	return tail.len ? ex->client->ops->response.body(ex->client, tail, false) : 0;
}

/* What was held goes on. 0, -ENOMEM, or -ECANCELED: the exchange has failed. */
static int exchange_pass_held(struct exchange *ex)
{
	int error = exchange_answer(ex);

	if (!error)
		error = exchange_forward(ex, buf_slice(&ex->attempt.hold.body), false);
	hold_wipe(&ex->attempt.hold);
	return error;
}

/* What was read goes on, or is held: what the event needs is known before the last bytes go. The
 * client takes a stream's end mark for the end, and the event has to say what finally happened: what
 * comes from the mark on waits until the message ends. */
static int exchange_response_read(void *user, struct slice span, bool last)
{
	struct exchange *ex = user;
	struct reader *reader = ex->attempt.response.reader;
	int error = 0;

	(void)last;
	if (reader && ex->answer != ANSWER_MARKED && reader_is_done(reader) &&
		!(ex->phase == EXCHANGE_JUDGING &&
			exchange_pool_judgement(ex) == JUDGEMENT_ERROR)) {
		size_t before = reader_before_mark(reader, span);

		error = exchange_forward(ex, slice_first(span, before), false);
		if (!error && ex->phase == EXCHANGE_JUDGING)
			error = exchange_pass_held(ex);
		span = slice_after(span, before);
		ex->answer = ANSWER_MARKED;
	}
	return error ? error : exchange_forward(ex, span, false);
}

/* Composes the end of the response and lets the exchange go. */
static void exchange_response_ended(struct exchange *ex)
{
	struct reader *reader = ex->attempt.response.reader;
	const struct fields *trailers = &ex->attempt.trailers;
	const struct message_ops *client = ex->client ? &ex->client->ops->response : NULL;
	int error = exchange_forward(ex, reader ? reader_end(reader) : SLICE_NONE, true);

	if (!error && ex->phase == EXCHANGE_JUDGING) {
		if (exchange_pool_judgement(ex) == JUDGEMENT_ERROR &&
			exchange_turn_away(ex, exchange_judged_outcome(ex)))
			return;
		if (!error && reader && ex->status == 200 && reader_is_truncated(reader) &&
			exchange_turn_away(ex, BACKEND_LOST))
			return;
		if (exchange_judges(ex, ex->attempt.head) && exchange_edit_was_refused(ex)) {
			exchange_attempt_over(
				ex, &(struct attempt_end){.left = ATTEMPT_EDIT_REFUSED,
					    .ending = ENDING_RESPONSE_UNFIT});
			return;
		}
		error = exchange_pass_held(ex);
		if (!error)
			error = exchange_forward(ex, SLICE_NONE, true);
		if (exchange_is_over(ex))
			return;
	}
	if (!error && reader && ex->status <= 299 && reader_is_truncated(reader)) {
		exchange_fail(ex, ENDING_TRUNCATED, NULL);
		return;
	}
	if (client && !error)
		error = exchange_join_tail(ex);
	if (client && !error && ex->attempt.head->framing != HEAD_NO_BODY)
		error = trailers->count && !ex->mask
				? client->trailers(ex->client, trailers->list, trailers->count)
				: client->body(ex->client, SLICE_NONE, true);
	if (error)
		exchange_fail(ex, ENDING_MEMORY, NULL);
	else
		exchange_finish(ex);
}

void exchange_end_by_mark(struct exchange *ex)
{
	if (exchange_promises_length(ex))
		exchange_fail(ex, ENDING_ORIGIN_TIMEOUT, NULL); /* bytes are promised that never came */
	else
		exchange_response_ended(ex);
}

/* What was held goes on once it is clear that this try answers; it is left once it is clear that it
 * does not. 0, or -ECANCELED: this try is over; or another negative errno. */
static int exchange_judge(struct exchange *ex)
{
	enum exchange_judgement judgement = exchange_pool_judgement(ex);
	int error;

	/* An error is read to its end, if it comes in this turn: then the connection is of use still. */
	if (judgement == JUDGEMENT_ERROR && ex->status == 200 &&
		exchange_turn_away(ex, exchange_judged_outcome(ex)))
		return -ECANCELED;
	if (judgement == JUDGEMENT_OPEN && !hold_is_full(&ex->attempt.hold) &&
		!exchange_pool_held_enough(ex))
		return 0;
	if (judgement == JUDGEMENT_ERROR && ex->status != 200 && !hold_is_full(&ex->attempt.hold))
		return 0;
	error = exchange_pass_held(ex);
	return exchange_is_over(ex) ? -ECANCELED : error;
}

/* After a share of reading. 0, or -ECANCELED: this try is over. */
static int exchange_response_goes_on(struct exchange *ex, int error)
{
	if (exchange_is_over(ex))
		return -ECANCELED;
	if (!error && ex->phase == EXCHANGE_JUDGING && !intake_is_whole(&ex->attempt.response))
		error = exchange_judge(ex);
	if (error == -ECANCELED)
		return error;
	if (error == -EAGAIN) {
		share_wait(&ex->share);
		return 0;
	}
	if (error) {
		exchange_fail(ex, ENDING_MEMORY, NULL);
		return -ECANCELED;
	}
	if (!intake_is_whole(&ex->attempt.response))
		return 0;
	exchange_response_ended(ex);
	return -ECANCELED;
}

/* ---- what the slot tells ---- */

int exchange_answer_inside(struct exchange *ex, struct slice events)
{
	struct header type = {SLICE("Content-Type"), SLICE("text/event-stream")};
	const struct head head = {.kind = HEAD_RESPONSE, .status = 200, .headers = &type,
		.nheaders = 1, .framing = HEAD_STREAMED};
	const struct operation *named = ex->match.operation;
	struct operation_match responses;
	struct work work = {.left = INT64_MAX};
	struct slice pass;
	int error = 0;

	ex->response_bytes += events.len;
	if (!ex->first_byte_ns)
		ex->first_byte_ns = clock_monotonic_ns() - ex->started_ns;
	if (!ex->attempt.response.reader) {
		operation_match(
			CONFIG_PROVIDER_OPENAI, SLICE("POST"), SLICE("/v1/responses"), &responses);
		ex->match.operation = responses.operation;
		error = exchange_open_response_reader(ex, &head);
		ex->match.operation = named;
	}
	while (!error && reader_feed(ex->attempt.response.reader, &events, &work, &pass) ==
				 READER_AGAIN)
		;
	return error;
}

static int exchange_take_body(void *user, struct slice span, bool fin)
{
	struct exchange *ex = user;
	int error;

	if (ex->session && ex->answer != ANSWER_NONE && ex->status == 101 &&
		(session_origin(ex, span) < 0 || (fin && session_origin_ended(ex) < 0)))
		return -ECANCELED;
	ex->response_bytes += span.len;
	if (ex->drained)
		ex->drain_bytes += span.len;
	exchange_learn_owner(ex, span);
	error = intake_read(&ex->attempt.response, span, fin, share_work(&ex->share),
		exchange_response_read, ex);
	return exchange_response_goes_on(ex, error);
}

/* Whether a 101 is the WebSocket that was asked for, without extensions. */
static bool exchange_switches(const struct exchange *ex, const struct head *head)
{
	return ex->session && !head_find(head, SLICE("sec-websocket-extensions"));
}

static int exchange_take_head(void *user, const struct head *head, bool fin)
{
	struct exchange *ex = user;
	uint64_t now = clock_monotonic_ns();
	int error = 0;

	if (!ex->first_byte_ns)
		ex->first_byte_ns = now - ex->started_ns;
	ex->attempt.record->first_byte_ns = now - ex->attempt.started_ns;
	ex->attempt.record->status = head->status;
	ex->attempt.head = head;
	ex->status = head->status;
	if (head->status == 101 && !exchange_switches(ex, head)) {
		exchange_fail(ex, ENDING_RESPONSE_MALFORMED,
			&(struct ending_detail){NULL,
				"The origin switched to what was not asked for.", 0});
		return -ECANCELED;
	}
	if (head->status != 101 && exchange_open_response_reader(ex, head) < 0) {
		exchange_fail(ex, ENDING_MEMORY, NULL);
		return -ECANCELED;
	}
	exchange_pool_head(ex, head);
	/* There is nothing to wait for: it has no body, or came before all of the request was sent. */
	if ((fin || ex->phase == EXCHANGE_SENDING) && ex->pool.says != BACKEND_ANSWERED &&
		exchange_turn_away(ex, ex->pool.says))
		return -ECANCELED;
	if (head->status != 101 && (exchange_judges(ex, head) || exchange_pool_judges(ex, head)))
		exchange_enter(ex, EXCHANGE_JUDGING);
	else
		error = exchange_answer(ex);
	if (error || !fin)
		return error;
	return exchange_take_body(ex, SLICE_NONE, true);
}

static int exchange_take_trailers(void *user, const struct header *fields, size_t n)
{
	struct exchange *ex = user;

	/* Without memory they are left out, as they may be (RFC 9110 section 6.5.1). */
	fields_copy(&ex->attempt.trailers, fields, n);
	return exchange_take_body(ex, SLICE_NONE, true);
}

static size_t exchange_response_room(const void *user)
{
	const struct exchange *ex = user;

	if (intake_waits(&ex->attempt.response))
		return 0;
	if (!ex->client || ex->phase == EXCHANGE_JUDGING)
		return SIZE_MAX;
	return ex->client->ops->response.room(ex->client);
}

static void exchange_response_aborted(void *user, const struct message_fault *fault)
{
	struct exchange *ex = user;
	uint64_t left_out;

	if (fault->kind != MESSAGE_MALFORMED) {
		exchange_origin_lost(ex, fault->kind == MESSAGE_LOST ? fault->error : 0);
		return;
	}
	if (log_limit(&ex->worker->response_log, &left_out))
		log_warning("%s: malformed response: %s (%" PRIu64 " more were not logged)",
			ex->attempt.target.host, fault->text, left_out);
	exchange_attempt_over(
		ex, &(struct attempt_end){.ending = ENDING_RESPONSE_MALFORMED,
			    .outcome = BACKEND_LOST,
			    .detail = &(struct ending_detail){fault->name, NULL, 0}});
}

/* What the turn has handed over goes out now; the exchange goes on, if it does. */
static int exchange_response_turn(void *user)
{
	struct exchange *ex = user;

	if (ex->drained && ex->drain_bytes > ex->worker->config->origin.drain_bytes) {
		counter_add(ex->worker->counters, COUNTER_EXCHANGE_DRAIN_CAPPED, 1);
		exchange_finish(ex);
		return -ECANCELED;
	}
	if (buf_len(&ex->tail) > RESPONSE_TAIL_MAX) {
		exchange_fail(ex, ENDING_RESPONSE_MALFORMED,
			&(struct ending_detail){NULL,
				"The origin went on after the end mark of its stream.", 0});
		return -ECANCELED;
	}
	/* An error that does not end is not waited for. */
	if (ex->phase == EXCHANGE_JUDGING && !exchange_awaits_reason(ex) &&
		exchange_pool_judgement(ex) == JUDGEMENT_ERROR) {
		if (exchange_turn_away(ex, exchange_judged_outcome(ex)))
			return -ECANCELED;
		if (exchange_pass_held(ex) == -ENOMEM)
			exchange_fail(ex, ENDING_MEMORY, NULL);
	}
	if (ex->client && ex->client->ops->flush(ex->client) < 0)
		ex->client->ops->close(ex->client, false);
	if (exchange_is_over(ex))
		return -ECANCELED;
	exchange_moved(ex, ENDING_BY_ORIGIN);
	if (ex->session && ex->client && ex->status == 101 && session_take_opened(ex->session))
		ex->client->ops->resume(ex->client);
	return exchange_is_over(ex) ? -ECANCELED : 0;
}

void exchange_reason_is_late(struct exchange *ex)
{
	ex->pool.reason_late = ex->tries;
	(void)exchange_response_turn(ex);
}

static void exchange_origin_flushed(void *user)
{
	struct exchange *ex = user;

	if (exchange_send_on(ex))
		return;
	if (intake_waits(&ex->request))
		share_wait(&ex->share);
	else if (ex->client && ex->request.state == INTAKE_OPEN)
		ex->client->ops->resume(ex->client);
	if (!exchange_is_over(ex))
		exchange_moved(ex, ENDING_BY_ORIGIN);
}

const struct upstream_user exchange_upstream_user = {
	.response = {exchange_take_head, exchange_take_body, exchange_take_trailers,
		exchange_response_room, exchange_response_aborted},
	.turn = exchange_response_turn,
	.flushed = exchange_origin_flushed,
};

void exchange_watch_origin(struct exchange *ex)
{
	if (ex->attempt.slot && exchange_response_room(ex))
		ex->attempt.slot->ops->resume(ex->attempt.slot);
}

void exchange_read_response_on(struct exchange *ex)
{
	int error = intake_read_on(
		&ex->attempt.response, share_work(&ex->share), exchange_response_read, ex);

	if (exchange_response_goes_on(ex, error) || exchange_response_turn(ex))
		return;
	exchange_watch_origin(ex);
}

/* ---- our own answers ---- */

int exchange_compose_error(struct exchange *ex, int status, bool final)
{
	const struct message_ops *client = &ex->client->ops->response;
	struct header fields[4 + LIMIT_FIELDS_MAX] = {
		{.name = SLICE("Content-Type"), .value = SLICE("application/json")},
	};
	size_t n = 1 + exchange_wait_fields(ex, fields + 1);
	bool bodiless = slice_equal(ex->method, SLICE("HEAD"));
	struct buf body = BUF_EMPTY;
	struct head head;
	int error;

	n += exchange_limits_fields(ex, fields + n);
	if (final || exchange_limits_final(ex))
		fields[n++] = (struct header){
			.name = SLICE("x-should-retry"), .value = SLICE("false")};
	head = (struct head){
		.kind = HEAD_RESPONSE,
		.status = status,
		.headers = fields,
		.nheaders = n,
		.framing = bodiless ? HEAD_NO_BODY : HEAD_LENGTH,
		.has_length = true,
	};
	error = error_body(ex->match.dialect, status, ex->error_type, ex->why.text, &body);

	head.length = head.declared_length = buf_len(&body);
	if (!error)
		error = client->head(ex->client, &head, bodiless);
	if (!error && !bodiless)
		error = client->body(ex->client, buf_slice(&body), true);
	buf_free(&body);
	return error;
}
