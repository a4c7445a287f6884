// SPDX-License-Identifier: GPL-2.0-or-later
/* sallyportd: the appliance's daemon. Its children are this program too, started by the parent. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config/config.h"
#include "daemon/child.h"
#include "daemon/parent.h"

#define DAEMON_CONFIG "/etc/sallyport/sallyport.yaml"

static const char usage[] =
	"usage: sallyportd [-c FILE] [-t] [-v]\n"
	"\n"
	"Runs in the foreground, as systemd likes it. SIGHUP reloads the configuration, SIGTERM\n"
	"ends after what is in progress.\n"
	"\n"
	"  -c, --config FILE  default " DAEMON_CONFIG "\n"
	"  -t, --check        reads the configuration, says what is wrong with it, and ends\n"
	"  -v, --verbose      logs for debugging\n"
	"      --version\n"
	"  -h, --help\n";

static const struct role_table roles = {
	.roles = {
		[ROLE_SIGNER] = &signer_role,
		[ROLE_SCOUT] = &scout_role,
		[ROLE_SHIPPER] = &shipper_role,
		[ROLE_WORKER] = &worker_role,
	},
};

static void daemon_problem(void *context, const char *problem)
{
	(void)context;
	log_error("%s", problem);
}

static int daemon_check(const char *path)
{
	struct config *config;
	struct why why;
	size_t problems;

	if (config_load(path, &config, &why) < 0) {
		log_error("%s", why.text);
		return EXIT_FAILURE;
	}
	problems = config_check_system(path, config, daemon_problem, NULL);
	config_free(config);
	return problems ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	enum { OPTION_VERSION = 256 };
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"check", no_argument, NULL, 't'}, {"verbose", no_argument, NULL, 'v'},
		{"version", no_argument, NULL, OPTION_VERSION}, {"help", no_argument, NULL, 'h'},
		{0}};
	struct parent_options parent = {DAEMON_CONFIG, LOG_LEVEL_INFO, &roles};
	bool check = false;
	int option;

	if (argc == 3 && strcmp(argv[1], "--child") == 0)
		return child_main(&roles, argv[2]);
	log_open("sallyportd", LOG_LEVEL_INFO);
	while ((option = getopt_long(argc, argv, "c:tvh", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			parent.config_path = optarg;
			break;
		case 't':
			check = true;
			break;
		case 'v':
			parent.log_level = LOG_LEVEL_DEBUG;
			break;
		case OPTION_VERSION:
			puts("sallyportd " SALLYPORT_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind != argc) {
		fputs(usage, stderr);
		return 2;
	}
	return check ? daemon_check(parent.config_path) : parent_main(&parent);
}
