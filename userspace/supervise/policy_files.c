// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/policy_files.h"

#include <errno.h>
#include <ev.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "config/policy_file.h"
#include "policy/key_table.h"
#include "supervise/generation.h"
#include "supervise/parent.h"

struct policy_watch {
	struct parent *parent;
	ev_stat stat;
	char path[PATH_MAX];
};

/* ---- reading ---- */

static int read_policy(const char *path, struct buf *text, struct why *why)
{
	struct policy_file *file = NULL;
	int error = config_read(path, text, why);

	if (!error)
		error = policy_file_parse(path, buf_slice(text), &file, NULL, NULL, NULL, why);
	policy_file_free(file);
	return error;
}

static int read_keys(const char *path, struct buf *text, struct why *why)
{
	struct key_table *keys = NULL;
	int fd = file_secret_open(path, 0, why), error;

	if (fd < 0)
		return fd;
	error = file_read_fd(fd, KEY_FILE_MAX, text, why);
	close(fd);
	if (!error)
		error = key_table_parse(path, buf_slice(text), &keys, why);
	key_table_free(keys);
	return error;
}

static int hold(const char *path, int (*read)(const char *, struct buf *, struct why *), int *held,
	struct why *why)
{
	struct buf text = BUF_EMPTY;
	int error = path ? read(path, &text, why) : 0;
	int fd = error ? error : generation_hold(buf_slice(&text), why);

	buf_free(&text);
	if (fd < 0)
		return fd;
	if (*held >= 0)
		close(*held);
	*held = fd;
	return 0;
}

int policy_files_open(struct generation *generation, struct why *why)
{
	const struct config_policy_files *files = &generation->config->policy;
	int error = hold(files->file, read_policy, &generation->policy_fd, why);

	return error ? error : hold(files->keys_file, read_keys, &generation->issued_fd, why);
}

/* ---- keys that change ---- */

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

static void read_anew(struct policy_watch *watch)
{
	struct parent *parent = watch->parent;
	struct generation *current = parent->current;
	struct why why = {""};

	if (hold(watch->path, read_keys, &current->issued_fd, &why)) {
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
			hold(watch->path, read_keys, &generation->issued_fd, &why))
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

struct policy_watch *policy_watch_new(struct parent *parent)
{
	struct policy_watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	watch->parent = parent;
	policy_watch_reconfigure(watch);
	return watch;
}

void policy_watch_reconfigure(struct policy_watch *watch)
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

void policy_watch_free(struct policy_watch *watch)
{
	if (!watch)
		return;
	ev_stat_stop(watch->parent->loop, &watch->stat);
	free(watch);
}
