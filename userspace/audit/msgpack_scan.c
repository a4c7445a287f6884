// SPDX-License-Identifier: GPL-2.0-or-later
#include "audit/msgpack_scan.h"

void msgpack_scan_init(struct msgpack_scan *scan, size_t max, size_t values_max)
{
	*scan = (struct msgpack_scan){.max = max, .values_max = values_max};
}

/* The bytes of a value's head (its first byte and its length or count), from its first byte. */
static unsigned msgpack_head_size(unsigned char first)
{
	if (first < 0xc0 || first >= 0xe0)
		return 1;
	switch (first) {
	case 0xc4: case 0xc7: case 0xd9:
		return 2;
	case 0xc5: case 0xc8: case 0xda: case 0xdc: case 0xde:
		return 3;
	case 0xc6: case 0xc9: case 0xdb: case 0xdd: case 0xdf:
		return 5;
	default:
		return 1;
	}
}

static uint64_t msgpack_head_number(const unsigned char *head, unsigned size)
{
	uint64_t number = 0;

	for (unsigned i = 1; i < size; i++)
		number = number << 8 | head[i];
	return number;
}

/* What follows a head: bytes to skip, and values it contains. False: no such type. */
static bool msgpack_head_read(
	const unsigned char *head, unsigned size, uint64_t *bytes, uint64_t *values)
{
	static const uint8_t fixed[] = {/* 0xca */ 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, /* fixext */ 2, 3,
		5, 9, 17};
	unsigned char first = head[0];

	*bytes = *values = 0;
	if (first < 0x80 || first >= 0xe0)
		return true;
	if (first < 0x90)
		*values = (first & 15u) * 2;
	else if (first < 0xa0)
		*values = first & 15u;
	else if (first < 0xc0)
		*bytes = first & 31u;
	else if (first == 0xc1)
		return false;
	else if (first < 0xc4)
		return true;
	else if (first < 0xc7 || (first >= 0xd9 && first <= 0xdb))
		*bytes = msgpack_head_number(head, size);
	else if (first < 0xca)
		*bytes = msgpack_head_number(head, size) + 1;
	else if (first < 0xd9)
		*bytes = fixed[first - 0xca];
	else if (first < 0xde)
		*values = msgpack_head_number(head, size);
	else
		*values = msgpack_head_number(head, size) * 2;
	return true;
}

/* One value is complete: so may be the containers that it was the last of. True: all are. */
static bool msgpack_scan_complete(struct msgpack_scan *scan)
{
	while (scan->depth && --scan->left[scan->depth - 1] == 0)
		scan->depth--;
	return scan->depth == 0;
}

static enum msgpack_scan_result msgpack_scan_value(struct msgpack_scan *scan)
{
	uint64_t values;

	if (!msgpack_head_read(scan->head, scan->head_len, &scan->skip, &values))
		return MSGPACK_SCAN_BAD;
	scan->head_len = 0;
	scan->values++;
	/* Those of a container are refused before they come; every value takes a byte at least. */
	if (scan->skip > scan->max || values > scan->max || scan->values > scan->values_max ||
		values > scan->values_max - scan->values)
		return MSGPACK_SCAN_BAD;
	if (values) {
		if (scan->depth == MSGPACK_SCAN_DEPTH)
			return MSGPACK_SCAN_BAD;
		scan->left[scan->depth++] = values;
		return MSGPACK_SCAN_MORE;
	}
	if (scan->skip)
		return MSGPACK_SCAN_MORE;
	return msgpack_scan_complete(scan) ? MSGPACK_SCAN_DONE : MSGPACK_SCAN_MORE;
}

enum msgpack_scan_result msgpack_scan_feed(
	struct msgpack_scan *scan, struct slice input, size_t *consumed)
{
	enum msgpack_scan_result result = MSGPACK_SCAN_MORE;
	size_t at = 0;

	while (at < input.len && result == MSGPACK_SCAN_MORE) {
		if (scan->skip) {
			size_t here = input.len - at;

			if (here > scan->skip)
				here = (size_t)scan->skip;
			at += here;
			scan->skip -= here;
			if (!scan->skip && msgpack_scan_complete(scan))
				result = MSGPACK_SCAN_DONE;
			continue;
		}
		scan->head[scan->head_len++] = (unsigned char)input.data[at++];
		if (scan->head_len == msgpack_head_size(scan->head[0]))
			result = msgpack_scan_value(scan);
	}
	*consumed = at;
	scan->offset += at;
	if (scan->offset > scan->max)
		return MSGPACK_SCAN_BAD;
	if (result == MSGPACK_SCAN_DONE) {
		size_t whole = scan->values;

		msgpack_scan_init(scan, scan->max, scan->values_max);
		scan->whole = whole;
	}
	return result;
}

bool msgpack_take(struct slice *rest, size_t values_max, struct slice *object, size_t *values)
{
	struct msgpack_scan scan;
	size_t consumed;

	msgpack_scan_init(&scan, rest->len, values_max);
	if (msgpack_scan_feed(&scan, *rest, &consumed) != MSGPACK_SCAN_DONE)
		return false;
	*object = slice_first(*rest, consumed);
	*rest = slice_after(*rest, consumed);
	*values = scan.whole;
	return true;
}

bool msgpack_take_array(struct slice *rest, uint32_t *n)
{
	unsigned char first = rest->len ? (unsigned char)rest->data[0] : 0xc1;
	unsigned size = msgpack_head_size(first);

	if (rest->len < size || ((first & 0xf0) != 0x90 && first != 0xdc && first != 0xdd))
		return false;
	*n = size == 1 ? first & 15u
		       : (uint32_t)msgpack_head_number((const unsigned char *)rest->data, size);
	*rest = slice_after(*rest, size);
	return true;
}
