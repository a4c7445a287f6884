/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a subcommand says on standard error: one line, "sallyport COMMAND: text". */
#ifndef CLI_SAY_H
#define CLI_SAY_H

/* Who speaks: once, before the subcommand runs. The name is kept, not copied. */
void say_as(const char *command);
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

#endif
