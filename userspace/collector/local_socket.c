// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/local_socket.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOCAL_ALIVE_TRIES	30
#define LOCAL_ALIVE_PAUSE_US 100000

/* Whether somebody listens there: a socket that a killed collector left behind is in the way. */
static bool local_socket_alive(const struct sockaddr_un *sa)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool alive = fd >= 0 && (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 ||
					errno == EAGAIN);

	if (fd >= 0)
		close(fd);
	return alive;
}

int local_socket_listen(const char *path, struct why *why)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct stat status;
	bool alive = false;
	int fd, error;

	if (snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path) >= (int)sizeof(sa.sun_path))
		return why_set(why, ENAMETOOLONG, "%s: the path of a socket has at most %zu bytes",
			path, sizeof(sa.sun_path) - 1);
	for (int i = 0; i < LOCAL_ALIVE_TRIES && (alive = local_socket_alive(&sa)); i++)
		usleep(LOCAL_ALIVE_PAUSE_US);
	if (alive)
		return why_set(why, EADDRINUSE, "%s: another collector listens on it", path);
	if (lstat(path, &status) == 0 && S_ISSOCK(status.st_mode))
		unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* Who may is told by the kernel for each connection, not by the mode of the file. */
	if (fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 &&
		chmod(path, 0666) == 0 && listen(fd, 64) == 0)
		return fd;
	error = errno;
	if (fd >= 0)
		close(fd);
	return why_set(why, error, "cannot listen on %s: %s%s", path, strerror(error),
		error == ENOENT ? "; its directory must be there" : "");
}
