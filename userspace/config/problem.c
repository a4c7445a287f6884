// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_LEN 32 /* of what is compared: longer keys there are none */

int problem_set(struct problems *problems, int error, const char *format, ...)
{
	struct why why;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why.text, sizeof(why.text), format, arguments);
	va_end(arguments);
	if (problems->count++ == 0 && problems->why)
		*problems->why = why;
	if (problems->told)
		problems->told(problems->context, why.text);
	return -error;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* How many letters to put in, take out, change, or swap with their neighbour (the distance of
 * Damerau and Levenshtein, of neighbours that are swapped once). */
static size_t distance(const char *a, size_t na, const char *b, size_t nb)
{
	size_t rows[3][NAME_MAX_LEN + 1];

	for (size_t j = 0; j <= nb; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= na; i++) {
		const size_t *before = rows[(i + 1) % 3], *above = rows[(i - 1) % 3];
		size_t *row = rows[i % 3];

		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			row[j] = least(least(above[j], row[j - 1]) + 1,
				above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], before[j - 2] + 1);
		}
	}
	return rows[na % 3][nb];
}

const char *problem_nearest(const char *text, const char *const *names, size_t n)
{
	size_t len = strlen(text), best = len / 3 + 1, found;
	const char *nearest = NULL;

	if (len == 0 || len > NAME_MAX_LEN)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t other = strlen(names[i]);

		if (other > NAME_MAX_LEN)
			continue;
		found = distance(text, len, names[i], other);
		if (found < best || (found == best && !nearest && best > 1)) {
			best = found;
			nearest = names[i];
		}
	}
	return nearest;
}
