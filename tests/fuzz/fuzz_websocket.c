// SPDX-License-Identifier: GPL-2.0-or-later
/* The first byte says whose frames the rest is: 'C', a client's, or a server's. Whatever it is, the cuts
 * do not matter, and what is written as a server's text is read as such. */
#include <stdint.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "http/websocket.h"
#include "tests/support/cut.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The messages and control frames, and what was wrong. */
static struct buf read_all(struct slice input, bool masked, uint64_t seed)
{
	struct websocket_reader reader;
	struct websocket_event event;
	struct buf text = BUF_EMPTY;
	enum websocket_result result = WEBSOCKET_MORE;
	struct slice piece;
	struct cut cut;

	websocket_open(&reader, masked);
	cut_start(&cut, input, seed);
	while (cut_next(&cut, &piece))
		while (result != WEBSOCKET_REFUSED &&
			(result = websocket_read(&reader, &piece, &event)) != WEBSOCKET_MORE) {
			if (event.first)
				buf_printf(&text, "(%u:", event.opcode);
			if (result == WEBSOCKET_PIECE)
				websocket_unmask(&event, &text);
			if (event.last)
				buf_append_slice(&text, SLICE(")"));
			if (result == WEBSOCKET_CONTROL) {
				buf_printf(&text, "[%u:", event.opcode);
				buf_append_slice(&text, event.control);
			}
		}
	if (result == WEBSOCKET_REFUSED && event.error != WEBSOCKET_ERROR_UTF8)
		buf_printf(&text, "!%s", websocket_refusal(event.error).name);
	/* Of a text that is none the pieces before are told, or not. */
	if (result == WEBSOCKET_REFUSED && event.error == WEBSOCKET_ERROR_UTF8)
		buf_clear(&text);
	return text;
}

static void write_and_read(struct slice text)
{
	struct buf frame = BUF_EMPTY, told, expected = BUF_EMPTY;

	if (!utf8_valid(text) || websocket_write_text(&frame, text) < 0)
		return;
	buf_printf(&expected, "(1:");
	buf_append_slice(&expected, text);
	buf_append_slice(&expected, SLICE(")"));
	told = read_all(buf_slice(&frame), false, 2);
	if (!slice_equal(buf_slice(&told), buf_slice(&expected)))
		abort();
	buf_free(&frame);
	buf_free(&told);
	buf_free(&expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input;
	struct buf whole;
	bool masked;

	if (!size)
		return 0;
	masked = data[0] == 'C';
	input = slice_of((const char *)data + 1, size - 1);
	whole = read_all(input, masked, CUT_WHOLE);
	for (uint64_t seed = CUT_BYTES; seed < 4; seed++) {
		struct buf cut = read_all(input, masked, seed);

		if (!slice_equal(buf_slice(&whole), buf_slice(&cut)))
			abort();
		buf_free(&cut);
	}
	buf_free(&whole);
	write_and_read(input);
	return 0;
}
