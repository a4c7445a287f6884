// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/selftest_result.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "supervise/selftest_word.h"

/* A line for the daemon, "good" or "failed: call, record"; the time; then a line for each check. */
static void result_print(FILE *out, const struct finding *findings)
{
	const char *separator = SELFTEST_FAILED_WORD;
	bool good = true;

	for (size_t i = 0; i < nselftest_checks; i++) {
		if (findings[i].result != SELFTEST_FAILED)
			continue;
		fprintf(out, "%s%s", separator, selftest_checks[i].name);
		separator = ", ";
		good = false;
	}
	fprintf(out, "%s\n%" PRIu64 "\n", good ? SELFTEST_GOOD_WORD : "", clock_realtime_ns());
	for (size_t i = 0; i < nselftest_checks; i++)
		fprintf(out, "%s %s\n", selftest_checks[i].name,
			selftest_result_name(findings[i].result));
}

int selftest_result_store(
	const struct config *config, const struct finding *findings, struct why *why)
{
	const char *directory = config->appliance.run_directory;
	char path[PATH_MAX], new_path[PATH_MAX + 8];
	FILE *out = NULL;
	int fd;

	if (access(directory, F_OK) < 0)
		return 0; /* no daemon has ever run, and nobody is there to read it */
	if (snprintf(path, sizeof(path), "%s/" SELFTEST_FILE, directory) >= (int)sizeof(path))
		return why_set(why, ENAMETOOLONG, "%s: the path is too long", directory);
	snprintf(new_path, sizeof(new_path), "%s.new", path);
	unlink(new_path);
	fd = open(new_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd >= 0)
		out = fdopen(fd, "w");
	if (!out)
		return why_set(why, errno, "%s: cannot be made: %m", new_path);
	result_print(out, findings);
	if (fclose(out) != 0 || rename(new_path, path) < 0)
		return why_set(why, errno, "%s: cannot be written: %m", path);
	return 0;
}

static bool result_named(const char *name, enum selftest_result *result)
{
	for (enum selftest_result i = SELFTEST_GOOD; i <= SELFTEST_FAILED; i++)
		if (strcmp(selftest_result_name(i), name) == 0) {
			*result = i;
			return true;
		}
	return false;
}

struct selftest_outcome selftest_result_read(const struct config *config)
{
	struct selftest_outcome outcome = {0};
	char path[PATH_MAX], line[256], name[32], result[16];
	FILE *in = NULL;

	if (snprintf(path, sizeof(path), "%s/" SELFTEST_FILE, config->appliance.run_directory) <
		(int)sizeof(path))
		in = fopen(path, "re");
	if (!in)
		return outcome;
	if (fgets(line, sizeof(line), in)) {
		outcome.good = strcmp(line, SELFTEST_GOOD_WORD "\n") == 0;
		outcome.known = fgets(line, sizeof(line), in) != NULL;
		outcome.time_ns = outcome.known ? strtoull(line, NULL, 10) : 0;
	}
	for (size_t i = 0; i < 64; i++)
		outcome.results[i] = SELFTEST_SKIPPED;
	while (fgets(line, sizeof(line), in)) {
		if (sscanf(line, "%31s %15s", name, result) != 2)
			continue;
		for (size_t i = 0; i < nselftest_checks && i < 64; i++)
			if (strcmp(selftest_checks[i].name, name) == 0)
				(void)result_named(result, &outcome.results[i]);
	}
	fclose(in);
	return outcome;
}
