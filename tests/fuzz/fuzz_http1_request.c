// SPDX-License-Identifier: GPL-2.0-or-later
/* Whatever arrives: the cuts do not matter, and where llhttp (strict, over the raw bytes, bodies
 * included) accepts the same stream, it finds the same requests with the same bodies. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <llhttp/llhttp.h>

#include "tests/support/cut.h"
#include "tests/support/h1_trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

struct theirs {
	struct buf body;
	size_t messages;
};

static int on_body(llhttp_t *parser, const char *at, size_t length)
{
	struct theirs *theirs = parser->data;

	demand(buf_append(&theirs->body, at, length) == 0);
	return 0;
}

static int on_message_complete(llhttp_t *parser)
{
	struct theirs *theirs = parser->data;

	theirs->messages++;
	return 0;
}

static void compare(struct slice input, struct slice text, struct slice body)
{
	llhttp_settings_t settings = {
		.on_body = on_body, .on_message_complete = on_message_complete};
	struct theirs theirs = {BUF_EMPTY, 0};
	size_t messages = 0;
	llhttp_t parser;

	while (text.len) {
		struct slice line = slice_first(text, slice_index(text, '\n'));

		messages += slice_equal(line, SLICE("end"));
		if (slice_starts_with(line, SLICE("error ")))
			return;
		text = slice_after(text, line.len + 1);
	}
	llhttp_init(&parser, HTTP_REQUEST, &settings);
	parser.data = &theirs;
	if (llhttp_execute(&parser, input.data, input.len) == HPE_OK) {
		demand(theirs.messages == messages);
		demand(slice_equal(buf_slice(&theirs.body), body));
	}
	buf_free(&theirs.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct h1_trace_options options = {.kind = HEAD_REQUEST,
		.limits = {.head_max = 2048, .headers_max = 16, .body_max = 4096}};
	struct slice input = slice_of((const char *)data, size);
	struct buf whole = BUF_EMPTY, cut = BUF_EMPTY, body = BUF_EMPTY;

	h1_trace(&options, input, &whole, &body);
	for (options.seed = CUT_BYTES; options.seed < 4; options.seed++) {
		buf_clear(&cut);
		h1_trace(&options, input, &cut, NULL);
		demand(slice_equal(buf_slice(&whole), buf_slice(&cut)));
	}
	compare(input, buf_slice(&whole), buf_slice(&body));
	buf_free(&whole);
	buf_free(&cut);
	buf_free(&body);
	return 0;
}
