// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/directory.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

int directory_make(const char *key, const char *path, mode_t mode,
	const struct config_identity *owner, struct why *why)
{
	uid_t uid = owner ? owner->uid : 0;
	struct stat st;

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
