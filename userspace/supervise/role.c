// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/role.h"

#include <errno.h>
#include <ev.h>
#include <poll.h>

/* How long a message waits for room in the control socket: the parent never sleeps for long. */
#define ROLE_SEND_MS 1000

const char *role_gateway_name(unsigned i)
{
	static const char *const names[CONFIG_GATEWAY_MAX] = {"gateway0", "gateway1", "gateway2",
		"gateway3", "gateway4", "gateway5", "gateway6", "gateway7"};

	return names[i];
}

int role_send(struct role_context *context, uint32_t type, const void *body, size_t len,
	const int *fds, size_t nfds)
{
	struct pollfd room = {.fd = context->control, .events = POLLOUT};
	int error = ipc_send(context->control, type, body, len, fds, nfds);

	if (error == -EAGAIN && poll(&room, 1, ROLE_SEND_MS) > 0)
		error = ipc_send(context->control, type, body, len, fds, nfds);
	if (error)
		counter_add(context->counters, COUNTER_PROCESS_MESSAGE_DROPPED, 1);
	return error;
}

void role_exit(struct role_context *context)
{
	ev_break(context->loop, EVBREAK_ALL);
}
