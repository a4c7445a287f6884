// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel/netlink.h"
#include "kernel/programs.h"

/* Of linux/bpf.h from 6.6 on. */
enum { TCX_INGRESS = 46, TCX_EGRESS = 47, TCX_LINK = 11, TCX_BEFORE = 1 << 3 };
/* The kernel takes no more at one place. */
#define TCX_PROGRAMS_MAX 64

static const struct side {
	const char *pin, *program, *where;
	enum bpf_tc_attach_point clsact;
	unsigned tcx;
	uint32_t handle;
	bool many; /* there is one on each interface */
} sides[] = {
	[TC_STEER] = {PIN_STEER, PROGRAM_STEER, "ingress", BPF_TC_INGRESS, TCX_INGRESS,
		STEER_HANDLE, false},
	[TC_REPLY] = {PIN_REPLY, PROGRAM_REPLY, "egress", BPF_TC_EGRESS, TCX_EGRESS, STEER_HANDLE,
		false},
	[TC_GUARD] = {PIN_GUARD, PROGRAM_GUARD, "egress", BPF_TC_EGRESS, TCX_EGRESS, GUARD_HANDLE,
		true},
};

struct pin_name {
	char text[32];
};

static struct pin_name pin_of(const struct side *side, int ifindex)
{
	struct pin_name name;

	if (side->many)
		snprintf(name.text, sizeof(name.text), "%s_%d", side->pin, ifindex);
	else
		snprintf(name.text, sizeof(name.text), "%s", side->pin);
	return name;
}

/* --- clsact --- */

static void filter_attached(int ifindex, const struct side *side, struct attached *attached)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = side->clsact);
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = side->handle, .priority = STEER_PRIORITY);

	memset(attached, 0, sizeof(*attached));
	if (bpf_tc_query(&hook, &options) == 0)
		attached_program(options.prog_id, attached);
	if (attached->there)
		snprintf(attached->mode, sizeof(attached->mode), "clsact");
}

static void filter_detach(int ifindex, const struct side *side)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = side->clsact);
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = side->handle, .priority = STEER_PRIORITY);
	struct attached now;

	filter_attached(ifindex, side, &now);
	if (now.there && strcmp(now.name, side->program) == 0)
		bpf_tc_detach(&hook, &options);
}

static int filter_attach(const char *interface, int ifindex, const struct side *side, int program,
	bool *made, struct why *why)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = side->clsact);
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = side->handle, .priority = STEER_PRIORITY,
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
	filter_attached(ifindex, side, &now);
	if (now.there && strcmp(now.name, side->program) != 0)
		return why_set(why, EBUSY,
			"%s has a filter of somebody else in our place (TC %s, priority %d, "
			"handle %#x): %s, id %u",
			interface, side->where, STEER_PRIORITY, side->handle, now.name,
			now.program);
	error = bpf_tc_attach(&hook, &options);
	if (error)
		return why_set(why, -error,
			"%s takes no TC filter: %s; is there a filter of another kind at priority "
			"%d (tc filter show dev %s %s)?",
			interface, strerror(-error), STEER_PRIORITY, interface, side->where);
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

static void clsact_remove(int netlink, int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		.attach_point = (enum bpf_tc_attach_point)(BPF_TC_INGRESS | BPF_TC_EGRESS));

	if (clsact_empty(netlink, ifindex))
		bpf_tc_hook_destroy(&hook);
}

/* --- TCX --- */

static int tcx_attach(int ifindex, const struct side *side, int program)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = TCX_BEFORE);

	return bpf_link_create(program, ifindex, (enum bpf_attach_type)side->tcx, &options);
}

static void tcx_attached(
	const struct pins *pins, int ifindex, const struct side *side, struct attached *attached)
{
	struct bpf_link_info info = {0};
	uint32_t len = sizeof(info);
	int fd = pins_get(pins, pin_of(side, ifindex).text);

	memset(attached, 0, sizeof(*attached));
	if (fd < 0)
		return;
	/* As XDP's part, TCX's begins with the interface's index: 0 when it is gone. */
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && info.type == TCX_LINK &&
		info.xdp.ifindex == (uint32_t)ifindex) {
		attached_program(info.prog_id, attached);
		snprintf(attached->mode, sizeof(attached->mode), "tcx");
	}
	close(fd);
}

int attach_tc_check(const struct pins *pins, const char *interface, int ifindex, struct why *why)
{
	for (size_t i = 0; i < sizeof(sides) / sizeof(sides[0]); i++) {
		uint32_t ids[TCX_PROGRAMS_MAX], n = TCX_PROGRAMS_MAX;
		struct attached ours, found;

		tcx_attached(pins, ifindex, &sides[i], &ours);
		if (bpf_prog_query(ifindex, (enum bpf_attach_type)sides[i].tcx, 0, NULL, ids, &n) <
			0)
			continue; /* a kernel without TCX */
		for (uint32_t k = 0; k < n; k++) {
			memset(&found, 0, sizeof(found));
			attached_program(ids[k], &found);
			if (ids[k] != ours.program && strcmp(found.name, sides[i].program) == 0)
				return why_set(why, EBUSY,
					"another appliance is attached to %s (TC %s program %u), "
					"with another "
					"datapath.bpf_directory",
					interface, sides[i].where, ids[k]);
		}
	}
	return 0;
}

/* --- both --- */

int attach_tc(const struct pins *pins, const char *interface, int ifindex, enum tc_side which,
	int program, int *link, bool *made, struct why *why)
{
	const struct side *side = &sides[which];
	const struct pin_name name = pin_of(side, ifindex);

	*link = link_adopt(pins, name.text, TCX_LINK, (uint64_t)ifindex, program);
	if (*link < 0) {
		*link = tcx_attach(ifindex, side, program);
		/* A kernel before it, or one whose list is full. */
		if (*link == -EINVAL || *link == -EOPNOTSUPP || *link == -ERANGE) {
			*link = -1;
			return filter_attach(interface, ifindex, side, program, made, why);
		}
		if (*link < 0)
			return why_set(why, -*link, "%s takes no TCX program at its %s: %s",
				interface, side->where, strerror(-*link));
		*link = link_pin(pins, name.text, *link, why);
		if (*link < 0)
			return *link;
	}
	/* Of an earlier version. */
	filter_detach(ifindex, side);
	return 0;
}

void detach_tc(const struct pins *pins, int netlink, int ifindex, enum tc_side which, bool made)
{
	link_detach(pins, pin_of(&sides[which], ifindex).text);
	filter_detach(ifindex, &sides[which]);
	if (made)
		clsact_remove(netlink, ifindex);
}

void attached_tc(const struct pins *pins, int ifindex, enum tc_side side, struct attached *attached)
{
	tcx_attached(pins, ifindex, &sides[side], attached);
	if (!attached->there)
		filter_attached(ifindex, &sides[side], attached);
}
