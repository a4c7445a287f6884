// SPDX-License-Identifier: GPL-2.0-or-later
#include "io/hangup.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* One at a time, since whoever hears may end others; so many in a turn of the loop. */
#define HANGUPS_OF_TURN 64

static void hangups_ready(struct ev_loop *loop, ev_io *io, int events)
{
	struct hangups *all = io->data;
	struct epoll_event event;

	(void)loop;
	(void)events;
	for (int i = 0; i < HANGUPS_OF_TURN; i++) {
		struct hangup *hangup;

		if (epoll_wait(all->fd, &event, 1, 0) != 1)
			return;
		hangup = event.data.ptr;
		hangup_stop(hangup);
		hangup->heard(hangup);
	}
}

int hangups_open(struct hangups *all, struct ev_loop *loop, struct why *why)
{
	all->loop = loop;
	all->fd = epoll_create1(EPOLL_CLOEXEC);
	if (all->fd < 0)
		return why_set(why, errno, "cannot make an epoll: %s", strerror(errno));
	ev_io_init(&all->io, hangups_ready, all->fd, EV_READ);
	all->io.data = all;
	ev_io_start(loop, &all->io);
	ev_unref(loop);
	return 0;
}

void hangups_close(struct hangups *all)
{
	if (!ev_is_active(&all->io))
		return;
	ev_ref(all->loop);
	ev_io_stop(all->loop, &all->io);
	close(all->fd);
}

void hangup_init(struct hangup *hangup, struct hangups *hangups, void (*heard)(struct hangup *))
{
	*hangup = (struct hangup){hangups, -1, heard};
}

void hangup_listen(struct hangup *hangup, int fd)
{
	/* EPOLLHUP and EPOLLERR need not be asked for. */
	struct epoll_event event = {.events = EPOLLRDHUP, .data.ptr = hangup};

	if (hangup->fd < 0 && epoll_ctl(hangup->hangups->fd, EPOLL_CTL_ADD, fd, &event) == 0)
		hangup->fd = fd;
}

void hangup_stop(struct hangup *hangup)
{
	if (hangup->fd >= 0)
		epoll_ctl(hangup->hangups->fd, EPOLL_CTL_DEL, hangup->fd, NULL);
	hangup->fd = -1;
}
