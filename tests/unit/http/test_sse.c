// SPDX-License-Identifier: GPL-2.0-or-later
/* Event streams: where events end, what is in them, and that no byte is lost or made, however the
 * stream is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "http/sse_data.h"
#include "tests/support/sse_trace.h"

#define RANDOM_CUTS 60

static void expect_events(struct slice input, size_t event_max, const char *expected)
{
	for (uint64_t seed = 0; seed < RANDOM_CUTS; seed++) {
		struct buf text = BUF_EMPTY;

		sse_trace(event_max, input, seed, &text);
		assert_string_equal(text.memory, expected);
		buf_free(&text);
	}
}

/* An event is "[raw] name=data", "-" for no data; what is held at the end is "rest [bytes]". */
/* clang-format off */
static const struct {
	const char *name;
	struct slice input;
	const char *events;
} cases[] = {
	{"LF", SLICE("data: a\n\ndata: b\n\n"),
		"[data: a\\x0a\\x0a] =a\n[data: b\\x0a\\x0a] =b\n"},
	{"CRLF", SLICE("data: a\r\n\r\ndata: b\r\n\r\n"),
		"[data: a\\x0d\\x0a\\x0d\\x0a] =a\n[data: b\\x0d\\x0a\\x0d\\x0a] =b\n"},
	{"CR", SLICE("data: a\r\rdata: b\r\r"),
		"[data: a\\x0d\\x0d] =a\n[data: b\\x0d\\x0d] =b\n"},
	{"CRLF, cut before the last LF", SLICE("data: a\r\n\r"),
		"[data: a\\x0d\\x0a\\x0d] =a\n"},
	{"CRLF, then a blank line of CR", SLICE("data: a\r\n\rdata: b\n\n"),
		"[data: a\\x0d\\x0a\\x0d] =a\n[data: b\\x0a\\x0a] =b\n"},
	{"LF, then a blank line of CRLF", SLICE("data: a\n\r\ndata: b\n\n"),
		"[data: a\\x0a\\x0d] =a\n[\\x0adata: b\\x0a\\x0a] =b\n"},
	{"CR, then a blank line of CRLF", SLICE("data: a\r\r\ndata: b\r\r"),
		"[data: a\\x0d\\x0d] =a\n[\\x0adata: b\\x0d\\x0d] =b\n"},
	{"several data lines", SLICE("data: a\ndata:b\ndata\ndata:  c\n\n"),
		"[data: a\\x0adata:b\\x0adata\\x0adata:  c\\x0a\\x0a] =a\\x0ab\\x0a\\x0a c\n"},
	{"empty data, then more", SLICE("data:\ndata: b\n\n"),
		"[data:\\x0adata: b\\x0a\\x0a] =\\x0ab\n"},
	{"name, id, comment", SLICE(": c\nevent: ping\nid: 5\nretry: 9\ndata: {}\nevent:pong\n\n"),
		"[: c\\x0aevent: ping\\x0aid: 5\\x0aretry: 9\\x0adata: {}\\x0aevent:pong\\x0a\\x0a] "
		"pong={}\n"},
	{"comment alone", SLICE(": keep-alive\n\n"), "[: keep-alive\\x0a\\x0a] -\n"},
	{"blank lines", SLICE("\n\n\r\ndata: a\n\n"),
		"[\\x0a] -\n[\\x0a] -\n[\\x0d] -\n[\\x0adata: a\\x0a\\x0a] =a\n"},
	{"names that are not data", SLICE("Data: a\ndatax: b\n data: c\n\n"),
		"[Data: a\\x0adatax: b\\x0a data: c\\x0a\\x0a] -\n"},
	{"byte order mark", SLICE("\xef\xbb\xbf" "data: a\n\n\xef\xbb\xbf" "data: b\n\n"),
		"[\\xef\\xbb\\xbfdata: a\\x0a\\x0a] =a\n[\\xef\\xbb\\xbfdata: b\\x0a\\x0a] -\n"},
	{"unfinished", SLICE("data: a\n\ndata: [DONE]\n"),
		"[data: a\\x0a\\x0a] =a\nrest [data: [DONE]\\x0a]\n"},
	{"NUL", SLICE("data: a\0b\n\n"), "[data: a\\x00b\\x0a\\x0a] =a\\x00b\n"},
	{"empty", SLICE(""), ""},
};
/* clang-format on */

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("%s\n", cases[i].name);
		expect_events(cases[i].input, 1000, cases[i].events);
	}
}

static void test_too_long(void **state)
{
	(void)state;
	/* Given events of 9, 10 and 9 bytes and a limit of 9, the second passes unread. */
	expect_events(SLICE("data: a\n\ndata: bc\n\ndata: d\n\n"), 9,
		"[data: a\\x0a\\x0a] =a\nlong [data: bc\\x0a\\x0a]\n[data: d\\x0a\\x0a] =d\n");
	expect_events(SLICE("data: bc\r\n\r\n\ndata: bc\r\n\rdata: d\n\n"), 9,
		"long [data: bc\\x0d\\x0a\\x0d\\x0a]\n[\\x0a] -\nlong [data: bc\\x0d\\x0a\\x0d]\n"
		"[data: d\\x0a\\x0a] =d\n");
	expect_events(SLICE("data: abcdefghijklmnopqrstuvw"), 9,
		"long [data: abcdefghijklmnopqrstuvw]\n");
	expect_events(SLICE("data: abc\r\n\r"), 9, "long [data: abc\\x0d\\x0a\\x0d]\n");
}

/* An event that is whole in the input is a part of the input. */
static void test_no_copy(void **state)
{
	struct sse_reader *reader = sse_reader_new(1000);
	struct slice input = SLICE("event: a\ndata: b\n\ndata: c");
	struct sse_event event;
	size_t consumed;

	(void)state;
	assert_int_equal(sse_read(reader, input, NULL, &consumed, &event), SSE_EVENT);
	assert_int_equal(consumed, 18);
	assert_ptr_equal(event.raw.data, input.data);
	assert_ptr_equal(event.name.data, input.data + 7);
	assert_ptr_equal(event.data.data, input.data + 15);
	input = slice_after(input, consumed);
	assert_int_equal(sse_read(reader, input, NULL, &consumed, &event), SSE_MORE);
	assert_true(slice_equal(sse_rest(reader), SLICE("data: c")));
	sse_reader_free(reader);
}

/* Given a stream of one kind of line end, an event is returned with its last byte, not later. */
static void test_at_once(void **state)
{
	static const struct slice events[] = {
		SLICE("data: a\n\n"), SLICE("data: a\r\n\r\n"), SLICE("data: a\r\r")};

	(void)state;
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		struct sse_reader *reader = sse_reader_new(1000);
		struct sse_event event;
		size_t consumed;

		for (size_t at = 0; at < events[i].len; at++)
			assert_int_equal(sse_read(reader, slice_of(events[i].data + at, 1),
						 NULL, &consumed, &event),
				at + 1 < events[i].len ? SSE_MORE : SSE_EVENT);
		assert_true(slice_equal(event.raw, events[i]));
		sse_reader_free(reader);
	}
}

/* The data of each event that is too long, as sse_data takes it out of the parts. */
static void test_data_of_long_events(void **state)
{
	static const struct slice stream =
		SLICE("event: a\ndata: {\"one\":1}\n\n: c\r\ndata:{\"two\":\r\ndata: 2}\r\n\r\n"
		      "data\rdatax: no\rdata:  three\r\rdata: the last one");

	(void)state;
	for (size_t step = 1; step < stream.len; step++) {
		struct sse_reader *reader = sse_reader_new(4);
		struct sse_data data = {SSE_DATA_NAME, 0};
		struct buf found = BUF_EMPTY;
		struct slice rest = stream;

		while (rest.len) {
			struct slice input = slice_first(rest, step), piece;
			struct sse_event event;
			size_t consumed;

			rest = slice_after(rest, step);
			while (sse_read(reader, input, NULL, &consumed, &event) != SSE_MORE) {
				input = slice_after(input, consumed);
				if (event.first) {
					buf_append_slice(&found, SLICE("|"));
					data = (struct sse_data){SSE_DATA_NAME, 0};
				}
				while (sse_data_next(&data, &event.raw, &piece))
					buf_append_slice(&found, piece);
			}
		}
		assert_true(slice_equal(buf_slice(&found),
			SLICE("|{\"one\":1}|{\"two\":2}| three|the last one")));
		buf_free(&found);
		sse_reader_free(reader);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_no_copy),
		cmocka_unit_test(test_at_once),
		cmocka_unit_test(test_data_of_long_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
