// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/limits_files.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

static int read_policy(const struct config *config, struct policy_file **file, struct why *why)
{
	const char *path = config->policy.file;
	struct buf text = BUF_EMPTY;
	int error = path ? config_read(path, &text, why) : 0;

	if (!error)
		error = policy_file_parse(path ? path : "policy", buf_slice(&text), file, NULL, NULL,
			NULL, why);
	buf_free(&text);
	if (!error && !(*file)->limits.nlimits)
		error = why_set(why, ENOENT, "there are no limits: the policy has none, or there is none");
	return error;
}

static int look(const struct config *config, struct limit_table **table, struct why *why)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", config->appliance.run_directory, LIMIT_FILE);
	int error;

	if (n < 0 || (size_t)n >= sizeof(path))
		return why_set(why, ENAMETOOLONG, "appliance.run_directory: the path is too long");
	error = limit_table_look(path, table, why);
	if (error == -ENOENT)
		return why_set(why, ENOENT, "nothing is known of the limits: sallyportd did not run "
					    "since the machine started");
	return error;
}

int limits_files_open(const struct config *config, struct policy_file **file,
	struct limit_table **table, struct why *why)
{
	int error;

	*file = NULL;
	*table = NULL;
	error = read_policy(config, file, why);
	if (!error)
		error = look(config, table, why);
	if (error) {
		policy_file_free(*file);
		*file = NULL;
	}
	return error;
}
