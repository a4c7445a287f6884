// SPDX-License-Identifier: GPL-2.0-or-later
/* What a descriptor is, compared with what the manifest says it is. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervise/manifest.h"

enum type {
	NOTHING,
	REGULAR,
	MEMORY, /* a memfd that cannot be changed in size */
	EVENT,
	PIPE,
	LISTENER4,
	LISTENER6,
	LISTENER, /* of either family */
	CONTROL,
};

static const enum type expected[MANIFEST_KINDS][MANIFEST_FDS] = {
	[MANIFEST_PARENT] = {REGULAR, REGULAR, MEMORY},
	[MANIFEST_COUNTERS_OLDER] = {REGULAR},
	[MANIFEST_LISTENER] = {LISTENER4, LISTENER6},
	[MANIFEST_GATEWAY] = {LISTENER},
	[MANIFEST_RING] = {MEMORY, EVENT, EVENT, PIPE},
	[MANIFEST_GENERATION] = {MEMORY, REGULAR, MEMORY, MEMORY},
	[MANIFEST_PROCESS] = {CONTROL},
};

static int socket_option(int fd, int option)
{
	socklen_t len = sizeof(int);
	int value;

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 ? value : -1;
}

static bool is_listener(int fd, int family)
{
	return socket_option(fd, SO_ACCEPTCONN) == 1 &&
	       socket_option(fd, SO_PROTOCOL) == IPPROTO_TCP &&
	       socket_option(fd, SO_DOMAIN) == family;
}

static bool is_event(int fd)
{
	char path[32], target[32] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, target, sizeof(target) - 1) > 0 &&
	       strcmp(target, "anon_inode:[eventfd]") == 0;
}

static bool is_memory(int fd)
{
	const int wanted = F_SEAL_SHRINK | F_SEAL_GROW;
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & wanted) == wanted;
}

static bool is(int fd, enum type type)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	switch (type) {
	case REGULAR:
		return S_ISREG(st.st_mode);
	case MEMORY:
		return is_memory(fd);
	case EVENT:
		return is_event(fd);
	case PIPE:
		return S_ISFIFO(st.st_mode);
	case LISTENER4:
		return is_listener(fd, AF_INET);
	case LISTENER6:
		return is_listener(fd, AF_INET6);
	case LISTENER:
		return is_listener(fd, AF_INET) || is_listener(fd, AF_INET6);
	case CONTROL:
		return socket_option(fd, SO_DOMAIN) == AF_UNIX &&
		       socket_option(fd, SO_TYPE) == SOCK_SEQPACKET;
	case NOTHING:
		break;
	}
	return false;
}

int manifest_check_fds(const struct manifest *manifest, struct why *why)
{
	for (size_t i = 0; i < manifest->n; i++) {
		const struct manifest_record *record = &manifest->records[i];

		for (size_t j = 0; j < MANIFEST_FDS; j++) {
			if (record->fds[j] >= 0 && !is(record->fds[j], expected[record->kind][j]))
				return why_set(why, EINVAL,
					"handover: descriptor %d is not what record %zu (%s) says",
					record->fds[j], i, manifest_kind_name(record->kind));
		}
	}
	return 0;
}

void manifest_inherit(const struct manifest *manifest, bool inherit)
{
	for (size_t i = 0; i < manifest->n; i++)
		for (size_t j = 0; j < MANIFEST_FDS; j++)
			if (manifest->records[i].fds[j] >= 0)
				(void)fcntl(manifest->records[i].fds[j], F_SETFD,
					inherit ? 0 : FD_CLOEXEC);
}
