// SPDX-License-Identifier: GPL-2.0-or-later
/* Frames of a WebSocket: what they say, whatever the cuts, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/websocket.h"

/* "<opcode:text>" of each message, "[opcode:payload]" of each control frame, "!name" at what is refused,
 * "…" inside of a message. */
static struct buf trace(struct slice input, size_t step, bool masked)
{
	struct websocket_reader reader;
	struct websocket_event event;
	struct buf text = BUF_EMPTY;
	enum websocket_result result = WEBSOCKET_MORE;

	websocket_open(&reader, masked);
	while (input.len && result != WEBSOCKET_REFUSED) {
		struct slice piece = slice_first(input, step);

		input = slice_after(input, step);
		while ((result = websocket_read(&reader, &piece, &event)) == WEBSOCKET_PIECE ||
			result == WEBSOCKET_CONTROL) {
			if (event.first)
				buf_printf(&text, "<%u:", event.opcode);
			if (result == WEBSOCKET_PIECE)
				websocket_unmask(&event, &text);
			else
				buf_printf(&text, "[%u:%.*s]", event.opcode, SLICE_ARG(event.control));
			if (event.last)
				buf_append_slice(&text, SLICE(">"));
		}
	}
	if (result == WEBSOCKET_REFUSED)
		buf_printf(&text, "!%s", websocket_refusal(event.error).name);
	else if (!websocket_between_messages(&reader))
		buf_append_slice(&text, SLICE("..."));
	buf_append(&text, "", 1);
	return text;
}

static void expect(bool masked, struct slice input, const char *expected)
{
	for (size_t step = 1; step <= input.len; step++) {
		struct buf text = trace(input, step, masked);

		assert_string_equal(buf_slice(&text).data, expected);
		buf_free(&text);
	}
}

#define SERVER(frames, expected) expect(false, SLICE(frames), expected)
#define CLIENT(frames, expected) expect(true, SLICE(frames), expected)

static void test_messages(void **state)
{
	(void)state;
	SERVER("\x81\2hi", "<1:hi>");
	SERVER("\x82\0\x81\0", "<2:><1:>");
	SERVER("\1\2he\x89\1p\0\0\x80\3llo", "<1:he[9:p]llo>");
	SERVER("\1\2he", "<1:he...");
	SERVER("\x88\0", "[8:]");
	SERVER("\x88\5\3\xe8" "bye", "[8:\3\xe8" "bye]");
	CLIENT("\x81\x82\1\2\3\4ik", "<1:hi>");
	CLIENT("\x81\x85\1\2\3\4igohn\x8a\x80\0\0\0\0", "<1:hello>[10:]");
	/* RFC 3629: "€", cut inside. */
	SERVER("\1\2\xe2\x82\x80\1\xac", "<1:\xe2\x82\xac>");
}

static void test_refused(void **state)
{
	(void)state;
	SERVER("\xc1\2hi", "!websocket_reserved");
	SERVER("\x91\2hi", "!websocket_reserved");
	SERVER("\x83\2hi", "!websocket_opcode");
	SERVER("\x8b\2hi", "!websocket_opcode");
	SERVER("\x81\x82\1\2\3\4ik", "!websocket_mask");
	CLIENT("\x81\2hi", "!websocket_mask");
	SERVER("\x09\1p", "!websocket_control");
	SERVER("\x89\x7e\0\x7e", "!websocket_control");
	SERVER("\x80\1x", "!websocket_continuation");
	SERVER("\1\1x\x81\1y", "<1:x!websocket_continuation");
	SERVER("\x81\x7e\0\x7d", "!websocket_length");
	SERVER("\x81\x7f\0\0\0\0\0\0\xff\xff", "!websocket_length");
	SERVER("\x82\x7f\x80\0\0\0\0\0\0\0", "!websocket_length");
	SERVER("\x88\1x", "!websocket_close");
	SERVER("\x88\2\3\xed", "!websocket_close");
	SERVER("\x88\3\3\xe8\xff", "!websocket_close");
	SERVER("\x88\0\x81\2hi", "[8:]!websocket_close");
}

static void expect_no_text(struct slice input)
{
	for (size_t step = 1; step <= input.len; step++) {
		struct buf text = trace(input, step, false);

		assert_non_null(strstr(buf_slice(&text).data, "!websocket_utf8"));
		buf_free(&text);
	}
}

static void test_text_is_utf8(void **state)
{
	(void)state;
	expect_no_text(SLICE("\x81\1\xff"));
	expect_no_text(SLICE("\x81\1\xe2"));
	expect_no_text(SLICE("\x81\2\xc0\x80"));
	expect_no_text(SLICE("\x81\3\xed\xa0\x80"));
	expect_no_text(SLICE("\x81\4\xf4\x90\x80\x80"));
	expect_no_text(SLICE("\1\1\xe2\x80\2\x82x"));
}

static void test_what_is_written_is_read(void **state)
{
	static const size_t sizes[] = {0, 125, 126, 65535, 65536};
	struct buf frame = BUF_EMPTY, text = BUF_EMPTY, told;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		buf_clear(&frame);
		buf_clear(&text);
		for (size_t n = 0; n < sizes[i]; n++)
			buf_append(&text, "x", 1);
		assert_int_equal(websocket_write_text(&frame, buf_slice(&text)), 0);
		told = trace(buf_slice(&frame), 4096, false);
		assert_int_equal(buf_len(&told), sizes[i] + strlen("<1:>") + 1);
		buf_free(&told);
	}
	buf_clear(&frame);
	/* A reason is cut where a character ends. */
	buf_clear(&text);
	for (int n = 0; n < 50; n++)
		buf_append(&text, "\xe2\x82\xac", 3);
	assert_int_equal(websocket_write_close(&frame, 1008, buf_slice(&text)), 0);
	assert_int_equal(buf_len(&frame), 2 + 2 + 123);
	told = trace(buf_slice(&frame), 7, false);
	assert_null(strchr(buf_slice(&told).data, '!'));
	buf_free(&told);
	buf_free(&frame);
	buf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_text_is_utf8),
		cmocka_unit_test(test_what_is_written_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
