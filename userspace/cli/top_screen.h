/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The terminal of sallyport top: lines are drawn on it, keys are read from it. */
#ifndef CLI_TOP_SCREEN_H
#define CLI_TOP_SCREEN_H

#include <stddef.h>

#include "base/why.h"
#include "cli/top_view.h"

struct top_screen;

enum top_key {
	TOP_KEY_NONE, /* no more keys are there now */
	TOP_KEY_LEFT,
	TOP_KEY_RIGHT,
	TOP_KEY_REVERSE,
	TOP_KEY_NAMES,
	TOP_KEY_REFRESH,
	TOP_KEY_HELP,
	TOP_KEY_QUIT,
	TOP_KEY_OTHER,
};

/* Takes the terminal of standard input and output. NULL: they are none, or one that terminfo does
 * not know; see why. */
struct top_screen *top_screen_open(struct why *why);
/* Gives it back as it was. NULL is allowed. */
void top_screen_close(struct top_screen *screen);

/* The next key that was pressed; never waits. */
enum top_key top_screen_key(struct top_screen *screen);
/* Looks how large the terminal is now. */
void top_screen_resize(struct top_screen *screen);
/* Draws the view; its width and height are set to the terminal's. */
void top_screen_draw(struct top_screen *screen, struct top_view *view);

#endif
