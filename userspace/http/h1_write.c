// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/h1_write.h"

#include <errno.h>

#include "http/token.h"

/* Appends the parts, all or nothing. */
static int append(struct buf *b, const struct slice *parts, size_t count)
{
	size_t total = 0;
	char *at;

	for (size_t i = 0; i < count; i++)
		total += parts[i].len;
	at = buf_reserve(b, total);
	if (!at)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (parts[i].len)
			memcpy(at, parts[i].data, parts[i].len);
		at += parts[i].len;
	}
	buf_commit(b, total);
	return 0;
}

#define APPEND(b, ...)                                                                             \
	append(b, (const struct slice[]){__VA_ARGS__},                                             \
		sizeof((const struct slice[]){__VA_ARGS__}) / sizeof(struct slice))

int h1_write_request_line(struct buf *b, struct slice method, struct slice target)
{
	if (!token_valid(method) || !target.len || !token_all(target, TOKEN_TARGET))
		return -EINVAL;
	return APPEND(b, method, SLICE(" "), target, SLICE(" HTTP/1.1\r\n"));
}

int h1_write_status_line(struct buf *b, int status, struct slice reason)
{
	char code[3];

	if (status < 100 || status > 999 || !token_all(reason, TOKEN_VALUE))
		return -EINVAL;
	if (!reason.len)
		reason = slice_of_string(h1_reason(status));
	code[0] = (char)('0' + status / 100);
	code[1] = (char)('0' + status / 10 % 10);
	code[2] = (char)('0' + status % 10);
	return APPEND(b, SLICE("HTTP/1.1 "), slice_of(code, sizeof(code)), SLICE(" "), reason,
		SLICE("\r\n"));
}

int h1_write_header(struct buf *b, struct slice name, struct slice value)
{
	if (!token_valid(name) || !token_all(value, TOKEN_VALUE))
		return -EINVAL;
	return APPEND(b, name, SLICE(": "), value, SLICE("\r\n"));
}

/* The number's digits, written at the end of text. */
static struct slice digits(uint64_t value, unsigned base, char *text, size_t size)
{
	size_t at = size;

	do {
		text[--at] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	return slice_of(text + at, size - at);
}

int h1_write_header_number(struct buf *b, struct slice name, uint64_t value)
{
	char text[20];

	return h1_write_header(b, name, digits(value, 10, text, sizeof(text)));
}

int h1_write_end_of_head(struct buf *b)
{
	return APPEND(b, SLICE("\r\n"));
}

int h1_write_chunk_head(struct buf *b, size_t len)
{
	char text[16];

	if (!len)
		return -EINVAL;
	return APPEND(b, digits(len, 16, text, sizeof(text)), SLICE("\r\n"));
}

int h1_write_chunk_tail(struct buf *b)
{
	return APPEND(b, SLICE("\r\n"));
}

int h1_write_last_chunk(struct buf *b, const struct header *trailers, size_t ntrailers)
{
	size_t before = buf_len(b);
	int error = APPEND(b, SLICE("0\r\n"));

	for (size_t i = 0; i < ntrailers && !error; i++)
		error = h1_write_header(b, trailers[i].name, trailers[i].value);
	if (!error)
		error = h1_write_end_of_head(b);
	if (error && buf_len(b) > before)
		b->end = b->start + before;
	return error;
}

const char *h1_reason(int status)
{
	/* clang-format off */
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
		{100, "Continue"}, {101, "Switching Protocols"}, {103, "Early Hints"},
		{200, "OK"}, {201, "Created"}, {202, "Accepted"}, {204, "No Content"},
		{206, "Partial Content"}, {301, "Moved Permanently"}, {302, "Found"},
		{303, "See Other"}, {304, "Not Modified"}, {307, "Temporary Redirect"},
		{308, "Permanent Redirect"}, {400, "Bad Request"}, {401, "Unauthorized"},
		{403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"},
		{408, "Request Timeout"}, {409, "Conflict"}, {411, "Length Required"},
		{413, "Content Too Large"}, {414, "URI Too Long"},
		{415, "Unsupported Media Type"}, {417, "Expectation Failed"},
		{421, "Misdirected Request"}, {422, "Unprocessable Content"},
		{424, "Failed Dependency"}, {426, "Upgrade Required"},
		{429, "Too Many Requests"}, {431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"}, {501, "Not Implemented"},
		{502, "Bad Gateway"}, {503, "Service Unavailable"}, {504, "Gateway Timeout"},
		{505, "HTTP Version Not Supported"},
	};
	/* clang-format on */

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "";
}
