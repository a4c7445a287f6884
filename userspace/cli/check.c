// SPDX-License-Identifier: GPL-2.0-or-later
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/ca_files.h"
#include "cli/command.h"
#include "config/config.h"

static const char usage[] =
	"usage: sallyport check [--text-only] [FILE]\n"
	"\n"
	"Checks a configuration; default " CONFIG_DEFAULT_PATH ". Each problem is a line\n"
	"\"file:line: key: expected ..., found ...\".\n"
	"\n"
	"  --text-only  not whether this machine has the interface, files and users it names, and\n"
	"               whether clients will take the CA\n";

static void tell(void *context, const char *problem)
{
	(void)context;
	fprintf(stderr, "%s\n", problem);
}

/* What is told of the CA, and of which file. */
struct authority_told {
	const char *path;
	size_t problems; /* for which the appliance would not start */
};

static void tell_authority(void *context, enum ca_refused refused, const char *problem)
{
	struct authority_told *told = context;

	told->problems += refused == CA_REFUSED;
	fprintf(stderr, "%s: %s%s\n", told->path,
		refused == CA_REFUSED ? "" : "warning: ", problem);
}

/* The key is the signer's: this needs the certificate only. */
static size_t check_authority(const char *path)
{
	struct authority_told told = {.path = path};
	struct ca *ca;
	struct why why;

	if (ca_files_read(path, NULL, &ca, &why)) {
		fprintf(stderr, "%s\n", why.text);
		return 1;
	}
	ca_lint(ca, clock_realtime_ns(), tell_authority, &told);
	ca_free(ca);
	return told.problems;
}

int cmd_check(int argc, char **argv)
{
	static const struct option options[] = {
		{"text-only", no_argument, NULL, 't'}, {"help", no_argument, NULL, 'h'}, {0}};
	const char *path = CONFIG_DEFAULT_PATH;
	bool text_only = false;
	struct config *config;
	size_t problems = 0;
	struct why why;
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			return 0;
		}
		if (option != 't') {
			fputs(usage, stderr);
			return 2;
		}
		text_only = true;
	}
	if (argc - optind > 1) {
		fputs(usage, stderr);
		return 2;
	}
	if (optind < argc)
		path = argv[optind];
	if (config_load(path, &config, &why) < 0) {
		fprintf(stderr, "%s\n", why.text);
		return 1;
	}
	if (!text_only)
		problems = config_check_system(path, config, tell, NULL);
	if (!text_only && !access(config->tls.ca_certificate, F_OK))
		problems += check_authority(config->tls.ca_certificate);
	config_free(config);
	if (problems)
		return 1;
	printf("%s: good\n", path);
	return 0;
}
