// SPDX-License-Identifier: GPL-2.0-or-later
#include "message.h"

#include <stdlib.h>

static enum message_result bad(struct message *m, const char *wrong)
{
	m->wrong = wrong;
	return MESSAGE_BAD;
}

void message_reset(struct message *m)
{
	struct buf head = m->head, trailers = m->trailers;

	buf_clear(&head);
	buf_clear(&trailers);
	m->at = AT_HEAD;
	m->head = head;
	m->trailers = trailers;
	m->method = m->target = m->host = SLICE_NONE;
	m->nheaders = 0;
	m->minor = 0;
	m->keep_alive = m->expect_continue = m->chunked = false;
	m->left = 0;
	m->wrong = NULL;
}

void message_free(struct message *m)
{
	buf_free(&m->head);
	buf_free(&m->trailers);
}

struct slice message_find(const struct message *m, const char *name)
{
	for (size_t i = 0; i < m->nheaders; i++)
		if (slice_equal_nocase(m->headers[i].name, slice_of_string(name)))
			return m->headers[i].value;
	return SLICE_NONE;
}

static bool is_token(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.data[i];

		if (c <= ' ' || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c))
			return false;
	}
	return s.len > 0;
}

static bool is_text(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.data[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

/* Takes a line and its CRLF off *rest; false when there is no CRLF. */
static bool next_line(struct slice *rest, struct slice *line)
{
	const char *end = rest->len ? memmem(rest->data, rest->len, "\r\n", 2) : NULL;

	if (!end)
		return false;
	*line = slice_first(*rest, (size_t)(end - rest->data));
	*rest = slice_after(*rest, line->len + 2);
	return true;
}

static const char *read_request_line(struct message *m, struct slice line)
{
	size_t space = slice_index(line, ' ');

	m->method = slice_first(line, space);
	line = slice_after(line, space + 1);
	space = slice_index(line, ' ');
	m->target = slice_first(line, space);
	line = slice_after(line, space + 1);
	if (!is_token(m->method))
		return "method";
	if (!m->target.len || !is_text(m->target))
		return "target";
	if (line.len != 8 || !slice_starts_with(line, SLICE("HTTP/1.")) ||
		(line.data[7] != '0' && line.data[7] != '1'))
		return "version";
	m->minor = (unsigned)(line.data[7] - '0');
	return NULL;
}

static const char *read_header(struct message *m, struct slice line)
{
	size_t colon = slice_index(line, ':');
	struct message_header *h = &m->headers[m->nheaders];

	if (m->nheaders == MESSAGE_HEADERS_MAX)
		return "too many headers";
	if (colon == line.len)
		return "header without colon";
	h->name = slice_first(line, colon);
	h->value = slice_trim(slice_after(line, colon + 1));
	if (!is_token(h->name)) /* a folded line begins with a space: no token */
		return "header name";
	if (!is_text(h->value))
		return "header value";
	m->nheaders++;
	return NULL;
}

static bool number_of(struct slice digits, uint64_t *number)
{
	*number = 0;
	if (!digits.len || digits.len > 18)
		return false;
	for (size_t i = 0; i < digits.len; i++) {
		if (digits.data[i] < '0' || digits.data[i] > '9')
			return false;
		*number = *number * 10 + (uint64_t)(digits.data[i] - '0');
	}
	return true;
}

/* Framing, persistence and Host: RFC 9112 sections 3.2, 6.3 and 9.3. */
static const char *read_meaning(struct message *m)
{
	unsigned lengths = 0, codings = 0, hosts = 0;

	m->keep_alive = m->minor == 1;
	for (size_t i = 0; i < m->nheaders; i++) {
		struct slice name = m->headers[i].name, value = m->headers[i].value;

		if (slice_equal_nocase(name, SLICE("content-length"))) {
			if (lengths++ || !number_of(value, &m->left))
				return "content-length";
		} else if (slice_equal_nocase(name, SLICE("transfer-encoding"))) {
			if (codings++ || !slice_equal_nocase(value, SLICE("chunked")))
				return "transfer-encoding";
		} else if (slice_equal_nocase(name, SLICE("host"))) {
			hosts++;
			m->host = value;
		} else if (slice_equal_nocase(name, SLICE("connection"))) {
			if (slice_equal_nocase(value, SLICE("close")))
				m->keep_alive = false;
			else if (slice_equal_nocase(value, SLICE("keep-alive")))
				m->keep_alive = true;
		} else if (slice_equal_nocase(name, SLICE("expect"))) {
			m->expect_continue = slice_equal_nocase(value, SLICE("100-continue"));
		}
	}
	if (lengths && codings)
		return "content-length and transfer-encoding";
	if (hosts != 1 && m->minor == 1)
		return "host";
	m->chunked = codings > 0;
	return NULL;
}

static enum message_result read_head(struct message *m, struct slice input, size_t *consumed)
{
	const char *end = input.len ? memmem(input.data, input.len, "\r\n\r\n", 4) : NULL;
	const char *wrong;
	struct slice rest, line = SLICE_NONE;

	if (!end)
		return input.len > MESSAGE_HEAD_MAX ? bad(m, "head too long") : MESSAGE_MORE;
	*consumed = (size_t)(end - input.data) + 4;
	if (buf_append(&m->head, input.data, *consumed))
		return bad(m, "memory");
	rest = buf_slice(&m->head);
	next_line(&rest, &line);
	wrong = read_request_line(m, line);
	while (!wrong && next_line(&rest, &line) && line.len)
		wrong = read_header(m, line);
	if (!wrong)
		wrong = read_meaning(m);
	if (wrong)
		return bad(m, wrong);
	m->at = m->chunked ? AT_SIZE : m->left ? AT_LENGTH : AT_END;
	return MESSAGE_HEAD;
}

static enum message_result read_span(
	struct message *m, struct slice input, size_t *consumed, struct slice *body, int then)
{
	if (!input.len)
		return MESSAGE_MORE;
	*body = slice_first(input, m->left > input.len ? input.len : (size_t)m->left);
	*consumed = body->len;
	m->left -= body->len;
	if (!m->left)
		m->at = (unsigned)then;
	return MESSAGE_BODY;
}

static bool chunk_size(struct slice line, uint64_t *size)
{
	*size = 0;
	if (!line.len || line.len > 15)
		return false;
	for (size_t i = 0; i < line.len; i++) {
		const char *digits = "0123456789abcdef", c = (char)(line.data[i] | 0x20);
		const char *at = strchr(digits, line.data[i] < 'A' ? line.data[i] : c);

		if (!at || !*at)
			return false;
		*size = *size * 16 + (uint64_t)(at - digits);
	}
	return true;
}

/* One line of the chunked coding (RFC 9112 section 7.1): no extension is accepted, since the
 * appliance has no reason to send one. */
static enum message_result read_line(struct message *m, struct slice input, size_t *consumed)
{
	struct slice rest = input, line;

	if (!next_line(&rest, &line))
		return input.len > MESSAGE_HEAD_MAX ? bad(m, "chunk line too long") : MESSAGE_MORE;
	*consumed = line.len + 2;
	switch (m->at) {
	case AT_SIZE:
		if (!chunk_size(line, &m->left))
			return bad(m, "chunk size");
		m->at = m->left ? AT_CHUNK : AT_TRAILER;
		return MESSAGE_BODY;
	case AT_CHUNK_END:
		if (line.len)
			return bad(m, "chunk longer than its size");
		m->at = AT_SIZE;
		return MESSAGE_BODY;
	default:
		if (!line.len)
			m->at = AT_END;
		else if (buf_append(&m->trailers, input.data, *consumed))
			return bad(m, "memory");
		return MESSAGE_BODY;
	}
}

enum message_result message_read(
	struct message *m, struct slice input, size_t *consumed, struct slice *body)
{
	*consumed = 0;
	*body = SLICE_NONE;
	switch (m->at) {
	case AT_HEAD:
		return read_head(m, input, consumed);
	case AT_LENGTH:
		return read_span(m, input, consumed, body, AT_END);
	case AT_CHUNK:
		return read_span(m, input, consumed, body, AT_CHUNK_END);
	case AT_END:
		return MESSAGE_END;
	default:
		return read_line(m, input, consumed);
	}
}
