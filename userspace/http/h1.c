// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/h1.h"

#include <assert.h>
#include <stdlib.h>

#include "http/h1_agree.h"
#include "http/h1_chunk.h"
#include "http/h1_fields.h"
#include "http/h1_lines.h"
#include "http/h1_section.h"

#define H1_MAGIC       0x48312e31
#define H1_INTERIM_MAX 16 /* 1xx responses to one request */

enum state {
	STATE_START,   /* before the first byte of a message */
	STATE_INTERIM, /* before the first byte of the head after a 1xx */
	STATE_HEAD,
	STATE_LENGTH,
	STATE_CHUNKED,
	STATE_TRAILERS,
	STATE_UNTIL_CLOSE,
	STATE_CLOSED, /* after the last message */
	STATE_REFUSED,
};

struct h1_reader {
	uint32_t magic;
	enum state state;
	enum head_kind kind;
	struct h1_limits limits;
	struct h1_head head;
	struct h1_section section, trailer_section;
	struct h1_lines lines, trailer_lines;
	struct h1_chunk chunk;
	uint64_t left;		   /* bytes of a body of known length, or until body_max */
	bool start_cr, start_crlf; /* of the empty line that may come before a request */
	bool expected, to_head;	   /* responses */
	bool to_upgrade;	   /* likewise: a 101 may come */
	unsigned interim;
	enum h1_error_id error;
};

struct h1_reader *h1_reader_new(enum head_kind kind, const struct h1_limits *limits)
{
	struct h1_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return NULL;
	reader->magic = H1_MAGIC;
	reader->kind = kind;
	reader->limits = *limits;
	return reader;
}

static void reader_free_memory(struct h1_reader *reader)
{
	h1_section_free(&reader->section);
	h1_section_free(&reader->trailer_section);
	h1_lines_free(&reader->lines);
	h1_lines_free(&reader->trailer_lines);
}

void h1_reader_free(struct h1_reader *reader)
{
	if (!reader)
		return;
	assert(reader->magic == H1_MAGIC);
	reader_free_memory(reader);
	reader->magic = 0;
	free(reader);
}

void h1_reader_expect(struct h1_reader *reader, struct slice request_method)
{
	reader->expected = true;
	reader->to_head = slice_equal(request_method, SLICE("HEAD"));
	reader->to_upgrade = false;
	reader->interim = 0;
}

void h1_reader_expect_upgrade(struct h1_reader *reader)
{
	reader->to_upgrade = true;
}

bool h1_reader_in_message(const struct h1_reader *reader)
{
	return reader->state != STATE_START && reader->state != STATE_CLOSED &&
	       reader->state != STATE_REFUSED;
}

void h1_reader_trim(struct h1_reader *reader)
{
	if (!h1_reader_in_message(reader))
		reader_free_memory(reader);
}

/* Each step below returns an event, or H1_MORE with the state changed and input perhaps left. */

static enum h1_result refuse(struct h1_reader *reader, struct h1_event *event, enum h1_error_id id)
{
	reader->state = STATE_REFUSED;
	reader->error = id;
	event->fin = false;
	event->error = h1_error_of(id);
	if (reader->kind == HEAD_RESPONSE)
		event->error.status = 502;
	return H1_ERROR;
}

/* RFC 9112 section 2.2: one empty line before a request is ignored. */
static enum h1_result read_start(
	struct h1_reader *reader, struct slice input, size_t *consumed, struct h1_event *event)
{
	char byte = input.data[0];

	if (reader->kind == HEAD_RESPONSE && !reader->expected)
		return refuse(reader, event, H1_ERROR_UNSOLICITED);
	if (reader->start_cr) {
		if (byte != '\n')
			return refuse(reader, event, H1_ERROR_BARE_CR);
		reader->start_cr = false;
		reader->start_crlf = true;
		*consumed = 1;
		return H1_MORE;
	}
	if (byte == '\r' && reader->kind == HEAD_REQUEST && !reader->start_crlf) {
		reader->start_cr = true;
		*consumed = 1;
		return H1_MORE;
	}
	if (byte == '\r' || byte == '\n' || byte == ' ' || byte == '\t')
		return refuse(reader, event, H1_ERROR_LEADING_BYTES);
	reader->start_crlf = false;
	reader->state = STATE_HEAD;
	h1_section_reset(&reader->section);
	return H1_MORE;
}

static bool head_accept(struct h1_reader *reader, enum h1_error_id *error)
{
	struct slice bytes = buf_slice(&reader->section.bytes), fields = bytes;
	struct h1_head *head = &reader->head;

	*head = (struct h1_head){.head.kind = reader->kind};
	if (!h1_lines_start(&fields, head, error) ||
		!h1_lines_fields(&reader->lines, fields, reader->limits.headers_max, error))
		return false;
	head->head.headers = reader->lines.headers;
	head->head.nheaders = reader->lines.count;
	if (!h1_fields_read(head, &reader->lines, reader->to_head, reader->limits.body_max, error))
		return false;
	if (!h1_agree_head(head, bytes)) {
		*error = H1_ERROR_PARSERS_DIFFER;
		return false;
	}
	h1_lines_part(&reader->lines, head);
	return true;
}

static void event_of_message(const struct h1_reader *reader, struct h1_event *event)
{
	event->head = &reader->head.head;
	event->wire = &reader->head;
}

/* This event is the message's last. */
static void message_over(struct h1_reader *reader, struct h1_event *event)
{
	reader->state = reader->head.keep_alive ? STATE_START : STATE_CLOSED;
	event->fin = true;
}

static void body_start(struct h1_reader *reader, struct h1_event *event)
{
	switch (reader->head.head.framing) {
	case HEAD_NO_BODY:
		message_over(reader, event);
		break;
	case HEAD_LENGTH:
		reader->left = reader->head.head.length;
		reader->state = STATE_LENGTH;
		break;
	case HEAD_STREAMED:
		h1_chunk_start(&reader->chunk, reader->limits.body_max);
		reader->state = STATE_CHUNKED;
		break;
	case HEAD_UNTIL_CLOSE:
		reader->left = reader->limits.body_max;
		reader->state = STATE_UNTIL_CLOSE;
		break;
	}
}

static enum h1_result head_done(struct h1_reader *reader, struct h1_event *event)
{
	enum h1_error_id error;

	if (!head_accept(reader, &error))
		return refuse(reader, event, error);
	if (reader->kind == HEAD_RESPONSE && reader->head.head.status == 101) {
		if (!reader->to_upgrade || !reader->head.head.websocket)
			return refuse(reader, event, H1_ERROR_SWITCHED);
		reader->expected = false;
		reader->head.head.framing = HEAD_UNTIL_CLOSE;
		reader->head.keep_alive = false;
		reader->left = 0;
		reader->limits.body_max = 0; /* it is no body */
		reader->state = STATE_UNTIL_CLOSE;
	} else if (reader->kind == HEAD_RESPONSE && reader->head.head.status < 200) {
		if (++reader->interim > H1_INTERIM_MAX)
			return refuse(reader, event, H1_ERROR_TOO_MANY_INTERIM);
		reader->state = STATE_INTERIM;
	} else {
		reader->expected = false;
		body_start(reader, event);
	}
	return H1_HEAD;
}

static enum h1_result read_head(
	struct h1_reader *reader, struct slice input, size_t *consumed, struct h1_event *event)
{
	struct h1_section *section = &reader->section;
	enum h1_error_id error;

	switch (h1_section_read(section, input, reader->limits.head_max, consumed, &error)) {
	case H1_SECTION_DONE:
		return head_done(reader, event);
	case H1_SECTION_ERROR:
		return refuse(reader, event, error);
	case H1_SECTION_LONG:
		return refuse(reader, event,
			reader->kind == HEAD_REQUEST && !section->lines ? H1_ERROR_TARGET_TOO_LONG
									: H1_ERROR_HEAD_TOO_LONG);
	default:
		return H1_MORE;
	}
}

static enum h1_result read_length(
	struct h1_reader *reader, struct slice input, size_t *consumed, struct h1_event *event)
{
	event->span = input;
	if (event->span.len > reader->left)
		event->span.len = (size_t)reader->left;
	*consumed = event->span.len;
	reader->left -= event->span.len;
	if (!reader->left)
		message_over(reader, event);
	return H1_BODY;
}

static enum h1_result read_until_close(
	struct h1_reader *reader, struct slice input, size_t *consumed, struct h1_event *event)
{
	event->span = input;
	if (reader->limits.body_max) {
		if (!reader->left)
			return refuse(reader, event, H1_ERROR_BODY_TOO_LONG);
		if (event->span.len > reader->left)
			event->span.len = (size_t)reader->left;
		reader->left -= event->span.len;
	}
	*consumed = event->span.len;
	return H1_BODY;
}

static enum h1_result read_chunked(
	struct h1_reader *reader, struct slice input, size_t *consumed, struct h1_event *event)
{
	enum h1_error_id error;

	switch (h1_chunk_read(&reader->chunk, input, consumed, &event->span, &error)) {
	case H1_CHUNK_DATA:
		return H1_BODY;
	case H1_CHUNK_LAST:
		h1_section_reset(&reader->trailer_section);
		reader->state = STATE_TRAILERS;
		return H1_MORE;
	case H1_CHUNK_ERROR:
		return refuse(reader, event, error);
	default:
		return H1_MORE;
	}
}

static enum h1_result trailers_done(struct h1_reader *reader, struct h1_event *event)
{
	struct slice bytes = buf_slice(&reader->trailer_section.bytes);
	struct h1_lines *lines = &reader->trailer_lines;
	enum h1_error_id error;

	message_over(reader, event);
	if (reader->trailer_section.lines == 1)
		return H1_END;
	if (!h1_lines_fields(lines, bytes, reader->limits.headers_max, &error))
		return refuse(reader, event, error);
	if (!h1_fields_may_trail(lines->headers, lines->count))
		return refuse(reader, event, H1_ERROR_TRAILER_FORBIDDEN);
	if (!h1_agree_trailers(lines->headers, lines->count, bytes))
		return refuse(reader, event, H1_ERROR_PARSERS_DIFFER);
	event->trailers = lines->headers;
	event->ntrailers = lines->count;
	return H1_TRAILERS;
}

static enum h1_result read_trailers(
	struct h1_reader *reader, struct slice input, size_t *consumed, struct h1_event *event)
{
	enum h1_error_id error;

	switch (h1_section_read(
		&reader->trailer_section, input, reader->limits.head_max, consumed, &error)) {
	case H1_SECTION_DONE:
		return trailers_done(reader, event);
	case H1_SECTION_ERROR:
		return refuse(reader, event, error);
	case H1_SECTION_LONG:
		return refuse(reader, event, H1_ERROR_HEAD_TOO_LONG);
	default:
		return H1_MORE;
	}
}

static enum h1_result step(
	struct h1_reader *reader, struct slice input, size_t *consumed, struct h1_event *event)
{
	switch (reader->state) {
	case STATE_START:
	case STATE_INTERIM:
		return read_start(reader, input, consumed, event);
	case STATE_HEAD:
		return read_head(reader, input, consumed, event);
	case STATE_LENGTH:
		return read_length(reader, input, consumed, event);
	case STATE_CHUNKED:
		return read_chunked(reader, input, consumed, event);
	case STATE_TRAILERS:
		return read_trailers(reader, input, consumed, event);
	case STATE_UNTIL_CLOSE:
		return read_until_close(reader, input, consumed, event);
	case STATE_CLOSED:
		return refuse(reader, event, H1_ERROR_AFTER_CLOSE);
	default:
		return refuse(reader, event, reader->error);
	}
}

enum h1_result h1_read(
	struct h1_reader *reader, struct slice input, size_t *consumed, struct h1_event *event)
{
	assert(reader->magic == H1_MAGIC);
	*consumed = 0;
	*event = (struct h1_event){0};
	if (reader->state == STATE_REFUSED)
		return refuse(reader, event, reader->error);
	for (;;) {
		enum h1_result result;
		size_t used = 0;

		if (!input.len)
			return H1_MORE;
		result = step(reader, input, &used, event);
		*consumed += used;
		if (result != H1_MORE) {
			if (result != H1_ERROR)
				event_of_message(reader, event);
			return result;
		}
		input = slice_after(input, used);
	}
}

enum h1_result h1_finish(struct h1_reader *reader, struct h1_event *event)
{
	*event = (struct h1_event){0};
	switch (reader->state) {
	case STATE_START:
	case STATE_CLOSED:
		return H1_MORE;
	case STATE_UNTIL_CLOSE:
		message_over(reader, event);
		event_of_message(reader, event);
		return H1_END;
	case STATE_REFUSED:
		return refuse(reader, event, reader->error);
	default:
		return refuse(reader, event, H1_ERROR_TRUNCATED);
	}
}
