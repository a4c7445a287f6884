// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/crc32c.h"

#include <stdbool.h>
#include <string.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

/* Four bits at a time: small, and only for processors without the instruction. */
uint32_t crc32c_table(uint32_t crc, const void *data, size_t len)
{
	static const uint32_t table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
		0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};
	const uint8_t *byte = data;

	crc = ~crc;
	for (; len; len--, byte++) {
		crc ^= *byte;
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

#if defined(__x86_64__)
#define CRC32C_TARGET __attribute__((target("sse4.2")))
#define crc32c_word(crc, word) ((uint32_t)__builtin_ia32_crc32di((crc), (word)))
#define crc32c_byte(crc, byte) __builtin_ia32_crc32qi((crc), (byte))

static bool crc32c_instruction(void)
{
	return __builtin_cpu_supports("sse4.2");
}
#elif defined(__aarch64__)
#define CRC32C_TARGET __attribute__((target("+crc")))
#define crc32c_word(crc, word) __builtin_aarch64_crc32cx((crc), (word))
#define crc32c_byte(crc, byte) __builtin_aarch64_crc32cb((crc), (byte))

static bool crc32c_instruction(void)
{
	return getauxval(AT_HWCAP) & 1 << 7; /* HWCAP_CRC32 */
}
#endif

#if defined(CRC32C_TARGET)
CRC32C_TARGET static uint32_t crc32c_hardware(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *byte = data;

	crc = ~crc;
	for (; len >= 8; len -= 8, byte += 8) {
		uint64_t word;

		memcpy(&word, byte, sizeof(word));
		crc = crc32c_word(crc, word);
	}
	for (; len; len--, byte++)
		crc = crc32c_byte(crc, *byte);
	return ~crc;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	return crc32c_instruction() ? crc32c_hardware(crc, data, len)
				    : crc32c_table(crc, data, len);
}
#else
uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	return crc32c_table(crc, data, len);
}
#endif
