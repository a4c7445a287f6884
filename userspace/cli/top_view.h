/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What sallyport top shows, as lines of text: printed as they are, or drawn on a terminal. */
#ifndef CLI_TOP_VIEW_H
#define CLI_TOP_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "cli/record_state.h"
#include "cli/traffic.h"
#include "config/config.h"

/* The line of the headings, from 0; the rows follow. */
#define TOP_VIEW_HEADING 4

struct top_view {
	const struct config *config;
	const struct datapath_status *kernel;
	const struct traffic *traffic; /* sorted */
	struct record_state record;
	const struct column *sorted;
	bool reversed;
	bool help;	      /* the keys instead of the sources */
	size_t width, height; /* of the terminal; 0: no end */
	size_t most;	      /* rows; 0: all that fit */
	/* The name of a source, printable, or NULL; NULL: names are not shown. */
	const char *(*name_of)(void *context, const struct address *address);
	void *context;
};

/* Prints the lines: no more than height, none longer than width, all of printable ASCII. The column
 * that is sorted is among those shown, in [brackets]. */
void top_view_print(const struct top_view *view, FILE *out);

#endif
