/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "kernel/netlink.h"
#include "kernel/programs.h"

static void attached_program(uint32_t id, struct attached *attached)
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

void attached_account(int ifindex, struct attached *attached)
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

void attached_steer(int ifindex, struct attached *attached)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = STEER_HANDLE, .priority = STEER_PRIORITY);

	memset(attached, 0, sizeof(*attached));
	if (bpf_tc_query(&hook, &options) == 0)
		attached_program(options.prog_id, attached);
}

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

void detach_link(const struct pins *pins, const char *name)
{
	int fd = pins_get(pins, name);

	if (fd >= 0) {
		bpf_link_detach(fd);
		close(fd);
	}
	pins_drop(pins, name);
}

/* The link that an earlier life pinned, now with the new program: fd. Or -ENOENT, after a pin that
 * does not fit (interface gone, another namespace) was dropped. */
static int link_adopt(
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
		place == (type == BPF_LINK_TYPE_XDP ? info.xdp.ifindex : info.netns.netns_ino) &&
		bpf_link_update(fd, program, NULL) == 0)
		return fd;
	close(fd);
	detach_link(pins, name);
	return -ENOENT;
}

static int link_pin(const struct pins *pins, const char *name, int link, struct why *why)
{
	int error = pins_put(pins, name, link);

	if (!error)
		return link;
	close(link);
	return why_set(
		why, -error, "%s/%s cannot be pinned: %s", pins->directory, name, strerror(-error));
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
		"dev %s xdp off), or account in TC with datapath.xdp: off",
		interface, now->name[0] ? now->name : "unnamed", now->program, interface);
}

static uint32_t pinned_account(const struct pins *pins, int ifindex)
{
	struct bpf_link_info info = {0};
	uint32_t len = sizeof(info);
	int fd = pins_get(pins, PIN_ACCOUNT);

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

	attached_account(ifindex, &now);
	if (!now.there || now.program == pinned_account(pins, ifindex))
		return 0;
	if (strcmp(now.name, PROGRAM_ACCOUNT) == 0)
		return why_set(why, EBUSY,
			"another appliance is attached to %s (XDP program %u), with another "
			"datapath.bpf_directory",
			interface, now.program);
	return mode == CONFIG_XDP_OFF ? 0 : xdp_foreign(interface, &now, why);
}

static bool mode_fits(enum config_xdp wanted, const char *mode)
{
	return wanted == CONFIG_XDP_AUTO ||
	       strcmp(mode, wanted == CONFIG_XDP_NATIVE ? "native" : "generic") == 0;
}

static int xdp_attach(
	const char *interface, int ifindex, enum config_xdp mode, int program, struct why *why)
{
	int link = -EOPNOTSUPP;

	if (mode != CONFIG_XDP_GENERIC)
		link = xdp_link(ifindex, program, XDP_FLAGS_DRV_MODE);
	if (link >= 0 || link == -EBUSY || link == -EPERM)
		return link;
	if (mode == CONFIG_XDP_NATIVE)
		return why_set(why, -link,
			"%s takes no native XDP program: %s (%s); datapath.xdp: auto falls back to "
			"generic",
			interface, strerror(-link), xdp_hint(link));
	if (mode == CONFIG_XDP_AUTO)
		log_warning("%s takes no native XDP program: %s (%s). Accounting uses generic XDP, "
			    "which costs more per packet and counts merged packets as one",
			interface, strerror(-link), xdp_hint(link));
	link = xdp_link(ifindex, program, XDP_FLAGS_SKB_MODE);
	if (link < 0 && link != -EBUSY && link != -EPERM)
		return why_set(why, -link,
			"%s takes no XDP program, native or generic: %s (%s); datapath.xdp: off "
			"accounts in TC",
			interface, strerror(-link), xdp_hint(link));
	return link;
}

int attach_account(const struct pins *pins, const char *interface, int ifindex,
	enum config_xdp mode, int program, struct why *why)
{
	struct attached now;
	int link;

	attached_account(ifindex, &now);
	if (now.there && strcmp(now.name, PROGRAM_ACCOUNT) == 0 && !mode_fits(mode, now.mode))
		detach_link(pins, PIN_ACCOUNT);
	link = link_adopt(pins, PIN_ACCOUNT, BPF_LINK_TYPE_XDP, (uint64_t)ifindex, program);
	if (link >= 0)
		return link;
	link = xdp_attach(interface, ifindex, mode, program, why);
	if (link == -EBUSY) {
		attached_account(ifindex, &now);
		return xdp_foreign(interface, &now, why);
	}
	if (link == -EPERM)
		return why_set(why, EPERM, "%s: no right to attach XDP", interface);
	return link < 0 ? link : link_pin(pins, PIN_ACCOUNT, link, why);
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

int attach_steer(const char *interface, int ifindex, int program, bool *made, struct why *why)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = STEER_HANDLE, .priority = STEER_PRIORITY,
		.prog_fd = program, .flags = BPF_TC_F_REPLACE);
	struct attached now;
	int error = bpf_tc_hook_create(&hook);

	if (error && error != -EEXIST)
		return why_set(why, -error,
			"%s takes no clsact qdisc: %s; the kernel needs CONFIG_NET_SCH_INGRESS and "
			"CONFIG_NET_CLS_BPF",
			interface, strerror(-error));
	if (!error)
		*made = true;
	attached_steer(ifindex, &now);
	if (now.there && strcmp(now.name, PROGRAM_STEER) != 0)
		return why_set(why, EBUSY,
			"%s has a filter of somebody else in our place (TC ingress, priority %d, "
			"handle %#x): %s, id %u",
			interface, STEER_PRIORITY, STEER_HANDLE, now.name, now.program);
	error = bpf_tc_attach(&hook, &options);
	if (error)
		return why_set(why, -error,
			"%s takes no TC filter: %s; is there a filter of another kind at priority "
			"%d (tc filter show dev %s ingress)?",
			interface, strerror(-error), STEER_PRIORITY, interface);
	return 0;
}

static void filter_seen(void *context, const struct nlmsghdr *header)
{
	size_t *filters = context;

	*filters += header->nlmsg_type == RTM_NEWTFILTER;
}

static bool clsact_empty(int netlink, int ifindex)
{
	static const uint32_t parents[] = {
		TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)};
	size_t filters = 0;

	for (size_t i = 0; i < sizeof(parents) / sizeof(parents[0]); i++) {
		const struct tcmsg fixed = {.tcm_ifindex = ifindex, .tcm_parent = parents[i]};
		struct netlink_request request;

		netlink_start(&request, RTM_GETTFILTER, 0, &fixed, sizeof(fixed));
		if (netlink_dump(netlink, &request, filter_seen, &filters) < 0)
			return false;
	}
	return filters == 0;
}

void detach_steer(int netlink, int ifindex, bool made)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = STEER_HANDLE, .priority = STEER_PRIORITY);
	struct attached now;

	attached_steer(ifindex, &now);
	if (now.there && strcmp(now.name, PROGRAM_STEER) == 0)
		bpf_tc_detach(&hook, &options);
	if (!made || !clsact_empty(netlink, ifindex))
		return;
	hook.attach_point = (enum bpf_tc_attach_point)(BPF_TC_INGRESS | BPF_TC_EGRESS);
	bpf_tc_hook_destroy(&hook);
}
