// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/layout.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct layout_day_name layout_name(int32_t day, const char *suffix)
{
	time_t seconds = (time_t)day * 86400;
	struct layout_day_name name;
	struct tm tm;
	size_t len;

	gmtime_r(&seconds, &tm);
	len = strftime(name.text, sizeof(name.text), "%Y-%m-%d", &tm);
	snprintf(name.text + len, sizeof(name.text) - len, "%s", suffix);
	return name;
}

struct layout_day_name layout_day_name(int32_t day)
{
	return layout_name(day, ".db");
}

struct layout_day_name layout_index_name(int32_t day)
{
	return layout_name(day, ".fts");
}

int32_t layout_day_of(const char *name)
{
	struct tm tm = {0};
	const char *rest = strptime(name, "%Y-%m-%d", &tm);
	time_t seconds = rest && strcmp(rest, ".db") == 0 ? timegm(&tm) : -1;
	int32_t day = seconds < 0 ? -1 : (int32_t)(seconds / 86400);

	/* One name a day: 2026-1-31 and 2026-02-31 are none. */
	return day >= 0 && strcmp(layout_day_name(day).text, name) == 0 ? day : -1;
}

static int layout_compare(const void *a, const void *b)
{
	const int32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int layout_days(const char *directory, int32_t **days, size_t *n)
{
	DIR *open = opendir(directory);
	const struct dirent *entry;
	size_t room = 0;
	int error = 0;

	*days = NULL;
	*n = 0;
	if (!open)
		return -errno;
	while (!error && (entry = readdir(open))) {
		int32_t day = layout_day_of(entry->d_name);

		if (day < 0)
			continue;
		if (*n == room) {
			int32_t *more =
				reallocarray(*days, room = room ? 2 * room : 64, sizeof(**days));

			if (more)
				*days = more;
			else
				error = -ENOMEM;
		}
		if (!error)
			(*days)[(*n)++] = day;
	}
	closedir(open);
	if (*n)
		qsort(*days, *n, sizeof(**days), layout_compare);
	if (!error)
		return 0;
	free(*days);
	*days = NULL;
	return error;
}
