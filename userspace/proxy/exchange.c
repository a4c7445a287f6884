// SPDX-License-Identifier: GPL-2.0-or-later
/* The life of an exchange: its head is judged, and in the end, however it comes, it is recorded. */
#include "proxy/exchange.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define EXCHANGE_MAGIC 0xe8c4a9e0u

struct exchange *exchange_of(struct list *node)
{
	return list_entry(node, struct exchange, node);
}

/* ---- phases ---- */

#define TO(phase) (1u << EXCHANGE_##phase)
/* Every phase can end: with an answer of the origin's, an error of ours, or nobody to answer. */
#define TO_AN_END (TO(RECORDING))

static const unsigned exchange_ways[] = {
	[EXCHANGE_HOLDING] = TO(CONNECTING) | TO_AN_END,
	[EXCHANGE_CONNECTING] = TO(CONNECTING) /* elsewhere */ | TO(SENDING) | TO(AWAITING) |
				TO_AN_END,
	[EXCHANGE_SENDING] = TO(AWAITING) | TO(ANSWERING) | TO(CONNECTING) /* again */ | TO_AN_END,
	[EXCHANGE_AWAITING] = TO(JUDGING) | TO(ANSWERING) | TO(CONNECTING) /* again */ |
			      TO(DRAINING) | TO_AN_END,
	[EXCHANGE_JUDGING] = TO(ANSWERING) | TO(CONNECTING) /* unedited, or elsewhere */ | TO_AN_END,
	[EXCHANGE_ANSWERING] = TO(DRAINING) | TO_AN_END,
	[EXCHANGE_DRAINING] = TO_AN_END,
	[EXCHANGE_RECORDING] = TO(OVER),
	[EXCHANGE_OVER] = 0,
};

void exchange_enter(struct exchange *ex, enum exchange_phase phase)
{
	assert(ex->magic == EXCHANGE_MAGIC);
	assert(exchange_ways[ex->phase] & 1u << phase);
	ex->phase = phase;
	if (phase == EXCHANGE_AWAITING)
		ex->awaited_since = ev_now(ex->worker->loop);
}

bool exchange_is_over(const struct exchange *ex)
{
	return ex->phase >= EXCHANGE_RECORDING;
}

/* ---- deadlines ---- */

static void exchange_start_timer(struct exchange *ex, double seconds)
{
	ev_timer_stop(ex->worker->loop, &ex->timer);
	ev_timer_set(&ex->timer, seconds, 0);
	ev_timer_start(ex->worker->loop, &ex->timer);
}

static struct deadline_view exchange_view(const struct exchange *ex)
{
	const struct upstream_slot *origin = ex->attempt.slot;

	return (struct deadline_view){
		.phase = ex->phase,
		/* What waits because its taker has no room is not ours to read now. */
		.reading = (intake_waits(&ex->request) && exchange_takes_request(ex)) ||
			   intake_waits(&ex->attempt.response),
		.origin_full = origin && !origin->ops->request.room(origin),
		.origin_unsent = origin && origin->ops->unsent(origin),
		.client_full = ex->client && !ex->client->ops->response.room(ex->client),
		.end_mark = ex->answer == ANSWER_MARKED,
		.session = ex->session && (ex->phase != EXCHANGE_ANSWERING || ex->status == 101),
		.request_open = !exchange_request_is_whole(ex),
		.first_output_ns = ex->phase == EXCHANGE_AWAITING || ex->phase == EXCHANGE_JUDGING
					   ? exchange_first_output_ns(ex)
					   : 0,
	};
}

/* Bytes that the side has taken which owes room; 0: nobody does. */
static uint64_t exchange_taken(const struct exchange *ex)
{
	switch (ex->owed.kind) {
	case DEADLINE_ORIGIN_ROOM:
		return ex->attempt.slot->ops->sent(ex->attempt.slot);
	case DEADLINE_CLIENT_ROOM:
		return ex->client->ops->traffic(ex->client).taken;
	default:
		return 0;
	}
}

/* Who owed what before may go on owing it; a timer that would fire too early is left to do so. */
void exchange_moved(struct exchange *ex, enum ending_side side)
{
	const struct deadline_view view = exchange_view(ex);
	struct deadline owed = deadline_of(&view, ex->worker->config);
	bool other = owed.kind != ex->owed.kind;

	if (!other && (owed.kind == DEADLINE_NONE || owed.since == SINCE_BEGUN ||
			      (owed.since == SINCE_SIDE_MOVED && owed.side != side)))
		return;
	ex->owed = owed;
	ex->owed_since = ev_now(ex->worker->loop);
	ex->owed_taken = exchange_taken(ex);
	if (!owed.ns)
		return;
	if (!ev_is_active(&ex->timer) ||
		ev_timer_remaining(ex->worker->loop, &ex->timer) >
			(double)owed.ns / (double)NS_PER_S)
		exchange_start_timer(ex, (double)owed.ns / (double)NS_PER_S);
}

static void exchange_deadline_passed(struct exchange *ex)
{
	switch (ex->owed.kind) {
	case DEADLINE_DRAIN:
		counter_add(ex->worker->counters, COUNTER_EXCHANGE_DRAIN_CAPPED, 1);
		exchange_finish(ex);
		break;
	case DEADLINE_ORIGIN_END:
		exchange_end_by_mark(ex);
		break;
	case DEADLINE_ORIGIN_OUTPUT:
		if (exchange_awaits_reason(ex)) {
			exchange_reason_is_late(ex);
			break;
		}
		if (exchange_turn_away(ex, BACKEND_SLOW))
			break;
		/* There is nobody else by now: this one is waited for. */
		ex->pool.patient = true;
		exchange_moved(ex, ENDING_BY_ORIGIN);
		break;
	default:
		exchange_fail(ex, ex->owed.ending, NULL);
	}
}

static void exchange_timed_out(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct exchange *ex = timer->data;
	double left;

	(void)events;
	if (!ex->owed.ns)
		return;
	/* Whoever takes a little at a time is not stuck. */
	if (exchange_taken(ex) != ex->owed_taken) {
		ex->owed_taken = exchange_taken(ex);
		ex->owed_since = ev_now(loop);
	}
	left = ex->owed_since + (double)ex->owed.ns / (double)NS_PER_S - ev_now(loop);
	if (left > 0)
		exchange_start_timer(ex, left);
	else
		exchange_deadline_passed(ex);
}

/* ---- beginning and end ---- */

static void exchange_free(struct garbage *garbage)
{
	struct exchange *ex = list_entry(garbage, struct exchange, garbage);

	attempt_close(&ex->attempt);
	secret_free(ex->credential.secret);
	intake_close(&ex->request);
	replay_close(&ex->replay);
	buf_wipe(&ex->tail);
	exchange_limits_free(ex);
	exchange_policy_free(ex);
	secret_masking_free(&ex->masked);
	session_free(ex->session);
	buf_free(&ex->moved_model);
	buf_wipe(&ex->text);
	fields_wipe(&ex->trailers);
	free(ex);
}

/* The exchange leaves the worker; its client, if there is one, goes on without it. */
static void exchange_end(struct exchange *ex)
{
	struct client_slot *client = ex->client;

	exchange_enter(ex, EXCHANGE_OVER);
	ex->magic = 0;
	list_remove(&ex->node);
	turn_discard(&ex->worker->turn, &ex->garbage, exchange_free);
	ex->client = NULL;
	if (client) {
		/* A client that turns out to be gone now must not come back to this exchange. */
		client->exchange = NULL;
		if (client->ops->cork(client, false) < 0)
			client->ops->close(client, false);
		else
			client->ops->exchange_done(client);
	}
	worker_ended(ex->worker);
}

static void exchange_is_recorded(struct recorder_waiter *waiter)
{
	exchange_end(list_entry(waiter, struct exchange, waiter));
}

/* 0, or -EAGAIN: the exchange is the recorder's now. */
static int exchange_close(struct exchange *ex)
{
	int error;

	exchange_enter(ex, EXCHANGE_RECORDING);
	ev_timer_stop(ex->worker->loop, &ex->timer);
	share_cancel(&ex->share);
	exchange_pool_close(ex);
	if (ex->session)
		session_end(ex);
	exchange_limits_settle(ex);
	error = exchange_record(ex);
	attempt_release(&ex->attempt);
	return error;
}

void exchange_finish(struct exchange *ex)
{
	if (exchange_close(ex) == 0)
		exchange_end(ex);
	else if (ex->client)
		ex->client->ops->cork(ex->client, true); /* until the event is safe */
}

/* The first reason stays: what follows from it is no other. */
static void exchange_blame(
	struct exchange *ex, enum ending ending, const struct ending_detail *detail)
{
	const struct ending_row *row = ending_row(ending);

	if (ex->ending != ENDING_NONE)
		return;
	ex->ending = ending;
	ex->error_type = detail && detail->name ? detail->name : row->name;
	why_set(&ex->why, EIO, "%s", detail && detail->message ? detail->message : row->message);
	if (row->deny)
		ex->action = "deny";
	if (row->counter >= 0)
		counter_add(ex->worker->counters, (enum counter)row->counter, 1);
}

/* The client is closed now; it does not come back to this exchange. */
static void exchange_drop_client(struct exchange *ex)
{
	const struct message_fault fault = {.kind = MESSAGE_LOST, .error = ECANCELED};
	struct client_slot *client = ex->client;

	ex->client = NULL;
	ex->head = NULL;
	client->exchange = NULL;
	client->ops->response.abort(client, &fault);
}

void exchange_cut(struct exchange *ex)
{
	/* In the recorder's queue all is said but the last bytes. */
	if (ex->phase == EXCHANGE_RECORDING) {
		recorder_cancel(ex->worker->recorder, &ex->waiter);
	} else {
		exchange_blame(ex, ENDING_SHUTDOWN, NULL);
		if (exchange_close(ex) == -EAGAIN)
			recorder_cancel(ex->worker->recorder, &ex->waiter);
	}
	if (ex->client)
		exchange_drop_client(ex);
	exchange_end(ex);
}

/* Copies what the event and the readers need for longer than the client may live. */
static int exchange_copy_head(struct exchange *ex, const struct head *head)
{
	const struct header *agent = head_find(head, SLICE("user-agent"));
	const struct slice from[3] = {
		head->method, head->target, agent ? agent->value : SLICE_NONE};
	struct slice *const to[3] = {&ex->method, &ex->target, &ex->user_agent};
	size_t total = from[0].len + from[1].len + from[2].len;
	char *at = buf_reserve(&ex->text, total + 1);

	if (!at)
		return -ENOMEM;
	for (int i = 0; i < 3; i++) {
		if (from[i].len)
			memcpy(at, from[i].data, from[i].len);
		*to[i] = slice_of(at, from[i].len);
		at += from[i].len;
	}
	buf_commit(&ex->text, total);
	return 0;
}

/* The turn of a reader whose work was spent. */
static void exchange_go_on(struct share *share)
{
	struct exchange *ex = list_entry(share, struct exchange, share);

	if (intake_waits(&ex->request))
		exchange_read_request_on(ex);
	if (!exchange_is_over(ex) && intake_waits(&ex->attempt.response))
		exchange_read_response_on(ex);
}

static void exchange_init(struct exchange *ex, struct worker *worker)
{
	ex->magic = EXCHANGE_MAGIC;
	ex->worker = worker;
	ex->action = "allow";
	ex->started_ns = clock_monotonic_ns();
	ex->started_realtime_ns = clock_realtime_ns();
	ex->pool.choice.member = ex->pool.owner = -1;
	replay_open(&ex->replay, &worker->replays);
	share_init(&ex->share, &worker->turn, exchange_go_on);
	ex->waiter.wake = exchange_is_recorded;
	ev_init(&ex->timer, exchange_timed_out);
	ex->timer.data = ex;
	list_append(&worker->exchanges, &ex->node);
	counter_add(worker->counters, COUNTER_EXCHANGE_STARTED, 1);
}

static struct exchange *exchange_new(struct client_slot *slot)
{
	const struct client *client = slot->connection;
	struct exchange *ex = calloc(1, sizeof(*ex));

	if (!ex) {
		slot->ops->close(slot, true);
		return NULL;
	}
	exchange_init(ex, client->worker);
	ex->client = slot;
	ex->host = client->host;
	ex->gateway = client->gateway;
	ex->source = client->source;
	ex->destination = client->destination;
	memcpy(ex->sni, client->sni, sizeof(ex->sni));
	ex->tls_version = SSL_get_version(client->stream.ssl);
	ex->tls_resumed = SSL_session_reused(client->stream.ssl);
	ex->handshake_ns = client->handshake_ns;
	ex->traffic = slot->ops->traffic(slot);
	ex->match.dialect = client->host->provider == CONFIG_PROVIDER_AZURE ? DIALECT_AZURE
									     : DIALECT_OPENAI;
	exchange_pool_open(ex);
	slot->exchange = ex;
	return ex;
}

void exchange_refuse(
	struct client_slot *client, enum ending ending, const struct ending_detail *detail)
{
	struct exchange *ex = exchange_new(client);

	if (ex)
		exchange_fail(ex, ending, detail);
}

/* ---- the head ---- */

/* What is wrong with a well-formed head. */
static enum ending exchange_check(const struct exchange *ex, const struct head *head)
{
	if (!slice_equal_nocase(head_host(head), slice_of_string(ex->sni)))
		return ENDING_MISDIRECTED;
	/* Before the gateway may stand what translates ports. */
	if (!ex->gateway && head_port(head) && head_port(head) != ex->destination.port)
		return ENDING_MISDIRECTED;
	if (head->upgrade && !ex->session)
		return ENDING_UPGRADE;
	return ex->match.canonical ? ENDING_NONE : ENDING_PATH;
}

/* Reads the head; what it finds wrong. */
static enum ending exchange_take_head(struct exchange *ex, const struct head *head)
{
	enum ending wrong;

	ex->head = head;
	if (exchange_copy_head(ex, head) < 0)
		return ENDING_MEMORY;
	if (ex->gateway)
		ex->host = &ex->worker->config->gateway.hosts[operation_provider(ex->target)];
	operation_match(ex->host->provider, ex->method, ex->target, &ex->match);
	if (head->upgrade && session_open(ex, head) == -ENOMEM)
		return ENDING_MEMORY;
	wrong = exchange_check(ex, head);
	if (wrong == ENDING_NONE && !ex->session && exchange_open_request_reader(ex, head) < 0)
		wrong = ENDING_MEMORY;
	return wrong;
}

void exchange_start(struct client_slot *client, const struct head *head, bool fin)
{
	struct exchange *ex = exchange_new(client);
	enum ending wrong;

	if (!ex)
		return;
	wrong = exchange_take_head(ex, head);
	if (wrong != ENDING_NONE) {
		exchange_policy_know(ex, head);
		exchange_fail(ex, wrong, NULL);
		return;
	}
	if (exchange_policy_head(ex, head))
		return;
	if (ex->session)
		exchange_upgrade(ex);
	else if (fin)
		exchange_body(ex, SLICE_NONE, true);
	else
		exchange_moved(ex, ENDING_BY_CLIENT);
}

/* ---- calls inside of a session ---- */

struct exchange *exchange_new_inside(const struct exchange *session)
{
	struct exchange *ex = calloc(1, sizeof(*ex));

	if (!ex)
		return NULL;
	exchange_init(ex, session->worker);
	ex->host = session->host;
	ex->gateway = session->gateway;
	ex->backend = session->backend;
	ex->source = session->source;
	ex->destination = session->destination;
	memcpy(ex->sni, session->sni, sizeof(ex->sni));
	ex->tls_version = session->tls_version;
	ex->tls_resumed = session->tls_resumed;
	ex->attempt.target = session->attempt.target;
	ex->attempt.record = &ex->tried[0];
	ex->tried[0] = *session->attempt.record;
	ex->tries = 1;
	ex->status = 200; /* of the session it is 101 */
	if (exchange_copy_head(ex, session->head) < 0) {
		list_remove(&ex->node);
		buf_wipe(&ex->text);
		free(ex);
		return NULL;
	}
	operation_match(ex->host->provider,
		session->match.operation->id == OPERATION_RESPONSES ? SLICE("POST") : ex->method,
		ex->target, &ex->match);
	return ex;
}

void exchange_finish_inside(struct exchange *ex, enum ending ending)
{
	/* From now on it is seen by who ends all. */
	list_append(&ex->worker->exchanges, &ex->node);
	if (ending != ENDING_NONE)
		exchange_fail(ex, ending, NULL);
	else
		exchange_finish(ex);
}

void exchange_end_session(
	struct exchange *ex, enum ending ending, const struct ending_detail *detail)
{
	exchange_blame(ex, ending, detail);
	exchange_finish(ex);
}

/* ---- when something goes wrong ---- */

/* Half an answer must not look like a whole one; what has come of it is delivered. */
static void exchange_cut_response(struct exchange *ex)
{
	counter_add(ex->worker->counters, COUNTER_EXCHANGE_CUT, 1);
	if (exchange_join_tail(ex) == 0)
		ex->client->ops->flush(ex->client);
	exchange_drop_client(ex);
}

void exchange_fail(
	struct exchange *ex, enum ending ending, const struct ending_detail *detail)
{
	const struct ending_row *row = ending_row(ending);

	if (exchange_is_over(ex))
		return;
	exchange_blame(ex, ending, detail);
	if (ex->client && ex->answer != ANSWER_NONE && session_say_failed(ex)) {
		counter_add(ex->worker->counters, COUNTER_EXCHANGE_FAILED, 1);
	} else if (ex->client && ex->answer != ANSWER_NONE) {
		exchange_cut_response(ex);
	} else if (ex->client) {
		ex->status = detail && detail->status ? detail->status : row->status;
		counter_add(ex->worker->counters, COUNTER_EXCHANGE_FAILED, 1);
		if (exchange_compose_error(ex, ex->status, row->final) < 0)
			exchange_drop_client(ex);
	}
	exchange_finish(ex);
}

static bool exchange_drains(const struct exchange *ex)
{
	return ex->worker->config->origin.on_client_close == CONFIG_CLIENT_CLOSE_DRAIN &&
	       ex->worker->config->origin.drain_ns && exchange_request_is_whole(ex) &&
	       (ex->phase == EXCHANGE_AWAITING || ex->phase == EXCHANGE_ANSWERING);
}

void exchange_client_gone(struct exchange *ex)
{
	ex->client = NULL;
	ex->head = NULL;
	if (exchange_is_over(ex))
		return;
	if (ex->session && session_is_closed(ex->session)) {
		exchange_finish(ex); /* both sides had said so */
		return;
	}
	exchange_blame(ex, ENDING_CLIENT_CLOSED, NULL);
	if (!exchange_drains(ex)) {
		/* Ends the origin's call, and with it the generation and its cost. */
		exchange_finish(ex);
		return;
	}
	/* What was asked for will be paid for: the rest is read for its usage. */
	exchange_enter(ex, EXCHANGE_DRAINING);
	ex->drained = true;
	counter_add(ex->worker->counters, COUNTER_EXCHANGE_DRAINED, 1);
	exchange_moved(ex, ENDING_BY_US);
	exchange_watch_origin(ex);
}

void exchange_client_flushed(struct exchange *ex)
{
	if (exchange_is_over(ex))
		return;
	exchange_moved(ex, ENDING_BY_CLIENT);
	exchange_watch_origin(ex);
}
