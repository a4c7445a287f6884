// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/guard_watch.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <ev.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"
#include "kernel/programs.h"
#include "supervise/accounting.h"
#include "supervise/parent.h"

#define LOOK_S	    1.
#define AGAIN_NS    (10 * NS_PER_S) /* between two reports of one interface */
#define MESSAGE_MAX 32768

/* What was told of one interface. */
struct told {
	uint32_t ifindex; /* 0: free */
	uint64_t passed, refused, again_ns;
};

struct guard_watch {
	struct parent *parent;
	ev_io links;
	ev_timer look;
	struct told told[BESIDE_INTERFACES_MAX];
};

/* ---- interfaces that come ---- */

static void on_links(struct ev_loop *loop, ev_io *input, int events)
{
	struct guard_watch *watch = input->data;
	_Alignas(struct nlmsghdr) char memory[MESSAGE_MAX];
	ssize_t got;

	(void)loop;
	(void)events;
	got = recv(input->fd, memory, sizeof(memory), MSG_DONTWAIT);
	/* Some were lost. */
	if (got < 0 && errno == ENOBUFS)
		datapath_guard(watch->parent->datapath, 0);
	if (got <= 0)
		return;
	for (const struct nlmsghdr *header = (const void *)memory; NLMSG_OK(header, (size_t)got);
		header = NLMSG_NEXT(header, got)) {
		const struct ifinfomsg *link = NLMSG_DATA(header);

		if (header->nlmsg_type == RTM_NEWLINK &&
			header->nlmsg_len >= NLMSG_LENGTH(sizeof(*link)))
			datapath_guard(watch->parent->datapath, link->ifi_index);
	}
}

static int links_open(void)
{
	const struct sockaddr_nl name = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd >= 0 && bind(fd, (const struct sockaddr *)&name, sizeof(name)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -errno;
}

/* ---- what went past ---- */

static struct told *told_of(struct guard_watch *watch, uint32_t ifindex)
{
	struct told *free = NULL;

	for (size_t i = 0; i < BESIDE_INTERFACES_MAX; i++) {
		if (watch->told[i].ifindex == ifindex)
			return &watch->told[i];
		if (!free && !watch->told[i].ifindex)
			free = &watch->told[i];
	}
	if (free)
		free->ifindex = ifindex;
	return free;
}

static void tell(struct guard_watch *watch, struct told *told, const struct beside *beside)
{
	const struct config_datapath *config = &watch->parent->current->config->datapath;
	char name[IF_NAMESIZE] = "", subject[48], reason[256];
	struct address source, destination;

	memcpy(&source, &beside->source, sizeof(source));
	memcpy(&destination, &beside->destination, sizeof(destination));
	if (!if_indextoname(told->ifindex, name))
		snprintf(name, sizeof(name), "%u", told->ifindex);
	snprintf(subject, sizeof(subject), "interface %s", name);
	snprintf(reason, sizeof(reason),
		"to AI endpoints past the gate %s, which is datapath.inside: %llu packets refused, "
		"%llu passed, of %s to %s and others",
		config->inside, beside->refused - told->refused, beside->passed - told->passed,
		address_format(&source).text, address_format(&destination).text);
	log_warning("%s: %s", subject, reason);
	accounting_state(watch->parent->accounting, subject, "beside", reason);
}

static void look(struct guard_watch *watch, uint32_t ifindex, const struct beside *beside)
{
	struct told *told = told_of(watch, ifindex);
	uint64_t now_ns = clock_monotonic_ns();

	if (!told || (told->passed == beside->passed && told->refused == beside->refused) ||
		now_ns < told->again_ns)
		return;
	tell(watch, told, beside);
	told->passed = beside->passed;
	told->refused = beside->refused;
	told->again_ns = now_ns + AGAIN_NS;
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct guard_watch *watch = timer->data;
	const struct map_fds *maps = datapath_maps(watch->parent->datapath);
	uint32_t key, next;
	struct beside beside;
	bool more;

	(void)loop;
	(void)events;
	if (!maps || !watch->parent->current)
		return;
	more = bpf_map_get_next_key(maps->beside_interfaces, NULL, &next) == 0;
	for (unsigned i = 0; more && i < BESIDE_INTERFACES_MAX; i++) {
		key = next;
		more = bpf_map_get_next_key(maps->beside_interfaces, &key, &next) == 0;
		if (bpf_map_lookup_elem(maps->beside_interfaces, &key, &beside) == 0)
			look(watch, key, &beside);
	}
}

int guard_watch_new(struct parent *parent, struct guard_watch **made, struct why *why)
{
	struct guard_watch *watch = calloc(1, sizeof(*watch));
	int fd = links_open();

	*made = NULL;
	if (!watch || fd < 0) {
		free(watch);
		if (fd >= 0)
			close(fd);
		return why_set(why, fd < 0 ? -fd : ENOMEM, "the interfaces cannot be watched");
	}
	watch->parent = parent;
	ev_io_init(&watch->links, on_links, fd, EV_READ);
	ev_timer_init(&watch->look, on_look, LOOK_S, LOOK_S);
	watch->links.data = watch->look.data = watch;
	ev_io_start(parent->loop, &watch->links);
	ev_timer_start(parent->loop, &watch->look);
	*made = watch;
	return 0;
}

void guard_watch_free(struct guard_watch *watch)
{
	if (!watch)
		return;
	ev_io_stop(watch->parent->loop, &watch->links);
	ev_timer_stop(watch->parent->loop, &watch->look);
	close(watch->links.fd);
	free(watch);
}
