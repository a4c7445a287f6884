// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

static int lock_path(const char *directory, char path[PATH_MAX], struct why *why)
{
	int n = snprintf(path, PATH_MAX, "%s/lock", directory);

	return n < 0 || n >= PATH_MAX
		       ? why_set(why, ENAMETOOLONG, "appliance.run_directory: the path is too long")
		       : 0;
}

/* The lock goes with the process, however it ends. The file stays: to remove it would let two
 * processes lock two files of the same name. */
static int lock(int fd, const char *path, const char *directory, struct why *why)
{
	char pid[16] = "";
	ssize_t got;
	int n;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return why_set(why, errno, "cannot lock %s: %m", path);
		got = read(fd, pid, sizeof(pid) - 1);
		pid[got > 0 ? strcspn(pid, "\n") : 0] = '\0';
		return why_set(why, EBUSY,
			"another sallyportd (pid %s) runs in %s: stop it, or give this one "
			"another appliance.run_directory",
			log_quote(slice_of_string(pid)).text, directory);
	}
	n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) != n)
		return why_set(why, errno, "cannot write %s: %m", path);
	return 0;
}

int instance_lock(const char *directory, struct why *why)
{
	char path[PATH_MAX];
	int fd, error = lock_path(directory, path, why);

	if (error)
		return error;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return why_set(why, errno, "cannot open %s: %m", path);
	error = lock(fd, path, directory, why);
	if (!error)
		return fd;
	close(fd);
	return error;
}

int instance_keep(const char *directory, int fd, struct why *why)
{
	struct stat held, there;
	char path[PATH_MAX];
	int error = lock_path(directory, path, why);

	if (error)
		return error;
	if (fstat(fd, &held) < 0 || lstat(path, &there) < 0 || held.st_dev != there.st_dev ||
		held.st_ino != there.st_ino)
		return why_set(why, EINVAL, "handover: descriptor %d is not %s", fd, path);
	return lock(fd, path, directory, why);
}

int instance_epoch(char epoch[17], struct why *why)
{
	uint32_t random;

	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return why_set(why, EIO, "no random numbers: %m");
	/* Lives sort by their time; two of one second still differ. */
	snprintf(epoch, 17, "%08" PRIx32 "%08" PRIx32, (uint32_t)(clock_realtime_ns() / NS_PER_S),
		random);
	return 0;
}
