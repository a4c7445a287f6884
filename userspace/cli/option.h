/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line of a subcommand that takes options and nothing else. */
#ifndef CLI_OPTION_H
#define CLI_OPTION_H

#include <stdbool.h>
#include <stddef.h>

/* "-j" and "--json", and where it is told: given for one without a value, else value. */
struct option_row {
	char letter;
	const char *name;
	bool *given;
	const char **value; /* into argv */
};

/* Reads the options, --help besides them. -1: the command goes on. Else it is over, with this exit
 * status: 0 after the usage was shown because it was asked for, 2 after wrong usage. */
int option_read(int argc, char **argv, const char *usage, const struct option_row *rows, size_t n);

#endif
