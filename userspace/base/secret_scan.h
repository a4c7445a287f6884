/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looking for a secret step by step: the search of Knuth, Morris and Pratt over characters that may
 * be written with several bytes. */
#ifndef BASE_SECRET_SCAN_H
#define BASE_SECRET_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

struct secret {
	size_t uses;
	size_t len;
	size_t *again; /* of its first i + 1 bytes, how many of the last ones are the first ones
			  again */
	char *text;
};

struct secret_scan {
	const struct secret *secret;
	struct slice text;
	bool written;	/* escapes count as what they stand for */
	size_t begin;	/* where in text that which is matched begins … */
	size_t at;	/* … and ends */
	size_t matched; /* bytes of the secret */
};

/* Takes the next character; matched is then secret->len at most, and from there no step is taken.
 * False: the text ends, or, without fin, may end inside one. */
bool secret_scan_step(struct secret_scan *scan, bool fin);

#endif
