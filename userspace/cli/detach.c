// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/observed.h"
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
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {0}};
	const char *path = CONFIG_DEFAULT_PATH;
	struct why why = {""};
	int option;

	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			return 0;
		}
		if (option != 'c') {
			fputs(usage, stderr);
			return 2;
		}
		path = optarg;
	}
	if (optind < argc) {
		fputs(usage, stderr);
		return 2;
	}
	if (detach(path, &why) == 0)
		return 0;
	say("%s", why.text);
	return 1;
}
