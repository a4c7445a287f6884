/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32C (Castagnoli; RFC 3720 appendix B.4) of len bytes, continuing from crc; 0 to begin.
 * With the processor's instruction where it has one. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);
/* The same without it, for the test of both. */
uint32_t crc32c_table(uint32_t crc, const void *data, size_t len);

#endif
