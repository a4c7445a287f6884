// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/decimal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PLACES 4
#define MOST   (UINT64_C(1) << 53)

int decimal_parse(const char *text, uint64_t *ten_thousandths)
{
	uint64_t value = 0;
	int places = -1; /* behind the point; -1: it was not there yet */

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	for (; *text; text++) {
		if (*text == '.' && places < 0) {
			places = 0;
			continue;
		}
		if (!isdigit((unsigned char)*text) || places == PLACES)
			return -EINVAL;
		value = value * 10 + (uint64_t)(*text - '0');
		places += places >= 0;
		if (value > MOST)
			return -ERANGE;
	}
	if (places == 0)
		return -EINVAL;
	for (int i = places < 0 ? 0 : places; i < PLACES; i++)
		value *= 10;
	if (value > MOST)
		return -ERANGE;
	*ten_thousandths = value;
	return 0;
}

int date_parse(const char *text, uint32_t *days)
{
	struct tm tm = {.tm_isdst = 0}, same;
	time_t at;
	int n = 0;

	if (strlen(text) != 10 ||
		sscanf(text, "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &n) != 3 ||
		n != 10 || text[4] != '-' || text[7] != '-' || strpbrk(text, "+ \t"))
		return -EINVAL;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	same = tm;
	at = timegm(&same);
	/* The 31st of a month that has 30 days is another one. */
	if (at < 0 || same.tm_mday != tm.tm_mday || same.tm_mon != tm.tm_mon)
		return -EINVAL;
	*days = (uint32_t)(at / 86400);
	return 0;
}
