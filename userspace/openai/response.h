/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads the answer to a chat completions or completions request, streamed (server-sent events) or
 * not, as it passes by. Memory is bounded by content_max, whatever the size of the answer. */
#ifndef OPENAI_RESPONSE_H
#define OPENAI_RESPONSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "openai/operation.h"
#include "openai/response_facts.h"
#include "openai/text_sink.h"

struct response_reader;

/* streamed: the answer is text/event-stream (by its Content-Type, not by what was asked).
 * content_max: most bytes kept of the texts in output_messages; 0 keeps none. NULL without memory.
 * The operation must be one with a family. */
struct response_reader *response_reader_new(
	const struct operation *operation, size_t content_max, bool streamed);
/* Before the first piece: who hears the texts. */
void response_reader_tell(struct response_reader *reader, struct text_sink sink);
void response_reader_free(struct response_reader *reader);
/* Not streamed: a piece of the body (content coding undone). 0, or -EBADMSG once it is not
 * readable; then it need not be fed any further, and what was read before stays. */
int response_reader_body(struct response_reader *reader, struct slice piece);
/* What was done beside looking at the bytes that came, as of base/work.h, since the last call. */
uint64_t response_reader_spent(struct response_reader *reader);
/* Streamed: the data of one event, and the offset in the body where it stands, or RESPONSE_UNPLACED
 * where it does not stand as one there. Returns a set of enum response_event_flags. */
unsigned response_reader_event(struct response_reader *reader, struct slice data, uint64_t at);
/* An answer that is plain text (read as streamed): a piece of it. */
void response_reader_text(struct response_reader *reader, struct slice piece);
/* An answer that is a file (read as streamed): a piece of it, and that it came to its end. */
void response_reader_lines(struct response_reader *reader, struct slice piece);
void response_reader_lines_whole(struct response_reader *reader);
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
