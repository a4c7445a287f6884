// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/text_memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

int text_memfd(struct slice text, struct why *why)
{
	int fd = memfd_create("sallyport-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return why_set(why, errno, "configuration: cannot make its memory file: %m");
	if (pwrite(fd, text.data, text.len, 0) != (ssize_t)text.len ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) <
			0) {
		close(fd);
		return why_set(why, EIO, "configuration: cannot keep its text");
	}
	return fd;
}
