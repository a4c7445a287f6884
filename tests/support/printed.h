/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is printed, as text. */
#ifndef SUPPORT_PRINTED_H
#define SUPPORT_PRINTED_H

#include <stddef.h>
#include <stdio.h>

struct printed {
	char *text; /* all zero: nothing yet */
	size_t len;
	FILE *out;
};

/* Forgets what was printed before; print to what is returned, then end, which returns the text:
 * until the next begin. */
FILE *printed_begin(struct printed *printed);
const char *printed_end(struct printed *printed);
void printed_free(struct printed *printed);

/* Fails the test when the part is not in the text. */
void assert_shown(const char *text, const char *part);

#endif
