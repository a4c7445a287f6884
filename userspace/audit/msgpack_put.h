/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes msgpack (https://github.com/msgpack/msgpack/blob/master/spec.md) into memory that is
 * there: each returns how many bytes it wrote, always in the shortest form. */
#ifndef AUDIT_MSGPACK_PUT_H
#define AUDIT_MSGPACK_PUT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/slice.h"

#define MSGPACK_HEAD_MAX 9 /* bytes of a scalar, resp. of what stands in front of a text */

static inline size_t msgpack_put_be(unsigned char *at, size_t size, uint64_t value)
{
	for (size_t i = size; i-- > 0; value >>= 8)
		at[i] = (unsigned char)value;
	return size;
}

static inline size_t msgpack_put_number(unsigned char *at, uint64_t value)
{
	if (value < 0x80) {
		at[0] = (unsigned char)value;
		return 1;
	}
	at[0] = value <= UINT8_MAX    ? 0xcc
		: value <= UINT16_MAX ? 0xcd
		: value <= UINT32_MAX ? 0xce
				      : 0xcf;
	return 1 + msgpack_put_be(at + 1, (size_t)1 << (at[0] - 0xcc), value);
}

static inline size_t msgpack_put_real(unsigned char *at, double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	at[0] = 0xcb;
	return 1 + msgpack_put_be(at + 1, 8, bits);
}

static inline size_t msgpack_put_flag(unsigned char *at, bool value)
{
	at[0] = value ? 0xc3 : 0xc2;
	return 1;
}

/* At most UINT32_MAX bytes of text. */
static inline size_t msgpack_put_text(unsigned char *at, struct slice text)
{
	size_t head = 1;

	if (text.len < 32) {
		at[0] = (unsigned char)(0xa0 | text.len);
	} else {
		at[0] = text.len <= UINT8_MAX ? 0xd9 : text.len <= UINT16_MAX ? 0xda : 0xdb;
		head += msgpack_put_be(at + 1, (size_t)1 << (at[0] - 0xd9), text.len);
	}
	if (text.len)
		memcpy(at + head, text.data, text.len);
	return head + text.len;
}

#endif
