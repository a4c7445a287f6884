// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/say.h"

#include <stdarg.h>
#include <stdio.h>

/* Set once by main. */
static const char *speaker;

void say_as(const char *command)
{
	speaker = command;
}

void say(const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "sallyport%s%s: ", speaker ? " " : "", speaker ? speaker : "");
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}
