/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Log lines on standard error; where that is the journal, with the priorities that it reads from
 * lines (sd-daemon(3)). */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stddef.h>

#include "base/slice.h"

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

/* Names the process in every line ("worker 1"); to be called once, before the first line. */
void log_open(const char *title, enum log_level most);
__attribute__((format(printf, 2, 3))) void log_line(
	enum log_level level, const char *format, ...);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

struct log_quoted {
	char text[128];
};
/* Input made safe for a log line: printable ASCII stays, the rest becomes \xNN, and what is too
 * long ends in "...". Use as log_quote(s).text within one full expression. */
struct log_quoted log_quote(struct slice input);

#endif
