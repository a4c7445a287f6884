// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/limits_files.h"
#include "cli/limits_report.h"
#include "cli/observed.h"
#include "cli/option.h"
#include "cli/say.h"

static const char usage[] =
	"usage: sallyport limits [--config FILE] [--json]\n"
	"\n"
	"Shows every limit of the policy, and of whom how much of it is used in its period of now: of calls that\n"
	"are over, and, as reserved, of those that are not.\n"
	"\n"
	"  -c, --config FILE  default " CONFIG_DEFAULT_PATH "\n"
	"  -j, --json         everything, as one JSON object\n";

static int show(const struct policy_file *file, const struct limit_table *table, bool json)
{
	struct limits_report report;
	int error = limits_report_read(
		&report, &file->limits, table, clock_realtime_ns() / NS_PER_S);

	if (!error && json)
		error = limits_report_json(&report, stdout);
	else if (!error)
		limits_report_text(&report, stdout);
	limits_report_free(&report);
	if (error)
		say("no memory");
	return error ? 1 : 0;
}

int cmd_limits(int argc, char **argv)
{
	const char *path = CONFIG_DEFAULT_PATH;
	bool json = false;
	const struct option_row rows[] = {
		{'c', "config", NULL, &path}, {'j', "json", &json, NULL}};
	int status = option_read(argc, argv, usage, rows, sizeof(rows) / sizeof(rows[0]));
	struct limit_table *table = NULL;
	struct policy_file *file = NULL;
	struct config *config = NULL;
	struct why why = {""};

	if (status >= 0)
		return status;
	status = observed_config_say(path, &config, &why) ||
				 limits_files_open(config, &file, &table, &why)
			 ? 1
			 : 0;
	if (status)
		say("%s", why.text);
	else
		status = show(file, table, json);
	limit_table_free(table);
	policy_file_free(file);
	config_free(config);
	return status;
}
