// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/h1_lines.h"

#include <stdlib.h>

#include "http/method.h"
#include "http/token.h"

#define LINES_FIRST 32 /* fields that there is room for at first: more than a usual head has */

static bool refuse(enum h1_error_id *error, enum h1_error_id id)
{
	*error = id;
	return false;
}

/* Cuts off what comes before the separator, and the separator; all when it does not occur. */
static struct slice cut(struct slice *text, char separator)
{
	size_t at = slice_index(*text, separator);
	struct slice part = slice_first(*text, at);

	*text = slice_after(*text, at + 1);
	return part;
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

/* HTTP-version (RFC 9112 section 2.3). */
static bool version_read(struct slice text, struct h1_head *head, enum h1_error_id *error)
{
	if (text.len != 8 || !slice_starts_with(text, SLICE("HTTP/")) || !digit(text.data[5]) ||
		text.data[6] != '.' || !digit(text.data[7]))
		return refuse(error, H1_ERROR_START_LINE);
	if (text.data[5] != '1' || text.data[7] > '1')
		return refuse(error, H1_ERROR_VERSION);
	head->minor = (uint8_t)(text.data[7] - '0');
	return true;
}

static bool request_line(struct slice line, struct h1_head *head, enum h1_error_id *error)
{
	if (slice_equal(line, SLICE("PRI * HTTP/2.0")))
		return refuse(error, H1_ERROR_HTTP_2_PREFACE);
	head->head.method = cut(&line, ' ');
	if (!token_valid(head->head.method) || !line.len)
		return refuse(error, H1_ERROR_START_LINE);
	if (slice_index(line, ' ') == line.len)
		return refuse(error, H1_ERROR_HTTP_0_9);
	head->head.target = cut(&line, ' ');
	if (!head->head.target.len)
		return refuse(error, H1_ERROR_START_LINE);
	if (!version_read(line, head, error))
		return false;
	if (slice_equal(head->head.method, SLICE("CONNECT")))
		return refuse(error, H1_ERROR_CONNECT);
	if (!method_known(head->head.method))
		return refuse(error, H1_ERROR_METHOD);
	return true;
}

/* A server may leave out the space before an empty reason, and many do. */
static bool status_line(struct slice line, struct h1_head *head, enum h1_error_id *error)
{
	struct slice code;

	if (!version_read(cut(&line, ' '), head, error))
		return false;
	code = cut(&line, ' ');
	if (code.len != 3 || !digit(code.data[0]) || !digit(code.data[1]) || !digit(code.data[2]) ||
		code.data[0] == '0')
		return refuse(error, H1_ERROR_STATUS);
	head->head.status = (code.data[0] - '0') * 100 + (code.data[1] - '0') * 10 + code.data[2] - '0';
	head->head.reason = line;
	return true;
}

/* Cuts off a line and its CRLF, which h1_section has seen to be there. */
static struct slice line_cut(struct slice *section)
{
	struct slice line = cut(section, '\n');

	line.len--;
	return line;
}

bool h1_lines_start(struct slice *section, struct h1_head *head, enum h1_error_id *error)
{
	struct slice line = line_cut(section);

	return head->head.kind == HEAD_REQUEST ? request_line(line, head, error)
					  : status_line(line, head, error);
}

static bool lines_grow(struct h1_lines *lines)
{
	size_t capacity = lines->capacity ? lines->capacity * 2 : LINES_FIRST;
	struct header *headers = realloc(lines->headers, capacity * sizeof(*headers));
	struct header *apart = realloc(lines->apart, capacity * sizeof(*apart));
	bool *hop = realloc(lines->hop, capacity * sizeof(*hop));

	/* What was moved has moved, whatever became of the others. */
	lines->headers = headers ? headers : lines->headers;
	lines->apart = apart ? apart : lines->apart;
	lines->hop = hop ? hop : lines->hop;
	if (!headers || !apart || !hop)
		return false;
	lines->capacity = capacity;
	return true;
}

static bool field_line(struct slice line, struct header *header, enum h1_error_id *error)
{
	size_t colon = slice_index(line, ':');

	if (line.data[0] == ' ' || line.data[0] == '\t')
		return refuse(error, H1_ERROR_OBS_FOLD);
	if (colon == line.len)
		return refuse(error, H1_ERROR_NO_COLON);
	if (!colon)
		return refuse(error, H1_ERROR_NAME_EMPTY);
	if (line.data[colon - 1] == ' ' || line.data[colon - 1] == '\t')
		return refuse(error, H1_ERROR_NAME_SPACE);
	header->name = slice_first(line, colon);
	if (!token_all(header->name, TOKEN_NAME))
		return refuse(error, H1_ERROR_NAME_BYTE);
	header->value = slice_trim(slice_after(line, colon + 1));
	return true;
}

bool h1_lines_fields(
	struct h1_lines *lines, struct slice section, uint32_t max, enum h1_error_id *error)
{
	struct slice line;

	lines->count = 0;
	while ((line = line_cut(&section)).len) {
		if (lines->count == max)
			return refuse(error, H1_ERROR_TOO_MANY_HEADERS);
		if (lines->count == lines->capacity && !lines_grow(lines))
			return refuse(error, H1_ERROR_MEMORY);
		if (!field_line(line, &lines->headers[lines->count], error))
			return false;
		lines->hop[lines->count] = false;
		lines->count++;
	}
	return true;
}

void h1_lines_part(struct h1_lines *lines, struct h1_head *head)
{
	size_t stay = 0, apart = 0;

	for (size_t i = 0; i < lines->count; i++) {
		if (lines->hop[i])
			lines->apart[apart++] = lines->headers[i];
		else
			lines->headers[stay++] = lines->headers[i];
	}
	head->head.nheaders = stay;
	head->hop = lines->apart;
	head->nhop = apart;
}

void h1_lines_free(struct h1_lines *lines)
{
	free(lines->headers);
	free(lines->hop);
	free(lines->apart);
	*lines = (struct h1_lines){NULL, NULL, NULL, 0, 0};
}
