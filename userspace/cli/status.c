// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/credential_report.h"
#include "cli/observed.h"
#include "cli/option.h"
#include "cli/say.h"
#include "cli/status_report.h"

#define STATUS_ROWS 10

static const char usage[] =
	"usage: sallyport status [--config FILE] [--all] [--json]\n"
	"\n"
	"Shows what the kernel has attached now, by asking it, what was counted, and whether the\n"
	"record arrives. The exit status is 1 when new calls are not inspected or not recorded.\n"
	"\n"
	"  -c, --config FILE  default " CONFIG_DEFAULT_PATH "\n"
	"  -a, --all          every endpoint and source address, not only the first ten\n"
	"  -j, --json         everything, as one JSON object\n";

static int status_show(const char *path, bool json, size_t most)
{
	struct datapath_status *kernel = NULL;
	struct counters *counters = NULL;
	struct config *config = NULL;
	yyjson_doc *credentials = NULL;
	struct status_report report;
	struct observed observed;
	char file[4200];
	struct why why;
	int error, status = 1;

	if (observed_config(path, &config, &observed, &why) < 0 ||
		datapath_status_read(config, &kernel, &why) < 0) {
		say("%s", why.text);
		goto out;
	}
	if (*observed.refused.text)
		say("%s; shown by the configuration that sallyportd runs by",
			observed.refused.text);
	else if (observed.changed)
		say("%s has changed since sallyportd read it: reload it", path);
	snprintf(file, sizeof(file), "%s/counters", config->appliance.run_directory);
	if (counters_open(file, &counters, &why) < 0)
		counters = NULL;
	credentials = credential_report_read(config->appliance.run_directory);
	report = (struct status_report){config, kernel, counters, most,
		record_state_read(counters, clock_monotonic_ns()), credentials,
		open_record_read(config->appliance.run_directory)};
	error = 0;
	if (json)
		error = status_report_json(&report, stdout);
	else
		status_report_text(&report, stdout);
	if (error < 0 || fflush(stdout) != 0)
		say("the status cannot be written");
	else if (!status_report_inspecting(&report))
		say("new calls are not inspected%s", counters ? "" : ": sallyportd does not run");
	else if (!record_state_good(&report.record))
		say("new calls are not recorded: %s",
			report.record.blocked ? "the spool, or its disk, is full or fails"
					      : "the shipper gives no sign of life");
	else
		status = 0;
out:
	yyjson_doc_free(credentials);
	counters_close(counters);
	datapath_status_free(kernel);
	config_free(config);
	return status;
}

int cmd_status(int argc, char **argv)
{
	const char *path = CONFIG_DEFAULT_PATH;
	bool json = false, all = false;
	const struct option_row rows[] = {{'c', "config", NULL, &path}, {'a', "all", &all, NULL},
		{'j', "json", &json, NULL}};
	int status = option_read(argc, argv, usage, rows, 3);

	return status >= 0 ? status : status_show(path, json, all ? 0 : STATUS_ROWS);
}
