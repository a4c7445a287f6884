// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/upgrade.h"

#include <ctype.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/clock.h"
#include "supervise/event_ring.h"
#include "supervise/generation.h"
#include "supervise/parent.h"
#include "supervise/reload.h"
#include "supervise/takeover.h"
#include "supervise/upgrade_word.h"

#define TRIAL_S	   20.
#define ANSWER_MAX 400

/* ---- where the program is ---- */

/* What stands there later is the next program: not /proc/self/exe, which follows the file, and by
 * preference not what it points at, because the path may lead over a link that is changed. */
static void find_program(struct upgrade *upgrade)
{
	const char *started = (const char *)(uintptr_t)getauxval(AT_EXECFN);
	ssize_t n = -1;

	/* Whoever was started by a descriptor has the name of that. */
	if (started && started[0] == '/' && strncmp(started, "/proc/", 6) != 0 &&
		strncmp(started, "/dev/fd/", 8) != 0 && strlen(started) < sizeof(upgrade->program))
		n = snprintf(upgrade->program, sizeof(upgrade->program), "%s", started);
	else
		n = readlink("/proc/self/exe", upgrade->program, sizeof(upgrade->program) - 1);
	upgrade->program[n > 0 ? n : 0] = '\0';
}

/* ---- what came of it ---- */

/* For the command that waits for it: what was logged is not for it to read. */
static void leave_word(struct parent *parent, const char *result, const char *text)
{
	const char *directory = parent->current->config->appliance.run_directory;
	char path[PATH_MAX], fresh[PATH_MAX + 4];
	int fd, n = snprintf(path, sizeof(path), "%s/" UPGRADE_WORD_FILE, directory);

	if (n < 0 || (size_t)n >= sizeof(path))
		return;
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0 || dprintf(fd, "%s%s\n", result, text) < 0 || rename(fresh, path) < 0)
		log_warning("%s: cannot be written: %m", path);
	if (fd >= 0)
		close(fd);
}

static void refuse(struct parent *parent, const char *reason)
{
	bool again = parent->reload_again;

	counter_add(parent->counters, COUNTER_UPGRADE_REFUSED, 1);
	log_error("upgrade refused, the old program goes on: %s", reason);
	leave_word(parent, UPGRADE_WORD_REFUSED, reason);
	sd_notify(0, "READY=1\nSTATUS=the last upgrade was refused: see the log");
	parent->reload_again = false;
	if (again)
		reload_begin(parent);
}

bool upgrade_told(struct parent *parent, const char *refusal)
{
	char text[800];

	if (!parent->upgrade.taken_over)
		return false;
	parent->upgrade.taken_over = false;
	if (!refusal) {
		counter_add(parent->counters, COUNTER_UPGRADE_DONE, 1);
		log_info("upgraded: sallyportd %s has taken over", SALLYPORT_VERSION);
		leave_word(parent, UPGRADE_WORD_DONE, SALLYPORT_VERSION);
		return true;
	}
	snprintf(text, sizeof(text),
		"the parent is sallyportd %s now, but the processes of before go on, because those "
		"of the new program could not take over: %s; mend it and reload",
		SALLYPORT_VERSION, refusal);
	counter_add(parent->counters, COUNTER_UPGRADE_REFUSED, 1);
	log_error("upgrade: %s", text);
	leave_word(parent, UPGRADE_WORD_REFUSED, text);
	return true;
}

void upgrade_count(struct parent *parent)
{
	for (size_t i = 0; i < parent->upgrade.nolder; i++)
		counters_move(parent->upgrade.older[i], parent->counters);
}

/* ---- the manifest ---- */

static void add_process(struct manifest *manifest, const struct service *service)
{
	struct process_state state;

	if (!service->process)
		return;
	state = process_state(service->process);
	manifest_add(manifest, &(struct manifest_record){
				       .kind = MANIFEST_PROCESS,
				       .role = service->kind,
				       .index = service->index,
				       .number = service->number,
				       .pid = state.pid,
				       .ready = state.ready,
				       .draining = state.draining,
				       .fds = {state.control, -1, -1, -1},
				       .started_ns = state.started_ns,
				       .overdue_ns = state.overdue_ns,
			       });
}

static void add_generation(
	struct manifest *manifest, const struct parent *parent, const struct generation *generation)
{
	bool current = generation == parent->current;

	if (!current && !generation_running(generation, ROLE_KINDS))
		return;
	manifest_add(manifest, &(struct manifest_record){
				       .kind = MANIFEST_GENERATION,
				       .draining = !current,
				       .relieved = generation->relieved,
				       .fds = {current ? generation->config_fd : -1,
					       current ? generation->ca_certificate : -1,
					       current ? generation->policy_fd : -1,
					       current ? generation->issued_fd : -1},
			       });
	for (unsigned i = 0; i < generation->nservices; i++)
		add_process(manifest, &generation->services[i]);
	if (current)
		add_process(manifest, &parent->shipper);
}

static void add_listeners_and_rings(struct manifest *manifest, const struct parent *parent)
{
	for (unsigned i = 0; i < parent->listeners.n; i++)
		manifest_add(manifest, &(struct manifest_record){
					       .kind = MANIFEST_LISTENER,
					       .fds = {parent->listeners.each[i].fd4,
						       parent->listeners.each[i].fd6, -1, -1},
				       });
	for (unsigned i = 0; i < parent->gateways.n; i++)
		manifest_add(manifest, &(struct manifest_record){
					       .kind = MANIFEST_GATEWAY,
					       .fds = {parent->gateways.each[i].fd, -1, -1, -1},
				       });
	list_for_each (node, &parent->rings) {
		const struct event_ring *ring = list_entry(node, struct event_ring, node);

		manifest_add(manifest, &(struct manifest_record){
					       .kind = MANIFEST_RING,
					       .number = ring->number,
					       .fds = {ring->ring, ring->wake_shipper,
						       ring->wake_worker, ring->life},
				       });
	}
}

/* The fd of the sealed manifest, or negative errno with why; *manifest is to be freed after both.
 */
static int describe(struct parent *parent, struct manifest *manifest, struct why *why)
{
	*manifest = (struct manifest){.next_number = parent->next_number};
	memcpy(manifest->epoch, parent->epoch, sizeof(manifest->epoch));
	manifest_add(
		manifest, &(struct manifest_record){
				  .kind = MANIFEST_PARENT,
				  .fds = {parent->lock, parent->counters->fd, parent->tickets, -1},
			  });
	for (size_t i = 0; i < parent->upgrade.nolder; i++)
		manifest_add(manifest, &(struct manifest_record){
					       .kind = MANIFEST_COUNTERS_OLDER,
					       .fds = {parent->upgrade.older[i]->fd, -1, -1, -1},
				       });
	add_listeners_and_rings(manifest, parent);
	list_for_each (node, &parent->generations)
		add_generation(manifest, parent, list_entry(node, struct generation, node));
	return manifest_seal(manifest, why);
}

/* Makes the next execve(2) of this process one that hands over. */
static void pass_on(const struct manifest *manifest, int fd)
{
	char number[16];

	/* Whatever some library forgot to mark would be open for ever. */
	(void)close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	manifest_inherit(manifest, true);
	(void)fcntl(fd, F_SETFD, 0);
	snprintf(number, sizeof(number), "%d", fd);
	(void)setenv(MANIFEST_VARIABLE, number, 1);
}

/* ---- execve in place ---- */

static bool is_the_one_tried(const struct upgrade *upgrade)
{
	struct stat now;

	return stat(upgrade->program, &now) == 0 && now.st_dev == upgrade->tried.st_dev &&
	       now.st_ino == upgrade->tried.st_ino &&
	       now.st_ctim.tv_sec == upgrade->tried.st_ctim.tv_sec &&
	       now.st_ctim.tv_nsec == upgrade->tried.st_ctim.tv_nsec;
}

static void replace(struct parent *parent)
{
	struct manifest manifest;
	struct why why = {""};
	sigset_t all, before;
	int fd;

	upgrade_count(parent);
	fd = describe(parent, &manifest, &why);
	if (fd >= 0) {
		log_info("upgrading: %s takes over", parent->upgrade.program);
		/* What is sent meanwhile is for the new program, as soon as it listens. */
		sigfillset(&all);
		sigprocmask(SIG_BLOCK, &all, &before);
		pass_on(&manifest, fd);
		execv(parent->upgrade.program, parent->options->argv);
		why_set(&why, errno, "cannot run %s: %m", parent->upgrade.program);
		unsetenv(MANIFEST_VARIABLE);
		manifest_inherit(&manifest, false);
		sigprocmask(SIG_SETMASK, &before, NULL);
		close(fd);
	}
	manifest_free(&manifest);
	refuse(parent, why.text);
}

/* ---- the trial ---- */

static _Noreturn void run_trial(
	struct parent *parent, const struct manifest *manifest, int fd, int answer)
{
	char *const *argv = parent->options->argv;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char **arguments;
	size_t n = 0;
	sigset_t none;

	while (argv[n])
		n++;
	arguments = calloc(n + 2, sizeof(*arguments));
	if (null < 0 || !arguments || dup2(null, STDIN_FILENO) < 0 ||
		dup2(answer, STDOUT_FILENO) < 0)
		_exit(126);
	memcpy(arguments, argv, n * sizeof(*arguments));
	arguments[n] = (char *)UPGRADE_CHECK;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	unsetenv("NOTIFY_SOCKET");
	pass_on(manifest, fd);
	execv(parent->upgrade.program, arguments);
	dprintf(STDOUT_FILENO, "cannot run %s: %m\n", parent->upgrade.program);
	_exit(127);
}

static void forget_trial(struct parent *parent)
{
	struct upgrade *upgrade = &parent->upgrade;

	ev_io_stop(parent->loop, &upgrade->ended);
	ev_timer_stop(parent->loop, &upgrade->deadline);
	close(upgrade->pidfd);
	close(upgrade->answer);
	upgrade->trial = 0;
}

/* What it answered, fit to be shown; "" when it said nothing. */
static void read_answer(const struct upgrade *upgrade, char answer[ANSWER_MAX])
{
	ssize_t n = read(upgrade->answer, answer, ANSWER_MAX - 1);

	answer[n > 0 ? n : 0] = '\0';
	answer[strcspn(answer, "\n")] = '\0';
	for (char *at = answer; *at; at++)
		if (!isprint((unsigned char)*at))
			*at = '?';
}

static void on_trial_ended(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct parent *parent = watcher->data;
	struct upgrade *upgrade = &parent->upgrade;
	char answer[ANSWER_MAX];
	siginfo_t info = {0};
	struct why why;

	(void)loop;
	(void)events;
	if (waitid(P_PIDFD, (id_t)upgrade->pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
		return;
	read_answer(upgrade, answer);
	forget_trial(parent);
	if (info.si_code == CLD_EXITED && info.si_status == 0 && takeover_agreed(answer)) {
		if (is_the_one_tried(upgrade))
			replace(parent);
		else
			refuse(parent, "another program came in its place meanwhile: try again");
		return;
	}
	if (upgrade->late)
		why_set(&why, ETIMEDOUT, "%s does not say in %.0f s whether it can take over",
			upgrade->program, TRIAL_S);
	else if (info.si_code == CLD_EXITED && info.si_status && answer[0])
		why_set(&why, EINVAL, "%s", answer);
	else if (info.si_code == CLD_EXITED)
		why_set(&why, EINVAL,
			"%s ended with status %d and did not say that it can take over",
			upgrade->program, info.si_status);
	else
		why_set(&why, EINVAL, "%s was killed by signal %d (%s)", upgrade->program,
			info.si_status, strsignal(info.si_status));
	refuse(parent, why.text);
}

static void on_trial_late(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct parent *parent = timer->data;

	(void)loop;
	(void)events;
	parent->upgrade.late = true;
	(void)syscall(SYS_pidfd_send_signal, parent->upgrade.pidfd, SIGKILL, NULL, 0);
}

static void watch_trial(struct parent *parent, int answer)
{
	struct upgrade *upgrade = &parent->upgrade;

	upgrade->answer = answer;
	upgrade->late = false;
	ev_io_init(&upgrade->ended, on_trial_ended, upgrade->pidfd, EV_READ);
	ev_timer_init(&upgrade->deadline, on_trial_late, TRIAL_S, 0.);
	upgrade->ended.data = upgrade->deadline.data = parent;
	ev_io_start(parent->loop, &upgrade->ended);
	ev_timer_start(parent->loop, &upgrade->deadline);
}

static int start_trial(struct parent *parent, struct why *why)
{
	struct upgrade *upgrade = &parent->upgrade;
	struct manifest manifest;
	int pair[2], error = 0, fd = describe(parent, &manifest, why);

	if (fd < 0) {
		error = fd;
		goto out;
	}
	if (stat(upgrade->program, &upgrade->tried) < 0) {
		error = why_set(why, errno, "%s: %m", upgrade->program);
		goto out;
	}
	if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0) {
		error = why_set(why, errno, "no pipe for the answer: %m");
		goto out;
	}
	upgrade->trial = fork();
	if (upgrade->trial == 0)
		run_trial(parent, &manifest, fd, pair[1]);
	close(pair[1]);
	upgrade->pidfd = upgrade->trial < 0 ? -1 : (int)syscall(SYS_pidfd_open, upgrade->trial, 0);
	if (upgrade->pidfd >= 0) {
		watch_trial(parent, pair[0]);
		goto out;
	}
	error = why_set(why, errno, "cannot try %s: %m", upgrade->program);
	close(pair[0]);
	if (upgrade->trial > 0) {
		kill(upgrade->trial, SIGKILL);
		waitpid(upgrade->trial, NULL, 0);
	}
	upgrade->trial = 0;
out:
	if (fd >= 0)
		close(fd);
	manifest_free(&manifest);
	return error;
}

/* ---- its course ---- */

bool upgrade_on_trial(const struct parent *parent)
{
	return parent->upgrade.trial > 0;
}

void upgrade_begin(struct parent *parent)
{
	struct why why = {""};

	if (parent->stage >= PARENT_STOPPING_WORKERS || upgrade_on_trial(parent))
		return;
	parent->upgrade.asked = parent->stage == PARENT_STARTING || parent->pending;
	if (parent->upgrade.asked)
		return;
	log_info("upgrading: can %s take over?", parent->upgrade.program);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_monotonic_ns() / 1000);
	reload_settle(parent);
	if (!parent->upgrade.program[0] || !parent->options->argv)
		refuse(parent, "it is not known where this program was started from");
	else if (start_trial(parent, &why))
		refuse(parent, why.text);
}

void upgrade_abandon(struct parent *parent)
{
	struct upgrade *upgrade = &parent->upgrade;

	upgrade->asked = false;
	if (!upgrade_on_trial(parent))
		return;
	kill(upgrade->trial, SIGKILL);
	waitpid(upgrade->trial, NULL, 0);
	forget_trial(parent);
}

void upgrade_init(struct parent *parent)
{
	parent->upgrade.pidfd = parent->upgrade.answer = -1;
	find_program(&parent->upgrade);
}

void upgrade_close(struct parent *parent)
{
	upgrade_abandon(parent);
	ev_signal_stop(parent->loop, &parent->upgrade.signal);
	for (size_t i = 0; i < parent->upgrade.nolder; i++)
		counters_close(parent->upgrade.older[i]);
}
