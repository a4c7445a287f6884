// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t own_namespace(void)
{
	struct stat st;

	return stat("/proc/thread-self/ns/net", &st) == 0 ? (uint64_t)st.st_ino : 0;
}

void attached_select(const struct pins *pins, struct attached *attached)
{
	struct bpf_link_info info = {0};
	uint32_t len = sizeof(info);
	int fd = pins_get(pins, PIN_SELECT);

	memset(attached, 0, sizeof(*attached));
	if (fd < 0)
		return;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && info.type == BPF_LINK_TYPE_NETNS &&
		info.netns.netns_ino == own_namespace())
		attached_program(info.prog_id, attached);
	close(fd);
}

int attach_select(const struct pins *pins, int program, struct why *why)
{
	int namespace, link;

	link = link_adopt(pins, PIN_SELECT, BPF_LINK_TYPE_NETNS, own_namespace(), program);
	if (link >= 0)
		return link;
	namespace = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (namespace < 0)
		return why_set(why, errno, "/proc/thread-self/ns/net: %s", strerror(errno));
	link = bpf_link_create(program, namespace, BPF_SK_LOOKUP, NULL);
	close(namespace);
	if (link < 0)
		return why_set(why, -link,
			"the socket selection program cannot be attached to this network "
			"namespace: %s",
			strerror(-link));
	return link_pin(pins, PIN_SELECT, link, why);
}
