// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/option.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>

#define ROWS_MAX 16

static const struct option_row *row_of(int letter, const struct option_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (rows[i].letter == letter)
			return &rows[i];
	return NULL;
}

/* In getopt_long's form. */
static void describe(const struct option_row *rows, size_t n, struct option *longs, char *letters)
{
	for (size_t i = 0; i < n; i++) {
		longs[i] = (struct option){rows[i].name,
			rows[i].value ? required_argument : no_argument, NULL, rows[i].letter};
		*letters++ = rows[i].letter;
		if (rows[i].value)
			*letters++ = ':';
	}
	longs[n] = (struct option){"help", no_argument, NULL, 'h'};
	*letters = 'h';
}

int option_read(int argc, char **argv, const char *usage, const struct option_row *rows, size_t n)
{
	struct option longs[ROWS_MAX + 2] = {0};
	char letters[2 * ROWS_MAX + 2] = "";
	int letter;

	assert(n <= ROWS_MAX);
	describe(rows, n, longs, letters);
	while ((letter = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		const struct option_row *row = row_of(letter, rows, n);

		if (letter == 'h') {
			fputs(usage, stdout);
			return 0;
		}
		if (!row)
			goto wrong;
		if (row->value)
			*row->value = optarg;
		else
			*row->given = true;
	}
	if (optind == argc)
		return -1;
wrong:
	fputs(usage, stderr);
	return 2;
}
