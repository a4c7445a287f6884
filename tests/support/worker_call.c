// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/support/appliance.h"
#include "tests/support/worker_call.h"

int worker_call(unsigned worker)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)(APPLIANCE_PORT + worker)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval patience = {.tv_sec = APPLIANCE_PATIENCE_NS / NS_PER_S};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, (void *)&address, sizeof(address)), 0);
	return fd;
}

const char *worker_order(int fd, char what)
{
	static char answer[512];
	ssize_t n = 0;

	if (send(fd, &what, 1, MSG_NOSIGNAL) == 1)
		n = recv(fd, answer, sizeof(answer) - 1, 0);
	answer[n > 0 ? n - 1 : 0] = '\0';
	return answer;
}

const char *worker_ask(unsigned worker, char what)
{
	int fd = worker_call(worker);
	const char *answer = worker_order(fd, what);

	close(fd);
	return answer;
}

pid_t worker_pid_in(const char *answer)
{
	int pid = 0;

	sscanf(answer, "%*u %*u %d", &pid);
	return pid;
}
