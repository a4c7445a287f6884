// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/forward_server.h"

#include <errno.h>
#include <stdbool.h>

#include "audit/msgpack_scan.h"
#include "http/coding.h"

struct forward_reading {
	struct forward_entry entry;
	int (*told)(void *context, const struct forward_entry *entry);
	void *context;
	size_t values;		/* that the message may still have */
	enum forward_result result;
	/* Of compressed entries: where the next one is looked for, and its part that is there. */
	struct msgpack_scan scan;
	struct buf part;
};

static bool forward_text(const msgpack_object *object, struct slice *text)
{
	if (object->type == MSGPACK_OBJECT_STR)
		*text = slice_of(object->via.str.ptr, object->via.str.size);
	else if (object->type == MSGPACK_OBJECT_BIN)
		*text = slice_of(object->via.bin.ptr, object->via.bin.size);
	else
		return false;
	return true;
}

static uint32_t forward_big_endian(const char *bytes)
{
	const unsigned char *b = (const unsigned char *)bytes;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* An EventTime (extension type 0), whole seconds, or [EventTime, {metadata}] of Fluent Bit. */
static bool forward_time(const msgpack_object *object, uint64_t *time_ns)
{
	if (object->type == MSGPACK_OBJECT_ARRAY && object->via.array.size == 2 &&
		object->via.array.ptr[1].type == MSGPACK_OBJECT_MAP)
		object = &object->via.array.ptr[0];
	if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER && object->via.u64 <= UINT32_MAX) {
		*time_ns = object->via.u64 * 1000000000u;
		return true;
	}
	if (object->type == MSGPACK_OBJECT_FLOAT && object->via.f64 >= 0 &&
		object->via.f64 < 4294967296.0) {
		*time_ns = (uint64_t)(object->via.f64 * 1e9);
		return true;
	}
	if (object->type != MSGPACK_OBJECT_EXT || object->via.ext.type != 0 ||
		object->via.ext.size != 8)
		return false;
	*time_ns = (uint64_t)forward_big_endian(object->via.ext.ptr) * 1000000000u +
		   forward_big_endian(object->via.ext.ptr + 4);
	return true;
}

static enum forward_result forward_tell(
	struct forward_reading *reading, const msgpack_object *time, const msgpack_object *record,
	struct slice raw)
{
	if (record->type != MSGPACK_OBJECT_MAP || !forward_time(time, &reading->entry.time_ns))
		return FORWARD_BAD;
	reading->entry.record = record;
	reading->entry.raw = raw;
	if (reading->told(reading->context, &reading->entry) < 0)
		return FORWARD_REFUSED;
	reading->entry.index++;
	return FORWARD_OK;
}

/* One object, whose bytes were scanned before. False: msgpack-c does not take it. */
static bool forward_unpack(msgpack_unpacked *unpacked, struct slice bytes)
{
	size_t offset = 0;

	msgpack_unpacked_init(unpacked);
	return msgpack_unpack_next(unpacked, bytes.data, bytes.len, &offset) ==
		       MSGPACK_UNPACK_SUCCESS &&
	       offset == bytes.len;
}

/* An entry: [time, record]. */
static enum forward_result forward_pair(
	struct forward_reading *reading, struct slice bytes, size_t values)
{
	enum forward_result result = FORWARD_BAD;
	struct slice raw = bytes, time;
	msgpack_unpacked unpacked;
	uint32_t n;

	if (bytes.len > FORWARD_RECORD_MAX || values > reading->values)
		return FORWARD_BAD;
	reading->values -= values;
	/* What is behind the time is the record. */
	if (!msgpack_take_array(&raw, &n) || n != 2 ||
		!msgpack_take(&raw, FORWARD_RECORD_VALUES_MAX, &time, &values))
		return FORWARD_BAD;
	if (forward_unpack(&unpacked, bytes) && unpacked.data.type == MSGPACK_OBJECT_ARRAY &&
		unpacked.data.via.array.size == 2)
		result = forward_tell(reading, &unpacked.data.via.array.ptr[0],
			&unpacked.data.via.array.ptr[1], raw);
	msgpack_unpacked_destroy(&unpacked);
	return result;
}

/* Entries one after another: n of them, or (n is NULL) as many as there are. */
static enum forward_result forward_entries(
	struct forward_reading *reading, struct slice entries, const uint32_t *n)
{
	enum forward_result result = FORWARD_OK;
	struct slice bytes;
	size_t values;

	for (uint32_t i = 0; (n ? i < *n : entries.len > 0) && result == FORWARD_OK; i++) {
		if (!msgpack_take(&entries, FORWARD_RECORD_VALUES_MAX, &bytes, &values))
			return FORWARD_BAD;
		result = forward_pair(reading, bytes, values);
	}
	return result == FORWARD_OK && entries.len ? FORWARD_BAD : result;
}

/* What was decompressed, piece by piece: never more than one entry is held. */
static int forward_piece(void *context, struct slice piece)
{
	struct forward_reading *reading = context;

	while (piece.len) {
		enum msgpack_scan_result scanned;
		struct slice bytes;
		size_t consumed;

		scanned = msgpack_scan_feed(&reading->scan, piece, &consumed);
		if (scanned == MSGPACK_SCAN_BAD)
			return -EPROTO;
		bytes = slice_first(piece, consumed);
		if (scanned == MSGPACK_SCAN_MORE || buf_len(&reading->part)) {
			if (buf_append_slice(&reading->part, bytes) < 0)
				return -ENOMEM;
			bytes = buf_slice(&reading->part);
		}
		if (scanned == MSGPACK_SCAN_MORE)
			return 0;
		reading->result = forward_pair(reading, bytes, reading->scan.whole);
		if (reading->result != FORWARD_OK)
			return -EPROTO;
		buf_clear(&reading->part);
		piece = slice_after(piece, consumed);
	}
	return 0;
}

static enum forward_result forward_compressed(struct forward_reading *reading, struct slice packed)
{
	int error;
	struct coding *gzip = coding_new(SLICE("gzip"), FORWARD_MESSAGE_MAX, &error);

	msgpack_scan_init(&reading->scan, FORWARD_RECORD_MAX, FORWARD_RECORD_VALUES_MAX);
	reading->result = FORWARD_OK;
	if (!gzip || coding_decode(gzip, packed, forward_piece, reading) < 0 ||
		coding_finish(gzip) < 0 || buf_len(&reading->part)) {
		if (reading->result == FORWARD_OK)
			reading->result = FORWARD_BAD;
	}
	coding_free(gzip);
	buf_wipe(&reading->part);
	return reading->result;
}

/* The option map: the id to acknowledge, and whether the entries are compressed. */
static bool forward_options(
	const msgpack_object *options, struct slice *chunk, bool *compressed)
{
	if (options->type != MSGPACK_OBJECT_MAP)
		return options->type == MSGPACK_OBJECT_NIL;
	for (uint32_t i = 0; i < options->via.map.size; i++) {
		const msgpack_object_kv *option = &options->via.map.ptr[i];
		struct slice key, value;

		if (!forward_text(&option->key, &key))
			continue;
		if (slice_equal(key, SLICE("chunk"))) {
			if (!forward_text(&option->val, chunk) || chunk->len > FORWARD_CHUNK_MAX)
				return false;
		} else if (slice_equal(key, SLICE("compressed"))) {
			if (!forward_text(&option->val, &value))
				return false;
			*compressed = slice_equal(value, SLICE("gzip"));
			if (!*compressed && !slice_equal(value, SLICE("text")))
				return false;
		}
	}
	return true;
}

static enum forward_result forward_body(
	struct forward_reading *reading, struct slice body, bool compressed)
{
	enum forward_result result = FORWARD_BAD;
	msgpack_unpacked unpacked;
	struct slice packed;
	uint32_t n;

	if (msgpack_take_array(&body, &n))
		return forward_entries(reading, body, &n);
	if (forward_unpack(&unpacked, body) && forward_text(&unpacked.data, &packed))
		result = compressed ? forward_compressed(reading, packed)
				    : forward_entries(reading, packed, NULL);
	msgpack_unpacked_destroy(&unpacked);
	return result;
}

/* The kind of value that begins with this byte, as far as messages are told apart by it. */
static bool forward_begins_map(struct slice s)
{
	unsigned char first = (unsigned char)s.data[0];

	return (first & 0xf0) == 0x80 || first == 0xde || first == 0xdf;
}

static bool forward_begins_entries(struct slice s)
{
	unsigned char first = (unsigned char)s.data[0];

	return (first & 0xf0) == 0x90 || first == 0xdc || first == 0xdd || /* an array, or … */
	       (first & 0xe0) == 0xa0 || (first >= 0xd9 && first <= 0xdb) || /* … str … */
	       (first >= 0xc4 && first <= 0xc6);			     /* … or bin */
}

/* Message mode: time and record stand in the message itself. */
static enum forward_result forward_single(
	struct forward_reading *reading, struct slice time, struct slice record)
{
	enum forward_result result = FORWARD_BAD;
	msgpack_unpacked when, what;

	if (record.len > FORWARD_RECORD_MAX)
		return FORWARD_BAD;
	if (forward_unpack(&when, time)) {
		if (forward_unpack(&what, record))
			result = forward_tell(reading, &when.data, &what.data, record);
		msgpack_unpacked_destroy(&what);
	}
	msgpack_unpacked_destroy(&when);
	return result;
}

/* items: tag, then entries or time and record, then perhaps options; each already whole. */
static enum forward_result forward_items(struct forward_reading *reading,
	const struct slice *items, const size_t *values, uint32_t n, struct slice *chunk)
{
	enum forward_result result = FORWARD_BAD;
	bool compressed = false, single;
	msgpack_unpacked tag, options;

	/* Message mode has a time where the others have their entries; Fluent Bit's time with
	 * metadata, an array as well, is told from entries by the map that follows it. */
	single = n >= 3 && forward_begins_map(items[2]) &&
		 (n == 4 || !forward_begins_entries(items[1]));
	if ((n == 4 && !single) || items[0].len > FORWARD_RECORD_MAX)
		return FORWARD_BAD;
	for (uint32_t i = 0; i < n; i++)
		if (values[i] > FORWARD_RECORD_VALUES_MAX && (i != 1 || single))
			return FORWARD_BAD;
	msgpack_unpacked_init(&options);
	if (!forward_unpack(&tag, items[0]) || !forward_text(&tag.data, &reading->entry.tag))
		goto out;
	if (n > (single ? 3u : 2u) &&
		(!forward_unpack(&options, items[n - 1]) ||
			!forward_options(&options.data, chunk, &compressed)))
		goto out;
	reading->entry.chunk = *chunk;
	result = single ? forward_single(reading, items[1], items[2])
			: forward_body(reading, items[1], compressed);
out:
	msgpack_unpacked_destroy(&options);
	msgpack_unpacked_destroy(&tag);
	return result;
}

enum forward_result forward_read(struct slice message,
	int (*entry)(void *context, const struct forward_entry *entry), void *context,
	struct slice *chunk)
{
	struct forward_reading reading = {
		.told = entry, .context = context, .values = FORWARD_VALUES_MAX};
	struct slice items[4];
	size_t values[4];
	uint32_t n;

	*chunk = SLICE_NONE;
	if (slice_equal(message, SLICE("\xc0")))
		return FORWARD_HEARTBEAT;
	if (!msgpack_take_array(&message, &n) || n < 2 || n > 4)
		return FORWARD_BAD;
	for (uint32_t i = 0; i < n; i++)
		if (!msgpack_take(&message, FORWARD_VALUES_MAX, &items[i], &values[i]))
			return FORWARD_BAD;
	return message.len ? FORWARD_BAD : forward_items(&reading, items, values, n, chunk);
}

static int forward_append(void *data, const char *bytes, size_t len)
{
	return buf_append(data, bytes, len);
}

int forward_write_ack(struct buf *out, struct slice chunk)
{
	msgpack_packer packer;

	msgpack_packer_init(&packer, out, forward_append);
	if (msgpack_pack_map(&packer, 1) < 0 || msgpack_pack_str(&packer, 3) < 0 ||
		msgpack_pack_str_body(&packer, "ack", 3) < 0 ||
		msgpack_pack_str(&packer, chunk.len) < 0 ||
		msgpack_pack_str_body(&packer, chunk.data, chunk.len) < 0)
		return -ENOMEM;
	return 0;
}
