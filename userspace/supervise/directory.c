// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/directory.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_above(const char *key, const char *path, struct why *why)
{
	char part[PATH_MAX];
	int n = snprintf(part, sizeof(part), "%s", path);

	if (n < 0 || (size_t)n >= sizeof(part))
		return why_set(why, ENAMETOOLONG, "%s: the path is too long", key);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return why_set(why, errno, "%s: cannot make %s: %m", key, part);
		*slash = '/';
	}
	return 0;
}

int directory_make(const char *key, const char *path, mode_t mode,
	const struct config_identity *owner, struct why *why)
{
	uid_t uid = owner ? owner->uid : 0;
	int error = make_above(key, path, why);
	struct stat st;

	if (error)
		return error;
	if (mkdir(path, mode) == 0) {
		if (owner && lchown(path, owner->uid, owner->gid) < 0)
			return why_set(why, errno, "%s: cannot chown %s: %m", key, path);
		return 0;
	}
	if (errno != EEXIST)
		return why_set(why, errno, "%s: cannot make %s: %m", key, path);
	if (stat(path, &st) < 0)
		return why_set(why, errno, "%s: %s: %m", key, path);
	if (!S_ISDIR(st.st_mode))
		return why_set(why, ENOTDIR, "%s: %s is not a directory", key, path);
	if (st.st_uid != uid)
		return why_set(why, EPERM,
			"%s: %s belongs to user %u, but who uses it is user %u: chown it, or "
			"choose another one",
			key, path, (unsigned)st.st_uid, (unsigned)uid);
	return 0;
}
