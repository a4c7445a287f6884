// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/multipart.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum state {
	STATE_DELIMITER, /* the first one, which has no CRLF before it */
	STATE_AFTER,	 /* behind a delimiter: CRLF, or "--" for the last */
	STATE_AFTER_CR,
	STATE_LAST,	 /* the second hyphen */
	STATE_HEADERS,
	STATE_DATA,
	STATE_CLOSED, /* at most a CRLF */
	STATE_CLOSED_CR,
	STATE_DONE,
};

struct multipart {
	enum state state;
	/* CRLF, two hyphens and the boundary; how much of it was met. */
	char delimiter[4 + MULTIPART_BOUNDARY];
	size_t delimiter_len, matched;
	struct buf headers; /* of the part that begins */
	const char *problem;
};

/* ---- parameters of a field's value (RFC 9110 section 5.6.6) ---- */

static bool is_token(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static size_t token_len(struct slice text)
{
	size_t len = 0;

	while (len < text.len && is_token(text.data[len]))
		len++;
	return len;
}

/* Cuts the next ";name=value" off *rest. False at its end, or where it is malformed (then *rest is
 * not empty): a quoted value with a backslash is, as readers differ in what it means. */
static bool next_parameter(struct slice *rest, struct slice *name, struct slice *value)
{
	struct slice at = slice_trim(*rest);
	size_t len;

	*rest = at;
	if (!at.len || *at.data != ';')
		return false;
	at = slice_trim(slice_after(at, 1));
	len = token_len(at);
	*name = slice_first(at, len);
	at = slice_after(at, len);
	if (!len || !at.len || *at.data != '=')
		return false;
	at = slice_after(at, 1);
	if (at.len && *at.data == '"') {
		len = slice_index(slice_after(at, 1), '"');
		*value = slice_first(slice_after(at, 1), len);
		if (len + 1 >= at.len || slice_index(*value, '\\') != len)
			return false;
		len += 2;
	} else {
		len = token_len(at);
		*value = slice_first(at, len);
		if (!len)
			return false;
	}
	*rest = slice_after(at, len);
	return true;
}

/* ---- the type ---- */

bool multipart_is_form(struct slice type)
{
	return slice_equal_nocase(slice_trim(slice_first(type, slice_index(type, ';'))),
		SLICE("multipart/form-data"));
}

static bool is_boundary(struct slice value)
{
	if (!value.len || value.len > MULTIPART_BOUNDARY || value.data[value.len - 1] == ' ')
		return false;
	for (size_t i = 0; i < value.len; i++)
		if ((unsigned char)value.data[i] < 0x20 || (unsigned char)value.data[i] > 0x7e)
			return false;
	return true;
}

struct multipart *multipart_new(struct slice type, const char **problem)
{
	struct slice rest = slice_after(type, slice_index(type, ';')), name, value;
	struct slice boundary = SLICE_NONE;
	struct multipart *m;

	*problem = "form without a boundary";
	while (next_parameter(&rest, &name, &value)) {
		if (!slice_equal_nocase(name, SLICE("boundary")))
			continue;
		if (boundary.len)
			return NULL;
		boundary = value;
	}
	if (rest.len || !is_boundary(boundary))
		return NULL;
	*problem = NULL;
	m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	memcpy(m->delimiter, "\r\n--", 4);
	memcpy(m->delimiter + 4, boundary.data, boundary.len);
	m->delimiter_len = 4 + boundary.len;
	m->matched = 2;
	return m;
}

void multipart_free(struct multipart *m)
{
	if (m)
		buf_free(&m->headers);
	free(m);
}

/* ---- a part's fields ---- */

static const char *read_disposition(struct slice value, struct multipart_part *part)
{
	size_t len = slice_index(value, ';');
	struct slice rest = slice_after(value, len), name, found, extended = SLICE_NONE;

	if (!slice_equal_nocase(slice_trim(slice_first(value, len)), SLICE("form-data")))
		return "part of a form that is none";
	while (next_parameter(&rest, &name, &found)) {
		bool is_name = slice_equal_nocase(name, SLICE("name"));
		bool is_file = slice_equal_nocase(name, SLICE("filename"));

		if ((is_name && part->name.data) || (is_file && part->file_name.data) ||
			slice_equal_nocase(name, SLICE("name*")))
			return "part of a form named twice";
		if (is_name)
			part->name = found;
		else if (is_file)
			part->file_name = found;
		else if (slice_equal_nocase(name, SLICE("filename*")))
			extended = found; /* beside the other, or alone (RFC 7578 forbids it) */
	}
	if (!part->file_name.data)
		part->file_name = extended;
	return rest.len || !part->name.len ? "part of a form without a name" : NULL;
}

/* The fields, each ended by CRLF; they stay in m->headers while the part begins. */
static const char *read_headers(struct slice fields, struct multipart_part *part)
{
	const char *problem = "part of a form without a name";

	while (fields.len) {
		size_t len = slice_index(fields, '\r');
		struct slice line = slice_first(fields, len);
		size_t colon = slice_index(line, ':');
		struct slice name = slice_first(line, colon), value = slice_trim(slice_after(line, colon + 1));

		if (slice_index(line, '\n') != line.len || colon == line.len || !colon ||
			token_len(name) != colon || len + 1 >= fields.len || fields.data[len + 1] != '\n')
			return "malformed part of a form";
		fields = slice_after(fields, len + 2);
		if (slice_equal_nocase(name, SLICE("content-disposition"))) {
			if (part->name.data)
				return "part of a form named twice";
			problem = read_disposition(value, part);
			if (problem)
				return problem;
		} else if (slice_equal_nocase(name, SLICE("content-type"))) {
			part->type = value;
		} else if (slice_equal_nocase(name, SLICE("content-transfer-encoding")) &&
			   !slice_equal_nocase(value, SLICE("binary")) &&
			   !slice_equal_nocase(value, SLICE("8bit")) &&
			   !slice_equal_nocase(value, SLICE("7bit"))) {
			return "part of a form in a coding";
		}
	}
	return problem;
}

static enum multipart_event bad(struct multipart *m, struct multipart_part *part, const char *problem)
{
	m->problem = part->problem = problem;
	return MULTIPART_BAD;
}

/* Takes bytes up to the empty line that ends the fields. */
static enum multipart_event take_headers(
	struct multipart *m, struct slice *input, struct multipart_part *part)
{
	while (input->len) {
		size_t len = slice_index(*input, '\n');
		struct slice held;

		len = len < input->len ? len + 1 : len;
		if (buf_len(&m->headers) + len > MULTIPART_HEADERS)
			return bad(m, part, "part of a form with long fields");
		if (buf_append_slice(&m->headers, slice_first(*input, len)) < 0)
			return bad(m, part, "no memory for a form");
		*input = slice_after(*input, len);
		held = buf_slice(&m->headers);
		if (slice_equal(held, SLICE("\r\n")) ||
			(held.len >= 4 && !memcmp(held.data + held.len - 4, "\r\n\r\n", 4))) {
			const char *problem = read_headers(slice_first(held, held.len - 2), part);

			if (problem)
				return bad(m, part, problem);
			m->state = STATE_DATA;
			m->matched = 0;
			return MULTIPART_PART;
		}
	}
	return MULTIPART_MORE;
}

/* ---- data and delimiters ---- */

/* Data that turned out to be no delimiter, of which only the first byte is a CR. */
static enum multipart_event give_back(struct multipart *m, struct multipart_part *part)
{
	part->data = slice_of(m->delimiter, m->matched);
	m->matched = 0;
	return MULTIPART_DATA;
}

static enum multipart_event take_data(
	struct multipart *m, struct slice *input, struct multipart_part *part)
{
	while (input->len) {
		if (!m->matched) {
			size_t len = slice_index(*input, '\r');

			part->data = slice_first(*input, len);
			*input = slice_after(*input, len);
			if (len)
				return MULTIPART_DATA;
		}
		if (*input->data != m->delimiter[m->matched])
			return give_back(m, part);
		*input = slice_after(*input, 1);
		if (++m->matched == m->delimiter_len) {
			m->state = STATE_AFTER;
			buf_clear(&m->headers);
			return MULTIPART_PART_END;
		}
	}
	return MULTIPART_MORE;
}

/* One byte between parts. False: it should not be there. */
static bool take_between(struct multipart *m, char c)
{
	switch (m->state) {
	case STATE_DELIMITER:
		if (c != m->delimiter[m->matched])
			return false;
		if (++m->matched == m->delimiter_len)
			m->state = STATE_AFTER;
		return true;
	case STATE_AFTER:
		m->state = c == '-' ? STATE_LAST : STATE_AFTER_CR;
		return c == '-' || c == '\r';
	case STATE_AFTER_CR:
		m->state = STATE_HEADERS;
		return c == '\n';
	case STATE_LAST:
		m->state = STATE_CLOSED;
		return c == '-';
	case STATE_CLOSED:
		m->state = STATE_CLOSED_CR;
		return c == '\r';
	case STATE_CLOSED_CR:
		m->state = STATE_DONE;
		return c == '\n';
	default:
		return false;
	}
}

enum multipart_event multipart_read(
	struct multipart *m, struct slice *input, struct multipart_part *part)
{
	*part = (struct multipart_part){.problem = m->problem};
	if (m->problem)
		return MULTIPART_BAD;
	while (input->len) {
		char c = *input->data;

		if (m->state == STATE_DATA)
			return take_data(m, input, part);
		if (m->state == STATE_HEADERS)
			return take_headers(m, input, part);
		if (!take_between(m, c))
			return bad(m, part, "malformed form");
		*input = slice_after(*input, 1);
	}
	return MULTIPART_MORE;
}

const char *multipart_end(const struct multipart *m)
{
	if (m->problem)
		return m->problem;
	return m->state >= STATE_CLOSED && m->state != STATE_CLOSED_CR ? NULL : "unfinished form";
}
