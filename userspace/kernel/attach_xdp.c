// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "kernel/programs.h"

void attached_admit(int ifindex, struct attached *attached)
{
	static const char *const modes[] = {
		[XDP_ATTACHED_DRV] = "native",
		[XDP_ATTACHED_SKB] = "generic",
		[XDP_ATTACHED_HW] = "offload",
		[XDP_ATTACHED_MULTI] = "several",
	};
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	uint32_t id;

	memset(attached, 0, sizeof(*attached));
	if (bpf_xdp_query(ifindex, 0, &query) < 0)
		return;
	id = query.prog_id	 ? query.prog_id
	     : query.drv_prog_id ? query.drv_prog_id
	     : query.skb_prog_id ? query.skb_prog_id
				 : query.hw_prog_id;
	attached_program(id, attached);
	if (attached->there && query.attach_mode < sizeof(modes) / sizeof(modes[0]) &&
		modes[query.attach_mode])
		snprintf(attached->mode, sizeof(attached->mode), "%s", modes[query.attach_mode]);
}

static const char *xdp_hint(int error)
{
	switch (error) {
	case -EOPNOTSUPP:
		return "the driver has no XDP, or LRO is on (ethtool -K … lro off)";
	case -EINVAL:
	case -ERANGE:
	case -E2BIG:
		return "the MTU may be too large for XDP, or guest offloads are on";
	case -ENOMEM:
	case -ENOSPC:
		return "the driver has no queues or memory left for XDP";
	default:
		return "see the kernel log";
	}
}

static int xdp_link(int ifindex, int program, uint32_t flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flags);

	return bpf_link_create(program, ifindex, BPF_XDP, &options);
}

static int xdp_foreign(const char *interface, const struct attached *now, struct why *why)
{
	return why_set(why, EBUSY,
		"%s has an XDP program of somebody else already: %s, id %u; detach it (ip link set "
		"dev %s xdp off), or leave XDP alone with datapath.xdp: off",
		interface, now->name[0] ? now->name : "unnamed", now->program, interface);
}

static uint32_t pinned_admit(const struct pins *pins, int ifindex)
{
	struct bpf_link_info info = {0};
	uint32_t len = sizeof(info);
	int fd = pins_get(pins, PIN_ADMIT);

	if (fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0 || info.type != BPF_LINK_TYPE_XDP ||
		info.xdp.ifindex != (uint32_t)ifindex)
		info.prog_id = 0;
	close(fd);
	return info.prog_id;
}

int attach_check(const struct pins *pins, const char *interface, int ifindex, enum config_xdp mode,
	struct why *why)
{
	struct attached now;

	attached_admit(ifindex, &now);
	if (!now.there || now.program == pinned_admit(pins, ifindex))
		return attach_tc_check(pins, interface, ifindex, why);
	if (strcmp(now.name, PROGRAM_ADMIT) == 0)
		return why_set(why, EBUSY,
			"another appliance is attached to %s (XDP program %u), with another "
			"datapath.bpf_directory",
			interface, now.program);
	return mode == CONFIG_XDP_OFF ? attach_tc_check(pins, interface, ifindex, why)
				      : xdp_foreign(interface, &now, why);
}

static bool mode_fits(enum config_xdp wanted, const char *mode)
{
	return strcmp(mode, wanted == CONFIG_XDP_GENERIC ? "generic" : "native") == 0;
}

/* fd of the link, or a negative errno: for -EBUSY and -EPERM without why. */
static int xdp_attach(
	const char *interface, int ifindex, enum config_xdp mode, int program, struct why *why)
{
	bool generic = mode == CONFIG_XDP_GENERIC;
	int link = xdp_link(ifindex, program, generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE);

	if (link >= 0 || link == -EBUSY || link == -EPERM || mode == CONFIG_XDP_AUTO)
		return link;
	return why_set(why, -link, "%s takes no %s XDP program: %s (%s); with datapath.xdp: %s",
		interface, generic ? "generic" : "native", strerror(-link), xdp_hint(link),
		generic ? "off, TC does its work" : "auto, TC does its work in such a case");
}

int attach_admit(const struct pins *pins, const char *interface, int ifindex, enum config_xdp mode,
	int program, int *link, struct why *why)
{
	struct attached now;

	*link = -1;
	attached_admit(ifindex, &now);
	if (mode == CONFIG_XDP_OFF ||
		(now.there && strcmp(now.name, PROGRAM_ADMIT) == 0 && !mode_fits(mode, now.mode)))
		link_detach(pins, PIN_ADMIT);
	if (mode == CONFIG_XDP_OFF)
		return XDP_MODE_OFF;
	*link = link_adopt(pins, PIN_ADMIT, BPF_LINK_TYPE_XDP, (uint64_t)ifindex, program);
	if (*link < 0) {
		*link = xdp_attach(interface, ifindex, mode, program, why);
		if (*link >= 0)
			*link = link_pin(pins, PIN_ADMIT, *link, why);
	}
	if (*link >= 0)
		return mode == CONFIG_XDP_GENERIC ? XDP_MODE_GENERIC : XDP_MODE_NATIVE;
	if (*link == -EBUSY) {
		attached_admit(ifindex, &now);
		return xdp_foreign(interface, &now, why);
	}
	if (*link == -EPERM)
		return why_set(why, EPERM, "%s: no right to attach XDP", interface);
	if (mode != CONFIG_XDP_AUTO)
		return *link;
	log_warning(
		"%s takes no native XDP program: %s (%s). TC admits packets instead, which costs "
		"more for those that are dropped",
		interface, strerror(-*link), xdp_hint(*link));
	*link = -1;
	return XDP_MODE_OFF;
}
