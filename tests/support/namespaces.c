// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#include "base/address.h"
#include "base/clock.h"

static const char *const names[PLACES] = {"client", "hop", "gate", "server"};

/* In the namespace "gate"; NAME stands for `ip -n NAME`. */
static const char topology[] =
	/* Link-local addresses that work at once. */
	"for n in client hop gate server; do ip netns exec $n sysctl -qw "
	"net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.dad_transmits=0; done;"
	"ip link add c0 netns client type veth peer name c1 netns hop;"
	"ip link add h0 netns hop type veth peer name inside netns gate;"
	"ip link add outside netns gate type veth peer name s0 netns server;"
	"for n in client hop gate server; do ip -n $n link set lo up; done;"
	"a() { case $3 in *:*) set $* nodad;; esac; ip -n $1 link set $2 up;"
	" ip -n $1 address add $3 dev $2 $4; };"
	"a client c0 10.77.1.2/24; a client c0 fd77:1::2/64;"
	"a hop c1 10.77.1.1/24; a hop c1 fd77:1::1/64;"
	"a hop h0 10.77.2.1/24; a hop h0 fd77:2::1/64;"
	"a gate inside 10.77.2.2/24; a gate inside fd77:2::2/64;"
	"a gate outside 10.77.3.1/24; a gate outside fd77:3::1/64;"
	"for i in 2 3 4 5 6 7 8 9; do a server s0 10.77.3.$i/24; a server s0 fd77:3::$i/64; done;"
	"ip -n client route add default via 10.77.1.1;"
	"ip -n client route add default via fd77:1::1;"
	"ip -n hop route add default via 10.77.2.2;"
	"ip -n hop route add default via fd77:2::2;"
	"ip -n gate route add 10.77.1.0/24 via 10.77.2.1;"
	"ip -n gate route add fd77:1::/64 via fd77:2::1;"
	"ip -n server route add default via 10.77.3.1;"
	"ip -n server route add default via fd77:3::1;"
	"for n in hop gate; do ip netns exec $n sysctl -qw net.ipv4.ip_forward=1 "
	"net.ipv6.conf.all.forwarding=1; done";

static void shell(const char *command)
{
	if (system(command) != 0) /* NOLINT: our own text */
		fail_msg("failed: %s", command);
}

void namespaces_enter(const struct namespaces *namespaces, enum place place)
{
	if (setns(namespaces->fds[place], CLONE_NEWNET) < 0)
		fail_msg("setns: %s", strerror(errno));
}

void namespaces_open(struct namespaces *namespaces)
{
	char path[64];

	memset(namespaces, 0, sizeof(*namespaces));
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		fail_msg("no mount namespace: %s; root is needed", strerror(errno));
	/* Named namespaces and pins that only this process sees. */
	mkdir("/run/netns", 0755);
	if (mount("tmpfs", "/run/netns", "tmpfs", 0, "mode=0755") < 0)
		fail_msg("no tmpfs: %s", strerror(errno));
	for (int place = 0; place < PLACES; place++) {
		snprintf(path, sizeof(path), "ip netns add %s", names[place]);
		shell(path);
		snprintf(path, sizeof(path), "/run/netns/%s", names[place]);
		namespaces->fds[place] = open(path, O_RDONLY | O_CLOEXEC);
		if (namespaces->fds[place] < 0)
			fail_msg("%s: %s", path, strerror(errno));
	}
	snprintf(namespaces->bpf, sizeof(namespaces->bpf), "/run/netns/bpf");
	if (mkdir(namespaces->bpf, 0700) < 0 || mount("bpf", namespaces->bpf, "bpf", 0, NULL) < 0)
		fail_msg("no BPF file system: %s", strerror(errno));
	shell(topology);
	namespaces_enter(namespaces, PLACE_GATE);
}

void namespaces_close(struct namespaces *namespaces)
{
	for (int place = 0; place < PLACES; place++)
		close(namespaces->fds[place]);
	umount2(namespaces->bpf, MNT_DETACH);
	umount2("/run/netns", MNT_DETACH);
}

int namespaces_try(const struct namespaces *namespaces, enum place place, const char *command)
{
	char quiet[512];
	int status;

	snprintf(quiet, sizeof(quiet), "{ %s; } >/dev/null 2>&1", command);
	namespaces_enter(namespaces, place);
	status = system(quiet); /* NOLINT */
	namespaces_enter(namespaces, PLACE_GATE);
	return status;
}

void namespaces_run(const struct namespaces *namespaces, enum place place, const char *format, ...)
{
	char command[512];
	va_list arguments;

	va_start(arguments, format);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	vsnprintf(command, sizeof(command), format, arguments);
#pragma GCC diagnostic pop
	va_end(arguments);
	namespaces_enter(namespaces, place);
	shell(command);
	namespaces_enter(namespaces, PLACE_GATE);
}

int namespaces_listen(
	const struct namespaces *namespaces, enum place place, bool ipv6, uint16_t port)
{
	struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	int on = 1, fd;

	namespaces_enter(namespaces, place);
	fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ipv6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (fd < 0 ||
		bind(fd, ipv6 ? (struct sockaddr *)&any6 : (struct sockaddr *)&any4,
			ipv6 ? sizeof(any6) : sizeof(any4)) < 0 ||
		listen(fd, 16) < 0)
		fail_msg("listen on port %u: %s", port, strerror(errno));
	namespaces_enter(namespaces, PLACE_GATE);
	return fd;
}

static int wait_for(int fd, short events, int milliseconds)
{
	struct pollfd poll_fd = {.fd = fd, .events = events};
	int ready = poll(&poll_fd, 1, milliseconds);

	return ready < 0 ? -errno : ready == 0 ? -ETIMEDOUT : 0;
}

int namespaces_connect(const struct namespaces *namespaces, const char *address, uint16_t port,
	uint16_t source_port, int milliseconds)
{
	struct address_port to = {.port = port}, from = {.port = source_port};
	struct sockaddr_storage storage;
	socklen_t len;
	int fd, error = 0, on = 1;

	assert_int_equal(address_parse(address, &to.address), 0);
	assert_int_equal(
		address_parse(address_is_ipv4(&to.address) ? CLIENT4 : CLIENT6, &from.address), 0);
	namespaces_enter(namespaces, PLACE_CLIENT);
	fd = socket(address_is_ipv4(&to.address) ? AF_INET : AF_INET6,
		SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	namespaces_enter(namespaces, PLACE_GATE);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	len = address_port_to_sockaddr(&from, &storage);
	if (fd < 0 || bind(fd, (struct sockaddr *)&storage, len) < 0)
		fail_msg("bind: %s", strerror(errno));
	len = address_port_to_sockaddr(&to, &storage);
	if (connect(fd, (struct sockaddr *)&storage, len) < 0 && errno != EINPROGRESS)
		error = errno;
	if (!error)
		error = -wait_for(fd, POLLOUT, milliseconds);
	len = sizeof(error);
	if (!error)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (!error)
		return fd;
	close(fd);
	return -error;
}

int namespaces_accept(int listener)
{
	int error = wait_for(listener, POLLIN, 2000);
	int fd = error ? error : accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	return fd == -1 ? -errno : fd;
}

bool namespaces_ended(int fd)
{
	char byte;

	return wait_for(fd, POLLIN, 5000) == 0 && recv(fd, &byte, 1, 0) == 0;
}

bool namespaces_carries(int from, int to, uint32_t bytes)
{
	uint64_t until = clock_monotonic_ns() + 5 * NS_PER_S;
	uint32_t sent = 0, received = 0;
	char memory[16384];

	memset(memory, 'x', sizeof(memory));
	while (received < bytes && clock_monotonic_ns() < until) {
		size_t left = bytes - sent;
		ssize_t n = 0;

		if (left)
			n = send(from, memory, left < sizeof(memory) ? left : sizeof(memory),
				MSG_NOSIGNAL);
		if (n > 0)
			sent += (uint32_t)n;
		if (n < 0 && errno != EAGAIN)
			return false;
		wait_for(to, POLLIN, 10);
		n = recv(to, memory, sizeof(memory), 0);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return false;
		if (n > 0)
			received += (uint32_t)n;
	}
	return received == bytes;
}
