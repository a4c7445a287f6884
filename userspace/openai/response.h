/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads the answer to a chat completions or completions request, streamed (server-sent events) or
 * not, as it passes by. Memory is bounded by content_max, whatever the size of the answer. */
#ifndef OPENAI_RESPONSE_H
#define OPENAI_RESPONSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "openai/operation.h"

struct response_facts {
	struct slice id, model, system_fingerprint; /* decoded, cut at 128 bytes */
	struct slice
		finish_reasons; /* JSON array of strings, by choice; set by response_reader_end */
	bool has_usage; /* one of these counts at least: what is no whole number is no count */
	bool has_input, has_output, has_total;
	uint64_t input_tokens, output_tokens, total_tokens; /* total: the sum when not given */
	uint64_t cached_tokens, reasoning_tokens;	    /* parts of input and output */
	/* JSON array of messages, by choice: {"role","content","refusal","tool_calls",
	 * "function_call"}, what is absent left out; set by response_reader_end, valid JSON also
	 * when truncated (content_max was reached, or a choice beyond the 128th came). */
	struct slice output_messages;
	bool output_truncated;
	struct slice error_type, error_code,
		error_message; /* decoded, cut at 128, 128, 1024 bytes */
	bool has_error;	       /* an error object was there, also inside a 200 stream */
	bool readable;	       /* no part was unreadable */
	const char *problem;   /* the first reason, one of a fixed set; else NULL */
	bool complete;	       /* [DONE] came, resp. the JSON ended */
	uint64_t nevents;      /* fed, [DONE] included */
	uint64_t output_bytes; /* of text, refusals and arguments of calls, all choices */
};

enum response_event_flags {
	/* Nothing in it but usage (choices is []): the chunk to hide from a client that did not
	 * ask for it. Usage beside choices or filter results does not set this. */
	RESPONSE_EVENT_USAGE_ONLY = 1,
	RESPONSE_EVENT_DONE = 2,      /* [DONE] */
	RESPONSE_EVENT_ERROR = 4,     /* an error object */
	RESPONSE_EVENT_UNREADABLE = 8 /* not a JSON object; later events are still read */
};

struct response_reader;

/* streamed: the answer is text/event-stream (by its Content-Type, not by what was asked).
 * content_max: most bytes kept of the texts in output_messages; 0 keeps none. NULL without memory.
 * The operation must be one with `read`. */
struct response_reader *response_reader_new(
	const struct operation *operation, size_t content_max, bool streamed);
void response_reader_free(struct response_reader *reader);
/* Not streamed: a piece of the body (content coding undone). 0, or -EBADMSG once it is not
 * readable; then it need not be fed any further, and what was read before stays. */
int response_reader_body(struct response_reader *reader, struct slice piece);
/* Streamed: the data of one event. Returns a set of enum response_event_flags. */
unsigned response_reader_event(struct response_reader *reader, struct slice data);
/* An event that was too long to be read went by: counted, and not readable. */
void response_reader_skipped(struct response_reader *reader);
/* The answer cannot be read, for a reason that lies outside of its JSON, one of a fixed set. */
void response_reader_fail(struct response_reader *reader, const char *problem);
/* The answer has ended, completely or not: once, before facts' output is used. */
void response_reader_end(struct response_reader *reader);
/* Never NULL; slices are valid until the next call that feeds, ends or frees. O(1). */
const struct response_facts *response_reader_facts(const struct response_reader *reader);

/* Output tokens by rule of thumb, for gen_ai.usage.source "estimated": a token per 4 bytes of
 * output, rounded up. */
uint64_t response_estimate_tokens(const struct response_reader *reader);

#endif
