// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "supervise/kernel_log.h"
#include "supervise/sandbox.h"

#define BACKOFF_FIRST_NS (100 * NS_PER_MS)
#define BACKOFF_MOST_NS	 (10 * NS_PER_S)
/* Whoever lived that long failed by accident, not by its start. */
#define BACKOFF_FORGIVEN_NS (30 * NS_PER_S)

/* What becomes of new connections meanwhile is the kernel's to decide, by heartbeats
 * (worker_watch.c): pings are there to replace who no longer answers. */
#define PING_S 1.
/* Until it is ready it only reads its files. */
#define PATIENCE_START 60
/* After the deadline of a drain, and the overtime of the child, it is killed. */
#define OVERDUE_NS (10 * NS_PER_S)

#define MESSAGES_AT_ONCE 256

struct process {
	struct ev_loop *loop;
	const struct process_owner *owner;
	void *context;
	struct counters *counters;
	pid_t pid;
	int pidfd;
	int control;
	uint64_t started_ns, overdue_ns;
	unsigned patience, unanswered; /* pings, one a second */
	bool ready, draining;
	char name[64];
	ev_io readable, ended;
	ev_timer ping, overdue;
	_Alignas(max_align_t) char memory[IPC_MESSAGE_MAX];
};

uint64_t process_backoff_ns(unsigned failures)
{
	uint64_t wait = BACKOFF_FIRST_NS;

	while (failures > 1 && wait < BACKOFF_MOST_NS) {
		wait *= 2;
		failures--;
	}
	return wait < BACKOFF_MOST_NS ? wait : BACKOFF_MOST_NS;
}

unsigned process_failures(unsigned before, uint64_t lived_ns)
{
	return lived_ns >= BACKOFF_FORGIVEN_NS || before == UINT32_MAX ? 1 : before + 1;
}

int process_reopen(int fd)
{
	char path[32];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY | O_CLOEXEC);
	return again < 0 ? -errno : again;
}

bool process_is_ready(const struct process *process)
{
	return process->ready;
}

bool process_is_silent(const struct process *process)
{
	return process->unanswered > 1;
}

void process_set_context(struct process *process, void *context)
{
	process->context = context;
}

bool process_is_draining(const struct process *process)
{
	return process->draining;
}

bool process_has_ended(const struct process *process)
{
	struct pollfd end = {.fd = process->pidfd, .events = POLLIN};

	return process->pidfd < 0 || poll(&end, 1, 0) > 0;
}

const char *process_name(const struct process *process)
{
	return process->name;
}

/* ---- talking ---- */

void process_kill(struct process *process)
{
	if (process->pidfd >= 0)
		(void)syscall(SYS_pidfd_send_signal, process->pidfd, SIGKILL, NULL, 0);
}

void process_send(struct process *process, uint32_t type, const void *body, size_t len,
	const int *fds, size_t nfds)
{
	int error = ipc_send(process->control, type, body, len, fds, nfds);

	/* One that is gone is told about by its end. */
	if (!error || error == -EPIPE)
		return;
	counter_add(process->counters, COUNTER_PROCESS_MESSAGE_DROPPED, 1);
	log_error("%s: cannot be reached: %s; it is killed", process->name, strerror(-error));
	process_kill(process);
}

/* at_ns 0: it has all the time it wants. */
static void set_overdue(struct process *process, uint64_t at_ns)
{
	uint64_t now_ns = clock_monotonic_ns();

	process->overdue_ns = at_ns;
	ev_timer_stop(process->loop, &process->overdue);
	if (!at_ns)
		return;
	ev_timer_set(&process->overdue, at_ns > now_ns ? (double)(at_ns - now_ns) / 1e9 : 0., 0.);
	ev_timer_start(process->loop, &process->overdue);
}

void process_drain(struct process *process, uint64_t within_ns)
{
	struct control_drain order = {.within_ns = within_ns};

	process->draining = true;
	process_send(process, CONTROL_DRAIN, &order, sizeof(order), NULL, 0);
	set_overdue(process,
		within_ns == UINT64_MAX ? 0 : clock_monotonic_ns() + within_ns + OVERDUE_NS);
}

static void on_overdue(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct process *process = timer->data;

	(void)loop;
	(void)events;
	log_error("%s: did not end in time and is killed", process->name);
	counter_add(process->counters, COUNTER_PROCESS_OVERDUE, 1);
	process_kill(process);
}

static void on_ping(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct process *process = timer->data;

	(void)loop;
	(void)events;
	if (process->unanswered++ >= (process->ready ? process->patience : PATIENCE_START)) {
		log_error("%s: has not answered for %u seconds and is killed", process->name,
			process->unanswered - 1);
		counter_add(process->counters, COUNTER_PROCESS_HUNG, 1);
		process_kill(process);
		return;
	}
	process_send(process, CONTROL_PING, NULL, 0, NULL, 0);
}

/* ---- hearing ---- */

static void take_failure(struct process *process, const struct ipc_message *m)
{
	struct control_failed failed;

	if (m->len != sizeof(failed))
		return;
	memcpy(&failed, m->body, sizeof(failed));
	failed.text[sizeof(failed.text) - 1] = '\0';
	process->owner->failed(process->context, process, failed.error, failed.text);
}

/* -EAGAIN: there may be more later; 0: the end; 1: there may be more now. */
static int take_message(struct process *process)
{
	struct ipc_message m;
	int result = ipc_receive(process->control, process->memory, sizeof(process->memory), &m);

	if (result == -EBADMSG) {
		counter_add(process->counters, COUNTER_PROCESS_MESSAGE_DROPPED, 1);
		return 1;
	}
	if (result <= 0)
		return result == -EAGAIN ? result : 0;
	switch (m.type) {
	case CONTROL_PONG:
		process->unanswered = 0;
		break;
	case CONTROL_READY:
		if (process->ready)
			break;
		process->ready = true;
		process->owner->ready(process->context, process);
		break;
	case CONTROL_FAILED:
		if (!process->ready)
			take_failure(process, &m);
		break;
	default:
		process->owner->message(process->context, process, &m);
	}
	ipc_close_fds(&m);
	return 1;
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct process *process = watcher->data;
	int result = 1;

	(void)events;
	for (int i = 0; i < MESSAGES_AT_ONCE && result == 1; i++)
		result = take_message(process);
	if (result == 0)
		ev_io_stop(loop, watcher); /* it is about to end */
}

/* ---- the end ---- */

static void describe_end(struct process *process, const siginfo_t *info, struct process_end *end)
{
	int code = info->si_status;
	long call;

	end->lived_ns = clock_monotonic_ns() - process->started_ns;
	if (info->si_code == CLD_EXITED) {
		end->clean = code == 0;
		snprintf(end->text, sizeof(end->text), "ended with status %d", code);
		return;
	}
	if (code != SIGSYS) {
		snprintf(end->text, sizeof(end->text), "killed by signal %d (%s)", code,
			strsignal(code));
		return;
	}
	end->refused_call = true;
	call = kernel_log_refused_call(process->pid);
	if (call < 0)
		snprintf(end->text, sizeof(end->text),
			"killed: it made a system call that its role may not make "
			"(which one: ausearch -m SECCOMP)");
	else
		snprintf(end->text, sizeof(end->text),
			"killed: it made system call %ld (%s), which its role may not make", call,
			sandbox_call_name(call).name);
}

static void on_ended(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct process *process = watcher->data;
	struct process_end end = {0};
	siginfo_t info = {0};

	(void)events;
	if (waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
		return;
	/* Its last words may still wait in the socket. */
	for (int i = 0; i < MESSAGES_AT_ONCE && take_message(process) == 1; i++)
		;
	ev_io_stop(loop, watcher);
	close(process->pidfd);
	process->pidfd = -1;
	describe_end(process, &info, &end);
	if (end.refused_call)
		counter_add(process->counters, COUNTER_PROCESS_REFUSED_CALL, 1);
	process->owner->ended(process->context, process, &end);
}

void process_free(struct process *process)
{
	if (!process)
		return;
	ev_io_stop(process->loop, &process->readable);
	ev_io_stop(process->loop, &process->ended);
	ev_timer_stop(process->loop, &process->ping);
	ev_timer_stop(process->loop, &process->overdue);
	if (process->pidfd >= 0) {
		process_kill(process);
		waitid(P_PIDFD, (id_t)process->pidfd, NULL, WEXITED);
		close(process->pidfd);
	}
	if (process->control >= 0)
		close(process->control);
	free(process);
}

/* ---- the start ---- */

/* In the new process, between fork and exec. */
static _Noreturn void become_child(int control, const char *name, const char *title)
{
	char *const arguments[] = {(char *)name, (char *)"--child", (char *)title, NULL};
	static const char *const kept[] = {"ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS",
		"JOURNAL_STREAM"};
	char *environment[1 + sizeof(kept) / sizeof(kept[0]) + 1] = {
		(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
	char *values[sizeof(kept) / sizeof(kept[0])] = {NULL};
	size_t n = 1;
	sigset_t none;
	int null;

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		const char *value = getenv(kept[i]);

		if (value && asprintf(&values[i], "%s=%s", kept[i], value) > 0)
			environment[n++] = values[i];
	}
	environment[n] = NULL;
	/* The interrupt key of a terminal is the parent's business. */
	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (control == CHILD_CONTROL)
		fcntl(control, F_SETFD, 0);
	else if (dup2(control, CHILD_CONTROL) < 0)
		_exit(126);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
		close_range(CHILD_CONTROL + 1, ~0U, 0) < 0)
		_exit(126);
	execve("/proc/self/exe", arguments, environment);
	_exit(127);
}

static int send_boot(struct process *process, const struct process_start *start)
{
	struct control_boot boot = *start->boot;
	int error;

	boot.nfds = (uint32_t)start->nfds;
	error = ipc_send(process->control, CONTROL_BOOT, &boot, sizeof(boot), NULL, 0);
	for (size_t at = 0; at < start->nfds && !error;) {
		struct buf names = BUF_EMPTY;
		int fds[IPC_FDS_MAX];
		size_t n = 0;

		for (; at < start->nfds && n < IPC_FDS_MAX && !error; at++, n++) {
			fds[n] = start->fds[at].fd;
			error = buf_append(
				&names, start->fds[at].name, strlen(start->fds[at].name) + 1);
		}
		if (!error)
			error = ipc_send(process->control, CONTROL_BOOT_FDS, buf_slice(&names).data,
				buf_len(&names), fds, n);
		buf_free(&names);
	}
	return error;
}

static void watch(struct process *process)
{
	ev_io_init(&process->readable, on_readable, process->control, EV_READ);
	ev_io_init(&process->ended, on_ended, process->pidfd, EV_READ);
	ev_timer_init(&process->ping, on_ping, PING_S, PING_S);
	ev_timer_init(&process->overdue, on_overdue, 0., 0.);
	process->readable.data = process->ended.data = process;
	process->ping.data = process->overdue.data = process;
	ev_io_start(process->loop, &process->readable);
	ev_io_start(process->loop, &process->ended);
	ev_timer_start(process->loop, &process->ping);
}

static void name_process(struct process *process, const struct process_start *start, pid_t pid)
{
	char index[16] = "";

	if (start->boot->kind == ROLE_WORKER)
		snprintf(index, sizeof(index), " %u", start->boot->index);
	if (pid)
		snprintf(process->name, sizeof(process->name), "%s%s (pid %d)", start->title, index,
			(int)pid);
	else
		snprintf(process->name, sizeof(process->name), "sallyportd: %s%s", start->title,
			index);
}

static struct process *process_new(const struct process_start *start, struct why *why)
{
	struct process *process = calloc(1, sizeof(*process));

	if (!process) {
		why_set(why, ENOMEM, "%s: no memory", start->title);
		return NULL;
	}
	process->loop = start->loop;
	process->owner = start->owner;
	process->context = start->context;
	process->counters = start->counters;
	process->patience = start->patience;
	process->pidfd = process->control = -1;
	return process;
}

int process_start(const struct process_start *start, struct process **started, struct why *why)
{
	struct process *process = process_new(start, why);
	int pair[2] = {-1, -1};
	int error;

	if (!process)
		return -ENOMEM;
	name_process(process, start, 0);
	error = ipc_pair(pair);
	if (error)
		goto out;
	process->pid = fork();
	if (process->pid == 0)
		become_child(pair[1], process->name, start->title);
	error = process->pid < 0 ? -errno : 0;
	close(pair[1]);
	process->control = pair[0];
	if (error)
		goto out;
	process->started_ns = clock_monotonic_ns();
	name_process(process, start, process->pid);
	process->pidfd = (int)syscall(SYS_pidfd_open, process->pid, 0);
	if (process->pidfd < 0) {
		error = -errno;
		kill(process->pid, SIGKILL);
		waitpid(process->pid, NULL, 0);
		goto out;
	}
	watch(process);
	counter_add(process->counters, COUNTER_PROCESS_STARTED, 1);
	error = send_boot(process, start);
out:
	if (error) {
		process_free(process);
		return why_set(
			why, -error, "%s: cannot be started: %s", start->title, strerror(-error));
	}
	*started = process;
	return 0;
}

/* ---- from one program to the next ---- */

struct process_state process_state(const struct process *process)
{
	return (struct process_state){
		.pid = process->pid,
		.control = process->control,
		.started_ns = process->started_ns,
		.overdue_ns = process->overdue_ns,
		.ready = process->ready,
		.draining = process->draining,
	};
}

int process_adopt(const struct process_start *start, const struct process_state *state,
	struct process **adopted, struct why *why)
{
	struct process *process;
	siginfo_t info;
	int pidfd;

	/* Also one that has ended already, as long as nobody waited for it. */
	if (waitid(P_PID, (id_t)state->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return why_set(why, ECHILD, "%s: process %d is no child of this one", start->title,
			(int)state->pid);
	pidfd = (int)syscall(SYS_pidfd_open, state->pid, 0);
	if (pidfd < 0)
		return why_set(why, errno, "%s: cannot watch process %d: %m", start->title,
			(int)state->pid);
	process = process_new(start, why);
	if (!process) {
		close(pidfd);
		return -ENOMEM;
	}
	process->pid = state->pid;
	process->pidfd = pidfd;
	process->control = state->control;
	process->started_ns = state->started_ns;
	process->ready = state->ready;
	process->draining = state->draining;
	name_process(process, start, process->pid);
	watch(process);
	set_overdue(process, state->overdue_ns);
	*adopted = process;
	return 0;
}
