/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Amounts with a fraction, and dates, as a file says them. */
#ifndef CONFIG_DECIMAL_H
#define CONFIG_DECIMAL_H

#include <stdint.h>

/* What a file may say at most, in ten-thousandths. */
#define DECIMAL_MOST (UINT64_C(1000000) * 10000)

/* "12", "12.5", "0.0750": of up to four digits behind the point, into ten-thousandths. 0, -EINVAL, or
 * -ERANGE: it is beyond 2^53 of them. */
int decimal_parse(const char *text, uint64_t *ten_thousandths);
/* "2026-01-31": the days since 1970. 0, or -EINVAL: there is no such day, or it is before. */
int date_parse(const char *text, uint32_t *days);

#endif
