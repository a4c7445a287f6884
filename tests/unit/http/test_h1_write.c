// SPDX-License-Identifier: GPL-2.0-or-later
/* What is written is read again as the same, and nothing can be written that reads as more. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "http/h1_write.h"
#include "tests/support/h1_trace.h"

static const struct h1_limits limits = {.head_max = 4096, .headers_max = 20};

static void expect_text(struct buf *b, const char *text)
{
	assert_int_equal(buf_append(b, "", 1), 0);
	assert_string_equal(buf_slice(b).data, text);
	buf_free(b);
}

static void test_request(void **state)
{
	const struct h1_trace_options options = {.kind = HEAD_REQUEST, .limits = limits};
	const struct header trailer = {.name = SLICE("Digest"), .value = SLICE("x")};
	struct buf b = BUF_EMPTY, text = BUF_EMPTY;

	(void)state;
	assert_int_equal(h1_write_request_line(&b, SLICE("POST"), SLICE("/a?b")), 0);
	assert_int_equal(h1_write_header(&b, SLICE("Host"), SLICE("example.com")), 0);
	assert_int_equal(h1_write_header(&b, SLICE("Transfer-Encoding"), SLICE("chunked")), 0);
	assert_int_equal(h1_write_header(&b, SLICE("Empty"), SLICE("")), 0);
	assert_int_equal(h1_write_end_of_head(&b), 0);
	assert_int_equal(h1_write_chunk_head(&b, 5), 0);
	assert_int_equal(buf_append(&b, "hello", 5), 0);
	assert_int_equal(h1_write_chunk_tail(&b), 0);
	assert_int_equal(h1_write_last_chunk(&b, &trailer, 1), 0);
	h1_trace(&options, buf_slice(&b), &text, NULL);
	assert_string_equal(text.memory,
		"POST /a?b HTTP/1.1 chunked keep-alive\nHost: example.com\n"
		"Empty: \nTransfer-Encoding: chunked [hop]\nbody 5 hello\n"
		"trailers\nDigest: x\nend\nidle\n");
	buf_free(&b);
	buf_free(&text);
}

static void test_status(void **state)
{
	struct buf b = BUF_EMPTY;

	(void)state;
	assert_int_equal(h1_write_status_line(&b, 502, SLICE_NONE), 0);
	assert_int_equal(h1_write_status_line(&b, 200, SLICE("Fine")), 0);
	assert_int_equal(h1_write_status_line(&b, 799, SLICE_NONE), 0);
	assert_int_equal(h1_write_status_line(&b, 99, SLICE_NONE), -EINVAL);
	assert_int_equal(h1_write_status_line(&b, 1000, SLICE_NONE), -EINVAL);
	assert_int_equal(h1_write_header_number(&b, SLICE("Content-Length"), UINT64_MAX), 0);
	assert_int_equal(h1_write_header_number(&b, SLICE("Content-Length"), 0), 0);
	expect_text(&b, "HTTP/1.1 502 Bad Gateway\r\nHTTP/1.1 200 Fine\r\nHTTP/1.1 799 \r\n"
			"Content-Length: 18446744073709551615\r\nContent-Length: 0\r\n");
}

static void test_chunks(void **state)
{
	struct buf b = BUF_EMPTY;

	(void)state;
	assert_int_equal(h1_write_chunk_head(&b, 0), -EINVAL);
	assert_int_equal(h1_write_chunk_head(&b, 0xabcdef), 0);
	assert_int_equal(h1_write_chunk_head(&b, SIZE_MAX), 0);
	assert_int_equal(h1_write_last_chunk(&b, NULL, 0), 0);
	expect_text(&b, "abcdef\r\nffffffffffffffff\r\n0\r\n\r\n");
}

/* Whatever would make another message of it is refused, and nothing of it is written. */
static void test_injection(void **state)
{
	static const struct slice values[] = {SLICE("a\r\nb: c"), SLICE("a\n"), SLICE("a\r"),
		SLICE("a\0b"), SLICE("\x7f"), SLICE("\x01")};
	static const struct slice names[] = {SLICE(""), SLICE("a b"), SLICE("a:"), SLICE("a\r\n"),
		SLICE("\xc3\xa4"), SLICE("a\0")};
	static const struct slice targets[] = {SLICE(""), SLICE("/ HTTP/1.1\r\n"), SLICE("/a b"),
		SLICE("/\xc3\xa4"), SLICE("/a#b")};
	struct header trailers[] = {{.name = SLICE("a"), .value = SLICE("b")},
		{.name = SLICE("c"), .value = SLICE("d\r\n\r\n")}};
	struct buf b = BUF_EMPTY;

	(void)state;
	assert_int_equal(buf_append(&b, "x", 1), 0);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		assert_int_equal(h1_write_header(&b, SLICE("a"), values[i]), -EINVAL);
		assert_int_equal(h1_write_status_line(&b, 200, values[i]), -EINVAL);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(h1_write_header(&b, names[i], SLICE("a")), -EINVAL);
		assert_int_equal(h1_write_request_line(&b, names[i], SLICE("/")), -EINVAL);
	}
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
		assert_int_equal(h1_write_request_line(&b, SLICE("GET"), targets[i]), -EINVAL);
	assert_int_equal(h1_write_last_chunk(&b, trailers, 2), -EINVAL);
	expect_text(&b, "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_injection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
