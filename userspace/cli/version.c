// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>

#include "cli/command.h"

int cmd_version(int argc, char **argv)
{
	(void)argv;
	if (argc > 1) {
		fprintf(stderr, "usage: sallyport version\n");
		return 2;
	}
	printf("sallyport %s\n", SALLYPORT_VERSION);
	return 0;
}
