// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/cell.h"

#include "base/visible.h"

#define CELL_MAX 120

/* Returns how many characters that were. */
static size_t cell_draw(FILE *out, struct slice text, size_t max)
{
	struct buf drawn = BUF_EMPTY;
	size_t characters = 0;

	/* Without memory there is less to be seen, which is no harm. */
	(void)visible_draw(text, max, &drawn, &characters);
	if (buf_len(&drawn))
		fwrite(buf_slice(&drawn).data, 1, buf_len(&drawn), out);
	buf_free(&drawn);
	return characters;
}

void cell_text(FILE *out, struct slice text, size_t max)
{
	cell_draw(out, text, max);
}

void cell_print(FILE *out, size_t width, struct slice text)
{
	size_t characters = cell_draw(out, text.len ? text : SLICE("-"), CELL_MAX);

	fprintf(out, "%*s", characters < width ? (int)(width - characters) + 1 : 1, "");
}
