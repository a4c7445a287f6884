/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What was read of an answer. */
#ifndef OPENAI_RESPONSE_FACTS_H
#define OPENAI_RESPONSE_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "openai/usage.h"

struct response_facts {
	struct slice id, model, system_fingerprint, service_tier; /* decoded, cut at 128 bytes */
	struct slice
		finish_reasons; /* JSON array of strings, by choice; set by response_reader_end */
	bool has_usage; /* one of these counts at least: what is no whole number is no count */
	bool has_input, has_output, has_total;
	uint64_t input_tokens, output_tokens, total_tokens; /* total: the sum when not given */
	struct usage_count parts[USAGE_PARTS];		    /* of them */
	bool has_seconds; /* of sound, where that is what is counted */
	double seconds;
	/* JSON array of messages, by choice: {"role","content","refusal","tool_calls",
	 * "function_call"}, what is absent left out; set by response_reader_end, valid JSON also
	 * when truncated (content_max was reached, or a choice beyond the 128th came). */
	struct slice output_messages;
	bool output_truncated;
	uint64_t output_cut; /* bytes that are not in it, of the middles of its longest texts */
	struct slice error_type, error_code,
		error_message; /* decoded, cut at 128, 128, 1024 bytes */
	/* Of what is done later: that it is, that it has not ended, and its kind ("thread.run"). */
	bool background, unfinished;
	struct slice object;
	/* The files that it made: lines of "BATCH FILE". */
	struct slice made;
	/* What the provider's filter of contents found: "prompt.jailbreak.detected", "hate.medium",
	 * "hate.filtered" …, as a JSON array; set by response_reader_end. */
	struct slice verdicts;
	bool refused;	       /* the model said so, in a text of its own or as its reason to end */
	bool has_error;	       /* an error object was there, also inside a 200 stream */
	bool readable;	       /* no part was unreadable */
	const char *problem;   /* the first reason, one of a fixed set; else NULL */
	bool complete;	       /* the stream's end mark came, resp. the JSON ended */
	bool whole;	       /* a stream without an end mark has said something whole */
	uint64_t nevents;      /* fed, [DONE] included */
	uint64_t output_bytes; /* decoded, of text, refusals and arguments of calls, all choices */
};

/* In place of an offset in the body: something does not stand there as one piece. */
#define RESPONSE_UNPLACED UINT64_MAX

/* What an event was. */
enum response_event_flags {
	/* Nothing in it but usage (choices is []): the chunk to hide from a client that did not
	 * ask for it. Usage beside choices or filter results does not set this. */
	RESPONSE_EVENT_USAGE_ONLY = 1,
	RESPONSE_EVENT_DONE = 2,      /* [DONE] */
	RESPONSE_EVENT_ERROR = 4,     /* an error object */
	RESPONSE_EVENT_UNREADABLE = 8 /* not a JSON object; later events are still read */
};

#endif
