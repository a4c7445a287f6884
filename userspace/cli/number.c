// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/number.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int number_parse(const char *command, const char *option, const char *text, uint64_t least,
	uint64_t most, uint64_t *number)
{
	unsigned long long found = 0;
	char *end = NULL;

	errno = 0;
	if (*text >= '0' && *text <= '9')
		found = strtoull(text, &end, 10);
	if (end && !*end && !errno && found >= least && found <= most) {
		*number = found;
		return 0;
	}
	fprintf(stderr,
		"sallyport %s: %s: expected a number from %" PRIu64 " to %" PRIu64
		", found \"%s\"\n",
		command, option, least, most, text);
	return -EINVAL;
}

int number_seconds(const char *command, const char *option, const char *text, double least,
	double most, double *seconds)
{
	/* strtod takes "inf", "nan" and hexadecimal as well. */
	bool decimal = *text && strspn(text, "0123456789.") == strlen(text);
	char *end = NULL;
	double found = decimal ? strtod(text, &end) : 0;

	if (end && end != text && !*end && found >= least && found <= most) {
		*seconds = found;
		return 0;
	}
	fprintf(stderr, "sallyport %s: %s: expected %g to %g seconds, found \"%s\"\n", command,
		option, least, most, text);
	return -EINVAL;
}
