// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/boot_fds.h"

#include <assert.h>
#include <unistd.h>

void boot_fds_close(struct boot_fds *fds)
{
	for (size_t i = 0; i < fds->nmade; i++)
		close(fds->made[i]);
}

void boot_fds_add(struct boot_fds *fds, const char *name, int fd)
{
	if (fd < 0)
		return;
	assert(fds->nfds < BOOT_FDS_ROOM);
	fds->fds[fds->nfds++] = (struct process_fd){name, fd};
}

void boot_fds_own(struct boot_fds *fds, const char *name, int fd)
{
	if (fd < 0) {
		if (!fds->error)
			fds->error = fd;
		return;
	}
	assert(fds->nmade < BOOT_FDS_ROOM);
	fds->made[fds->nmade++] = fd;
	boot_fds_add(fds, name, fd);
}

void boot_fds_reopen(struct boot_fds *fds, const char *name, int fd)
{
	boot_fds_own(fds, name, process_reopen(fd));
}
