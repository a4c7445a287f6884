// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/worker_keeper.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "backend/credential_message.h"
#include "base/clock.h"
#include "base/log.h"
#include "proxy/worker.h"

/* A keeper tells all within two seconds, what it still waits for too. */
#define TOLD_NS (3 * NS_PER_S)

static void worker_leave_keeper(struct worker *worker)
{
	if (worker->keeper < 0)
		return;
	ev_io_stop(worker->loop, &worker->keeper_input);
	close(worker->keeper);
	worker->keeper = -1;
}

/* A backend that is out because it refused the credential before is asked again. */
static int worker_take_credential(struct worker *worker, struct slice told)
{
	const struct config *config = worker->config;
	size_t index;
	int result = credentials_take(worker->credentials, told, &index);

	/* At the start there is no standing yet, and what is told is no news. */
	for (size_t i = 0; result > 0 && worker->standing && i < config->nbackends; i++)
		if (config->backends[i].credential == &config->credentials[index] &&
			pool_renewed(worker->standing, slice_of_string(config->backends[i].name),
				clock_monotonic_ns()))
			log_info("backend %s is tried again, with another value of credential %s",
				config->backends[i].name, config->credentials[index].name);
	return result < 0 ? result : 0;
}

/* Takes one message: its type, or a negative errno; 0 is the end. */
static int worker_hear_keeper(struct worker *worker)
{
	static _Alignas(max_align_t) char memory[IPC_MESSAGE_MAX];
	struct ipc_message message;
	int result = ipc_receive(worker->keeper, memory, sizeof(memory), &message);

	if (result <= 0)
		return result;
	ipc_close_fds(&message);
	result = 0;
	if (message.type == CREDENTIAL_TELL)
		result = worker_take_credential(worker, slice_of(message.body, message.len));
	explicit_bzero(memory, message.len);
	if (result)
		log_warning("a credential that the keeper told cannot be taken: %s",
			strerror(-result));
	return (int)message.type;
}

static void worker_keeper_message(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct worker *worker = watcher->data;
	int result = worker_hear_keeper(worker);

	(void)loop;
	(void)events;
	/* Gone: what it told is good until it expires, and the parent sends the next one's socket. */
	if (result == 0 || (result < 0 && result != -EAGAIN && result != -EBADMSG))
		worker_leave_keeper(worker);
}

void worker_meet_keeper(struct worker *worker, int fd)
{
	worker_leave_keeper(worker);
	worker->keeper = fd;
	if (fd < 0)
		return;
	ev_io_init(&worker->keeper_input, worker_keeper_message, fd, EV_READ);
	worker->keeper_input.data = worker;
	ev_io_start(worker->loop, &worker->keeper_input);
}

static void worker_await_keeper(struct worker *worker)
{
	struct pollfd readable = {.fd = worker->keeper, .events = POLLIN};
	uint64_t until_ns = clock_monotonic_ns() + TOLD_NS;

	for (;;) {
		uint64_t now_ns = clock_monotonic_ns();
		int result = worker_hear_keeper(worker);

		if (result == CREDENTIAL_ALL_TOLD || result == 0 || now_ns >= until_ns)
			return;
		if (result == -EAGAIN &&
			poll(&readable, 1, (int)((until_ns - now_ns) / NS_PER_MS) + 1) < 0)
			return;
	}
}

void worker_credential_refused(struct worker *worker, const struct config_backend *backend,
	const struct credential *credential)
{
	worker_credential_stale(worker, backend->credential, credential->secret);
}

void worker_credential_stale(struct worker *worker, const struct config_credential *credential,
	const struct secret *value)
{
	struct credential_refusal refusal = {
		.index = (uint32_t)(credential - worker->config->credentials)};

	refusal.version = credentials_version(worker->credentials, refusal.index, value);
	/* One that is not the latest any more was refused for just that. */
	if (refusal.version && worker->keeper >= 0)
		(void)ipc_send(worker->keeper, CREDENTIAL_REFUSED, &refusal, sizeof(refusal), NULL, 0);
}

int worker_open_keeper(struct worker *worker, int fd, struct why *why)
{
	worker->credentials = credentials_new(worker->config->ncredentials);
	if (!worker->credentials) {
		if (fd >= 0)
			close(fd);
		return why_set(why, ENOMEM, "out of memory");
	}
	worker_meet_keeper(worker, fd);
	if (fd >= 0 && worker->config->ncredentials)
		worker_await_keeper(worker);
	return 0;
}

void worker_close_keeper(struct worker *worker)
{
	worker_leave_keeper(worker);
	credentials_free(worker->credentials);
}
