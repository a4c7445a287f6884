/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel/datapath.h"

#define BACKLOG 4096 /* net.core.somaxconn cuts it */

static int option_on(int fd, int level, int option)
{
	int on = 1;

	return setsockopt(fd, level, option, &on, sizeof(on));
}

/* Without IP_TRANSPARENT the kernel drops connections whose address is not its own. No
 * SO_REUSEPORT: sk_lookup refuses such sockets on kernel 6.1. */
static int listener_prepare(int fd, int family)
{
	if (option_on(fd, SOL_SOCKET, SO_REUSEADDR) < 0)
		return -errno;
	if (family == AF_INET6 && option_on(fd, IPPROTO_IPV6, IPV6_V6ONLY) < 0)
		return -errno;
	if (family == AF_INET6 ? option_on(fd, IPPROTO_IPV6, IPV6_TRANSPARENT) < 0
			       : option_on(fd, IPPROTO_IP, IP_TRANSPARENT) < 0)
		return -errno;
	return 0;
}

/* The socket of the workers' user, as the rules that say where they may go know them by: a worker could
 * connect with it (connect(2) to AF_UNSPEC ends the listening). */
static int socket_of(uid_t uid, int family)
{
	uid_t before = (uid_t)setfsuid(uid);
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error = errno;

	setfsuid(before);
	errno = error;
	return fd;
}

int datapath_listener(const struct config *config, unsigned worker, int family, struct why *why)
{
	unsigned port = config->datapath.listen_base + worker;
	struct sockaddr_in6 address6 = {
		.sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)port),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT,
	};
	struct sockaddr_in address4 = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	const char *name = family == AF_INET6 ? "::1" : "127.0.0.1";
	int fd, error;

	if (port > UINT16_MAX || worker >= WORKERS_MAX)
		return why_set(why, EINVAL, "worker %u has no port: datapath.listen_base is %u",
			worker, config->datapath.listen_base);
	fd = socket_of(config->processes.worker.uid, family);
	if (fd < 0)
		return errno == EAFNOSUPPORT ? -EAFNOSUPPORT
					     : why_set(why, errno, "socket: %s", strerror(errno));
	error = listener_prepare(fd, family);
	if (error) {
		why_set(why, -error, "listener %s:%u cannot be made transparent: %s%s", name, port,
			strerror(-error), error == -EPERM ? "; CAP_NET_ADMIN is needed" : "");
		goto fail;
	}
	error = bind(fd,
		family == AF_INET6 ? (struct sockaddr *)&address6 : (struct sockaddr *)&address4,
		family == AF_INET6 ? sizeof(address6) : sizeof(address4));
	error = error < 0 || listen(fd, BACKLOG) < 0 ? -errno : 0;
	if (error == -EADDRNOTAVAIL && family == AF_INET6) {
		error = -EAFNOSUPPORT;
		goto fail;
	}
	if (error) {
		why_set(why, -error, "listener %s:%u: %s%s", name, port, strerror(-error),
			error == -EADDRINUSE
				? "; a worker of an earlier start may still be draining, "
				  "or choose another datapath.listen_base"
				: "");
		goto fail;
	}
	return fd;
fail:
	close(fd);
	return error;
}

int datapath_gateway(const struct config *config, const struct address_port *at, struct why *why)
{
	struct sockaddr_storage address;
	socklen_t len = address_port_to_sockaddr(at, &address);
	int fd = socket_of(config->processes.worker.uid, address.ss_family), error;

	if (fd < 0)
		return why_set(why, errno, "gateway.listen: socket: %s", strerror(errno));
	if (option_on(fd, SOL_SOCKET, SO_REUSEADDR) == 0 &&
		bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	error = errno;
	close(fd);
	return why_set(why, error, "gateway.listen: %s: %s%s", address_port_format(at).text,
		strerror(error),
		error == EADDRNOTAVAIL ? "; no interface of this machine has it"
		: error == EADDRINUSE  ? "; another program listens there"
				       : "");
}
