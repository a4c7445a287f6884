// SPDX-License-Identifier: GPL-2.0-or-later
#include "completion.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define SAFE(name) "\"" name "\":{\"filtered\":false,\"severity\":\"safe\"}"
#define FILTER	   "{" SAFE("hate") "," SAFE("self_harm") "," SAFE("sexual") "," SAFE("violence") "}"
#define PROMPT_FILTER                                                                              \
	"\"prompt_filter_results\":[{\"prompt_index\":0,\"content_filter_results\":" FILTER "}]"
#define TOOL_NAME "get_weather"

const char *const completion_arguments[COMPLETION_ARGUMENTS] = {
	"{\\\"ci", "ty\\\":\\\"Pa", "ris\\\"}"};

enum step {
	STEP_FILTER, /* Azure's first chunk: no id, no model, no choices */
	STEP_ROLE,
	STEP_CONTENT,
	STEP_ASYNC_FILTER,
	STEP_FINISH,
	STEP_USAGE,
	STEP_DONE,
	STEP_END,
};

static void put(struct buf *out, const char *text)
{
	buf_append(out, text, strlen(text));
}

static bool is_azure(const struct call *call)
{
	return call->dialect != DIALECT_OPENAI;
}

static bool is_chat(const struct call *call)
{
	return call->operation == OPERATION_CHAT;
}

static bool with_tools(const struct call *call)
{
	return is_chat(call) && call->knob.tools > 0;
}

static const char *finish_of(const struct call *call)
{
	if (call->knob.finish.text[0])
		return call->knob.finish.text;
	return with_tools(call) ? "tool_calls" : "stop";
}

void completion_piece(const struct call *call, unsigned long i, struct buf *out)
{
	long padding = knob_or(call->knob.bytes, 0);
	char *to;

	if (i == 0) {
		put(out, "Answer to: ");
		buf_append_slice(out, buf_slice(&call->prompt));
		put(out, ".");
	} else {
		buf_printf(out, " t%lu", i);
	}
	if (i + 1 < call_pieces(call) || padding <= 0)
		return;
	to = buf_reserve(out, (size_t)padding);
	if (!to)
		return;
	memset(to, 'x', (size_t)padding);
	buf_commit(out, (size_t)padding);
}

static void put_usage(const struct call *call, struct buf *out)
{
	unsigned long long prompt = call->prompt_tokens, completion = call->completion_tokens;

	if (call->operation == OPERATION_EMBEDDING) {
		buf_printf(out, "{\"prompt_tokens\":%llu,\"total_tokens\":%llu}", prompt, prompt);
		return;
	}
	buf_printf(out,
		"{\"completion_tokens\":%llu,\"completion_tokens_details\":{"
		"\"accepted_prediction_tokens\":0,\"audio_tokens\":0,\"reasoning_tokens\":%ld,"
		"\"rejected_prediction_tokens\":0},\"prompt_tokens\":%llu,"
		"\"prompt_tokens_details\":{\"audio_tokens\":0,\"cached_tokens\":%ld},"
		"\"total_tokens\":%llu}",
		completion, knob_or(call->knob.reasoning, 0), prompt, knob_or(call->knob.cached, 0),
		prompt + completion);
}

static void put_identity(const struct call *call, const char *object, struct buf *out)
{
	buf_printf(out,
		"\"id\":\"%s-%x%010llx\",\"object\":\"%s\",\"created\":%lld,\"model\":\"%s\"",
		is_chat(call) ? "chatcmpl" : "cmpl", (unsigned)getpid(),
		(unsigned long long)call->number, object, (long long)time(NULL),
		call->answered.text);
	if (is_chat(call))
		put(out, ",\"system_fingerprint\":\"fp_7f6be3efb0\"");
}

static void put_message(const struct call *call, struct buf *out)
{
	if (with_tools(call)) {
		buf_printf(out,
			"{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":"
			"\"call_%llx\",\"type\":\"function\",\"function\":{\"name\":\"" TOOL_NAME
			"\",\"arguments\":\"",
			(unsigned long long)call->number);
		for (size_t i = 0; i < COMPLETION_ARGUMENTS; i++)
			put(out, completion_arguments[i]);
		put(out, "\"}}],\"refusal\":null}");
		return;
	}
	put(out, "{\"role\":\"assistant\",\"content\":\"");
	for (unsigned long i = 0; i < call_pieces(call); i++)
		completion_piece(call, i, out);
	put(out, "\",\"refusal\":null,\"annotations\":[]}");
}

static void put_choice(const struct call *call, unsigned index, struct buf *out)
{
	buf_printf(out, "%s{\"index\":%u,", index ? "," : "", index);
	if (is_chat(call)) {
		put(out, "\"message\":");
		put_message(call, out);
	} else {
		put(out, "\"text\":\"");
		for (unsigned long i = 0; i < call_pieces(call); i++)
			completion_piece(call, i, out);
		put(out, "\"");
	}
	if (is_azure(call))
		put(out, ",\"content_filter_results\":" FILTER);
	buf_printf(out, ",\"logprobs\":null,\"finish_reason\":\"%s\"}", finish_of(call));
}

#define QUOTED(text) (text) ? "\"" : "", (text) ? (text) : "null", (text) ? "\"" : ""

static void put_refusal(const struct call *call, struct buf *out)
{
	const struct refusal *r = &call->refusal;
	char after[320] = "";

	if (call->knob.echo == 1)
		snprintf(after, sizeof(after), " You sent %s twice: %s.", call->key.text,
			call->key.text);
	else if (r->status == 429)
		snprintf(after, sizeof(after), " Please retry after %ld seconds.",
			knob_or(call->knob.retry_after, 1));
	if (strcmp(r->code, "content_filter") == 0)
		buf_printf(out,
			"{\"error\":{\"message\":\"%s\",\"type\":null,\"param\":\"prompt\","
			"\"code\":"
			"\"content_filter\",\"status\":400,\"innererror\":{\"code\":"
			"\"ResponsibleAIPolicyViolation\",\"content_filter_result\":" FILTER "}}}",
			r->message);
	else if (is_azure(call))
		buf_printf(out, "{\"error\":{\"code\":\"%s\",\"message\":\"%s%s\"}}", r->code,
			r->message, after);
	else
		buf_printf(out,
			"{\n  \"error\": {\n    \"message\": \"%s%s\",\n    \"type\": %s%s%s,\n"
			"    \"param\": null,\n    \"code\": \"%s\"\n  }\n}\n",
			r->message, after, QUOTED(r->type), r->code);
}

static void put_embeddings(const struct call *call, struct buf *out)
{
	buf_printf(out,
		"{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,"
		"\"embedding\":"
		"[0.0023064255,-0.009327292,-0.0028842222]}],\"model\":\"%s\",\"usage\":",
		call->model.text);
	put_usage(call, out);
	put(out, "}");
}

void completion_whole(const struct call *call, struct buf *out)
{
	if (call->refusal.status) {
		put_refusal(call, out);
		return;
	}
	if (call->operation == OPERATION_MODELS) {
		put(out, "{\"object\":\"list\",\"data\":[{\"id\":\"gpt-4o\",\"object\":\"model\","
			 "\"created\":1715367049,\"owned_by\":\"system\"}]}");
		return;
	}
	if (call->operation == OPERATION_EMBEDDING) {
		put_embeddings(call, out);
		return;
	}
	if (call->operation == OPERATION_TRANSCRIPTION) {
		put(out, "{\"text\":\"What was said.\",\"usage\":");
		if (knob_is(&call->knob.usage, "seconds"))
			put(out, "{\"type\":\"duration\",\"seconds\":2.5}}");
		else
			buf_printf(out,
				"{\"type\":\"tokens\",\"input_tokens\":%llu,\"input_token_details\":{"
				"\"text_tokens\":0,\"audio_tokens\":%llu},\"output_tokens\":4,"
				"\"total_tokens\":%llu}}",
				(unsigned long long)call->prompt_tokens,
				(unsigned long long)call->prompt_tokens,
				(unsigned long long)call->prompt_tokens + 4);
		return;
	}
	put(out, "{");
	put_identity(call, is_chat(call) ? "chat.completion" : "text_completion", out);
	put(out, ",\"choices\":[");
	for (unsigned i = 0; i < call->choices; i++)
		put_choice(call, i, out);
	put(out, "]");
	if (is_azure(call))
		put(out, "," PROMPT_FILTER);
	if (!knob_is(&call->knob.usage, "none")) {
		put(out, ",\"usage\":");
		put_usage(call, out);
	}
	put(out, "}");
}

/* The end of an event's line, and then of the event. */
static void put_event_end(const struct call *call, struct buf *out)
{
	const struct knob_word *newline = &call->knob.newline;

	put(out, knob_is(newline, "crlf") ? "\r\n\r\n" : knob_is(newline, "cr") ? "\r\r" : "\n\n");
}

static void put_event_start(const struct call *call, struct buf *out)
{
	if (call->knob.comment > 0)
		buf_printf(out, ": keep-alive %lu\nid: %lu\nretry: 3000\n", call->events,
			call->events);
	put(out, "data: ");
}

static void put_chunk_start(const struct call *call, struct buf *out)
{
	put_event_start(call, out);
	put(out, "{");
	put_identity(call, is_chat(call) ? "chat.completion.chunk" : "text_completion", out);
	put(out, ",\"choices\":[");
}

/* with_usage: this chunk carries the numbers; else null when the client asked for them. */
static void put_chunk_end(const struct call *call, bool with_usage, struct buf *out)
{
	put(out, "]");
	if (with_usage) {
		put(out, ",\"usage\":");
		put_usage(call, out);
	} else if (call->include_usage) {
		put(out, ",\"usage\":null");
	}
	put(out, "}");
	put_event_end(call, out);
}

static void put_delta(const struct call *call, unsigned index, unsigned long piece, struct buf *out)
{
	buf_printf(out, "{\"index\":%u,", index);
	if (with_tools(call)) {
		buf_printf(out,
			"\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"%"
			"s\"}}]}",
			completion_arguments[piece]);
	} else {
		put(out, is_chat(call) ? "\"delta\":{\"content\":\"" : "\"text\":\"");
		completion_piece(call, piece, out);
		put(out, is_chat(call) ? "\"}" : "\"");
	}
	if (is_azure(call))
		put(out, ",\"content_filter_results\":" FILTER);
	put(out, ",\"logprobs\":null,\"finish_reason\":null}");
}

static void put_role(const struct call *call, unsigned index, struct buf *out)
{
	buf_printf(out, "{\"index\":%u,\"delta\":{\"role\":\"assistant\",", index);
	if (with_tools(call))
		buf_printf(out,
			"\"content\":null,\"tool_calls\":[{\"index\":0,\"id\":\"call_%llx\","
			"\"type\":"
			"\"function\",\"function\":{\"name\":\"" TOOL_NAME
			"\",\"arguments\":\"\"}}]}",
			(unsigned long long)call->number);
	else
		put(out, "\"content\":\"\",\"refusal\":null}");
	put(out, ",\"logprobs\":null,\"finish_reason\":null}");
}

static void put_finish(const struct call *call, unsigned index, struct buf *out)
{
	buf_printf(
		out, "{\"index\":%u,%s", index, is_chat(call) ? "\"delta\":{}" : "\"text\":\"\"");
	if (is_azure(call))
		put(out, ",\"content_filter_results\":{}");
	buf_printf(out, ",\"logprobs\":null,\"finish_reason\":\"%s\"}", finish_of(call));
}

static void put_stream_error(const struct call *call, struct buf *out)
{
	put_event_start(call, out);
	put(out, "{\"error\":{\"message\":\"The server had an error while processing your request. "
		 "Sorry about that!\",\"type\":\"server_error\",\"param\":null,\"code\":\"500\"}}");
	put_event_end(call, out);
}

/* How many events a step has. */
static unsigned long step_events(const struct call *call)
{
	switch (call->step) {
	case STEP_FILTER:
		return is_azure(call);
	case STEP_ROLE:
		return is_chat(call) ? call->choices : 0;
	case STEP_CONTENT:
		return (with_tools(call) ? COMPLETION_ARGUMENTS : call_pieces(call)) * call->choices;
	case STEP_ASYNC_FILTER:
		return call->knob.async_filter > 0;
	case STEP_FINISH:
		return call->choices;
	case STEP_USAGE:
		return call->include_usage && !call->knob.usage.text[0];
	case STEP_DONE:
		return !knob_is(&call->knob.end, "unmarked");
	default:
		return 1;
	}
}

static void put_step(const struct call *call, struct buf *out)
{
	switch (call->step) {
	case STEP_FILTER:
		put_event_start(call, out);
		put(out, "{\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":"
			 "\"\"," PROMPT_FILTER "}");
		put_event_end(call, out);
		return;
	case STEP_DONE:
		put(out, "data: [DONE]");
		put_event_end(call, out);
		return;
	default:
		break;
	}
	put_chunk_start(call, out);
	if (call->step == STEP_ROLE)
		put_role(call, call->at, out);
	else if (call->step == STEP_CONTENT)
		put_delta(call, call->at % call->choices, call->at / call->choices, out);
	else if (call->step == STEP_ASYNC_FILTER)
		put(out, "{\"index\":0,\"finish_reason\":null,\"content_filter_results\":" FILTER
			 ",\"content_filter_offsets\":{\"check_offset\":0,\"start_offset\":0,"
			 "\"end_offset\":32}}");
	else if (call->step == STEP_FINISH)
		put_finish(call, call->at, out);
	put_chunk_end(call,
		call->step == STEP_USAGE ||
			(call->step == STEP_FINISH && knob_is(&call->knob.usage, "choices")),
		out);
}

bool completion_next(struct call *call, struct buf *out)
{
	while (call->step < STEP_END && call->at >= step_events(call)) {
		call->step++;
		call->at = 0;
	}
	if (call->step == STEP_END)
		return false;
	if (call->knob.error_after != KNOB_ABSENT &&
		call->events == (unsigned long)call->knob.error_after) {
		put_stream_error(call, out);
		call->step = STEP_DONE; /* the service sends [DONE] after it */
		call->at = 0;
		call->events++;
		return true;
	}
	put_step(call, out);
	call->at++;
	call->events++;
	return true;
}
