// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/keys_watch.h"

#include <ev.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "supervise/parent.h"
#include "supervise/policy_files.h"

struct keys_watch {
	struct parent *parent;
	ev_stat stat;
	char path[PATH_MAX];
};

static void tell_workers(struct generation *generation, int keys)
{
	for (unsigned i = GENERATION_WORKER; i < generation->nservices; i++) {
		struct process *process = generation->services[i].process;
		int fd = process ? process_reopen(keys) : -1;

		if (fd < 0)
			continue;
		process_send(process, CONTROL_ISSUED_KEYS, NULL, 0, &fd, 1);
		close(fd);
	}
}

static bool goes_by(const struct generation *generation, const char *path)
{
	const char *own = generation->config ? generation->config->policy.keys_file : NULL;

	/* One that drains and was handed over, or relieved, has no configuration any more. */
	return generation->config ? own && strcmp(own, path) == 0 : generation->draining;
}

static void read_anew(struct keys_watch *watch)
{
	struct parent *parent = watch->parent;
	struct generation *current = parent->current;
	struct why why = {""};

	if (policy_files_keys(watch->path, &current->issued_fd, &why)) {
		counter_add(parent->counters, COUNTER_KEYS_REFUSED, 1);
		log_error("policy.keys_file: the keys of before stay: %s", why.text);
		return;
	}
	counter_add(parent->counters, COUNTER_KEYS_LOADED, 1);
	log_info("policy.keys_file: %s was read", watch->path);
	list_for_each (node, &parent->generations) {
		struct generation *generation = list_entry(node, struct generation, node);

		if (!goes_by(generation, watch->path))
			continue;
		/* For its workers that are started from now on. */
		if (generation->config && generation != current &&
			policy_files_keys(watch->path, &generation->issued_fd, &why))
			continue;
		tell_workers(generation, current->issued_fd);
	}
}

static void on_keys_changed(struct ev_loop *loop, ev_stat *stat, int events)
{
	(void)loop;
	(void)events;
	read_anew(stat->data);
}

struct keys_watch *keys_watch_new(struct parent *parent)
{
	struct keys_watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	watch->parent = parent;
	keys_watch_reconfigure(watch);
	return watch;
}

void keys_watch_reconfigure(struct keys_watch *watch)
{
	const char *path;

	if (!watch)
		return;
	path = watch->parent->current->config->policy.keys_file;
	if (path && strcmp(path, watch->path) == 0)
		return;
	ev_stat_stop(watch->parent->loop, &watch->stat);
	watch->path[0] = '\0';
	if (!path)
		return;
	snprintf(watch->path, sizeof(watch->path), "%s", path);
	ev_stat_init(&watch->stat, on_keys_changed, watch->path, 0.);
	watch->stat.data = watch;
	ev_stat_start(watch->parent->loop, &watch->stat);
	/* What became of it since the generation has read it. */
	read_anew(watch);
}

void keys_watch_free(struct keys_watch *watch)
{
	if (!watch)
		return;
	ev_stat_stop(watch->parent->loop, &watch->stat);
	free(watch);
}
