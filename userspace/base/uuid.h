/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include <stdint.h>

struct uuid_text {
	char text[37]; /* lower case, NUL-terminated */
};

/* A version 7 UUID (RFC 9562 section 5.7): the milliseconds of realtime_ns in front, so that
 * UUIDs sort by time, then the next 12 bits of the fraction (section 6.2, method 3), so that they
 * also do so within a millisecond, then 62 random bits. */
struct uuid_text uuid_v7(uint64_t realtime_ns, const uint8_t random[8]);

#endif
