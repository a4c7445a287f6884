// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/companion.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

#define COMPANION_PAUSE_S 5.0

/* In the child. */
static void companion_become(const struct companion *companion, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		execv("/proc/self/exe", companion->arguments);
	_exit(127);
}

static void companion_run(struct companion *companion)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0)
		companion_become(companion, parent);
	if (pid < 0) {
		log_error("the process of %s cannot be started: %s", companion->what,
			strerror(errno));
		ev_timer_again(companion->loop, &companion->again);
		return;
	}
	companion->pid = pid;
	ev_child_set(&companion->ended, pid, 0);
	ev_child_start(companion->loop, &companion->ended);
}

static void companion_ended(struct ev_loop *loop, ev_child *child, int events)
{
	struct companion *companion = child->data;

	(void)events;
	ev_child_stop(loop, child);
	companion->pid = 0;
	log_error("the process of %s ended (status %d): it is started again", companion->what,
		child->rstatus);
	ev_timer_again(loop, &companion->again);
}

static void companion_again(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	ev_timer_stop(loop, timer);
	companion_run(timer->data);
}

void companion_start(struct companion *companion, struct ev_loop *loop, const char *what,
	char *const *arguments)
{
	*companion = (struct companion){.loop = loop, .what = what, .arguments = arguments};
	ev_init(&companion->ended, companion_ended);
	ev_timer_init(&companion->again, companion_again, 0., COMPANION_PAUSE_S);
	companion->ended.data = companion->again.data = companion;
	companion_run(companion);
}

void companion_stop(struct companion *companion)
{
	if (!companion->loop)
		return;
	ev_timer_stop(companion->loop, &companion->again);
	ev_child_stop(companion->loop, &companion->ended);
	if (!companion->pid)
		return;
	/* It keeps nothing that is not on disk. */
	kill(companion->pid, SIGKILL);
	waitpid(companion->pid, NULL, 0);
	companion->pid = 0;
}
