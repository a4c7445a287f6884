// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/boot_fds.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The names that do not depend on the configuration: a worker has the most. */
#define FDS_FIXED 16

int boot_fds_open(struct boot_fds *fds, size_t nbackends)
{
	size_t most = FDS_FIXED + nbackends;

	*fds = (struct boot_fds){
		.fds = calloc(most, sizeof(*fds->fds)),
		.made = calloc(most, sizeof(*fds->made)),
		.names = calloc(most, sizeof(*fds->names)),
	};
	return fds->fds && fds->made && fds->names ? 0 : -ENOMEM;
}

void boot_fds_close(struct boot_fds *fds)
{
	for (size_t i = 0; i < fds->nmade; i++)
		close(fds->made[i]);
	for (size_t i = 0; i < fds->nnames; i++)
		free(fds->names[i]);
	free(fds->names);
	free(fds->made);
	free(fds->fds);
}

void boot_fds_add(struct boot_fds *fds, const char *name, int fd)
{
	if (fd >= 0)
		fds->fds[fds->nfds++] = (struct process_fd){name, fd};
}

void boot_fds_own(struct boot_fds *fds, const char *name, int fd)
{
	if (fd < 0) {
		if (!fds->error)
			fds->error = fd;
		return;
	}
	fds->made[fds->nmade++] = fd;
	boot_fds_add(fds, name, fd);
}

void boot_fds_reopen(struct boot_fds *fds, const char *name, int fd)
{
	boot_fds_own(fds, name, process_reopen(fd));
}

const char *boot_fds_name(struct boot_fds *fds, const char *format, ...)
{
	va_list arguments;
	char *name;
	int n;

	va_start(arguments, format);
	n = vasprintf(&name, format, arguments);
	va_end(arguments);
	if (n < 0) {
		fds->error = -ENOMEM;
		return "";
	}
	fds->names[fds->nnames++] = name;
	return name;
}
