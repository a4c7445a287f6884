/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads the JSON body of a request as it streams by: chat completions, completions, Responses,
 * embeddings, moderations, image generations, speech. Memory is bounded by content_max, whatever the
 * size of the body. */
#ifndef OPENAI_REQUEST_H
#define OPENAI_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "openai/operation.h"
#include "openai/parts.h"
#include "openai/request_facts.h"
#include "openai/text_sink.h"

struct request_reader;

/* content_max: most bytes kept of messages and, apart from them, of tools; 0 keeps none. NULL
 * without memory. The operation must be one with a family. */
struct request_reader *request_reader_new(const struct operation *operation, size_t content_max);
/* Before the first piece: who hears the texts. */
void request_reader_tell(struct request_reader *reader, struct text_sink sink);
void request_reader_free(struct request_reader *reader);
/* With what the parts that are no text are hashed; before the first piece. */
void request_reader_digest(struct request_reader *reader, const struct parts_digest *digest);
/* A piece of the body (content coding undone). 0, or -EBADMSG once it cannot be read on (not JSON);
 * then it need not be fed any further, and what was read before stays. A body that is not readable
 * for another reason (duplicate keys, not an object) is read on, and the facts tell. */
int request_reader_feed(struct request_reader *reader, struct slice piece);
/* What was done beside looking at the bytes that were fed, as of base/work.h, since the last call. */
uint64_t request_reader_spent(struct request_reader *reader);
/* The body cannot be read, for a reason that lies outside of its JSON, one of a fixed set. */
void request_reader_fail(struct request_reader *reader, const char *problem);
/* The status (RFC 9110 section 15.5) that tells a client of facts.problem. */
int request_problem_status(const char *problem);
/* No more pieces. 0, or -EBADMSG when the body is not readable for any reason. */
int request_reader_end(struct request_reader *reader);
/* Never NULL; slices are valid until the next feed, end or free. O(1). Members are there as soon
 * as they were read; messages and tools only after request_reader_end. */
const struct request_facts *request_reader_facts(const struct request_reader *reader);

/* An edit of the body: at offset, remove bytes give way to insert (static storage). */
struct request_splice {
	uint64_t offset;
	size_t remove;
	struct slice insert;
};
/* The edit that puts another model in the place of the one that was read; name: of characters that
 * JSON writes as they are, and kept as long as the edit is. False: there is none, or the body is not
 * readable. */
bool request_rename_model(const struct request_reader *reader, struct slice name,
	struct request_splice *splice);
/* After request_reader_end, where no model was read: the edit that adds member at the end of the
 * object, which is kept as long as the edit is. False: the body is empty or not readable, or has a
 * model that is no text. */
bool request_add_model(const struct request_reader *reader, struct slice member,
	struct request_splice *splice);
/* After request_reader_end: the edit that makes stream_options.include_usage true. False: none is
 * needed (it is already true, or the call does not stream) or none is safe (not readable, or
 * stream_options is of another shape than the service takes). */
bool request_inject_usage(const struct request_reader *reader, struct request_splice *splice);
/* The same while the body comes, of which the first gone bytes have gone already: an edit behind
 * them, once it is known. At most one edit is ever needed. */
bool request_inject_later(
	const struct request_reader *reader, uint64_t gone, struct request_splice *splice);
/* The offset up to which the bytes that were fed are needed no more for such an edit. */
uint64_t request_settled(const struct request_reader *reader);
/* Whether there may yet be one. */
bool request_may_inject_later(const struct request_reader *reader);

/* Input tokens by rule of thumb, for gen_ai.usage.source "estimated": a token per 4 bytes of text
 * and tools (rounded up), 4 per message, 85 per image part, 1 per number of a token prompt. */
uint64_t request_estimate_tokens(const struct request_reader *reader);

#endif
