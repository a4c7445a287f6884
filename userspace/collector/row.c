// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/row.h"

#include <errno.h>
#include <stdio.h>

#include "audit/msgpack_scan.h"

struct slice row_text(const msgpack_object *object)
{
	if (object && object->type == MSGPACK_OBJECT_STR)
		return slice_of(object->via.str.ptr, object->via.str.size);
	return SLICE_NONE;
}

bool row_number(const msgpack_object *object, int64_t *number)
{
	if (!object)
		return false;
	if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER && object->via.u64 <= INT64_MAX)
		*number = (int64_t)object->via.u64;
	else if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
		*number = object->via.i64;
	else
		return false;
	return true;
}

enum schema_id row_content_field(enum content_kind kind)
{
	static const enum schema_id fields[CONTENT_KINDS] = {
		[CONTENT_INPUT] = SCHEMA_ID_input_messages,
		[CONTENT_OUTPUT] = SCHEMA_ID_output_messages,
		[CONTENT_TOOLS] = SCHEMA_ID_tools};

	return fields[kind];
}

static bool row_all_digits(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.data[i] < '0' || s.data[i] > '9')
			return false;
	return true;
}

struct slice row_family(struct slice model)
{
	static const size_t tails[] = {11, 9, 5}; /* -YYYY-MM-DD, -YYYYMMDD, -MMDD */

	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		struct slice tail;

		if (model.len <= tails[i] || model.data[model.len - tails[i]] != '-')
			continue;
		tail = slice_after(model, model.len - tails[i] + 1);
		if (tails[i] == 11 ? tail.data[4] == '-' && tail.data[7] == '-' &&
					     row_all_digits(slice_first(tail, 4)) &&
					     row_all_digits(slice_of(tail.data + 5, 2)) &&
					     row_all_digits(slice_of(tail.data + 8, 2))
				   : row_all_digits(tail))
			return slice_first(model, model.len - tails[i]);
	}
	return model;
}

/* The field of that name, or SCHEMA_COUNT. Our own records come in the order of the schema: mostly
 * the one after the last fits. */
static size_t row_field(struct slice name, size_t *next)
{
	for (size_t tried = 0; tried < SCHEMA_COUNT; tried++) {
		size_t id = (*next + tried) % SCHEMA_COUNT;

		if (!slice_equal(name, schema_fields[id].name))
			continue;
		*next = id + 1;
		return id;
	}
	return SCHEMA_COUNT;
}

/* Which kind of content the field is; CONTENT_KINDS: none, or one that stays in the record because it
 * is not text, or comes a second time. */
static unsigned row_content_kind(const struct row *row, size_t id, const msgpack_object *value)
{
	for (unsigned kind = 0; kind < CONTENT_KINDS; kind++)
		if (id == row_content_field((enum content_kind)kind))
			return row_text(value).len && !row->content[kind].len ? kind
									      : CONTENT_KINDS;
	return CONTENT_KINDS;
}

/* Appends the head of a map of n pairs. */
static int row_put_map(struct buf *out, uint32_t n)
{
	unsigned char head[5] = {0xdf, (unsigned char)(n >> 24), (unsigned char)(n >> 16),
		(unsigned char)(n >> 8), (unsigned char)n};

	if (n < 16) {
		head[0] = (unsigned char)(0x80 | n);
		return buf_append(out, head, 1);
	}
	return buf_append(out, head, 5);
}

/* The pairs of raw without those that are content, into row->memory. */
static int row_narrow(struct row *row, const bool *left_out, uint32_t pairs, uint32_t left)
{
	unsigned char first = (unsigned char)row->raw.data[0];
	struct slice rest = slice_after(row->raw, first == 0xde ? 3 : first == 0xdf ? 5 : 1);
	int error = row_put_map(&row->memory, left);

	for (uint32_t i = 0; i < pairs && !error; i++) {
		struct slice pair = rest, object;
		size_t values;

		if (!msgpack_take(&rest, FORWARD_RECORD_VALUES_MAX, &object, &values) ||
			!msgpack_take(&rest, FORWARD_RECORD_VALUES_MAX, &object, &values))
			return -EBADMSG;
		pair.len -= rest.len;
		if (!left_out[i])
			error = buf_append_slice(&row->memory, pair);
	}
	row->narrow = buf_slice(&row->memory);
	return error;
}

/* Finds each field of the schema once (of a key that comes twice the first counts), and the content. */
static int row_find(struct row *row, const msgpack_object_map *map)
{
	bool left_out[FORWARD_RECORD_VALUES_MAX];
	uint32_t left = map->size;
	size_t next = 0;

	if (map->size > FORWARD_RECORD_VALUES_MAX)
		return -EBADMSG;
	memset(row->fields, 0, sizeof(row->fields));
	memset(row->content, 0, sizeof(row->content));
	for (uint32_t i = 0; i < map->size; i++) {
		const msgpack_object_kv *pair = &map->ptr[i];
		size_t id = row_field(row_text(&pair->key), &next);
		unsigned kind = row_content_kind(row, id, &pair->val);

		left_out[i] = kind < CONTENT_KINDS;
		if (left_out[i]) {
			row->content[kind] = row_text(&pair->val);
			left--;
		}
		if (id < SCHEMA_COUNT && !row->fields[id])
			row->fields[id] = &pair->val;
	}
	return row_narrow(row, left_out, map->size, left);
}

/* The event's own id, or its place in a chunk of a foreign sender. */
static struct slice row_id(struct row *row, const struct forward_entry *entry)
{
	struct slice id = row_text(row->fields[SCHEMA_ID_id]);
	int len;

	if (id.len && id.len < ROW_ID_MAX)
		return id;
	if (!entry->chunk.len)
		return SLICE_NONE;
	len = snprintf(row->id_text, sizeof(row->id_text), "%.*s:%llu", SLICE_ARG(entry->chunk),
		(unsigned long long)entry->index);
	return slice_of(row->id_text, len < ROW_ID_MAX ? (size_t)len : ROW_ID_MAX - 1);
}

int row_read(struct row *row, const struct forward_entry *entry)
{
	char address[64];
	struct slice ip;
	int error;

	buf_clear(&row->memory);
	row->time_ns = entry->time_ns;
	row->untimed = false;
	row->raw = entry->raw;
	error = row_find(row, &entry->record->via.map);
	if (error)
		return error;
	row->id = entry->id.len ? entry->id : row_id(row, entry);
	if (!row->id.len)
		return -EINVAL;
	row->model = row_text(row->fields[SCHEMA_ID_response_model]);
	if (!row->model.len)
		row->model = row_text(row->fields[SCHEMA_ID_request_model]);
	ip = row_text(row->fields[SCHEMA_ID_source_ip]);
	snprintf(address, sizeof(address), "%.*s", (int)(ip.len < 63 ? ip.len : 63),
		ip.len ? ip.data : "");
	row->has_source = ip.len && address_parse(address, &row->source) == 0;
	return 0;
}

void row_free(struct row *row)
{
	buf_wipe(&row->memory);
}
