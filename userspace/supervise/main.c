// SPDX-License-Identifier: GPL-2.0-or-later
/* sallyportd: the appliance's daemon. Its children are this program too, started by the parent. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "supervise/child.h"
#include "supervise/generation.h"
#include "supervise/parent.h"
#include "supervise/supervisor.h"
#include "supervise/takeover.h"

static const char usage[] =
	"usage: sallyportd [-c FILE] [-f] [-t] [-v]\n"
	"\n"
	"Runs in the foreground, as systemd likes it. SIGHUP reloads the configuration, SIGUSR2\n"
	"upgrades to the program that now is in this one's place (sallyport upgrade), SIGTERM\n"
	"ends after what is in progress, a second SIGTERM cuts it.\n"
	"\n"
	"  -c, --config FILE  default " CONFIG_DEFAULT_PATH "\n"
	"  -f, --foreground   what it does anyway\n"
	"  -t, --check        says what is wrong with the configuration, on this system, and ends\n"
	"  -v, --verbose      logs for debugging\n"
	"      --version\n"
	"  -h, --help\n";

/* A process per privilege. */
static const struct role_table roles = {
	.roles =
		{
			[ROLE_SIGNER] = &signer_role,
			[ROLE_SCOUT] = &scout_role,
			[ROLE_KEEPER] = &keeper_role,
			[ROLE_SHIPPER] = &shipper_role,
			[ROLE_WORKER] = &worker_role,
		},
};

static int daemon_check(const char *path)
{
	struct buf text = BUF_EMPTY;
	struct config *config;
	int error = generation_load(path, &config, &text);

	buf_free(&text);
	config_free(config);
	return error ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	enum { OPTION_VERSION = 256, OPTION_HANDOVER };
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"foreground", no_argument, NULL, 'f'}, {"check", no_argument, NULL, 't'},
		{"verbose", no_argument, NULL, 'v'}, {"version", no_argument, NULL, OPTION_VERSION},
		{&UPGRADE_CHECK[2], no_argument, NULL, OPTION_HANDOVER},
		{"help", no_argument, NULL, 'h'}, {0}};
	struct parent_options parent = {CONFIG_DEFAULT_PATH, LOG_LEVEL_INFO, &roles, argv};
	bool check = false, handover = false;
	int option;

	if (argc == 3 && strcmp(argv[1], "--child") == 0)
		return child_main(&roles, argv[2]);
	log_open("sallyportd", LOG_LEVEL_INFO);
	while ((option = getopt_long(argc, argv, "c:ftvh", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			parent.config_path = optarg;
			break;
		case 'f':
			break;
		case 't':
			check = true;
			break;
		case 'v':
			parent.log_level = LOG_LEVEL_DEBUG;
			break;
		case OPTION_HANDOVER: /* of a running sallyportd that wants to be replaced */
			handover = true;
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
	if (handover)
		return takeover_check(&parent);
	return check ? daemon_check(parent.config_path) : supervisor_main(&parent);
}
