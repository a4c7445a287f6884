/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers of the command line. What is wrong is said on standard error, with the subcommand and the
 * option: 0, or -EINVAL. */
#ifndef CLI_NUMBER_H
#define CLI_NUMBER_H

#include <stdint.h>

/* A decimal number without sign, in [least, most]. */
int number_parse(const char *command, const char *option, const char *text, uint64_t least,
	uint64_t most, uint64_t *number);
/* Seconds with a fraction ("0.5"), in [least, most]. */
int number_seconds(const char *command, const char *option, const char *text, double least,
	double most, double *seconds);

#endif
