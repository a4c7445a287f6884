/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configuration of who only looks: that by which the daemon runs, whatever the file on disk is
 * meanwhile; that of the file while no daemon runs. */
#ifndef CLI_OBSERVED_H
#define CLI_OBSERVED_H

#include <stdbool.h>

#include "base/why.h"
#include "config/config.h"

struct observed {
	bool running;	    /* the configuration is that of the daemon */
	bool changed;	    /* … and the file on disk is another by now */
	struct why refused; /* … which cannot be used, and why; "" when it can */
};

/* Reads the file at path, and what the daemon that runs by it left in its run directory. 0: *config
 * is the caller's; else what is wrong with the file, for no daemon runs by it. */
int observed_config(
	const char *path, struct config **config, struct observed *observed, struct why *why);
/* The same, for a command that looks once: says when the file cannot be used. */
int observed_config_say(const char *path, struct config **config, struct why *why);

#endif
