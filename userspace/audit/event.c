// SPDX-License-Identifier: GPL-2.0-or-later
#include "audit/event.h"

#include <errno.h>
#include <math.h>
#include <msgpack.h>
#include <stddef.h>

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

static int append(void *out, const char *data, size_t len)
{
	return buf_append(out, data, len);
}

static int pack_plain(msgpack_packer *packer, struct slice s)
{
	int error = msgpack_pack_str(packer, s.len);

	return error || !s.len ? error : msgpack_pack_str_body(packer, s.data, s.len);
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
	at[1] = (unsigned char)(len >> 24);
	at[2] = (unsigned char)(len >> 16);
	at[3] = (unsigned char)(len >> 8);
	at[4] = (unsigned char)len;
	return 0;
}

/* Sets *cut when s was longer than max. */
static int pack_text(msgpack_packer *packer, struct buf *record, struct slice s, size_t max,
	bool *cut)
{
	struct text_edit edit;

	*cut = s.len > max;
	s = utf8_cut(s, max);
	return text_edit_next(s, 0, &edit) ? pack_edited(record, s, max, cut) :
					     pack_plain(packer, s);
}

static int pack_url(msgpack_packer *packer, struct buf *record, struct slice s, bool *cut)
{
	struct buf redacted = BUF_EMPTY;
	int error = redact_url(s, &redacted);

	if (!error)
		error = pack_text(packer, record, buf_slice(&redacted), TEXT_MAX, cut);
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

static int pack_value(msgpack_packer *packer, struct buf *record, const struct schema_field *field,
	const void *member, bool *cut)
{
	struct address_text address;

	switch (field->kind) {
	case SCHEMA_TEXT:
		return pack_text(packer, record, *(const struct slice *)member, TEXT_MAX, cut);
	case SCHEMA_URL:
		return pack_url(packer, record, *(const struct slice *)member, cut);
	case SCHEMA_CONTENT:
		return pack_text(packer, record, *(const struct slice *)member, CONTENT_MAX, cut);
	case SCHEMA_NUMBER:
		return msgpack_pack_uint64(packer, ((const struct event_number *)member)->value);
	case SCHEMA_REAL:
		return msgpack_pack_double(packer, ((const struct event_real *)member)->value);
	case SCHEMA_FLAG:
		return *(const enum event_flag *)member == EVENT_YES ? msgpack_pack_true(packer) :
								       msgpack_pack_false(packer);
	case SCHEMA_ADDRESS:
		address = address_format(member);
		return pack_plain(packer, slice_of_string(address.text));
	case SCHEMA_PORT:
		return msgpack_pack_uint16(packer, *(const uint16_t *)member);
	}
	return -EINVAL;
}

static bool is_text(const struct schema_field *field)
{
	return field->kind == SCHEMA_TEXT || field->kind == SCHEMA_URL ||
	       field->kind == SCHEMA_CONTENT;
}

static int pack_field(msgpack_packer *packer, struct buf *record, const struct event *event,
	const struct schema_field *field, const void *member, bool *cut)
{
	struct buf scratch = BUF_EMPTY;
	struct slice text;
	int error = pack_plain(packer, field->name);

	if (!error && is_text(field)) {
		text = *(const struct slice *)member;
		member = &text;
		error = text_without_secrets(event, &text, &scratch);
	}
	if (!error)
		error = pack_value(packer, record, field, member, cut);
	buf_wipe(&scratch);
	return error;
}

static int pack_fields(msgpack_packer *packer, struct buf *record, const struct event *event,
	uint32_t *count)
{
	static const enum event_flag yes = EVENT_YES;
	bool cut = false;
	int error = pack_plain(packer, SLICE("schema.version"));

	if (!error)
		error = msgpack_pack_uint8(packer, SCHEMA_VERSION);
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
		error = pack_field(packer, record, event, field, member, &cut);
		++*count;
	}
	return error;
}

static void put_be32(unsigned char *at, uint32_t value)
{
	for (int i = 3; i >= 0; i--, value >>= 8)
		at[i] = (unsigned char)value;
}

int event_encode(const struct event *event, struct buf *record)
{
	size_t before = buf_len(record);
	msgpack_packer packer;
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
	msgpack_packer_init(&packer, record, append);
	error = pack_fields(&packer, record, event, &count);
	if (error) {
		record->end -= buf_len(record) - before;
		return -ENOMEM;
	}
	head = (unsigned char *)record->memory + record->start + before;
	put_be32(head, (uint32_t)(event->time_ns / NS_PER_S));
	put_be32(head + 4, (uint32_t)(event->time_ns % NS_PER_S));
	head[8] = 0xde;
	head[9] = (unsigned char)(count >> 8);
	head[10] = (unsigned char)count;
	return 0;
}
