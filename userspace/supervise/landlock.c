// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

/* Rights of later versions than the oldest headers that we build with. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

/* All of version 1: execute .. make_sym. Renaming between directories (version 2) is refused
 * without being named. */
#define FIRST_VERSION ((1ULL << 13) - 1)

static uint64_t rights(enum landlock_right right, uint64_t handled)
{
	uint64_t access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;

	if (right == LANDLOCK_PATH_SPOOL)
		access |= LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
			  LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE;
	return access & handled;
}

static int add_path(int rules, const struct landlock_path *path, uint64_t handled, struct why *why)
{
	struct landlock_path_beneath_attr beneath = {
		.allowed_access = rights(path->right, handled),
		.parent_fd = open(path->path, O_PATH | O_CLOEXEC),
	};
	int error = 0;

	if (beneath.parent_fd < 0)
		return why_set(why, errno, "landlock: cannot open %s: %m", path->path);
	if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0)
		error = why_set(why, errno, "landlock: cannot allow %s: %m", path->path);
	close(beneath.parent_fd);
	return error;
}

int landlock_enter(const struct landlock_path *paths, size_t npaths, struct why *why)
{
	struct landlock_ruleset_attr attr = {.handled_access_fs = FIRST_VERSION};
	long version =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	int rules, error = 0;

	if (version < 0) {
		log_info("landlock is not there (%s): files are kept by their owners alone",
			errno == ENOSYS ? "kernel too old" : "turned off");
		return 0;
	}
	if (version >= 3)
		attr.handled_access_fs |= LANDLOCK_ACCESS_FS_TRUNCATE;
	rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
	if (rules < 0)
		return why_set(why, errno, "landlock: cannot make the rules: %m");
	for (size_t i = 0; i < npaths && !error; i++)
		error = add_path(rules, &paths[i], attr.handled_access_fs, why);
	if (!error && syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		error = why_set(why, errno, "landlock: cannot apply the rules: %m");
	close(rules);
	return error;
}
