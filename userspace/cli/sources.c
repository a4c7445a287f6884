// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <ev.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/number.h"
#include "cli/observed.h"
#include "cli/reverse.h"
#include "cli/say.h"
#include "cli/source_report.h"

/* Names that did not come by then are left out. */
#define NAMES_PATIENCE_NS (3 * NS_PER_S)
/* Of one report: more are not asked for. */
#define NAMES_MAX 1000

static const char usage[] =
	"usage: sallyport sources [--config FILE] [--json] [--sort COLUMN] [--limit N] [--names]\n"
	"\n"
	"Shows every source address with all that the kernel counted of it, by asking the kernel.\n"
	"\n"
	"  -c, --config FILE  default " CONFIG_DEFAULT_PATH "\n"
	"  -j, --json         everything, exactly, as one JSON object\n"
	"  -s, --sort COLUMN  default bytes; of: address active %s drops seen\n"
	"  -l, --limit N      sources; default 0: all\n"
	"  -n, --names        with the names that the DNS has for the first 1000 of them\n";

struct sources {
	const char *path;
	const struct column *sorted;
	uint64_t limit;
	bool json, names;
};

static void usage_print(FILE *out)
{
	char names[1024] = "";

	for (enum source_count i = 0; i < SOURCE_COUNT_MAX; i++) {
		size_t len = strlen(names);

		/* A line is full after the fifth. */
		snprintf(names + len, sizeof(names) - len, "%s%s",
			i == 0	     ? ""
			: i % 5 == 0 ? "\n                     "
				     : " ",
			source_count_name(i));
	}
	fprintf(out, usage, names);
}

static void names_late(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)timer;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

/* Asks for the names of the rows that will be shown, a few at a time, until all are known. */
static void names_wait(struct reverse *reverse, const struct traffic *traffic, size_t n)
{
	struct ev_loop *loop = ev_default_loop(0);
	uint64_t late_ns = clock_monotonic_ns() + NAMES_PATIENCE_NS;
	size_t known = 0;
	const char *name;
	ev_timer late;

	ev_timer_init(&late, names_late, (double)NAMES_PATIENCE_NS / (double)NS_PER_S, 0.0);
	ev_timer_start(loop, &late);
	while (known < n && clock_monotonic_ns() < late_ns) {
		known = 0;
		for (size_t i = 0; i < n; i++)
			known += reverse_lookup(reverse, &traffic->rows[i].source.address, &name);
		if (known < n)
			ev_run(loop, EVRUN_ONCE);
	}
	ev_timer_stop(loop, &late);
}

static const char *name_of(void *context, const struct address *address)
{
	const char *name;

	return reverse_lookup(context, address, &name) ? name : NULL;
}

static int sources_show(const struct sources *options)
{
	struct datapath_status *kernel = NULL;
	struct config *config = NULL;
	struct reverse *reverse = NULL;
	struct traffic traffic = {0};
	struct source_report report;
	struct why why = {""};
	int error, status = 1;

	error = observed_config_say(options->path, &config, &why);
	if (!error)
		error = datapath_status_read_parts(config, DATAPATH_SOURCES, &kernel, &why);
	if (!error && !kernel->pinned)
		error = why_set(&why, ENOENT,
			"nothing is counted: there are no maps in %s; sallyportd does not run",
			config->datapath.bpf_directory);
	if (!error && traffic_read(&traffic, NULL, kernel) < 0)
		error = why_set(&why, ENOMEM, "no memory");
	if (!error && options->names) {
		reverse = reverse_new(ev_default_loop(0), config, &why);
		error = reverse ? 0 : -EIO;
	}
	if (error) {
		say("%s", why.text);
		goto out;
	}
	traffic_sort(&traffic, options->sorted, false);
	report = (struct source_report){.appliance = config->appliance.name,
		.kernel = kernel,
		.traffic = &traffic,
		.most = options->limit,
		.name_of = reverse ? name_of : NULL,
		.context = reverse};
	if (reverse) {
		size_t n = report.most && report.most < traffic.nrows ? report.most : traffic.nrows;

		names_wait(reverse, &traffic, n < NAMES_MAX ? n : NAMES_MAX);
	}
	if (options->json)
		error = source_report_json(&report, stdout);
	else
		source_report_text(&report, stdout);
	if (error < 0 || fflush(stdout) != 0)
		say("the sources cannot be written");
	else
		status = 0;
out:
	reverse_free(reverse);
	traffic_free(&traffic);
	datapath_status_free(kernel);
	config_free(config);
	return status;
}

/* 0; 1: --help was printed; -EINVAL: what is wrong was said. */
static int options_read(struct sources *sources, int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"json", no_argument, NULL, 'j'}, {"sort", required_argument, NULL, 's'},
		{"limit", required_argument, NULL, 'l'}, {"names", no_argument, NULL, 'n'},
		{"help", no_argument, NULL, 'h'}, {0}};
	int option;

	while ((option = getopt_long(argc, argv, "c:js:l:nh", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			sources->path = optarg;
			break;
		case 'j':
			sources->json = true;
			break;
		case 's':
			sources->sorted = column_find(optarg);
			if (sources->sorted && column_is_total(sources->sorted))
				break;
			say("--sort: there is no column \"%s\"", optarg);
			return -EINVAL;
		case 'l':
			if (number_parse("sources", "--limit", optarg, 0, 1000000000,
				    &sources->limit) < 0)
				return -EINVAL;
			break;
		case 'n':
			sources->names = true;
			break;
		case 'h':
			usage_print(stdout);
			return 1;
		default:
			usage_print(stderr);
			return -EINVAL;
		}
	}
	if (optind == argc)
		return 0;
	usage_print(stderr);
	return -EINVAL;
}

int cmd_sources(int argc, char **argv)
{
	struct sources sources = {.path = CONFIG_DEFAULT_PATH, .sorted = column_find("bytes")};
	int error = options_read(&sources, argc, argv);

	if (error)
		return error < 0 ? 2 : 0;
	return sources_show(&sources);
}
