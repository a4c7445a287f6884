// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/uuid.h"

#include <string.h>

#include "base/clock.h"

struct uuid_text uuid_v7(uint64_t realtime_ns, const uint8_t random[8])
{
	static const char digits[] = "0123456789abcdef";
	uint64_t ms = realtime_ns / NS_PER_MS, fraction = realtime_ns % NS_PER_MS;
	uint16_t fine = (uint16_t)(fraction * 4096 / NS_PER_MS);
	struct uuid_text uuid;
	uint8_t bytes[16];
	size_t at = 0;

	for (int i = 0; i < 6; i++)
		bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
	bytes[6] = (uint8_t)(0x70 | fine >> 8);
	bytes[7] = (uint8_t)fine;
	memcpy(bytes + 8, random, 8);
	bytes[8] = (uint8_t)(0x80 | (bytes[8] & 0x3f));
	for (size_t i = 0; i < sizeof(bytes); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			uuid.text[at++] = '-';
		uuid.text[at++] = digits[bytes[i] >> 4];
		uuid.text[at++] = digits[bytes[i] & 15];
	}
	uuid.text[at] = '\0';
	return uuid;
}
