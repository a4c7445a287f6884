// SPDX-License-Identifier: GPL-2.0-or-later
#include "responses.h"

#include <time.h>
#include <unistd.h>

#include "completion.h"

/* The events of a stream, in their order. */
enum step {
	STEP_CREATED,
	STEP_IN_PROGRESS,
	STEP_ITEM_ADDED,
	STEP_PART_ADDED,
	STEP_DELTA,
	STEP_TEXT_DONE,
	STEP_PART_DONE,
	STEP_ITEM_DONE,
	STEP_TERMINAL,
	STEP_END,
};

static void put(struct buf *out, const char *text)
{
	buf_append(out, text, strlen(text));
}

static bool with_tools(const struct call *call)
{
	return call->knob.tools > 0;
}

static void put_text(const struct call *call, struct buf *out)
{
	for (unsigned long i = 0; i < call_pieces(call); i++)
		completion_piece(call, i, out);
}

static void put_arguments(struct buf *out)
{
	for (unsigned long i = 0; i < COMPLETION_ARGUMENTS; i++)
		put(out, completion_arguments[i]);
}

/* ids differ between calls, and are the same within one */
static void put_id(const struct call *call, const char *kind, struct buf *out)
{
	buf_printf(out, "%s_%08x%024llx", kind, (unsigned)getpid(), (unsigned long long)call->number);
}

static void put_part(const struct call *call, bool whole, struct buf *out)
{
	put(out, "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\"");
	if (whole)
		put_text(call, out);
	put(out, "\"}");
}

static void put_item(const struct call *call, bool whole, struct buf *out)
{
	const char *status = whole ? "completed" : "in_progress";

	put(out, "{\"id\":\"");
	put_id(call, with_tools(call) ? "fc" : "msg", out);
	if (with_tools(call)) {
		buf_printf(out, "\",\"type\":\"function_call\",\"status\":\"%s\",\"call_id\":\"", status);
		put_id(call, "call", out);
		put(out, "\",\"name\":\"get_weather\",\"arguments\":\"");
		if (whole)
			put_arguments(out);
		put(out, "\"}");
		return;
	}
	buf_printf(out, "\",\"type\":\"message\",\"status\":\"%s\",\"role\":\"assistant\",\"content\":[",
		status);
	if (whole)
		put_part(call, true, out);
	put(out, "]}");
}

static bool is_incomplete(const struct call *call)
{
	return call->knob.finish.text[0];
}

/* whole: as at its end. */
static void put_response(const struct call *call, bool whole, struct buf *out)
{
	unsigned long long input = call->prompt_tokens, output = call->completion_tokens;

	put(out, "{\"id\":\"");
	put_id(call, "resp", out);
	buf_printf(out, "\",\"object\":\"response\",\"created_at\":%lld,\"status\":\"%s\"",
		(long long)time(NULL),
		!whole ? "in_progress" : is_incomplete(call) ? "incomplete" : "completed");
	put(out, ",\"background\":false,\"error\":null,\"incomplete_details\":");
	if (whole && is_incomplete(call))
		buf_printf(out, "{\"reason\":\"%s\"}", call->knob.finish.text);
	else
		put(out, "null");
	buf_printf(out,
		",\"instructions\":null,\"max_output_tokens\":null,\"model\":\"%s\",\"output\":[",
		call->answered.text);
	if (whole)
		put_item(call, true, out);
	put(out, "],\"parallel_tool_calls\":true,\"previous_response_id\":null,\"reasoning\":{"
		 "\"effort\":null,\"summary\":null},\"service_tier\":\"default\",\"store\":true,"
		 "\"temperature\":1.0,\"text\":{\"format\":{\"type\":\"text\"}},\"tool_choice\":\"auto\","
		 "\"tools\":[],\"top_p\":1.0,\"truncation\":\"disabled\",\"usage\":");
	if (whole && !knob_is(&call->knob.usage, "none"))
		buf_printf(out,
			"{\"input_tokens\":%llu,\"input_tokens_details\":{\"cached_tokens\":%ld},"
			"\"output_tokens\":%llu,\"output_tokens_details\":{\"reasoning_tokens\":%ld},"
			"\"total_tokens\":%llu}",
			input, knob_or(call->knob.cached, 0), output,
			knob_or(call->knob.reasoning, 0), input + output);
	else
		put(out, "null");
	put(out, ",\"user\":null,\"metadata\":{}}");
}

void responses_whole(const struct call *call, struct buf *out)
{
	put_response(call, true, out);
}

static void put_event_start(const struct call *call, const char *type, struct buf *out)
{
	buf_printf(out, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%lu", type, type,
		call->events);
}

static void put_item_place(const struct call *call, bool part, struct buf *out)
{
	put(out, ",\"item_id\":\"");
	put_id(call, with_tools(call) ? "fc" : "msg", out);
	put(out, part ? "\",\"output_index\":0,\"content_index\":0" : "\",\"output_index\":0");
}

static void put_delta(const struct call *call, struct buf *out)
{
	put_event_start(call,
		with_tools(call) ? "response.function_call_arguments.delta"
				 : "response.output_text.delta",
		out);
	put_item_place(call, !with_tools(call), out);
	put(out, ",\"delta\":\"");
	if (with_tools(call))
		put(out, completion_arguments[call->at]);
	else
		completion_piece(call, call->at, out);
	put(out, "\"");
}

static void put_text_done(const struct call *call, struct buf *out)
{
	put_event_start(call,
		with_tools(call) ? "response.function_call_arguments.done"
				 : "response.output_text.done",
		out);
	put_item_place(call, !with_tools(call), out);
	put(out, with_tools(call) ? ",\"arguments\":\"" : ",\"text\":\"");
	if (with_tools(call))
		put_arguments(out);
	else
		put_text(call, out);
	put(out, "\"");
}

/* How many events a step has. */
static unsigned long step_events(const struct call *call)
{
	switch (call->step) {
	case STEP_PART_ADDED:
	case STEP_PART_DONE:
		return !with_tools(call);
	case STEP_DELTA:
		return with_tools(call) ? COMPLETION_ARGUMENTS : call_pieces(call);
	case STEP_TERMINAL:
		return !knob_is(&call->knob.end, "unmarked");
	default:
		return 1;
	}
}

static void put_step(const struct call *call, struct buf *out)
{
	switch ((enum step)call->step) {
	case STEP_CREATED:
	case STEP_IN_PROGRESS:
	case STEP_TERMINAL:
		put_event_start(call,
			call->step == STEP_CREATED	 ? "response.created"
			: call->step == STEP_IN_PROGRESS ? "response.in_progress"
			: is_incomplete(call)		 ? "response.incomplete"
							 : "response.completed",
			out);
		put(out, ",\"response\":");
		put_response(call, call->step == STEP_TERMINAL, out);
		break;
	case STEP_ITEM_ADDED:
	case STEP_ITEM_DONE:
		put_event_start(call,
			call->step == STEP_ITEM_ADDED ? "response.output_item.added"
						      : "response.output_item.done",
			out);
		put(out, ",\"output_index\":0,\"item\":");
		put_item(call, call->step == STEP_ITEM_DONE, out);
		break;
	case STEP_PART_ADDED:
	case STEP_PART_DONE:
		put_event_start(call,
			call->step == STEP_PART_ADDED ? "response.content_part.added"
						      : "response.content_part.done",
			out);
		put_item_place(call, true, out);
		put(out, ",\"part\":");
		put_part(call, call->step == STEP_PART_DONE, out);
		break;
	case STEP_DELTA:
		put_delta(call, out);
		break;
	case STEP_TEXT_DONE:
		put_text_done(call, out);
		break;
	case STEP_END:
		break;
	}
	put(out, "}\n\n");
}

bool responses_next(struct call *call, struct buf *out)
{
	while (call->step < STEP_END && call->at >= step_events(call)) {
		call->step++;
		call->at = 0;
	}
	if (call->step == STEP_END)
		return false;
	if (call->knob.error_after != KNOB_ABSENT &&
		call->events == (unsigned long)call->knob.error_after) {
		put_event_start(call, "error", out);
		put(out, ",\"code\":\"server_error\",\"message\":\"The server had an error while "
			 "processing your request. Sorry about that!\",\"param\":null}\n\n");
		call->step = STEP_END;
	} else {
		put_step(call, out);
		call->at++;
	}
	call->events++;
	return true;
}
