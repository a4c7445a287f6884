/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads one body, of a request or of its answer, on its way: undoes its content coding, cuts a
 * stream into its events and reads the JSON, all within a budget of work, and says which bytes have
 * been read and can go on. What goes on are the bytes that came; nothing goes on before it was
 * read. A body that cannot be read passes, and the facts say why. */
#ifndef OPENAI_READER_H
#define OPENAI_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"
#include "base/work.h"
#include "http/head.h"
#include "openai/operation.h"
#include "openai/request.h"
#include "openai/response.h"

struct reader;

struct reader_options {
	const struct operation *operation; /* one with a family */
	size_t content_max;		   /* most bytes kept of a body's content; 0: none */
	unsigned expansion_max;		   /* a coded body may grow by this factor, and by 1 MiB */
	const struct parts_digest *digest; /* of what is no text in a request; NULL: none */
	bool file; /* the answer is a file, whatever its type says */
	/* Answers that are streams and not coded: chunks with nothing but usage do not go on. */
	bool hide_usage;
	struct text_sink sink; /* hears the texts; hear NULL: nobody does */
};

/* The reader of the body that follows the head: which one, the head says. NULL without memory. */
struct reader *reader_open_request(const struct head *head, const struct reader_options *options);
struct reader *reader_open_response(const struct head *head, const struct reader_options *options);
void reader_free(struct reader *reader);

enum reader_result {
	READER_ALL,   /* all of the input was read */
	READER_AGAIN, /* there is more to be done at once */
	READER_SPENT, /* the work is spent: to be called in a later turn, with the rest of the input
		       * and nothing else */
};

/* Reads from the front of *input, which it advances, as far as the work goes. *pass is what goes
 * on now, in the input or in the reader: valid until the next call, and as long as the input is. */
enum reader_result reader_feed(
	struct reader *reader, struct slice *input, struct work *work, struct slice *pass);
/* The facts become final, and what still comes is not read; [DONE] does so by itself. Any number of
 * times. */
void reader_conclude(struct reader *reader);
/* The body has ended: as reader_conclude, besides returns what goes on still. */
struct slice reader_end(struct reader *reader);
/* Whether the mark was read that ends a stream. */
bool reader_is_done(const struct reader *reader);
/* Of a pass by which reader_is_done became true: how much of it comes before the mark. A mark that
 * lies in a coding, or began in an earlier pass, has nothing before it. */
size_t reader_before_mark(const struct reader *reader, struct slice pass);
/* After reader_end: whether the body lacks the end that its dialect has, by all that could be read:
 * a stream its mark (or an error in its place); a body until close the end of its JSON. */
bool reader_is_truncated(const struct reader *reader);
/* Whether the body has a content coding, known or not. */
bool reader_is_coded(const struct reader *reader);
/* Whether something of the body may not go on. */
bool reader_hides(const struct reader *reader);

/* What was read of a request, whatever the form of its body. */
const struct request_facts *reader_request_facts(const struct reader *reader);
/* As request_rename_model. */
bool reader_rename_model(
	const struct reader *reader, struct slice name, struct request_splice *splice);
/* Its input tokens by rule of thumb. */
uint64_t reader_estimate_request(const struct reader *reader);

/* What the reader is behind its interface: of a request that is JSON, for its edits (else NULL), resp.
 * of a response, for its facts. */
const struct request_reader *reader_json_request(const struct reader *reader);
const struct response_reader *reader_response(const struct reader *reader);

#endif
