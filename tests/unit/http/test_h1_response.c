// SPDX-License-Identifier: GPL-2.0-or-later
/* Responses: which have a body and where it ends. Each input is also fed byte by byte and in random
 * cuts, with the same result. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/support/h1_trace.h"

#define RANDOM_CUTS 60

static const struct h1_limits limits = {.head_max = 4096, .headers_max = 20, .body_max = 1000};

#define OK "HTTP/1.1 200 OK\r\n"

/* What is read from the bytes, and then at the end of the connection: the trace's last line. */
/* clang-format off */
static const struct {
	const char *name, *methods;
	struct slice input;
	const char *trace;
} cases[] = {
	{"of a length", "POST", SLICE(OK "Content-Length: 2\r\n\r\nhi"),
		"HTTP/1.1 200 OK length 2 keep-alive\nContent-Length: 2\nbody 2 hi\nend\nidle\n"},
	{"of length 0", "GET", SLICE(OK "Content-Length: 0\r\n\r\n"),
		"HTTP/1.1 200 OK keep-alive\nContent-Length: 0\nend\nidle\n"},
	{"chunked, with trailers", "POST", SLICE(OK "Transfer-Encoding: chunked\r\n\r\n"
		"2\r\nhi\r\n0\r\nA: b\r\n\r\n"),
		"HTTP/1.1 200 OK chunked keep-alive\nTransfer-Encoding: chunked [hop]\n"
		"body 2 hi\ntrailers\nA: b\nend\nidle\n"},
	{"until close", "GET", SLICE(OK "\r\nhello"),
		"HTTP/1.1 200 OK until-close\nbody 5 hello\nend\nidle\n"},
	{"until close, empty", "GET", SLICE("HTTP/1.0 200 OK\r\n\r\n"),
		"HTTP/1.0 200 OK until-close\nend\nidle\n"},
	{"two on one connection", "GET GET", SLICE(OK "Content-Length: 1\r\n\r\na"
		"HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nb"),
		"HTTP/1.1 200 OK length 1 keep-alive\nContent-Length: 1\nbody 1 a\nend\n"
		"HTTP/1.1 404 Not Found length 1 keep-alive\nContent-Length: 1\nbody 1 b\nend\n"
		"idle\n"},
	{"the last of its connection", "GET", SLICE(OK "Content-Length: 1\r\nConnection: close\r\n\r\na"),
		"HTTP/1.1 200 OK length 1\nContent-Length: 1\nConnection: close [hop]\n"
		"body 1 a\nend\nidle\n"},
	{"to HEAD", "HEAD GET", SLICE(OK "Content-Length: 5\r\n\r\n" OK "Content-Length: 1\r\n\r\na"),
		"HTTP/1.1 200 OK keep-alive\nContent-Length: 5\nend\n"
		"HTTP/1.1 200 OK length 1 keep-alive\nContent-Length: 1\nbody 1 a\nend\nidle\n"},
	{"to HEAD, chunked", "HEAD", SLICE(OK "Transfer-Encoding: chunked\r\n\r\n"),
		"HTTP/1.1 200 OK keep-alive\nTransfer-Encoding: chunked [hop]\nend\nidle\n"},
	{"to HEAD, without framing", "HEAD", SLICE(OK "\r\n"),
		"HTTP/1.1 200 OK keep-alive\nend\nidle\n"},
	{"to HEAD, longer than the limit", "HEAD", SLICE(OK "Content-Length: 5000\r\n\r\n"),
		"HTTP/1.1 200 OK keep-alive\nContent-Length: 5000\nend\nidle\n"},
	{"204", "DELETE", SLICE("HTTP/1.1 204 No Content\r\n\r\n"),
		"HTTP/1.1 204 No Content keep-alive\nend\nidle\n"},
	{"204 with a length", "DELETE", SLICE("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
		"HTTP/1.1 204 No Content keep-alive\nContent-Length: 0\nend\nidle\n"},
	{"304 with a length", "GET GET", SLICE("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"
		"HTTP/1.1 304 Not Modified\r\n\r\n"),
		"HTTP/1.1 304 Not Modified keep-alive\nContent-Length: 5\nend\n"
		"HTTP/1.1 304 Not Modified keep-alive\nend\nidle\n"},
	{"100 before", "POST", SLICE("HTTP/1.1 100 Continue\r\n\r\n"
		"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" OK "Content-Length: 1\r\n\r\na"),
		"HTTP/1.1 100 Continue keep-alive\nHTTP/1.1 103 Early Hints keep-alive\nLink: a\n"
		"HTTP/1.1 200 OK length 1 keep-alive\nContent-Length: 1\nbody 1 a\nend\nidle\n"},
	{"no reason", "GET", SLICE("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"),
		"HTTP/1.1 200  keep-alive\nContent-Length: 0\nend\nidle\n"},
	{"no reason, no space", "GET", SLICE("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"),
		"HTTP/1.1 200  keep-alive\nContent-Length: 0\nend\nidle\n"},
	{"reason of several words", "GET",
		SLICE("HTTP/1.1 500 \xc3\x84 b\tc \r\nContent-Length: 0\r\n\r\n"),
		"HTTP/1.1 500 \\xc3\\x84 b\\x09c  keep-alive\nContent-Length: 0\nend\nidle\n"},
	{"HTTP/1.0 kept alive", "GET", SLICE("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"
		"Content-Length: 1\r\n\r\na"),
		"HTTP/1.0 200 OK length 1 keep-alive\nContent-Length: 1\n"
		"Connection: keep-alive [hop]\nbody 1 a\nend\nidle\n"},
	{"nothing", "GET", SLICE(""), "idle\n"},

	{"cut in the head", "GET", SLICE("HTTP/1.1 2"), "error 502 truncated\n"},
	{"cut in a body of a length", "GET", SLICE(OK "Content-Length: 2\r\n\r\na"),
		"HTTP/1.1 200 OK length 2 keep-alive\nContent-Length: 2\nbody 1 a\n"
		"error 502 truncated\n"},
	{"cut before the body", "GET", SLICE(OK "Content-Length: 2\r\n\r\n"),
		"HTTP/1.1 200 OK length 2 keep-alive\nContent-Length: 2\nerror 502 truncated\n"},
	{"cut before the last chunk", "GET", SLICE(OK "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n"),
		"HTTP/1.1 200 OK chunked keep-alive\nTransfer-Encoding: chunked [hop]\nbody 1 a\n"
		"error 502 truncated\n"},
	{"cut in the last chunk", "GET", SLICE(OK "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"),
		"HTTP/1.1 200 OK chunked keep-alive\nTransfer-Encoding: chunked [hop]\nbody 1 a\n"
		"error 502 truncated\n"},
	{"cut after a 100", "POST", SLICE("HTTP/1.1 100 Continue\r\n\r\n"),
		"HTTP/1.1 100 Continue keep-alive\nerror 502 truncated\n"},

	{"length and coding", "GET", SLICE(OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
		"error 502 length_and_coding\n"},
	{"length and coding to HEAD", "HEAD",
		SLICE(OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
		"error 502 length_and_coding\n"},
	{"two lengths", "GET", SLICE(OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\na"),
		"error 502 length_duplicate\n"},
	{"another coding", "GET", SLICE(OK "Transfer-Encoding: gzip\r\n\r\n"),
		"error 502 coding_bad\n"},
	{"coding in HTTP/1.0", "GET", SLICE("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
		"error 502 coding_http_1_0\n"},
	{"bare LF", "GET", SLICE("HTTP/1.1 200 OK\n\n"), "error 502 bare_lf\n"},
	{"folded", "GET", SLICE(OK "A: b\r\n c\r\n\r\n"), "error 502 obs_fold\n"},
	{"NUL", "GET", SLICE(OK "A: \0\r\n\r\n"), "error 502 control_byte\n"},
	{"space before a colon", "GET", SLICE(OK "Content-Length : 1\r\n\r\na"),
		"error 502 name_space\n"},
	{"leading empty line", "GET", SLICE("\r\n" OK "\r\n"), "error 502 leading_bytes\n"},
	{"status of two digits", "GET", SLICE("HTTP/1.1 20 OK\r\n\r\n"), "error 502 status\n"},
	{"status of four digits", "GET", SLICE("HTTP/1.1 2000 OK\r\n\r\n"), "error 502 status\n"},
	{"status below 100", "GET", SLICE("HTTP/1.1 099 OK\r\n\r\n"), "error 502 status\n"},
	{"no status", "GET", SLICE("HTTP/1.1\r\n\r\n"), "error 502 status\n"},
	{"not HTTP", "GET", SLICE("SSH-2.0-a\r\n\r\n"), "error 502 start_line\n"},
	{"HTTP/2", "GET", SLICE("HTTP/2.0 200 OK\r\n\r\n"), "error 502 version\n"},
	{"101", "GET", SLICE("HTTP/1.1 101 Switching Protocols\r\nUpgrade: a\r\n"
		"Connection: upgrade\r\n\r\n"), "error 502 switched\n"},
	{"bytes after the response", "GET", SLICE(OK "Content-Length: 1\r\n\r\nab"),
		"HTTP/1.1 200 OK length 1 keep-alive\nContent-Length: 1\nbody 1 a\nend\n"
		"error 502 unsolicited\n"},
	{"response without a request", "", SLICE(OK "\r\n"), "error 502 unsolicited\n"},
	{"body after 204", "GET", SLICE("HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\na"),
		"HTTP/1.1 204 No Content keep-alive\nContent-Length: 1\nend\n"
		"error 502 unsolicited\n"},
	{"bytes after close", "GET GET", SLICE(OK "Content-Length: 0\r\nConnection: close\r\n\r\n" OK),
		"HTTP/1.1 200 OK\nContent-Length: 0\nConnection: close [hop]\nend\n"
		"error 502 after_close\n"},
	{"length beyond the limit", "GET", SLICE(OK "Content-Length: 1001\r\n\r\n"),
		"error 502 body_too_long\n"},
	{"control byte in a chunk extension", "GET",
		SLICE(OK "Transfer-Encoding: chunked\r\n\r\n1;\x7f\r\n"),
		"HTTP/1.1 200 OK chunked keep-alive\nTransfer-Encoding: chunked [hop]\n"
		"error 502 chunk_extension\n"},
};
/* clang-format on */

static void expect_trace(const char *methods, struct slice input, const char *expected)
{
	for (uint64_t seed = 0; seed < RANDOM_CUTS; seed++) {
		const struct h1_trace_options options = {.kind = HEAD_RESPONSE,
			.limits = limits,
			.methods = methods,
			.seed = seed,
			.finish = true};
		struct buf text = BUF_EMPTY;

		h1_trace(&options, input, &text, NULL);
		assert_string_equal(text.memory, expected);
		buf_free(&text);
	}
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("%s\n", cases[i].name);
		expect_trace(cases[i].methods, cases[i].input, cases[i].trace);
	}
}

static void test_interim_without_end(void **state)
{
	struct buf input = BUF_EMPTY, expected = BUF_EMPTY;

	(void)state;
	for (int i = 0; i < 17; i++)
		buf_printf(&input, "HTTP/1.1 102 A\r\n\r\n");
	for (int i = 0; i < 16; i++)
		buf_printf(&expected, "HTTP/1.1 102 A keep-alive\n");
	buf_append(&expected, "error 502 too_many_interim\n", 28);
	expect_trace("GET", buf_slice(&input), expected.memory);
	buf_free(&input);
	buf_free(&expected);
}

static void test_until_close_has_a_limit(void **state)
{
	const struct h1_trace_options options = {.kind = HEAD_RESPONSE,
		.limits = limits,
		.methods = "GET",
		.seed = 5,
		.finish = true};
	struct buf input = BUF_EMPTY, text = BUF_EMPTY, body = BUF_EMPTY;

	(void)state;
	buf_append(&input, OK "\r\n", strlen(OK "\r\n"));
	for (int i = 0; i < 1001; i++)
		buf_append(&input, "a", 1);
	h1_trace(&options, buf_slice(&input), &text, &body);
	assert_int_equal(buf_len(&body), 1000);
	assert_non_null(strstr(text.memory, "\nerror 502 body_too_long\n"));
	buf_free(&input);
	buf_free(&text);
	buf_free(&body);
}

/* The head of a response outlives its body, and the next response's first byte only ends it. */
static void test_head_lives_until_the_next(void **state)
{
	struct h1_reader *reader = h1_reader_new(HEAD_RESPONSE, &limits);
	struct slice rest = SLICE(OK "Content-Length: 1\r\nA: b\r\n\r\na");
	const struct head *head;
	struct h1_event event;
	size_t consumed;

	(void)state;
	h1_reader_expect(reader, SLICE("GET"));
	assert_int_equal(h1_read(reader, rest, &consumed, &event), H1_HEAD);
	head = event.head;
	rest = slice_after(rest, consumed);
	assert_false(event.fin);
	assert_int_equal(h1_read(reader, rest, &consumed, &event), H1_BODY);
	assert_true(event.fin);
	assert_ptr_equal(event.head, head);
	h1_reader_expect(reader, SLICE("GET"));
	assert_int_equal(h1_finish(reader, &event), H1_MORE);
	assert_true(slice_equal(head_find(head, SLICE("a"))->value, SLICE("b")));
	assert_null(head_find(head, SLICE("c")));
	assert_int_equal(head_count(head, SLICE("content-length")), 1);
	h1_reader_free(reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_interim_without_end),
		cmocka_unit_test(test_until_close_has_a_limit),
		cmocka_unit_test(test_head_lives_until_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
