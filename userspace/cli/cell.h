/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text of strangers in the lines of a table, drawn so that it does nothing to the terminal. */
#ifndef CLI_CELL_H
#define CLI_CELL_H

#include <stdio.h>

#include "base/slice.h"

/* The first max characters (see visible_draw). */
void cell_text(FILE *out, struct slice text, size_t max);
/* A cell of width characters and the space behind it: filled up when the text is shorter, "-" for an
 * empty one; a longer one is shown up to 120 characters. */
void cell_print(FILE *out, size_t width, struct slice text);

#endif
