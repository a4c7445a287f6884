// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/support/scratch_map.h"

int scratch_map(enum bpf_map_type type, size_t key, size_t value, uint32_t entries)
{
	int map = bpf_map_create(type, "test", (uint32_t)key, (uint32_t)value, entries, NULL);

	if (map < 0)
		fail_msg("map of type %d: %s", type, strerror(-map));
	return map;
}

struct abi_address scratch_address(uint32_t number)
{
	struct abi_address address = {.bytes = {[10] = 0xff, [11] = 0xff, [12] = 10}};

	address.bytes[13] = (uint8_t)(number >> 16);
	address.bytes[14] = (uint8_t)(number >> 8);
	address.bytes[15] = (uint8_t)number;
	return address;
}

uint32_t scratch_number(const void *address)
{
	const uint8_t *bytes = address;

	return (uint32_t)bytes[13] << 16 | (uint32_t)bytes[14] << 8 | bytes[15];
}
