// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top_screen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define NCURSES_NOMACROS 1
#include <curses.h>

struct top_screen {
	SCREEN *screen;
};

struct top_screen *top_screen_open(struct why *why)
{
	const char *terminal = getenv("TERM");
	struct top_screen *screen;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		why_set(why, ENOTTY, "standard input or output is no terminal: use --batch");
		return NULL;
	}
	screen = calloc(1, sizeof(*screen));
	if (!screen) {
		why_set(why, ENOMEM, "no memory");
		return NULL;
	}
	/* initscr would end the process where it fails. */
	screen->screen = newterm(NULL, stdout, stdin);
	if (!screen->screen) {
		why_set(why, ENOTTY, "the terminal \"%s\" (TERM) is not known: use --batch",
			terminal ? terminal : "");
		free(screen);
		return NULL;
	}
	set_term(screen->screen);
	cbreak();
	noecho();
	nonl();
	curs_set(0);
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	/* A lone escape is not waited for long. */
	set_escdelay(50);
	return screen;
}

void top_screen_close(struct top_screen *screen)
{
	if (!screen)
		return;
	endwin();
	delscreen(screen->screen);
	free(screen);
}

enum top_key top_screen_key(struct top_screen *screen)
{
	(void)screen;
	switch (wgetch(stdscr)) {
	case ERR:
		return TOP_KEY_NONE;
	case KEY_LEFT:
	case '<':
		return TOP_KEY_LEFT;
	case KEY_RIGHT:
	case '>':
		return TOP_KEY_RIGHT;
	case 'r':
	case 'R':
		return TOP_KEY_REVERSE;
	case 'n':
		return TOP_KEY_NAMES;
	case ' ':
		return TOP_KEY_REFRESH;
	case '?':
	case 'h':
		return TOP_KEY_HELP;
	case 'q':
	case 'Q':
		return TOP_KEY_QUIT;
	default:
		return TOP_KEY_OTHER;
	}
}

void top_screen_resize(struct top_screen *screen)
{
	struct winsize size;

	(void)screen;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col)
		resizeterm(size.ws_row, size.ws_col);
	clearok(curscr, TRUE);
}

void top_screen_draw(struct top_screen *screen, struct top_view *view)
{
	char *text = NULL, *line, *rest;
	size_t size;
	FILE *out;
	int y = 0;

	(void)screen;
	view->height = (size_t)getmaxy(stdscr);
	view->width = (size_t)getmaxx(stdscr);
	werase(stdscr);
	out = open_memstream(&text, &size);
	if (out) {
		top_view_print(view, out);
		fclose(out);
	}
	for (rest = text; rest && (line = strsep(&rest, "\n")); y++) {
		bool heading = y == TOP_VIEW_HEADING && !view->help;

		if (heading)
			wattron(stdscr, A_REVERSE);
		mvwaddnstr(stdscr, y, 0, line, (int)view->width);
		for (int x = getcurx(stdscr); heading && x > 0 && x < (int)view->width; x++)
			waddch(stdscr, ' ');
		wattroff(stdscr, A_REVERSE);
	}
	free(text);
	wrefresh(stdscr);
}
