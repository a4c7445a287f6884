// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "config/config.h"
#include "io/socket.h"

static int option(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int value = -1;

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

/* Two ends of a connection over loopback. */
static void connect_pair(int fds[2])
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fds[0], (struct sockaddr *)&at, sizeof(at)), 0);
	fds[1] = accept(listener, NULL, NULL);
	close(listener);
}

static bool readable(int fd)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};

	return poll(&poller, 1, 0) == 1;
}

static void silence_is_kept_alive_and_slowness_is_not_death(void **state)
{
	const struct config_tcp tcp = {61 * NS_PER_S, 16 * NS_PER_S, 5};
	int fds[2];

	(void)state;
	connect_pair(fds);
	socket_prepare(fds[0], &tcp);
	assert_int_equal(option(fds[0], IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(option(fds[0], SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(option(fds[0], IPPROTO_TCP, TCP_KEEPIDLE), 61);
	assert_int_equal(option(fds[0], IPPROTO_TCP, TCP_KEEPINTVL), 16);
	assert_int_equal(option(fds[0], IPPROTO_TCP, TCP_KEEPCNT), 5);
	assert_int_equal(option(fds[0], IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
	close(fds[0]);
	close(fds[1]);
}

static void what_was_awaited_is_put_back(void **state)
{
	struct pollfd poller;
	int fds[2];

	(void)state;
	connect_pair(fds);
	poller = (struct pollfd){.fd = fds[1], .events = POLLIN};
	assert_int_equal(send(fds[0], "12345", 5, 0), 5);
	assert_int_equal(poll(&poller, 1, -1), 1);
	assert_int_equal(socket_await(fds[1], 6), 0);
	assert_false(readable(fds[1]));
	socket_await_any(fds[1]);
	assert_true(readable(fds[1]));
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silence_is_kept_alive_and_slowness_is_not_death),
		cmocka_unit_test(what_was_awaited_is_put_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
