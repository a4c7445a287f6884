// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/link.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void attached_program(uint32_t id, struct attached *attached)
{
	struct bpf_prog_info info = {0};
	uint32_t len = sizeof(info);
	int fd;

	errno = 0;
	fd = id ? bpf_prog_get_fd_by_id(id) : -1;
	attached->there = id != 0;
	attached->hidden = fd < 0 && errno == EPERM;
	attached->program = id;
	if (fd < 0)
		return;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0) {
		snprintf(attached->name, sizeof(attached->name), "%.15s", info.name);
		attached->loaded_ns = info.load_time;
	}
	close(fd);
}

void link_detach(const struct pins *pins, const char *name)
{
	int fd = pins_get(pins, name);

	if (fd >= 0) {
		bpf_link_detach(fd);
		close(fd);
	}
	pins_drop(pins, name);
}

int link_adopt(
	const struct pins *pins, const char *name, uint32_t type, uint64_t place, int program)
{
	struct bpf_link_info info = {0};
	uint32_t len = sizeof(info);
	int fd = pins_get(pins, name);

	if (fd < 0) {
		pins_drop(pins, name);
		return -ENOENT;
	}
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && info.type == type &&
		/* The interface's index stands first in XDP's and TCX's part, the inode in netns'.
		 */
		place == info.xdp.ifindex && bpf_link_update(fd, program, NULL) == 0)
		return fd;
	close(fd);
	link_detach(pins, name);
	return -ENOENT;
}

int link_pin(const struct pins *pins, const char *name, int link, struct why *why)
{
	int error = pins_put(pins, name, link);

	if (!error)
		return link;
	close(link);
	return why_set(
		why, -error, "%s/%s cannot be pinned: %s", pins->directory, name, strerror(-error));
}
