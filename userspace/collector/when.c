// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/when.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "config/scalar.h"

#define WHEN_WEEK (7 * 86400 * NS_PER_S)

/* Weeks, which the configuration does not have, and the durations that it has. */
static int when_ago(const char *text, uint64_t *ago_ns)
{
	char *end;
	unsigned long weeks = strtoul(text, &end, 10);

	if (*text >= '0' && *text <= '9' && strcmp(end, "w") == 0 && weeks <= 5000) {
		*ago_ns = weeks * WHEN_WEEK;
		return 0;
	}
	return scalar_duration(text, ago_ns);
}

/* The first second of a day of this place; days: from today on. */
static int when_day(uint64_t now_ns, int days, uint64_t *ns)
{
	time_t now = (time_t)(now_ns / NS_PER_S), begin;
	struct tm tm;

	localtime_r(&now, &tm);
	tm.tm_mday += days;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_isdst = -1;
	begin = mktime(&tm);
	*ns = (uint64_t)begin * NS_PER_S;
	return begin < 0 ? -EINVAL : 0;
}

/* Whether the numbers are those that were written: mktime(3) makes March of the 30th of February. */
static bool when_same(const struct tm *a, const struct tm *b)
{
	return a->tm_year == b->tm_year && a->tm_mon == b->tm_mon && a->tm_mday == b->tm_mday &&
	       a->tm_hour == b->tm_hour && a->tm_min == b->tm_min && a->tm_sec == b->tm_sec;
}

/* "Z", "+02:00": seconds east of Greenwich; false: none of these. */
static bool when_offset(const char *text, long *east)
{
	unsigned hours, minutes;
	int len = 0;

	*east = 0;
	if (strcmp(text, "Z") == 0)
		return true;
	if ((*text != '+' && *text != '-') ||
		sscanf(text + 1, "%2u:%2u%n", &hours, &minutes, &len) != 2 || len != 5 || text[6] ||
		hours > 14 || minutes > 59)
		return false;
	*east = (long)(hours * 3600 + minutes * 60) * (*text == '-' ? -1 : 1);
	return true;
}

static int when_date(const char *text, uint64_t *ns)
{
	static const char *const formats[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S",
		"%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"};
	struct tm written, tm;
	const char *rest = NULL;
	long east = 0;
	time_t at;

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]) && !rest; i++) {
		memset(&written, 0, sizeof(written));
		rest = strptime(text, formats[i], &written);
		if (rest && *rest && (i == 4 || !when_offset(rest, &east)))
			rest = NULL;
	}
	if (!rest)
		return -EINVAL;
	tm = written;
	tm.tm_isdst = -1;
	at = *rest ? timegm(&tm) : mktime(&tm);
	if (at < 0 || !when_same(&tm, &written) || at - east < 0)
		return -EINVAL;
	*ns = (uint64_t)(at - east) * NS_PER_S;
	return 0;
}

int when_read(const char *text, uint64_t now_ns, uint64_t *ns)
{
	uint64_t ago_ns;

	if (strcmp(text, "now") == 0) {
		*ns = now_ns;
		return 0;
	}
	if (strcmp(text, "today") == 0 || strcmp(text, "yesterday") == 0)
		return when_day(now_ns, *text == 'y' ? -1 : 0, ns);
	if (when_ago(text, &ago_ns) == 0) {
		*ns = ago_ns < now_ns ? now_ns - ago_ns : 0;
		return 0;
	}
	return when_date(text, ns);
}

struct when_text when_format(uint64_t ns)
{
	time_t seconds = (time_t)(ns / NS_PER_S);
	struct when_text when;
	struct tm tm;
	size_t len;

	gmtime_r(&seconds, &tm);
	len = strftime(when.text, sizeof(when.text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(when.text + len, sizeof(when.text) - len, ".%09lluZ",
		(unsigned long long)(ns % NS_PER_S));
	return when;
}
