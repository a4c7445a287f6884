/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The messages of an answer, put together from the deltas of its stream. */
#ifndef OPENAI_OUTPUT_H
#define OPENAI_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

#define OUTPUT_CHOICES 128 /* most that are told apart: n may be no larger */
#define OUTPUT_CALLS   256 /* most tool calls, all choices together: the first and the last of more */

enum output_text {
	OUTPUT_CONTENT,
	OUTPUT_REFUSAL,
	OUTPUT_REASONING,
	OUTPUT_TRANSCRIPT,
	OUTPUT_TEXTS
};

enum output_call_text {
	OUTPUT_CALL_ID,
	OUTPUT_CALL_NAME,
	OUTPUT_CALL_ARGUMENTS,
	OUTPUT_CALL_TEXTS
};

/* Indexes of calls that have none: the legacy function_call, and a delta without "index", which
 * begins a call when it has an id and else goes on with the last. */
#define OUTPUT_FUNCTION_CALL UINT64_MAX
#define OUTPUT_NO_INDEX	     (UINT64_MAX - 1)

struct output_choice;
struct output_call;

struct output {
	struct output_choice *choices;
	unsigned nchoices, ncalls;
	size_t max, kept; /* bytes of text, in its JSON form, without the marks of cuts */
	bool cut;	/* something did not fit */
	bool full;	/* no text is left to shorten: what comes is not kept */
	uint64_t cut_bytes; /* of text that are not kept */
	uint64_t bytes; /* of text that was fed, kept or not: its owner takes it */
	uint64_t spent; /* on making room, as of base/work.h: its owner takes it */
};

/* max: most bytes of text (in its JSON form) that are kept, the longest texts by their beginnings
 * and ends (ends.h); the names around it come besides. */
void output_init(struct output *o, size_t max);
void output_free(struct output *o);

/* The choice with this index, made when it is new. NULL: beyond the limit, or no memory; then cut
 * is set. Valid until the next call of this function. */
struct output_choice *output_choice(struct output *o, uint64_t index);
/* Gives back what is kept of a choice, which then is not there. */
void output_forget(struct output *o, uint64_t index);
/* Texts are decoded UTF-8, and appended to what came before; role and finish reason are set. Of a
 * call only the arguments are appended: its id and name stay as they came first. */
void output_role(struct output_choice *c, struct slice role);
void output_finish(struct output_choice *c, struct slice reason);
void output_text(
	struct output *o, struct output_choice *c, enum output_text which, struct slice text);
/* As output_choice, for a call within the choice. has_id: see OUTPUT_NO_INDEX. custom: its
 * arguments are the input of a tool of type "custom". */
struct output_call *output_call(
	struct output *o, struct output_choice *c, uint64_t index, bool has_id);
void output_call_custom(struct output_call *call);
void output_call_text(
	struct output *o, struct output_call *call, enum output_call_text which, struct slice text);

/* Appends the JSON array of all messages, in the order of their indexes, and gives the memory of
 * their parts back. Without memory nothing is appended and cut is set. */
void output_messages(struct output *o, struct buf *json);
/* Appends the JSON array of the finish reasons that are known, in the order of the indexes. */
void output_finish_reasons(struct output *o, struct buf *json);

#endif
