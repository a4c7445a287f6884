/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds the names of what the service keeps ("resp_…", "file-…", "thread_…") in JSON, or in an event
 * stream, as it passes, in pieces of any size: every string that is one as a whole. Bounded memory, no
 * tree. What lies in a prompt is found as well: a name that nobody gave means nothing to who asks. */
#ifndef BACKEND_ID_SCAN_H
#define BACKEND_ID_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

#define ID_MAX 128 /* longer strings are none */

struct id_scan {
	char text[ID_MAX]; /* of a string that may be one */
	size_t len;
	enum { ID_OUTSIDE, ID_INSIDE, ID_OTHER /* a string that is none */, ID_ESCAPED } state;
};

typedef void id_scan_found(void *context, struct slice id);

/* *scan is all zero before the first piece. found is called for each, valid during the call. */
void id_scan_feed(struct id_scan *scan, struct slice piece, id_scan_found *found, void *context);

/* Whether the text looks like the name of something that the service keeps. */
bool id_is_one(struct slice text);

#endif
