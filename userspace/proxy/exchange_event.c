// SPDX-License-Identifier: GPL-2.0-or-later
/* What happened in an exchange, as the event that stays of it. */
#include "proxy/exchange.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "audit/event.h"
#include "audit/recorder.h"
#include "audit/source_event.h"
#include "base/clock.h"

/* The longest number of a rate-limit header that is read. */
#define EVENT_DIGITS 18
/* A try as JSON is shorter than this: a name of the configuration has 128 bytes at most. */
#define EVENT_TRY 1024

static const char *exchange_provider(enum config_provider provider)
{
	return provider == CONFIG_PROVIDER_AZURE ? "azure.ai.openai" : "openai";
}

static void exchange_event_connection(const struct exchange *ex, struct event *event)
{
	event->kind = SLICE("exchange");
	event->action = slice_of_string(ex->action);
	event->source_ip = event->client_address = ex->source.address;
	event->source_port = event->client_port = ex->source.port;
	event->destination_ip = ex->destination.address;
	event->destination_port = ex->destination.port;
	event->tls_server_name = slice_of_string(ex->sni);
	event->tls_client_version = slice_of_string(ex->tls_version);
	event->tls_client_resumed = event_flag(ex->tls_resumed);
	event->server_address = slice_of_string(
		ex->attempt.target.host ? ex->attempt.target.host : ex->sni);
	event->server_port =
		ex->attempt.target.port ? ex->attempt.target.port : ex->destination.port;
	if (ex->backend) {
		event->backend_name = slice_of_string(ex->backend->name);
		event->backend_region = slice_of_string(ex->backend->region);
	}
	if (ex->client) {
		const struct client_traffic now = ex->client->ops->traffic(ex->client);

		event->bytes_client_in = event_number(now.in - ex->traffic.in);
		event->bytes_client_out = event_number(now.out - ex->traffic.out);
	}
}

/* Memory of a text of the event. */
struct tool_types {
	char text[24 * REQUEST_TOOLS];
};

/* The kinds of tools that are offered, as a JSON array; empty: none. */
static struct slice exchange_tool_types(unsigned kinds, struct tool_types *types)
{
	size_t len = 0;

	for (unsigned i = 0; i < REQUEST_TOOLS; i++)
		if (kinds & 1u << i)
			len += (size_t)snprintf(types->text + len, sizeof(types->text) - len, "%s\"%s\"",
				len ? "," : "[", request_tool_name((enum request_tool)i));
	if (len)
		types->text[len++] = ']';
	return slice_of(types->text, len);
}

static enum event_flag exchange_event_flag(enum request_flag flag)
{
	return flag == REQUEST_TRUE ? EVENT_YES : flag == REQUEST_FALSE ? EVENT_NO : EVENT_UNSET;
}

/* What the request asks for besides its words. */
static void exchange_event_wishes(
	const struct request_facts *facts, struct event *event, struct tool_types *types)
{
	event->request_size = facts->size;
	event->request_seconds = facts->seconds;
	event->request_effort = facts->effort;
	event->request_service_tier = facts->service_tier;
	event->request_previous = facts->previous_response_id;
	event->request_cache_key = facts->prompt_cache_key;
	event->request_safety = facts->safety_identifier;
	event->request_store = exchange_event_flag(facts->store);
	event->request_background = exchange_event_flag(facts->background);
	event->request_tool_types = exchange_tool_types(facts->tool_kinds, types);
	event->conversation = facts->conversation;
}

static void exchange_event_request(
	struct exchange *ex, struct event *event, struct tool_types *types)
{
	const struct request_facts *facts;

	event->method = ex->method;
	event->path = ex->target;
	event->user_agent = ex->user_agent;
	event->provider = slice_of_string(exchange_provider(ex->host->provider));
	if (ex->host->provider == CONFIG_PROVIDER_AZURE)
		event->azure_deployment = ex->match.deployment;
	event->azure_api_version = ex->match.api_version;
	event->request_model = ex->match.deployment;
	event->operation = operation_name(&ex->match);
	event->agent = ex->match.agent;
	if (!ex->request.reader)
		return;
	reader_conclude(ex->request.reader);
	facts = reader_request_facts(ex->request.reader);
	event->body_readable = event_flag(facts->readable);
	event->body_problem = slice_of_string(facts->problem);
	event->request_stream = event_flag(facts->stream == REQUEST_TRUE);
	if (facts->model.len)
		event->request_model = facts->model;
	if (ex->host->provider == CONFIG_PROVIDER_AZURE && !ex->match.deployment.len)
		event->azure_deployment = facts->model;
	event->request_user = facts->user;
	exchange_event_wishes(facts, event, types);
	if (facts->max_tokens.present && facts->max_tokens.value >= 0 &&
		facts->max_tokens.value < 1e15)
		event->request_max_tokens = event_number((uint64_t)facts->max_tokens.value);
	if (facts->temperature.present)
		event->request_temperature = event_real(facts->temperature.value);
	if (facts->top_p.present)
		event->request_top_p = event_real(facts->top_p.value);
	if (facts->n.present && facts->n.value >= 0 && facts->n.value < 1e15)
		event->request_choices = event_number((uint64_t)facts->n.value);
	if (facts->logprobs)
		event->request_logprobs = EVENT_YES;
	event->input_parts = facts->parts;
	event->input_messages = facts->messages;
	event->input_messages_truncated = event_flag(facts->messages_truncated);
	if (facts->messages_cut)
		event->input_messages_cut = event_number(facts->messages_cut);
	event->tools = facts->tools;
	if (facts->tools.len)
		event->tools_truncated = event_flag(facts->tools_truncated);
	if (facts->tools_cut)
		event->tools_cut = event_number(facts->tools_cut);
}

static struct event_number exchange_header_number(const struct head *head, struct slice name)
{
	const struct header *header = head_find(head, name);
	uint64_t value = 0;

	if (!header || !header->value.len || header->value.len > EVENT_DIGITS)
		return (struct event_number){0};
	for (size_t i = 0; i < header->value.len; i++) {
		if (header->value.data[i] < '0' || header->value.data[i] > '9')
			return (struct event_number){0};
		value = value * 10 + (uint64_t)(header->value.data[i] - '0');
	}
	return event_number(value);
}

static void exchange_event_response_head(const struct exchange *ex, struct event *event)
{
	const struct head *head = ex->attempt.head;
	const struct header *id;

	if (!head)
		return;
	id = head_find(head, SLICE("apim-request-id"));
	if (!id)
		id = head_find(head, SLICE("x-request-id"));
	if (id)
		event->response_request_id = id->value;
	event->ratelimit_requests =
		exchange_header_number(head, SLICE("x-ratelimit-remaining-requests"));
	event->ratelimit_tokens =
		exchange_header_number(head, SLICE("x-ratelimit-remaining-tokens"));
}

/* It was answered, or its client left, or was cut off, while the origin worked on it. */
bool exchange_was_served(const struct exchange *ex)
{
	if (ex->attempt.head)
		return ex->status >= 200 && ex->status <= 299;
	return exchange_request_is_whole(ex) &&
	       (ex->ending == ENDING_CLIENT_CLOSED || ex->ending == ENDING_SHUTDOWN);
}

static void exchange_event_parts(const struct usage_count parts[USAGE_PARTS], struct event *event)
{
	struct event_number *const members[USAGE_PARTS] = {
		[USAGE_CACHE_READ] = &event->usage_cache_read,
		[USAGE_CACHE_WRITE] = &event->usage_cache_write,
		[USAGE_INPUT_TEXT] = &event->usage_input_text,
		[USAGE_INPUT_AUDIO] = &event->usage_input_audio,
		[USAGE_INPUT_IMAGE] = &event->usage_input_image,
		[USAGE_REASONING] = &event->usage_reasoning,
		[USAGE_OUTPUT_TEXT] = &event->usage_output_text,
		[USAGE_OUTPUT_AUDIO] = &event->usage_output_audio,
		[USAGE_OUTPUT_IMAGE] = &event->usage_output_image,
		[USAGE_ACCEPTED] = &event->usage_accepted,
		[USAGE_REJECTED] = &event->usage_rejected,
	};

	for (int i = 0; i < USAGE_PARTS; i++)
		*members[i] = (struct event_number){parts[i].tokens, parts[i].told};
}

/* Where the usage came from is said always: a sum over events must know what it adds up. */
static void exchange_event_usage(struct exchange *ex, struct event *event)
{
	const struct reader *response = ex->attempt.response.reader;
	const struct response_facts *facts =
		response ? response_reader_facts(reader_response(response)) : NULL;
	uint64_t input, output;

	event->usage_source = SLICE("none");
	if (ex->match.operation && ex->match.operation->counts_only)
		return;
	switch (exchange_spend(ex)) {
	case SPEND_LATER:
		event->usage_source = SLICE("later");
		return;
	case SPEND_AGAIN:
		event->usage_source = SLICE("counted");
		return;
	case SPEND_NONE:
		return;
	default:
		event->usage_owner = slice_of_string(ex->job_owner);
	}
	if (facts && facts->has_seconds)
		event->usage_seconds = event_real(facts->seconds);
	if (facts && (facts->has_usage || facts->has_seconds))
		event->usage_source = ex->drained ? SLICE("drained") : SLICE("provider");
	if (facts && facts->has_usage) {
		event->input_tokens = (struct event_number){facts->input_tokens, facts->has_input};
		event->output_tokens = (struct event_number){facts->output_tokens, facts->has_output};
		event->total_tokens = (struct event_number){facts->total_tokens, facts->has_total};
		exchange_event_parts(facts->parts, event);
		return;
	}
	if (!ex->request.reader || !exchange_was_served(ex) || (facts && facts->has_seconds))
		return;
	input = reader_estimate_request(ex->request.reader);
	output = facts ? response_estimate_tokens(reader_response(response)) : 0;
	event->usage_source = SLICE("estimated");
	event->input_tokens = event_number(input);
	event->output_tokens = event_number(output);
	event->total_tokens = event_number(input + output);
}

static void exchange_event_response(struct exchange *ex, struct event *event)
{
	struct reader *response = ex->attempt.response.reader;
	const struct response_facts *facts;

	if (ex->status)
		event->status = event_number((uint64_t)ex->status);
	exchange_event_response_head(ex, event);
	if (!response)
		return;
	reader_conclude(response);
	facts = response_reader_facts(reader_response(response));
	event->response_id = facts->id;
	event->response_model = facts->model;
	event->finish_reasons = facts->finish_reasons;
	event->system_fingerprint = facts->system_fingerprint;
	event->content_filter = facts->verdicts;
	if (facts->refused)
		event->refused = EVENT_YES;
	event->response_service_tier = facts->service_tier;
	event->output_messages = facts->output_messages;
	event->output_messages_truncated = event_flag(facts->output_truncated);
	if (facts->output_cut)
		event->output_messages_cut = event_number(facts->output_cut);
	if (!facts->readable && event->body_readable != EVENT_NO) {
		event->body_readable = EVENT_NO;
		event->body_problem = slice_of_string(facts->problem);
	}
	if (facts->has_error) {
		event->error_type = facts->error_code.len ? facts->error_code : facts->error_type;
		event->error_message = facts->error_message;
	}
}

static void exchange_event_timing(const struct exchange *ex, struct event *event)
{
	event->timing_tls_client = event_number(ex->handshake_ns);
	event->timing_total = event_number(clock_monotonic_ns() - ex->started_ns);
	if (ex->tries && ex->tried[ex->tries - 1].connect_ns)
		event->timing_origin_connect = event_number(ex->tried[ex->tries - 1].connect_ns);
	if (ex->first_byte_ns)
		event->timing_first_byte = event_number(ex->first_byte_ns);
	event->bytes_request = event_number(replay_end(&ex->replay));
	event->bytes_response = event_number(ex->response_bytes);
	if (ex->attempt.edit == ATTEMPT_EDITED)
		event->request_edit = SLICE("usage");
}

/* The last origin that there was a connection to. */
static void exchange_event_tries(
	const struct exchange *ex, struct event *event, struct address_text *text)
{
	unsigned connected = 0;

	for (unsigned i = 0; i < ex->tries; i++) {
		const struct attempt_record *tried = &ex->tried[i];

		if (tried->left == ATTEMPT_EDIT_REFUSED)
			event->request_edit = SLICE("usage_refused");
		if (!tried->address.port)
			continue;
		connected++;
		*text = address_port_format(&tried->address);
		event->backend_address = slice_of_string(text->text);
	}
	event->attempts = event_number(connected);
}

/* Why a try is not the one that answered; NULL: it is. */
static const char *exchange_left_name(const struct attempt_record *tried)
{
	switch (tried->left) {
	case ATTEMPT_STALE:
		return "stale";
	case ATTEMPT_EDIT_REFUSED:
		return "edit_refused";
	case ATTEMPT_ELSEWHERE:
		return backend_outcome_name(tried->outcome);
	case ATTEMPT_NOT_LEFT:
		break;
	}
	return NULL;
}

/* ,"name":"value", of names that need no escaping: those of the configuration and our own. */
static void exchange_event_member(struct buf *out, const char *name, const char *value)
{
	if (value)
		buf_printf(out, ",\"%s\":\"%s\"", name, value);
}

static void exchange_event_try(const struct attempt_record *tried, struct buf *out)
{
	struct address_text address = address_port_format(&tried->address);

	buf_printf(out, "%s{\"connected\":%s", buf_len(out) > 1 ? "," : "",
		tried->address.port ? "true" : "false");
	if (tried->backend) {
		exchange_event_member(out, "backend", tried->backend->name);
		exchange_event_member(out, "region", tried->backend->region);
		exchange_event_member(out, "kind", config_kind_name(tried->backend->kind));
	}
	exchange_event_member(out, "address", tried->address.port ? address.text : NULL);
	if (tried->status)
		buf_printf(out, ",\"status\":%d", tried->status);
	if (tried->first_byte_ns)
		buf_printf(out, ",\"first_byte\":%" PRIu64, tried->first_byte_ns);
	exchange_event_member(out, "error", tried->error_type);
	exchange_event_member(out, "left", exchange_left_name(tried));
	buf_append_slice(out, SLICE("}"));
}

/* All tries, the one that answered last. Without memory they are left out. */
static void exchange_event_made(const struct exchange *ex, struct event *event, struct buf *text)
{
	/* At once: then none of what follows fails. */
	if (ex->tries < 2 || !buf_reserve(text, 2 + ex->tries * EVENT_TRY))
		return;
	buf_append_slice(text, SLICE("["));
	for (unsigned i = 0; i < ex->tries; i++)
		exchange_event_try(&ex->tried[i], text);
	buf_append_slice(text, SLICE("]"));
	event->attempts_made = buf_slice(text);
}

/* As published last; a source that was never seen before this call may not be there yet. */
static void exchange_event_source(
	const struct exchange *ex, struct event *event, struct source_event_text *text)
{
	struct source_totals totals;
	int error = source_table_find(ex->worker->sources, &ex->source.address, &totals);

	if (!error)
		source_event_totals(event, &totals, text);
	else
		counter_add(ex->worker->counters,
			error == -EAGAIN ? COUNTER_TOTALS_TORN : COUNTER_TOTALS_UNKNOWN, 1);
}

int exchange_record(struct exchange *ex)
{
	struct event event = {.time_ns = ex->started_realtime_ns};
	struct source_event_text source;
	struct tool_types types;
	struct address_text address;
	struct buf made = BUF_EMPTY;
	char status[16];
	int error;

	if (!exchange_policy_records(ex))
		return 0;
	exchange_event_connection(ex, &event);
	exchange_event_request(ex, &event, &types);
	exchange_event_response(ex, &event);
	exchange_event_usage(ex, &event);
	exchange_event_timing(ex, &event);
	exchange_event_source(ex, &event, &source);
	exchange_event_tries(ex, &event, &address);
	exchange_event_made(ex, &event, &made);
	exchange_policy_event(ex, &event);
	exchange_limits_event(ex, &event);
	if (ex->error_type) {
		event.error_type = slice_of_string(ex->error_type);
		event.error_message = slice_of_string(ex->why.text);
	} else if (ex->status >= 400 && !event.error_type.len) {
		snprintf(status, sizeof(status), "%d", ex->status);
		event.error_type = slice_of_string(status);
	}
	event.outcome = event.error_type.len ? SLICE("failure") : SLICE("success");
	error = recorder_record(ex->worker->recorder, &event, &ex->waiter);
	buf_free(&made);
	return error;
}

void exchange_record_handshake(struct client *client, const char *type, const char *message)
{
	struct event event = {
		.time_ns = clock_realtime_ns(),
		.kind = SLICE("handshake"),
		.action = SLICE("deny"),
		.outcome = SLICE("failure"),
		.source_ip = client->source.address,
		.source_port = client->source.port,
		.client_address = client->source.address,
		.client_port = client->source.port,
		.destination_ip = client->destination.address,
		.destination_port = client->destination.port,
		.tls_server_name = slice_of_string(client->sni),
		.server_address = slice_of_string(client->sni),
		.server_port = client->destination.port,
		.error_type = slice_of_string(type),
		.error_message = slice_of_string(message),
		.subject_found_by = SLICE("address"),
		.subject_groups =
			worker_policy_groups(&client->worker->policy, &client->source.address),
	};

	/* There is no exchange that could wait. */
	recorder_record(client->worker->recorder, &event, NULL);
}
