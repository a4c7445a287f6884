// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/backends_report.h"
#include "cli/command.h"
#include "cli/observed.h"
#include "cli/say.h"

static const char usage[] =
	"usage: sallyport backends [--config FILE] [--json]\n"
	"\n"
	"Shows every backend with its pools: whether it is asked now, and what came of the calls; and of each\n"
	"of its deployments that calls were made to.\n"
	"\n"
	"  closed     it is asked\n"
	"  low        it says that little is left: asked when nobody else is there\n"
	"  paused     it asked for a pause\n"
	"  open       it failed too often, and is not asked; the next call after that tries it\n"
	"  half-open  the next call tries it\n"
	"\n"
	"  -c, --config FILE  default " CONFIG_DEFAULT_PATH "\n"
	"  -j, --json         everything, as one JSON object\n";

static int backends_look(
	const struct config *config, struct standing **standing, struct why *why)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", config->appliance.run_directory, STANDING_FILE);
	int error;

	if (!config->nbackends)
		return why_set(why, ENOENT, "there are no backends: every call goes to the origin that "
					    "its client names");
	if (n < 0 || (size_t)n >= sizeof(path))
		return why_set(why, ENAMETOOLONG, "appliance.run_directory: the path is too long");
	error = standing_look(path, standing, why);
	if (error == -ENOENT)
		return why_set(why, ENOENT, "nothing is known of the backends: sallyportd did not run "
					    "since the machine started");
	return error;
}

static int backends_show(const char *path, bool json)
{
	struct standing *standing = NULL;
	struct config *config = NULL;
	struct backends_report report;
	struct why why = {""};
	int error = observed_config_say(path, &config, &why);

	if (!error)
		error = backends_look(config, &standing, &why);
	if (error) {
		say("%s", why.text);
		config_free(config);
		return 1;
	}
	report = (struct backends_report){config, standing, clock_monotonic_ns()};
	if (json)
		error = backends_report_json(&report, stdout);
	else
		backends_report_text(&report, stdout);
	if (error)
		say("no memory");
	standing_free(standing);
	config_free(config);
	return error ? 1 : 0;
}

int cmd_backends(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *path = CONFIG_DEFAULT_PATH;
	bool json = false;
	int option;

	while ((option = getopt_long(argc, argv, "c:jh", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			path = optarg;
			break;
		case 'j':
			json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind != argc) {
		fputs(usage, stderr);
		return 2;
	}
	return backends_show(path, json);
}
