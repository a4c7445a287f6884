// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/indexer.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

#define INDEXER_PAUSE_S 5.0

/* In the child. */
static void indexer_become(const struct indexer *indexer, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		execl("/proc/self/exe", "sallyport-collector", "--index", indexer->path,
			(char *)NULL);
	_exit(127);
}

static void indexer_run(struct indexer *indexer)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0)
		indexer_become(indexer, parent);
	if (pid < 0) {
		log_error("the process for the index cannot be started: %s", strerror(errno));
		ev_timer_again(indexer->loop, &indexer->again);
		return;
	}
	indexer->pid = pid;
	ev_child_set(&indexer->ended, pid, 0);
	ev_child_start(indexer->loop, &indexer->ended);
}

static void indexer_ended(struct ev_loop *loop, ev_child *child, int events)
{
	struct indexer *indexer = child->data;

	(void)events;
	ev_child_stop(loop, child);
	indexer->pid = 0;
	log_error("the process of the index ended (status %d): search lags until it runs again",
		child->rstatus);
	ev_timer_again(loop, &indexer->again);
}

static void indexer_again(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	ev_timer_stop(loop, timer);
	indexer_run(timer->data);
}

void indexer_start(struct indexer *indexer, struct ev_loop *loop, const char *path)
{
	*indexer = (struct indexer){.loop = loop, .path = path};
	ev_init(&indexer->ended, indexer_ended);
	ev_timer_init(&indexer->again, indexer_again, 0., INDEXER_PAUSE_S);
	indexer->ended.data = indexer->again.data = indexer;
	indexer_run(indexer);
}

void indexer_stop(struct indexer *indexer)
{
	ev_timer_stop(indexer->loop, &indexer->again);
	ev_child_stop(indexer->loop, &indexer->ended);
	if (!indexer->pid)
		return;
	/* What it had not committed is indexed again. */
	kill(indexer->pid, SIGKILL);
	waitpid(indexer->pid, NULL, 0);
	indexer->pid = 0;
}
