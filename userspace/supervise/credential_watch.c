// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/credential_watch.h"

#include <errno.h>
#include <ev.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "supervise/parent.h"

/* A file is written, renamed and its mode set in one go: one look is enough for that. */
#define SETTLE_S 0.05
#define CHANGES	 (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_ATTRIB | IN_DELETE | IN_ONLYDIR)

struct credential_watch {
	struct parent *parent;
	int inotify;
	ev_io changed;
	ev_timer settle;
};

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static void tell(struct generation *generation, size_t i, const char *path)
{
	struct control_file told = {.index = (uint32_t)i};
	struct why why = {""};
	int fd;

	if (path)
		fd = file_secret_open(path, 0, &why);
	else
		fd = why_set(&why, ENOENT,
			"systemd handed over no credentials: add LoadCredential=%s:FILE to the service",
			generation->config->credentials[i].name);
	snprintf(told.why, sizeof(told.why), "%.*s", (int)sizeof(told.why) - 1, why.text);
	process_send(generation->services[GENERATION_KEEPER].process, CONTROL_FILE, &told, sizeof(told),
		&fd, fd >= 0);
	if (fd >= 0)
		close(fd);
}

/* all: whether they have changed or not. */
static void look(struct generation *generation, bool all)
{
	const struct config *config = generation->config;

	if (!config || generation->relieved || !generation->services[GENERATION_KEEPER].process)
		return;
	for (size_t i = 0; i < config->ncredentials; i++) {
		struct stat *seen = &generation->credentials[i].file;
		char memory[CONFIG_PATH_SIZE];
		const char *path = config_credential_path(&config->credentials[i], memory);
		struct stat now = {0};

		if (path && lstat(path, &now) < 0)
			now = (struct stat){0};
		if (!all && is_same(seen, &now))
			continue;
		*seen = now;
		tell(generation, i, path);
	}
}

void credential_watch_tell(struct generation *generation)
{
	look(generation, true);
	credential_watch_look(generation->services[0].parent->credential_watch);
}

/* Adding one that is there already changes nothing. */
static void watch_directories(struct credential_watch *watch, const struct config *config)
{
	for (size_t i = 0; i < config->ncredentials; i++) {
		char memory[CONFIG_PATH_SIZE], directory[CONFIG_PATH_SIZE];
		const char *path = config_credential_path(&config->credentials[i], memory);

		if (!path)
			continue;
		snprintf(directory, sizeof(directory), "%s", path);
		(void)inotify_add_watch(watch->inotify, dirname(directory), CHANGES);
	}
}

void credential_watch_look(struct credential_watch *watch)
{
	if (!watch)
		return;
	list_for_each (node, &watch->parent->generations) {
		struct generation *generation = list_entry(node, struct generation, node);

		/* First the watch, then the look: nothing falls between them. */
		if (generation->config)
			watch_directories(watch, generation->config);
		look(generation, false);
	}
}

static void on_settled(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	credential_watch_look(timer->data);
}

static void on_changed(struct ev_loop *loop, ev_io *io, int events)
{
	struct credential_watch *watch = io->data;
	_Alignas(struct inotify_event) char memory[4096];

	(void)events;
	/* Whatever it was: the look finds out. */
	while (read(watch->inotify, memory, sizeof(memory)) > 0)
		;
	if (!ev_is_active(&watch->settle)) {
		ev_timer_set(&watch->settle, SETTLE_S, 0.);
		ev_timer_start(loop, &watch->settle);
	}
}

int credential_watch_new(struct parent *parent, struct credential_watch **watch, struct why *why)
{
	struct credential_watch *made = calloc(1, sizeof(*made));

	*watch = NULL;
	if (!made)
		return why_set(why, ENOMEM, "out of memory");
	made->parent = parent;
	made->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (made->inotify < 0) {
		free(made);
		return why_set(why, errno, "cannot watch the files of credentials: %m");
	}
	ev_io_init(&made->changed, on_changed, made->inotify, EV_READ);
	ev_timer_init(&made->settle, on_settled, 0., 0.);
	made->changed.data = made->settle.data = made;
	ev_io_start(parent->loop, &made->changed);
	*watch = made;
	return 0;
}

void credential_watch_free(struct credential_watch *watch)
{
	if (!watch)
		return;
	ev_io_stop(watch->parent->loop, &watch->changed);
	ev_timer_stop(watch->parent->loop, &watch->settle);
	close(watch->inotify);
	free(watch);
}
