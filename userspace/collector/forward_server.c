// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/forward_server.h"

#include <errno.h>
#include <stdbool.h>

#include "collector/msgpack_scan.h"
#include "http/coding.h"

struct forward_reading {
	struct forward_entry entry;
	int (*told)(void *context, const struct forward_entry *entry);
	void *context;
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
	struct forward_reading *reading, const msgpack_object *time, const msgpack_object *record)
{
	if (record->type != MSGPACK_OBJECT_MAP || !forward_time(time, &reading->entry.time_ns))
		return FORWARD_BAD;
	reading->entry.record = record;
	if (reading->told(reading->context, &reading->entry) < 0)
		return FORWARD_REFUSED;
	reading->entry.index++;
	return FORWARD_OK;
}

static enum forward_result forward_pair(
	struct forward_reading *reading, const msgpack_object *pair)
{
	if (pair->type != MSGPACK_OBJECT_ARRAY || pair->via.array.size != 2)
		return FORWARD_BAD;
	return forward_tell(reading, &pair->via.array.ptr[0], &pair->via.array.ptr[1]);
}

/* Entries one after another, without a count. */
static enum forward_result forward_packed(struct forward_reading *reading, struct slice packed)
{
	enum forward_result result = FORWARD_OK;
	struct msgpack_scan scan;

	msgpack_scan_init(&scan, FORWARD_MESSAGE_MAX);
	while (packed.len && result == FORWARD_OK) {
		msgpack_unpacked unpacked;
		size_t consumed, offset = 0;

		if (msgpack_scan_feed(&scan, packed, &consumed) != MSGPACK_SCAN_DONE)
			return FORWARD_BAD;
		msgpack_unpacked_init(&unpacked);
		if (msgpack_unpack_next(&unpacked, packed.data, consumed, &offset) ==
			MSGPACK_UNPACK_SUCCESS)
			result = forward_pair(reading, &unpacked.data);
		else
			result = FORWARD_BAD;
		msgpack_unpacked_destroy(&unpacked);
		packed = slice_after(packed, consumed);
	}
	return result;
}

static int forward_collect(void *context, struct slice piece)
{
	return buf_append_slice(context, piece);
}

static enum forward_result forward_compressed(struct forward_reading *reading, struct slice packed)
{
	struct buf plain = BUF_EMPTY;
	enum forward_result result = FORWARD_BAD;
	int error;
	struct coding *gzip = coding_new(SLICE("gzip"), FORWARD_MESSAGE_MAX, &error);

	if (gzip && coding_decode(gzip, packed, forward_collect, &plain) == 0 &&
		coding_finish(gzip) == 0)
		result = forward_packed(reading, buf_slice(&plain));
	coding_free(gzip);
	buf_wipe(&plain);
	return result;
}

/* The option map: the id to acknowledge, and whether the entries are compressed. */
static bool forward_options(
	const msgpack_object *options, struct slice *chunk, bool *compressed)
{
	*compressed = false;
	if (!options)
		return true;
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

static enum forward_result forward_entries(
	struct forward_reading *reading, const msgpack_object *entries, bool compressed)
{
	enum forward_result result = FORWARD_OK;
	struct slice packed;

	if (entries->type == MSGPACK_OBJECT_ARRAY) {
		for (uint32_t i = 0; i < entries->via.array.size && result == FORWARD_OK; i++)
			result = forward_pair(reading, &entries->via.array.ptr[i]);
		return result;
	}
	if (!forward_text(entries, &packed))
		return FORWARD_BAD;
	return compressed ? forward_compressed(reading, packed) : forward_packed(reading, packed);
}

static enum forward_result forward_message(
	struct forward_reading *reading, const msgpack_object *message, struct slice *chunk)
{
	const msgpack_object *items = message->via.array.ptr;
	uint32_t n = message->via.array.size;
	bool compressed, single;

	if (n < 2 || n > 4 || !forward_text(&items[0], &reading->entry.tag))
		return FORWARD_BAD;
	/* Message mode has a time where the others have their entries; Fluent Bit's time with
	 * metadata, an array as well, is told from entries by the map that follows it. */
	single = n >= 3 && items[2].type == MSGPACK_OBJECT_MAP &&
		 (items[1].type == MSGPACK_OBJECT_EXT ||
			 items[1].type == MSGPACK_OBJECT_POSITIVE_INTEGER ||
			 items[1].type == MSGPACK_OBJECT_FLOAT ||
			 (n == 4 && items[1].type == MSGPACK_OBJECT_ARRAY));
	if (n == 4 && !single)
		return FORWARD_BAD;
	if (!forward_options(n > (single ? 3u : 2u) ? &items[n - 1] : NULL, chunk, &compressed))
		return FORWARD_BAD;
	reading->entry.chunk = *chunk;
	return single ? forward_tell(reading, &items[1], &items[2])
		      : forward_entries(reading, &items[1], compressed);
}

enum forward_result forward_read(struct slice message,
	int (*entry)(void *context, const struct forward_entry *entry), void *context,
	struct slice *chunk)
{
	struct forward_reading reading = {.told = entry, .context = context};
	enum forward_result result = FORWARD_BAD;
	msgpack_unpacked unpacked;
	size_t offset = 0;

	*chunk = SLICE_NONE;
	msgpack_unpacked_init(&unpacked);
	if (msgpack_unpack_next(&unpacked, message.data, message.len, &offset) ==
			MSGPACK_UNPACK_SUCCESS &&
		offset == message.len) {
		if (unpacked.data.type == MSGPACK_OBJECT_NIL)
			result = FORWARD_HEARTBEAT;
		else if (unpacked.data.type == MSGPACK_OBJECT_ARRAY)
			result = forward_message(&reading, &unpacked.data, chunk);
	}
	msgpack_unpacked_destroy(&unpacked);
	return result;
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
