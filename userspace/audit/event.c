// SPDX-License-Identifier: GPL-2.0-or-later
#include "audit/event.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>

#include "audit/msgpack_put.h"
#include "audit/redact.h"
#include "audit/text.h"
#include "base/clock.h"
#include "base/utf8.h"

#define TEXT_MAX    (8u << 10)
#define CONTENT_MAX (4u << 20)
#define MAP_HEADER  3 /* map16 */

/* Repair and redaction can make a text longer: it is cut to its limit before and after, so that a
 * record stays under EVENT_RECORD_MAX whatever came in: three CONTENT fields and the rest. */
_Static_assert(3 * CONTENT_MAX + SCHEMA_COUNT * (TEXT_MAX + 64) < EVENT_RECORD_MAX,
	"a record of longest fields fits");

const size_t event_offsets[SCHEMA_COUNT] = {
#define MEMBER_OFFSET(KIND, member, name) offsetof(struct event, member),
	SCHEMA_FIELDS(MEMBER_OFFSET)
#undef MEMBER_OFFSET
};

static int pack_text_plain(struct buf *record, struct slice s)
{
	unsigned char *at = (unsigned char *)buf_reserve(record, MSGPACK_HEAD_MAX + s.len);

	if (!at)
		return -ENOMEM;
	buf_commit(record, msgpack_put_text(at, s));
	return 0;
}

/* A text that needs edits: its length is known afterwards, so that its header is a str32. */
static int pack_edited(struct buf *record, struct slice s, size_t max, bool *cut)
{
	size_t header = buf_len(record), len;
	unsigned char *at;
	int error;

	if (!buf_reserve(record, 5))
		return -ENOMEM;
	buf_commit(record, 5);
	error = text_append(s, record);
	if (error)
		return error;
	len = buf_len(record) - header - 5;
	if (len > max) {
		len = utf8_cut(slice_of(record->memory + record->start + header + 5, len), max).len;
		*cut = true;
	}
	record->end = record->start + header + 5 + len;
	at = (unsigned char *)record->memory + record->start + header;
	at[0] = 0xdb;
	msgpack_put_be(at + 1, 4, len);
	return 0;
}

/* Sets *cut when s was longer than max. */
static int pack_text(struct buf *record, struct slice s, size_t max, bool *cut)
{
	struct text_edit edit;

	*cut = s.len > max;
	s = utf8_cut(s, max);
	return text_edit_next(s, 0, &edit) ? pack_edited(record, s, max, cut)
					   : pack_text_plain(record, s);
}

static int pack_url(struct buf *record, struct slice s, bool *cut)
{
	struct buf redacted = BUF_EMPTY;
	int error = redact_url(s, &redacted);

	if (!error)
		error = pack_text(record, buf_slice(&redacted), TEXT_MAX, cut);
	buf_free(&redacted);
	return error;
}

static bool present(const struct schema_field *field, const void *member)
{
	static const struct address unspecified;

	switch (field->kind) {
	case SCHEMA_TEXT:
	case SCHEMA_URL:
	case SCHEMA_CONTENT:
		return ((const struct slice *)member)->len > 0;
	case SCHEMA_NUMBER:
		return ((const struct event_number *)member)->present;
	case SCHEMA_REAL:
		return ((const struct event_real *)member)->present &&
			isfinite(((const struct event_real *)member)->value);
	case SCHEMA_FLAG:
		return *(const enum event_flag *)member != EVENT_UNSET;
	case SCHEMA_ADDRESS:
		return memcmp(member, &unspecified, sizeof(unspecified)) != 0;
	case SCHEMA_PORT:
		return *(const uint16_t *)member != 0;
	}
	return false;
}

/* A text without the secrets. Seldom is there one in it: then it is made anew in scratch. */
static int text_without_secrets(const struct event *event, struct slice *text, struct buf *scratch)
{
	for (size_t i = 0; i < event->nsecrets; i++) {
		struct buf next = BUF_EMPTY;
		int error;

		if (!event->secrets[i] || !secret_found(event->secrets[i], *text))
			continue;
		error = secret_replace(event->secrets[i], *text, REDACT_MARK, &next);
		buf_wipe(scratch);
		*scratch = next;
		if (error)
			return error;
		*text = buf_slice(scratch);
	}
	return 0;
}

/* A value that is no text: its length. */
static size_t put_value(unsigned char *at, enum schema_kind kind, const void *member)
{
	switch (kind) {
	case SCHEMA_NUMBER:
		return msgpack_put_number(at, ((const struct event_number *)member)->value);
	case SCHEMA_REAL:
		return msgpack_put_real(at, ((const struct event_real *)member)->value);
	case SCHEMA_FLAG:
		return msgpack_put_flag(at, *(const enum event_flag *)member == EVENT_YES);
	case SCHEMA_ADDRESS:
		return msgpack_put_text(at, slice_of_string(address_format(member).text));
	case SCHEMA_PORT:
		return msgpack_put_number(at, *(const uint16_t *)member);
	default:
		return 0;
	}
}

static int pack_member_text(struct buf *record, const struct event *event, enum schema_kind kind,
	struct slice text, bool *cut)
{
	struct buf scratch = BUF_EMPTY;
	int error = text_without_secrets(event, &text, &scratch);

	if (!error && kind == SCHEMA_URL)
		error = pack_url(record, text, cut);
	else if (!error)
		error = pack_text(record, text, kind == SCHEMA_TEXT ? TEXT_MAX : CONTENT_MAX, cut);
	buf_wipe(&scratch);
	return error;
}

static bool is_text(const struct schema_field *field)
{
	return field->kind == SCHEMA_TEXT || field->kind == SCHEMA_URL ||
	       field->kind == SCHEMA_CONTENT;
}

/* Longer than every name and every value that is no text, together. */
#define FIELD_MAX 128

static int pack_field(struct buf *record, const struct event *event,
	const struct schema_field *field, const void *member, bool *cut)
{
	unsigned char *at = (unsigned char *)buf_reserve(record, FIELD_MAX);
	size_t len;

	if (!at)
		return -ENOMEM;
	len = msgpack_put_text(at, field->name);
	if (!is_text(field))
		len += put_value(at + len, field->kind, member);
	buf_commit(record, len);
	return is_text(field) ? pack_member_text(record, event, field->kind,
					*(const struct slice *)member, cut)
			      : 0;
}

static int pack_fields(struct buf *record, const struct event *event, uint32_t *count)
{
	static const struct schema_field version = {SCHEMA_NUMBER, {"schema.version", 14}};
	static const struct event_number version_number = {SCHEMA_VERSION, true};
	static const enum event_flag yes = EVENT_YES;
	bool cut = false;
	int error = pack_field(record, event, &version, &version_number, &cut);

	*count = 1;
	for (size_t i = 0; !error && i < SCHEMA_COUNT; i++) {
		const struct schema_field *field = &schema_fields[i];
		const void *member = (const char *)event + event_offsets[i];

		/* The flag after a content that had to be cut here says so, whatever the caller set. */
		if (cut && field->kind == SCHEMA_FLAG)
			member = &yes;
		cut = false;
		if (!present(field, member))
			continue;
		error = pack_field(record, event, field, member, &cut);
		++*count;
	}
	return error;
}

int event_encode(const struct event *event, struct buf *record)
{
	size_t before = buf_len(record);
	unsigned char *head;
	uint32_t count;
	int error;

	if (!event->epoch.len || !event->stream.present || !event->sequence.present)
		return -EINVAL;
	/* All at once in the usual case: content of the request and of the response, and the rest. */
	if (!buf_reserve(record, 4096 + slice_first(event->input_messages, CONTENT_MAX).len +
			slice_first(event->output_messages, CONTENT_MAX).len))
		return -ENOMEM;
	buf_commit(record, 8 + MAP_HEADER);
	error = pack_fields(record, event, &count);
	if (error) {
		record->end -= buf_len(record) - before;
		return -ENOMEM;
	}
	head = (unsigned char *)record->memory + record->start + before;
	msgpack_put_be(head, 4, event->time_ns / NS_PER_S);
	msgpack_put_be(head + 4, 4, event->time_ns % NS_PER_S);
	head[8] = 0xde;
	msgpack_put_be(head + 9, 2, count);
	return 0;
}
