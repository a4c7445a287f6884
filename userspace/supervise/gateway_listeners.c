// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/gateway_listeners.h"

#include <errno.h>
#include <unistd.h>

#include "kernel/datapath.h"

#define ROOM (sizeof(((struct gateway_listeners *)0)->each) / sizeof(struct gateway_listener))

int gateway_listeners_adopt(struct gateway_listeners *listeners, int fd)
{
	struct gateway_listener *listener = &listeners->each[listeners->n];
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);

	if (listeners->n == ROOM)
		return -ENOSPC;
	if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return -errno;
	if (address_port_from_sockaddr(&listener->at, (struct sockaddr *)&address))
		return -EAFNOSUPPORT;
	listener->fd = fd;
	listeners->n++;
	return 0;
}

int gateway_listeners_open(
	struct gateway_listeners *listeners, const struct config *config, struct why *why)
{
	for (size_t i = 0; i < config->gateway.nlisten; i++) {
		const struct address_port *at = &config->gateway.listen[i];
		int fd;

		if (gateway_listeners_find(listeners, at) >= 0)
			continue;
		if (listeners->n == ROOM)
			return why_set(why, ENOSPC, "gateway.listen: too many addresses at a time");
		fd = datapath_gateway(config, at, why);
		if (fd < 0)
			return fd;
		listeners->each[listeners->n++] = (struct gateway_listener){*at, fd};
	}
	return 0;
}

void gateway_listeners_keep(struct gateway_listeners *listeners, const struct config *config)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < listeners->n; i++) {
		struct gateway_listener listener = listeners->each[i];

		if (config && config_gateway_at(config, &listener.at))
			listeners->each[kept++] = listener;
		else
			close(listener.fd);
	}
	listeners->n = kept;
}

int gateway_listeners_find(const struct gateway_listeners *listeners, const struct address_port *at)
{
	for (unsigned i = 0; i < listeners->n; i++)
		if (listeners->each[i].at.port == at->port &&
			address_equal(&listeners->each[i].at.address, &at->address))
			return listeners->each[i].fd;
	return -1;
}
