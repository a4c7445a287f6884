// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/json_print.h"
#include "cli/observed.h"
#include "cli/option.h"
#include "cli/say.h"
#include "cli/selftest_check.h"
#include "cli/selftest_result.h"

static const char usage[] =
	"usage: sallyport selftest [--config FILE] [--json] [--no-call] [--quiet]\n"
	"\n"
	"Is this machine inspecting? Checks the whole way of a call, makes one, and tells what was\n"
	"seen and what to do. The exit status is 1 when a check failed.\n"
	"\n"
	"  -c, --config FILE  default " CONFIG_DEFAULT_PATH "\n"
	"  -j, --json         one JSON object\n"
	"  -n, --no-call      makes no call, for which it takes a network namespace and two interfaces\n"
	"  -q, --quiet        tells only what is not good\n";

/* --- as text, or JSON --- */

static void print_text(const struct finding *findings, bool quiet)
{
	for (size_t i = 0; i < nselftest_checks; i++) {
		const struct finding *f = &findings[i];

		if (quiet && f->result < SELFTEST_NOTE)
			continue;
		printf("%-8s %-17s %s\n", selftest_result_name(f->result), selftest_checks[i].name,
			f->seen);
		if (*f->fix && f->result != SELFTEST_GOOD)
			printf("%-8s %-17s -> %s\n", "", "", f->fix);
	}
}

static int print_json(const struct finding *findings, bool good)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = doc ? yyjson_mut_obj(doc) : NULL, *checks, *o;

	if (root) {
		yyjson_mut_doc_set_root(doc, root);
		yyjson_mut_obj_add_bool(doc, root, "good", good);
		checks = yyjson_mut_obj_add_arr(doc, root, "checks");
		for (size_t i = 0; i < nselftest_checks; i++) {
			const struct finding *f = &findings[i];

			o = yyjson_mut_arr_add_obj(doc, checks);
			yyjson_mut_obj_add_str(doc, o, "check", selftest_checks[i].name);
			yyjson_mut_obj_add_str(doc, o, "question", selftest_checks[i].question);
			yyjson_mut_obj_add_str(doc, o, "result", selftest_result_name(f->result));
			yyjson_mut_obj_add_strcpy(doc, o, "seen", f->seen);
			if (*f->fix)
				yyjson_mut_obj_add_strcpy(doc, o, "fix", f->fix);
		}
	}
	return json_print(doc, YYJSON_WRITE_PRETTY_TWO_SPACES, stdout);
}

/* --- the run --- */

struct options {
	const char *path;
	bool json, no_call, quiet;
};

/* One at a time: two would take each other's interfaces. The lock goes with the process. */
static void wait_turn(const struct config *config)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/selftest.lock", config->appliance.run_directory) >=
		(int)sizeof(path))
		return;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		(void)flock(fd, LOCK_EX);
}

static bool run_checks(const struct selftest *s, const struct options *options,
	struct finding *findings)
{
	bool good = true;

	for (size_t i = 0; i < nselftest_checks; i++) {
		if (options->no_call && (selftest_checks[i].run == selftest_call ||
						selftest_checks[i].run == selftest_call_ipv6))
			finding_set(&findings[i], SELFTEST_SKIPPED, "no call is made (--no-call)");
		else
			selftest_checks[i].run(s, &findings[i]);
		good = good && findings[i].result != SELFTEST_FAILED;
	}
	return good;
}

static int selftest_run(const struct options *options)
{
	struct selftest s = {.config_path = options->path};
	struct finding *findings = calloc(nselftest_checks, sizeof(*findings));
	struct datapath_status *kernel = NULL;
	struct config *config = NULL;
	struct observed observed;
	struct why why = {""};
	char path[PATH_MAX];
	bool good = false;
	int error = findings ? observed_config(options->path, &config, &observed, &why)
			     : why_set(&why, ENOMEM, "no memory");

	if (!error) {
		wait_turn(config);
		error = datapath_status_read(config, &kernel, &why);
	}
	if (error) {
		say("%s", why.text);
		goto out;
	}
	s.config = config;
	s.kernel = kernel;
	s.running = observed.running;
	s.changed = observed.changed;
	s.refused = *observed.refused.text;
	snprintf(path, sizeof(path), "%s/counters", config->appliance.run_directory);
	if (counters_open(path, &s.counters, NULL) < 0)
		s.counters = NULL;
	s.record = record_state_read(s.counters, clock_monotonic_ns());
	selftest_find_outside(&s);
	selftest_find_names(&s);
	good = run_checks(&s, options, findings);
	if (options->json)
		error = print_json(findings, good);
	else
		print_text(findings, options->quiet);
	if (error)
		say("the result cannot be written");
	if (selftest_result_store(config, findings, &why) < 0)
		say("%s", why.text);
out:
	counters_close(s.counters);
	datapath_status_free(kernel);
	config_free(config);
	free(findings);
	return error || !good ? 1 : 0;
}

int cmd_selftest(int argc, char **argv)
{
	struct options selftest = {.path = CONFIG_DEFAULT_PATH};
	const struct option_row rows[] = {{'c', "config", NULL, &selftest.path},
		{'j', "json", &selftest.json, NULL}, {'n', "no-call", &selftest.no_call, NULL},
		{'q', "quiet", &selftest.quiet, NULL}};
	int status = option_read(argc, argv, usage, rows, 4);

	return status >= 0 ? status : selftest_run(&selftest);
}
