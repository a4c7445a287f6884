// SPDX-License-Identifier: GPL-2.0-or-later
/* HTTP/2: the same message as over HTTP/1 or none, and what a peer may ask without asking anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#include "tests/support/cut.h"
#include "tests/support/h2_trace.h"

static const struct h2_limits limits = {
	.head_max = 4096, .headers_max = 20, .body_max = 100000, .streams_max = 8, .window = 65536};

#define END_STREAM  NGHTTP2_FLAG_END_STREAM
#define END_HEADERS NGHTTP2_FLAG_END_HEADERS

static void settings(struct buf *out)
{
	h2_frame(out, NGHTTP2_SETTINGS, 0, 0, SLICE_NONE);
}

/* "name=value|name=value" */
static void head(struct buf *out, uint32_t id, const char *fields, uint8_t flags)
{
	struct slice rest = slice_of_string(fields);
	struct buf block = BUF_EMPTY;

	while (rest.len) {
		struct slice field = slice_first(rest, slice_index(rest, '|'));
		size_t equals = slice_index(field, '=');

		h2_literal(&block, slice_first(field, equals), slice_after(field, equals + 1));
		rest = slice_after(rest, field.len + 1);
	}
	h2_frame(out, NGHTTP2_HEADERS, (uint8_t)(END_HEADERS | flags), id, buf_slice(&block));
	buf_free(&block);
}

#define START ":method=POST|:scheme=https|:authority=a.example|:path=/p"

static void data(struct buf *out, uint32_t id, const char *text, uint8_t flags)
{
	h2_frame(out, NGHTTP2_DATA, flags, id, slice_of_string(text));
}

/* Whatever the cuts and whether the takers have room at once. Takes the input. */
static void expect(struct buf *input, const char *expected)
{
	struct h2_trace_options options = {.limits = limits};

	for (options.room = 0; options.room < 2; options.room++)
		for (options.seed = CUT_WHOLE; options.seed < 4; options.seed++) {
			struct buf text = BUF_EMPTY;

			h2_trace(&options, buf_slice(input), &text, NULL);
			assert_string_equal(buf_slice(&text).data, expected);
			buf_free(&text);
		}
	buf_free(input);
}

static void test_messages(void **state)
{
	struct buf in = BUF_EMPTY;

	(void)state;
	settings(&in);
	head(&in, 1, ":method=GET|:scheme=https|:authority=a.example|:path=/p?q|accept=x", END_STREAM);
	head(&in, 3, START "|content-length=5", 0);
	head(&in, 5, START "|te=trailers|expect=100-continue", 0);
	data(&in, 5, "one ", 0);
	data(&in, 3, "hello", END_STREAM);
	data(&in, 5, "two", 0);
	head(&in, 5, "digest=x", END_STREAM);
	head(&in, 7, ":method=GET|:scheme=https|:path=/|host=b.example|cookie=a=1|x=y|cookie=b=2",
		END_STREAM);
	head(&in, 9, START "|host=A.example:443|content-length=2", 0);
	data(&in, 9, "hi", 0);
	data(&in, 9, "", END_STREAM);
	expect(&in, "1 GET /p?q none host=a.example accept=x\n1 end\n"
		    "3 POST /p length 5 host=a.example content-length=5\n3 body 5 hello\n3 end\n"
		    "5 POST /p streamed host=a.example expect=100-continue expects\n"
		    "5 trailers digest=x\n5 body 7 one two\n5 end\n"
		    "7 GET / none host=b.example x=y cookie=a=1; b=2\n7 end\n"
		    "9 POST /p length 2 host=a.example content-length=2\n9 body 2 hi\n9 end\n");
}

/* Padding is no part of a message, and says nothing about its end. */
static void test_padding(void **state)
{
	struct buf in = BUF_EMPTY;

	(void)state;
	settings(&in);
	head(&in, 1, START "|content-length=4", 0);
	h2_frame(&in, NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, slice_of("\3ab\0\0\0", 6));
	h2_frame(&in, NGHTTP2_DATA, NGHTTP2_FLAG_PADDED | END_STREAM, 1, slice_of("\2cd\0\0", 5));
	expect(&in, "1 POST /p length 4 host=a.example content-length=4\n1 body 4 abcd\n1 end\n");
}

static void test_refused_heads(void **state)
{
	/* clang-format off */
	static const struct {
		const char *fields, *error;
	} rows[] = {
		{":scheme=https|:authority=a.example|:path=/", "400 pseudo_field"},
		{":method=GET|:authority=a.example|:path=/", "400 pseudo_field"},
		{":method=GET|:scheme=https|:authority=a.example", "400 pseudo_field"},
		{":method=GET|:method=GET|:scheme=https|:authority=a|:path=/", "400 pseudo_field"},
		{":method=GET|:scheme=https|:authority=a|:path=/|:path=/b", "400 pseudo_field"},
		{":method=GET|:scheme=https|:authority=a|:authority=b|:path=/", "400 pseudo_field"},
		{":method=GET|:scheme=https|x=y|:authority=a.example|:path=/", "400 pseudo_field"},
		{":method=GET|:scheme=https|:authority=a.example|:path=/|:status=200", "400 pseudo_field"},
		{":method=GET|:scheme=https|:authority=a.example|:path=/|:protocol=x", "400 pseudo_field"},
		{":method=TRACE|:scheme=https|:authority=a.example|:path=/", "501 method"},
		{":method=get|:scheme=https|:authority=a.example|:path=/", "501 method"},
		{":method=G T|:scheme=https|:authority=a.example|:path=/", "501 method"},
		{":method=CONNECT|:authority=a.example:443", "501 connect"},
		{":method=GET|:scheme=http|:authority=a.example|:path=/", "400 scheme"},
		{":method=GET|:scheme=https|:authority=a.example|:path=", "400 target"},
		{":method=GET|:scheme=https|:authority=a.example|:path=p", "400 target"},
		{":method=GET|:scheme=https|:authority=a.example|:path=*", "400 target"},
		{":method=GET|:scheme=https|:authority=a.example|:path=/a b", "400 target"},
		{":method=GET|:scheme=https|:authority=a.example|:path=/a HTTP/1.1\r\nx: y", "400 target"},
		{":method=GET|:scheme=https|:authority=a.example|:path=https://b/", "400 target"},
		{":method=GET|:scheme=https|:path=/", "400 host_missing"},
		{":method=GET|:scheme=https|:authority=|:path=/", "400 authority"},
		{":method=GET|:scheme=https|:authority=u@a.example|:path=/", "400 authority"},
		{":method=GET|:scheme=https|:authority=a.example,b|:path=/", "400 authority"},
		{":method=GET|:scheme=https|:authority=a\r\nx: y|:path=/", "400 authority"},
		{START "|host=b.example", "400 host_differs"},
		{START "|host=a.example:444", "400 host_differs"},
		{START "|host=a.example|host=a.example", "400 host_duplicate"},
		{START "|Accept=x", "400 name_byte"},
		{START "|=x", "400 name_byte"},
		{START "|a b=x", "400 name_byte"},
		{START "|a:b=x", "400 name_byte"},
		{START "|a\r\nb=x", "400 name_byte"},
		{START "|x=a\r\nb: c", "400 value_byte"},
		{START "|x=a\nb", "400 value_byte"},
		{START "|x= a", "400 value_byte"},
		{START "|x=a\t", "400 value_byte"},
		{START "|x=\x7f", "400 value_byte"},
		{START "|connection=close", "400 connection_field"},
		{START "|transfer-encoding=chunked", "400 connection_field"},
		{START "|keep-alive=1", "400 connection_field"},
		{START "|proxy-connection=x", "400 connection_field"},
		{START "|upgrade=websocket", "400 connection_field"},
		{START "|te=gzip", "400 connection_field"},
		{START "|content-length=+1", "400 length_bad"},
		{START "|content-length=1,1", "400 length_bad"},
		{START "|content-length=99999999999999999999", "400 length_bad"},
		{START "|content-length=1|content-length=1", "400 length_duplicate"},
		{START "|content-length=1", "400 length_differs"},
		{START "|content-length=100001", "413 body_too_long"},
		{START "|expect=x", "417 expectation"},
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool whole = !strstr(rows[i].error, "413");
		struct buf in = BUF_EMPTY, expected = BUF_EMPTY;

		settings(&in);
		head(&in, 1, rows[i].fields, whole ? END_STREAM : 0);
		head(&in, 3, START, END_STREAM);
		buf_printf(&expected, "1 refused %s\n3 POST /p none host=a.example\n3 end\n",
			rows[i].error);
		buf_append(&expected, "", 1);
		expect(&in, buf_slice(&expected).data);
		buf_free(&expected);
	}
}

static void test_a_nul_is_no_part_of_a_field(void **state)
{
	struct buf in = BUF_EMPTY, block = BUF_EMPTY;

	(void)state;
	settings(&in);
	h2_literal(&block, SLICE(":method"), SLICE("GET"));
	h2_literal(&block, SLICE(":scheme"), SLICE("https"));
	h2_literal(&block, SLICE(":authority"), SLICE("a.example"));
	h2_literal(&block, SLICE(":path"), SLICE("/"));
	h2_literal(&block, SLICE("x"), SLICE("a\0b"));
	h2_frame(&in, NGHTTP2_HEADERS, END_HEADERS | END_STREAM, 1, buf_slice(&block));
	buf_free(&block);
	expect(&in, "1 refused 400 value_byte\n");
}

static void test_long_heads(void **state)
{
	struct buf in = BUF_EMPTY, block = BUF_EMPTY;

	(void)state;
	settings(&in);
	/* One field of 4,000 bytes is remembered, and named a thousand times. */
	buf_append(&block, "\x82\x87\x84\x40\1x\x7f\xa1\x1e", 9);
	for (int i = 0; i < 4000; i++)
		buf_append(&block, "v", 1);
	for (int i = 0; i < 1000; i++)
		buf_append(&block, "\xbe", 1);
	h2_frame(&in, NGHTTP2_HEADERS, END_HEADERS | END_STREAM, 1, buf_slice(&block));
	buf_clear(&block);
	buf_append(&block, "\x82\x87\x84", 3);
	for (int i = 0; i < 21; i++)
		h2_literal(&block, SLICE("x"), SLICE("y"));
	h2_frame(&in, NGHTTP2_HEADERS, END_HEADERS | END_STREAM, 3, buf_slice(&block));
	buf_free(&block);
	expect(&in, "1 refused 431 head_too_long\n3 refused 431 too_many_headers\n");
}

static void test_refused_bodies(void **state)
{
	struct buf in = BUF_EMPTY;

	(void)state;
	settings(&in);
	head(&in, 1, START "|content-length=5", 0);
	data(&in, 1, "four", END_STREAM);
	head(&in, 3, START "|content-length=3", 0);
	data(&in, 3, "four", END_STREAM);
	head(&in, 5, START "|content-length=0", 0);
	data(&in, 5, "x", END_STREAM);
	head(&in, 7, START, 0);
	head(&in, 7, "digest=x", 0);
	head(&in, 9, START, 0);
	head(&in, 9, ":path=/b", END_STREAM);
	head(&in, 11, START, 0);
	head(&in, 11, "authorization=Bearer x", END_STREAM);
	head(&in, 13, START, 0);
	head(&in, 13, "content-length=1", END_STREAM);
	expect(&in, "1 POST /p length 5 host=a.example content-length=5\n1 refused 400 length_differs\n"
		    "3 POST /p length 3 host=a.example content-length=3\n3 refused 400 length_differs\n"
		    "5 POST /p streamed host=a.example content-length=0\n5 refused 400 length_differs\n"
		    "7 POST /p streamed host=a.example\n7 refused 400 trailers_open\n"
		    "9 POST /p streamed host=a.example\n9 refused 400 pseudo_field\n"
		    "11 POST /p streamed host=a.example\n11 refused 400 trailer_forbidden\n"
		    "13 POST /p streamed host=a.example\n13 refused 400 trailer_forbidden\n");
}

/* A body that is promised a length is whole for whoever counts: the last of it is told with its end. */
static void test_the_last_byte_waits_for_the_end(void **state)
{
	struct buf in = BUF_EMPTY;

	(void)state;
	settings(&in);
	head(&in, 1, START "|content-length=5", 0);
	data(&in, 1, "hel", 0);
	data(&in, 1, "lo", 0);
	expect(&in, "1 POST /p length 5 host=a.example content-length=5\n");
}

static void test_a_reset_is_a_loss(void **state)
{
	struct buf in = BUF_EMPTY;

	(void)state;
	settings(&in);
	head(&in, 1, START, 0);
	h2_frame(&in, NGHTTP2_RST_STREAM, 0, 1, slice_of("\0\0\0\10", 4));
	head(&in, 3, START, END_STREAM);
	expect(&in, "1 POST /p streamed host=a.example\n1 lost\n3 POST /p none host=a.example\n3 end\n");
}

/* ---- floods ---- */

static void put_reset(struct buf *in, uint32_t i)
{
	head(in, i * 2 + 1, START, END_STREAM);
	h2_frame(in, NGHTTP2_RST_STREAM, 0, i * 2 + 1, slice_of("\0\0\0\10", 4));
}

/* The client makes us reset: by a window that it opens too far. */
static void put_made_reset(struct buf *in, uint32_t i)
{
	head(in, i * 2 + 1, START, END_STREAM);
	h2_frame(in, NGHTTP2_WINDOW_UPDATE, 0, i * 2 + 1, slice_of("\x7f\xff\xff\xff", 4));
}

static void put_ping(struct buf *in, uint32_t i)
{
	(void)i;
	h2_frame(in, NGHTTP2_PING, 0, 0, slice_of("12345678", 8));
}

static void put_settings(struct buf *in, uint32_t i)
{
	(void)i;
	settings(in);
}

static void put_empty_data(struct buf *in, uint32_t i)
{
	if (!i)
		head(in, 1, START, 0);
	data(in, 1, "", 0);
}

static void put_padding(struct buf *in, uint32_t i)
{
	if (!i)
		head(in, 1, START, 0);
	h2_frame(in, NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, slice_of("\1\0", 2));
}

static void put_window_update(struct buf *in, uint32_t i)
{
	(void)i;
	h2_frame(in, NGHTTP2_WINDOW_UPDATE, 0, 0, slice_of("\0\0\0\1", 4));
}

static void put_priority(struct buf *in, uint32_t i)
{
	h2_frame(in, NGHTTP2_PRIORITY, 0, i * 2 + 1, slice_of("\0\0\0\0\1", 5));
}

static void put_continuation(struct buf *in, uint32_t i)
{
	if (!i)
		h2_frame(in, NGHTTP2_HEADERS, END_STREAM, 1, SLICE("\x82"));
	h2_frame(in, NGHTTP2_CONTINUATION, 0, 1, SLICE_NONE);
}

static bool is_over(void (*put)(struct buf *in, uint32_t i), uint32_t n, bool answers)
{
	struct h2_trace_options options = {.limits = limits, .answers = answers,
		.seed = answers ? CUT_BYTES : 2};
	struct buf in = BUF_EMPTY, text = BUF_EMPTY;
	bool over;

	settings(&in);
	for (uint32_t i = 0; i < n; i++)
		put(&in, i);
	h2_trace(&options, buf_slice(&in), &text, NULL);
	over = strstr(buf_slice(&text).data, "over");
	buf_free(&in);
	buf_free(&text);
	return over;
}

static void test_floods(void **state)
{
	static const struct {
		void (*put)(struct buf *in, uint32_t i);
		uint32_t allowed, refused;
	} rows[] = {
		{put_reset, H2_FLOOD_RESETS, H2_FLOOD_RESETS + 1},
		{put_made_reset, H2_FLOOD_RESETS, H2_FLOOD_RESETS * 8},
		{put_ping, H2_FLOOD_FRAMES - 8, H2_FLOOD_FRAMES + 1},
		{put_settings, H2_FLOOD_FRAMES - 8, H2_FLOOD_FRAMES + 1},
		{put_empty_data, H2_FLOOD_FRAMES - 8, H2_FLOOD_FRAMES + 1},
		{put_padding, H2_FLOOD_FRAMES - 8, H2_FLOOD_FRAMES + 1},
		{put_window_update, H2_FLOOD_FRAMES - 8, H2_FLOOD_FRAMES + 1},
		{put_priority, H2_FLOOD_FRAMES - 8, H2_FLOOD_FRAMES + 1},
		{put_continuation, 1000, 4000},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (is_over(rows[i].put, rows[i].allowed, false))
			fail_msg("row %zu: %u are too many", i, rows[i].allowed);
		if (!is_over(rows[i].put, rows[i].refused, false))
			fail_msg("row %zu: %u are not too many", i, rows[i].refused);
	}
}

static void put_call(struct buf *in, uint32_t i)
{
	head(in, i * 2 + 1, START, END_STREAM);
	h2_frame(in, NGHTTP2_WINDOW_UPDATE, 0, 0, slice_of("\0\0\0\6", 4));
	put_ping(in, i);
}

static void test_who_asks_for_something_may_ask_on(void **state)
{
	(void)state;
	assert_false(is_over(put_call, 2000, true));
}

static void test_more_streams_than_allowed(void **state)
{
	struct buf in = BUF_EMPTY;

	(void)state;
	settings(&in);
	h2_frame(&in, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, SLICE_NONE);
	for (uint32_t i = 0; i < limits.streams_max + 1; i++)
		head(&in, i * 2 + 1, START, 0);
	{
		struct h2_trace_options options = {.limits = limits};
		struct buf text = BUF_EMPTY;

		h2_trace(&options, buf_slice(&in), &text, NULL);
		assert_non_null(strstr(buf_slice(&text).data, "15 POST"));
		assert_null(strstr(buf_slice(&text).data, "17 POST"));
		buf_free(&text);
	}
	buf_free(&in);
}

/* ---- what goes ---- */

struct answered {
	struct h2_stream *streams[4];
	size_t n;
};

static int answer_opened(void *user, struct h2_stream *stream)
{
	struct answered *answered = user;

	answered->streams[answered->n++] = stream;
	return 0;
}

static void answer_told(void *to)
{
	(void)to;
}

/* However much is handed over, no more is composed than is asked for, and a frame. */
static void test_no_more_is_composed_than_asked_for(void **state)
{
	static const struct h2_user user = {answer_opened, answer_told, answer_told};
	const struct head ok = {.kind = HEAD_RESPONSE, .status = 200, .framing = HEAD_STREAMED};
	struct buf in = BUF_EMPTY, out = BUF_EMPTY, body = BUF_EMPTY;
	struct answered answered = {.n = 0};
	struct h2 *h2 = h2_new(HEAD_REQUEST, &limits, &user, &answered);
	uint64_t all = 0;

	(void)state;
	buf_append_slice(&in, SLICE(NGHTTP2_CLIENT_MAGIC));
	settings(&in);
	h2_frame(&in, NGHTTP2_WINDOW_UPDATE, 0, 0, slice_of("\0\x10\0\0", 4));
	for (uint32_t i = 0; i < 4; i++)
		head(&in, i * 2 + 1, START, END_STREAM);
	assert_int_equal(h2_feed(h2, buf_slice(&in), 1), 0);
	assert_int_equal(answered.n, 4);
	for (size_t n = 0; n < 60000; n++)
		buf_append(&body, "x", 1);
	for (size_t i = 0; i < answered.n; i++) {
		h2_stream_out.head(answered.streams[i], &ok, false);
		h2_stream_out.body(answered.streams[i], buf_slice(&body), true);
		h2_stream_submit(answered.streams[i]);
	}
	for (int i = 0; i < 100 && all < 4 * 60000; i++) {
		buf_clear(&out);
		assert_int_equal(h2_produce(h2, &out, 10000), 0);
		assert_true(buf_len(&out) <= 10000 + 16384 + 9);
		h2_tell(h2);
		all = h2_sent(h2);
	}
	assert_int_equal(all, 4 * 60000);
	h2_free(h2);
	buf_free(&in);
	buf_free(&out);
	buf_free(&body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_refused_heads),
		cmocka_unit_test(test_a_nul_is_no_part_of_a_field),
		cmocka_unit_test(test_long_heads),
		cmocka_unit_test(test_refused_bodies),
		cmocka_unit_test(test_the_last_byte_waits_for_the_end),
		cmocka_unit_test(test_a_reset_is_a_loss),
		cmocka_unit_test(test_floods),
		cmocka_unit_test(test_who_asks_for_something_may_ask_on),
		cmocka_unit_test(test_more_streams_than_allowed),
		cmocka_unit_test(test_no_more_is_composed_than_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
