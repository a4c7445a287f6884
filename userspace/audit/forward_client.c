// SPDX-License-Identifier: GPL-2.0-or-later
#include "audit/forward_client.h"

#include <errno.h>
#include <msgpack.h>

#include "audit/record.h"

#define ACK_DEPTH 4 /* of values beside the ack, which are skipped */

static void put_be(unsigned char *at, uint64_t value, size_t len)
{
	while (len--) {
		at[len] = (unsigned char)value;
		value >>= 8;
	}
}

/* Spreads the bits, so that neighbours do not look alike (the finalizer of MurmurHash3). */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 33) * 0xff51afd7ed558ccdULL;
	x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53ULL;
	return x ^ x >> 33;
}

struct forward_id forward_id(
	uint64_t spool_number, uint64_t segment, uint64_t begin, uint64_t end)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned char bytes[18] = {0};
	struct forward_id id;

	/* Both halves are one-to-one in segment and range: ids of one spool never collide. */
	put_be(bytes, mix(spool_number ^ segment), 8);
	put_be(bytes + 8, mix(spool_number ^ (begin << 32 | (end & 0xffffffff))), 8);
	for (size_t i = 0; i < 24; i += 4) {
		const unsigned char *three = bytes + i / 4 * 3;

		id.text[i] = digits[three[0] >> 2];
		id.text[i + 1] = digits[(three[0] << 4 | three[1] >> 4) & 63];
		id.text[i + 2] = digits[(three[1] << 2 | three[2] >> 6) & 63];
		id.text[i + 3] = digits[three[2] & 63];
	}
	/* 16 bytes: the last group has one, and two signs of padding. */
	memcpy(id.text + 22, "==", 3);
	return id;
}

static int append(void *out, const char *data, size_t len)
{
	return buf_append(out, data, len);
}

static int pack_text(msgpack_packer *packer, struct slice s)
{
	int error = msgpack_pack_str(packer, s.len);

	return error || !s.len ? error : msgpack_pack_str_body(packer, s.data, s.len);
}

int forward_chunk_begin(struct forward_chunk *chunk, struct slice tag, struct buf *out)
{
	static const char entries[5] = {(char)0xdd}; /* array32: the count is not known yet */
	msgpack_packer packer;
	int error;

	*chunk = (struct forward_chunk){out, 0, 0};
	msgpack_packer_init(&packer, out, append);
	error = msgpack_pack_array(&packer, 3);
	if (!error)
		error = pack_text(&packer, tag);
	chunk->count_at = buf_len(out);
	return error ? error : buf_append(out, entries, sizeof(entries));
}

int forward_chunk_add(struct forward_chunk *chunk, struct slice record)
{
	static const char entry[] = {(char)0x92, (char)0xd7, 0}; /* array of 2; fixext8, type 0 */
	int error;

	if (record.len <= RECORD_TIME_SIZE)
		return -EBADMSG;
	error = buf_append(chunk->out, entry, sizeof(entry));
	if (!error)
		error = buf_append_slice(chunk->out, record);
	chunk->count += !error;
	return error;
}

int forward_chunk_end(struct forward_chunk *chunk, const struct forward_id *id)
{
	msgpack_packer packer;
	int error;

	put_be((unsigned char *)chunk->out->memory + chunk->out->start + chunk->count_at + 1,
		chunk->count, 4);
	msgpack_packer_init(&packer, chunk->out, append);
	error = msgpack_pack_map(&packer, 2);
	if (!error)
		error = pack_text(&packer, SLICE("size"));
	if (!error)
		error = msgpack_pack_uint32(&packer, chunk->count);
	if (!error)
		error = pack_text(&packer, SLICE("chunk"));
	return error ? error : pack_text(&packer, slice_of_string(id->text));
}

/* The collector's bytes, while they are read. short_by: the end came first. */
struct ack_reader {
	struct slice input;
	size_t at;
	bool short_by;
};

static bool ack_take(struct ack_reader *r, size_t len, struct slice *taken)
{
	if (r->input.len - r->at < len) {
		r->short_by = true;
		return false;
	}
	*taken = slice_of(r->input.data + r->at, len);
	r->at += len;
	return true;
}

static bool ack_number(struct ack_reader *r, size_t len, uint64_t *value)
{
	struct slice bytes;

	if (!ack_take(r, len, &bytes))
		return false;
	*value = 0;
	for (size_t i = 0; i < len; i++)
		*value = *value << 8 | (unsigned char)bytes.data[i];
	return true;
}

/* Takes the head of one value. Text and bin are taken whole into *text; of other scalars the bytes
 * are passed over; of a container *children says how many values follow. */
static bool ack_value(struct ack_reader *r, struct slice *text, uint64_t *children, bool *map)
{
	/* Types 0xc0 … 0xdf: bytes of the length field, or with 0x80 the bytes to pass over. */
	static const unsigned char sizes[32] = {0x80, 0xff, 0x80, 0x80, 1, 2, 4, 0x41, 0x42, 0x44,
		0x84, 0x88, 0x81, 0x82, 0x84, 0x88, 0x81, 0x82, 0x84, 0x88, 0x82, 0x83, 0x85,
		0x89, 0x91, 1, 2, 4, 0x22, 0x24, 0x22, 0x24};
	struct slice skipped;
	uint64_t first, len = 0;
	unsigned char size;

	*text = SLICE_NONE;
	*children = 0;
	*map = false;
	if (!ack_number(r, 1, &first))
		return false;
	if (first < 0x80 || first >= 0xe0)
		return true;
	if (first < 0xa0) {
		*map = first < 0x90;
		*children = (first & 15) << *map;
		return true;
	}
	if (first < 0xc0)
		return ack_take(r, first & 31, text);
	size = sizes[first - 0xc0];
	if (size == 0xff)
		return false;
	if (size & 0x80)
		return ack_take(r, size & 0x7f, &skipped);
	if (!ack_number(r, size & 15, &len))
		return false;
	if (size & 0x20) {
		*map = first >= 0xde;
		*children = len << *map;
		return true;
	}
	return ack_take(r, (size_t)len + !!(size & 0x40), size & 0x40 ? &skipped : text);
}

/* Passes over one value with all that is in it. */
static bool ack_skip(struct ack_reader *r, unsigned depth)
{
	uint64_t children;
	struct slice text;
	bool map;

	if (!depth || !ack_value(r, &text, &children, &map))
		return false;
	while (children--)
		if (!ack_skip(r, depth - 1))
			return false;
	return true;
}

static bool ack_message(struct ack_reader *r, struct slice *id)
{
	struct slice key;
	uint64_t children, inside;
	bool map, nil = r->input.len > 0 && (unsigned char)r->input.data[0] == 0xc0;

	if (!ack_value(r, &key, &children, &map) || (!map && !nil))
		return false;
	for (; children; children -= 2) {
		if (!ack_value(r, &key, &inside, &map) || inside)
			return false;
		if (!slice_equal(key, SLICE("ack"))) {
			if (!ack_skip(r, ACK_DEPTH))
				return false;
		} else if (!ack_value(r, id, &inside, &map) || inside || !id->len) {
			return false;
		}
	}
	return true;
}

enum forward_ack_result forward_ack_read(struct slice input, size_t *consumed, struct slice *id)
{
	struct ack_reader reader = {slice_first(input, FORWARD_ACK_MAX), 0, false};

	*id = SLICE_NONE;
	*consumed = 0;
	if (ack_message(&reader, id)) {
		*consumed = reader.at;
		return FORWARD_ACK_OK;
	}
	*id = SLICE_NONE;
	return reader.short_by && input.len < FORWARD_ACK_MAX ? FORWARD_ACK_MORE : FORWARD_ACK_BAD;
}
