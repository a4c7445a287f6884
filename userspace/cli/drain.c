// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/health_state.h"
#include "cli/number.h"
#include "cli/observed.h"
#include "cli/option.h"
#include "cli/say.h"

static const char usage[] =
	"usage: sallyport drain [--config FILE] [--wait SECONDS | --end]\n"
	"\n"
	"Before maintenance: from now on load balancers are told to send clients elsewhere (sallyport\n"
	"health), until --end or the next start of the machine. What comes all the same is inspected\n"
	"as before.\n"
	"\n"
	"  -c, --config FILE   default " CONFIG_DEFAULT_PATH "\n"
	"  -w, --wait SECONDS  until no steered connection is open; exit status 1 when some still are\n"
	"  -e, --end           clients may come again\n";

static int drain_begin(const char *path, struct why *why)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0)
		return why_set(why, errno, "%s: cannot be made: %m", path);
	close(fd);
	return 0;
}

/* 0 when nothing is open any more. */
static int drain_wait(const struct config *config, double seconds, struct why *why)
{
	uint64_t until = clock_monotonic_ns() + (uint64_t)(seconds * (double)NS_PER_S);
	const struct timespec pause = {.tv_nsec = 200 * 1000 * 1000};
	struct health_state health;
	int error;

	while (!(error = health_read(config, true, &health, why)) && health.connections &&
		clock_monotonic_ns() < until)
		nanosleep(&pause, NULL);
	if (!error && health.connections)
		error = why_set(why, ETIMEDOUT, "%" PRIu64 " connections are still open",
			health.connections);
	if (!error)
		printf("drained: no steered connection is open\n");
	return error;
}

static int drain_run(const char *config_path, bool end, double seconds)
{
	struct config *config = NULL;
	char path[PATH_MAX];
	struct why why;
	int error = observed_config_say(config_path, &config, &why);

	if (!error && snprintf(path, sizeof(path), "%s/" DRAIN_FILE,
			      config->appliance.run_directory) >= (int)sizeof(path))
		error = why_set(&why, ENAMETOOLONG, "appliance.run_directory: the path is too long");
	if (!error && end && unlink(path) < 0 && errno != ENOENT)
		error = why_set(&why, errno, "%s: cannot be removed: %m", path);
	if (!error && !end)
		error = drain_begin(path, &why);
	if (!error && seconds > 0)
		error = drain_wait(config, seconds, &why);
	if (error)
		say("%s", why.text);
	config_free(config);
	return error ? 1 : 0;
}

int cmd_drain(int argc, char **argv)
{
	const char *path = CONFIG_DEFAULT_PATH, *wait = NULL;
	bool end = false;
	const struct option_row rows[] = {{'c', "config", NULL, &path}, {'w', "wait", NULL, &wait},
		{'e', "end", &end, NULL}};
	int status = option_read(argc, argv, usage, rows, 3);
	double seconds = 0;

	if (status >= 0)
		return status;
	if (wait && number_seconds("drain", "--wait", wait, 0.1, 86400, &seconds) < 0)
		return 2;
	if (end && wait) {
		fputs(usage, stderr);
		return 2;
	}
	return drain_run(path, end, seconds);
}
