// SPDX-License-Identifier: GPL-2.0-or-later
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/ca_files.h"
#include "cli/command.h"
#include "cli/policy_case.h"
#include "cli/say.h"
#include "cli/selftest_check.h"
#include "config/config.h"
#include "kernel/subnet.h"

static const char usage[] =
	"usage: sallyport check [--text-only] [FILE]\n"
	"\n"
	"Checks a configuration; default " CONFIG_DEFAULT_PATH ". Tells of all that is wrong at once;\n"
	"each problem is a line \"file:line: key: expected ..., found ...\".\n"
	"\n"
	"  --text-only  not whether this machine has the interface, files and users it names, and\n"
	"               the kernel settings that a router needs, and whether clients will take the CA\n"
	"\n"
	"The tests of policy.file are asked in either case.\n";

static void tell(void *context, const char *problem)
{
	(void)context;
	fprintf(stderr, "%s\n", problem);
}

static void tell_note(void *context, const char *note)
{
	(void)context;
	fprintf(stderr, "note: %s\n", note);
}

static void tell_setting(void *context, bool must, const char *problem)
{
	(void)context;
	fprintf(stderr, "%s%s\n", must ? "" : "warning: ", problem);
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

static void tell_subnet(void *context, const char *interface, const struct address *address)
{
	fprintf(stderr,
		"warning: %s (%s) is in the same network as datapath.inside (%s): what clients "
		"send there is past the gate, and calls to AI endpoints among it are refused or "
		"pass uninspected; move it, or set net.ipv4.conf.all.arp_ignore=1 and "
		".arp_announce=2\n",
		interface, address_format(address).text, (const char *)context);
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

/* Its text, unless that was told of already, and what the file itself says that it does. */
static size_t check_policy(const struct config *config, bool told)
{
	const char *path = config->policy.file;
	struct policy_file *file = NULL;
	struct buf text = BUF_EMPTY;
	size_t problems = 0, count;
	struct why why;

	if (config_read(path, &text, &why) < 0) {
		if (!told)
			tell(NULL, why.text);
		problems = !told;
	} else if (policy_file_parse(path, buf_slice(&text), &file, told ? NULL : tell, NULL,
			   &count, NULL)) {
		problems = told ? 0 : count;
	} else {
		problems = policy_case_tests(path, config, file, tell, NULL);
	}
	buf_free(&text);
	policy_file_free(file);
	return problems;
}

/* The number of problems, each told. What keys mean together, and on this machine, is looked at only
 * when each makes sense by itself. */
static size_t check_file(const char *path, bool text_only)
{
	struct buf text = BUF_EMPTY;
	struct config *config = NULL;
	size_t problems = 1;
	struct why why;

	if (config_read(path, &text, &why) < 0)
		tell(NULL, why.text);
	else if (config_parse_all(path, buf_slice(&text), &config, tell, NULL, &problems) == 0)
		problems = text_only ? 0 : config_check_system(path, config, tell, NULL);
	if (config)
		config_notes(config, tell_note, NULL);
	if (config && config->policy.file)
		problems += check_policy(config, !text_only);
	if (config && !text_only && !access(config->tls.ca_certificate, F_OK))
		problems += check_authority(config->tls.ca_certificate);
	if (config && !text_only)
		(void)subnet_shared(
			config->datapath.inside, tell_subnet, config->datapath.inside);
	if (config && !text_only)
		problems += selftest_settings_differ(config->datapath.inside, tell_setting, NULL);
	buf_free(&text);
	config_free(config);
	return problems;
}

int cmd_check(int argc, char **argv)
{
	static const struct option options[] = {
		{"text-only", no_argument, NULL, 't'}, {"help", no_argument, NULL, 'h'}, {0}};
	const char *path = CONFIG_DEFAULT_PATH;
	bool text_only = false;
	size_t problems;
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
	problems = check_file(path, text_only);
	if (problems) {
		say("%s: %zu problem%s", path, problems, problems == 1 ? "" : "s");
		return 1;
	}
	printf("%s: good\n", path);
	return 0;
}
