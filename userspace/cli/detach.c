// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/observed.h"
#include "cli/option.h"
#include "cli/say.h"
#include "kernel/datapath.h"
#include "kernel/pins.h"

static const char usage[] =
	"usage: sallyport detach [--config FILE]\n"
	"\n"
	"Takes out of the kernel what a daemon that was killed has left there: programs, maps, rules\n"
	"and routes. A daemon that is stopped leaves nothing.\n"
	"\n"
	"  -c, --config FILE  default " CONFIG_DEFAULT_PATH "\n";

/* What belongs to an interface that is gone went with it, but for the pins. */
static int detach_pins(const struct config *config, struct why *why)
{
	struct pins pins;
	int error = pins_open(&pins, config->datapath.bpf_directory, why);

	if (error)
		return error;
	pins_remove(&pins);
	pins_close(&pins);
	return 0;
}

static int detach(const char *path, struct why *why)
{
	struct datapath *datapath = NULL;
	struct config *config = NULL;
	struct observed observed;
	int error = observed_config(path, &config, &observed, why);

	if (!error && observed.running)
		error = why_set(why, EBUSY, "sallyportd runs: stop it, and it leaves nothing");
	/* Whoever opens it adopts what was left, and whoever closes it removes all of it. */
	if (!error)
		error = datapath_open(config, &datapath, why);
	datapath_close(datapath);
	if (error == -ENODEV)
		error = detach_pins(config, why);
	config_free(config);
	return error;
}

int cmd_detach(int argc, char **argv)
{
	const char *path = CONFIG_DEFAULT_PATH;
	const struct option_row rows[] = {{'c', "config", NULL, &path}};
	int status = option_read(argc, argv, usage, rows, 1);
	struct why why = {""};

	if (status >= 0)
		return status;
	if (detach(path, &why) == 0)
		return 0;
	say("%s", why.text);
	return 1;
}
