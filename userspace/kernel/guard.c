// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/guard.h"

#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "kernel/attach.h"

/* ARPHRD_…, or -1. */
static int hardware_of(const char *name)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {0};
	int type = -1;

	if (fd < 0)
		return -1;
	memcpy(request.ifr_name, name, strlen(name) + 1);
	if (ioctl(fd, SIOCGIFHWADDR, &request) == 0)
		type = request.ifr_hwaddr.sa_family;
	close(fd);
	return type;
}

static bool is_guarded(int hardware)
{
	return hardware >= 0 && hardware != ARPHRD_LOOPBACK;
}

int guard_attach(struct guard *guard, int ifindex)
{
	char name[IF_NAMESIZE];
	struct why why = {""};
	bool made = false;
	int type, link, error;

	if (!if_indextoname((unsigned)ifindex, name))
		return 0;
	type = hardware_of(name);
	if (!is_guarded(type))
		return 0;
	error = attach_tc(guard->pins, name, ifindex, TC_GUARD,
		type == ARPHRD_ETHER ? guard->ethernet_fd : guard->bare_fd, &link, &made, &why);
	if (made && guard->nmade < GUARD_QDISCS_MAX)
		guard->made[guard->nmade++] = ifindex;
	/* The pin holds it. */
	if (!error && link >= 0)
		close(link);
	/* It may have gone meanwhile. */
	if (error && if_indextoname((unsigned)ifindex, name))
		log_warning("calls to AI endpoints that leave by %s past datapath.inside are not "
			    "seen: %s",
			name, why.text);
	return error;
}

static void each_interface(struct guard *guard, void (*act)(struct guard *guard, int ifindex))
{
	struct if_nameindex *interfaces = if_nameindex();

	if (!interfaces) {
		log_warning("the interfaces cannot be listed: %s", strerror(errno));
		return;
	}
	for (size_t i = 0; interfaces[i].if_index; i++)
		act(guard, (int)interfaces[i].if_index);
	if_freenameindex(interfaces);
}

static void attach_one(struct guard *guard, int ifindex)
{
	(void)guard_attach(guard, ifindex);
}

static void detach_one(struct guard *guard, int ifindex)
{
	bool made = false;

	for (unsigned i = 0; i < guard->nmade; i++)
		made = made || guard->made[i] == ifindex;
	detach_tc(guard->pins, guard->netlink, ifindex, TC_GUARD, made);
}

void guard_attach_all(struct guard *guard)
{
	each_interface(guard, attach_one);
}

void guard_detach_all(struct guard *guard)
{
	each_interface(guard, detach_one);
}

void guard_look(const struct pins *pins, struct guard_state *state)
{
	struct if_nameindex *interfaces = if_nameindex();

	*state = (struct guard_state){.interfaces = 0};
	for (size_t i = 0; interfaces && interfaces[i].if_index; i++) {
		struct attached attached;

		if (!is_guarded(hardware_of(interfaces[i].if_name)))
			continue;
		state->interfaces++;
		attached_tc(pins, (int)interfaces[i].if_index, TC_GUARD, &attached);
		if (attached.there) {
			state->guarded++;
			state->attached = attached;
		} else {
			memcpy(state->unguarded, interfaces[i].if_name,
				strnlen(interfaces[i].if_name, IF_NAMESIZE - 1) + 1);
		}
	}
	if_freenameindex(interfaces);
}
