// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <ev.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/exposition.h"
#include "cli/limits_files.h"
#include "cli/metrics_server.h"
#include "cli/number.h"
#include "cli/observed.h"
#include "cli/say.h"
#include "cli/selftest_result.h"

#define METRICS_SOURCES 1000

static const char usage[] =
	"usage: sallyport metrics [--config FILE] [--listen ADDRESS:PORT] [--sources N]\n"
	"\n"
	"Prints all that is counted in Prometheus' text format, or serves it.\n"
	"\n"
	"  -c, --config FILE          default " CONFIG_DEFAULT_PATH "\n"
	"  -l, --listen ADDRESS:PORT  serves it at http://ADDRESS:PORT/metrics, until SIGTERM\n"
	"  -n, --sources N            the N sources with most bytes, the others as "
	"address=\"other\";\n"
	"                             default 1000, at most 10000\n";

struct metrics {
	const char *path;
	struct config *config; /* the last that could be read */
	struct address_port listen;
	bool serve;
	uint64_t sources;
};

/* The configuration may have changed, and the daemon been started, since the last time. */
static int metrics_text(void *context, char **text, size_t *len, struct why *why)
{
	struct metrics *metrics = context;
	struct config *config = NULL;
	struct datapath_status *kernel = NULL;
	struct counters *counters = NULL;
	struct standing *standing = NULL;
	struct limit_table *table = NULL;
	struct policy_file *policy = NULL;
	struct limits_report limits = {.rows = NULL};
	struct exposition exposition;
	struct observed observed;
	char path[4200];
	FILE *out;
	int error;

	*text = NULL;
	error = observed_config(metrics->path, &config, &observed, why);
	if (!error) {
		config_free(metrics->config);
		metrics->config = config;
	} else if (!metrics->config) {
		return error;
	} else {
		log_warning("the configuration is kept as it was: %s", why->text);
	}
	if (!error && *observed.refused.text && !metrics->serve)
		say("%s; told by the configuration that sallyportd runs by",
			observed.refused.text);
	config = metrics->config;
	error = datapath_status_read(config, &kernel, why);
	if (error)
		return error;
	snprintf(path, sizeof(path), "%s/counters", config->appliance.run_directory);
	if (counters_open(path, &counters, NULL) < 0)
		counters = NULL;
	snprintf(path, sizeof(path), "%s/" STANDING_FILE, config->appliance.run_directory);
	(void)standing_look(path, &standing, NULL);
	if (limits_files_open(config, &policy, &table, NULL) == 0 &&
		limits_report_read(&limits, &policy->limits, table,
			clock_realtime_ns() / NS_PER_S)) {
		policy_file_free(policy);
		policy = NULL;
	}
	exposition = (struct exposition){config, kernel, counters, metrics->sources,
		selftest_result_read(config), standing, policy ? &limits : NULL};
	out = open_memstream(text, len);
	if (out)
		exposition_print(&exposition, out);
	if (!out || fclose(out) != 0) {
		free(*text);
		*text = NULL;
		error = why_set(why, ENOMEM, "no memory");
	}
	limits_report_free(&limits);
	limit_table_free(table);
	policy_file_free(policy);
	standing_free(standing);
	counters_close(counters);
	datapath_status_free(kernel);
	return error ? error : 200;
}

static int metrics_print(struct metrics *metrics)
{
	struct why why = {""};
	char *text;
	size_t len;
	int error = metrics_text(metrics, &text, &len, &why);

	error = error < 0 ? error : 0;
	if (!error && (fwrite(text, 1, len, stdout) != len || fflush(stdout) != 0))
		error = why_set(&why, EIO, "the metrics cannot be written");
	if (error)
		say("%s", why.text);
	free(text);
	return error ? 1 : 0;
}

static void metrics_stop(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void)watcher;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

static int metrics_serve(struct metrics *metrics)
{
	struct ev_loop *loop = ev_default_loop(0);
	struct metrics_server *server = NULL;
	ev_signal interrupted, terminated;
	const struct metrics_document document = {
		"/metrics", EXPOSITION_TYPE, metrics_text, metrics};
	struct observed observed;
	struct why why = {""};

	log_open("metrics", LOG_LEVEL_INFO);
	/* What is wrong with the configuration shows now, not at the first request. */
	if (observed_config(metrics->path, &metrics->config, &observed, &why) == 0)
		server = metrics_server_new(loop, &metrics->listen, &document, &why);
	if (!server) {
		log_error("%s", why.text);
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	ev_signal_init(&interrupted, metrics_stop, SIGINT);
	ev_signal_init(&terminated, metrics_stop, SIGTERM);
	ev_signal_start(loop, &interrupted);
	ev_signal_start(loop, &terminated);
	log_info("serving http://%s/metrics", address_port_format(&metrics->listen).text);
	sd_notify(0, "READY=1");
	ev_run(loop, 0);
	sd_notify(0, "STOPPING=1");
	metrics_server_free(server);
	return 0;
}

/* 0; 1: --help was printed; -EINVAL: what is wrong was said. */
static int options_read(struct metrics *metrics, int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"listen", required_argument, NULL, 'l'}, {"sources", required_argument, NULL, 'n'},
		{"help", no_argument, NULL, 'h'}, {0}};
	int option;

	while ((option = getopt_long(argc, argv, "c:l:n:h", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			metrics->path = optarg;
			break;
		case 'l':
			metrics->serve = true;
			if (address_port_parse(optarg, &metrics->listen) == 0)
				break;
			say("--listen: expected ADDRESS:PORT, found \"%s\"", optarg);
			return -EINVAL;
		case 'n':
			if (number_parse("metrics", "--sources", optarg, 0, EXPOSITION_SOURCES_MAX,
				    &metrics->sources) < 0)
				return -EINVAL;
			break;
		case 'h':
			fputs(usage, stdout);
			return 1;
		default:
			fputs(usage, stderr);
			return -EINVAL;
		}
	}
	if (optind == argc)
		return 0;
	fputs(usage, stderr);
	return -EINVAL;
}

int cmd_metrics(int argc, char **argv)
{
	struct metrics metrics = {.path = CONFIG_DEFAULT_PATH, .sources = METRICS_SOURCES};
	int error = options_read(&metrics, argc, argv);

	if (error)
		return error < 0 ? 2 : 0;
	error = metrics.serve ? metrics_serve(&metrics) : metrics_print(&metrics);
	config_free(metrics.config);
	return error;
}
