// SPDX-License-Identifier: GPL-2.0-or-later
/* The new program's side of an upgrade: it goes on with what the parent before has left. */
#include "supervise/takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "supervise/event_ring.h"
#include "supervise/instance.h"
#include "supervise/generation.h"
#include "supervise/parent.h"
#include "supervise/parent_start.h"
#include "supervise/reload.h"

#define CONFIG_BYTES_MAX (16u << 20)
#define FDS_MOST	 1048576

/* ---- the manifest ---- */

int takeover_read(struct manifest *manifest, struct why *why)
{
	const char *text = getenv(MANIFEST_VARIABLE);
	char *end = NULL;
	long fd;
	int error;

	*manifest = (struct manifest){.records = NULL};
	if (!text)
		return 0;
	fd = strtol(text, &end, 10);
	error = !*text || *end || fd <= STDERR_FILENO || fd > FDS_MOST ? -EINVAL : 0;
	unsetenv(MANIFEST_VARIABLE);
	if (error)
		return why_set(why, EINVAL, MANIFEST_VARIABLE ": it names no descriptor");
	(void)fcntl((int)fd, F_SETFD, FD_CLOEXEC);
	error = manifest_read((int)fd, manifest, why);
	if (!error) {
		manifest_inherit(manifest, false);
		close((int)fd);
		error = manifest_check_fds(manifest, why);
	}
	if (error)
		manifest_free(manifest);
	return error ? error : 1;
}

static const struct manifest_record *current_generation(const struct manifest *manifest)
{
	const struct manifest_record *record = manifest->records;

	/* There is one: manifest_decode has seen it. */
	while (record->kind != MANIFEST_GENERATION || record->draining)
		record++;
	return record;
}

/* What the running configuration says has to be there. */
static int agrees(const struct manifest *manifest, const struct config *config, struct why *why)
{
	const struct manifest_record *generation = NULL;
	size_t listeners = 0;

	for (size_t i = 0; i < manifest->n; i++) {
		const struct manifest_record *record = &manifest->records[i];

		if (record->kind == MANIFEST_GENERATION)
			generation = record;
		listeners += record->kind == MANIFEST_LISTENER;
		if (record->kind == MANIFEST_PROCESS && record->role == ROLE_WORKER &&
			!generation->draining && record->index >= config->appliance.workers)
			return why_set(
				why, EINVAL, "handover: there is no worker %u", record->index);
	}
	if (listeners != config->appliance.workers)
		return why_set(why, EINVAL, "handover: %zu listeners do not go with %u workers",
			listeners, config->appliance.workers);
	return 0;
}

/* The configuration that is in force, from its memory file. */
static int running_config(const struct parent_options *options, const struct manifest *manifest,
	struct config **config, struct why *why)
{
	struct buf text = BUF_EMPTY;
	int fd = process_reopen(current_generation(manifest)->fds[0]);
	int error;

	*config = NULL;
	if (fd < 0)
		return why_set(why, -fd, "handover: the running configuration: %s", strerror(-fd));
	error = file_read_fd(fd, CONFIG_BYTES_MAX, &text, why);
	close(fd);
	if (!error)
		error = config_parse(options->config_path, buf_slice(&text), config, why);
	buf_free(&text);
	if (!error)
		error = agrees(manifest, *config, why);
	if (error) {
		config_free(*config);
		*config = NULL;
	}
	return error;
}

/* ---- the trial ---- */

#define STRING_(x) #x
#define STRING(x)  STRING_(x)
#define AGREED	   "takes over version " STRING(MANIFEST_VERSION)

bool takeover_agreed(const char *answer)
{
	return strcmp(answer, AGREED) == 0;
}

static int check_keys(const struct manifest *manifest, struct why *why)
{
	const struct ticket_keys *tickets = ticket_keys_map(manifest->records[0].fds[2], why);

	ticket_keys_unmap(tickets);
	return tickets ? 0 : -EINVAL;
}

static int check(const struct parent_options *options, struct why *why)
{
	struct config *running = NULL, *next = NULL;
	struct buf text = BUF_EMPTY;
	struct manifest manifest;
	int error = takeover_read(&manifest, why);
	const char *key;

	if (error == 0)
		return why_set(why, EINVAL, UPGRADE_CHECK ": nothing was handed over");
	if (error < 0)
		return error;
	error = running_config(options, &manifest, &running, why);
	if (!error)
		error = check_keys(&manifest, why);
	if (!error && generation_load(options->config_path, &next, &text))
		error = why_set(why, EINVAL,
			"%s: the configuration cannot be used: the log tells why",
			options->config_path);
	if (!error && (key = reload_unchangeable(running, next)))
		error = why_set(why, EINVAL, "%s: %s differs from what runs; to change it, restart",
			options->config_path, key);
	buf_free(&text);
	config_free(next);
	config_free(running);
	manifest_free(&manifest);
	return error;
}

int takeover_check(const struct parent_options *options)
{
	struct why why = {""};
	int error = check(options, &why);

	puts(error ? why.text : AGREED);
	return fflush(stdout) || error ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- the takeover ---- */

static int take_counters(struct parent *parent, const struct manifest *manifest, struct why *why)
{
	struct upgrade *upgrade = &parent->upgrade;
	struct counters *older;
	int fd = manifest->records[0].fds[1];
	int error = counters_take(parent->counters_path, fd, &parent->counters, &older, why);

	close(fd);
	if (!error && older)
		upgrade->older[upgrade->nolder++] = older;
	for (size_t i = 0; i < manifest->n && !error; i++) {
		if (manifest->records[i].kind != MANIFEST_COUNTERS_OLDER)
			continue;
		fd = manifest->records[i].fds[0];
		if (upgrade->nolder < UPGRADE_OLDER) {
			error = counters_take_older(fd, &older, why);
			if (!error)
				upgrade->older[upgrade->nolder++] = older;
		} else {
			log_warning("processes of %d upgrades ago are not counted any more",
				UPGRADE_OLDER);
		}
		close(fd);
	}
	return error;
}

static int take_listeners_and_rings(
	struct parent *parent, const struct manifest *manifest, struct why *why)
{
	int error = 0;

	for (size_t i = 0; i < manifest->n && !error; i++) {
		const struct manifest_record *record = &manifest->records[i];
		const struct event_ring ring = {
			.number = record->number,
			.ring = record->fds[0],
			.wake_shipper = record->fds[1],
			.wake_worker = record->fds[2],
			.life = record->fds[3],
		};

		if (record->kind == MANIFEST_LISTENER)
			error = worker_listeners_adopt(
				&parent->listeners, record->fds[0], record->fds[1]);
		else if (record->kind == MANIFEST_GATEWAY)
			error = gateway_listeners_adopt(&parent->gateways, record->fds[0]);
		else if (record->kind == MANIFEST_RING)
			error = event_ring_adopt(&parent->rings, &ring);
	}
	return error ? why_set(why, -error, "handover: listeners and rings: %s", strerror(-error))
		     : 0;
}

static int take_tickets(struct parent *parent, const struct manifest *manifest, struct why *why)
{
	int tickets = manifest->records[0].fds[2];

	parent->ticket_keys = ticket_keys_inherit(tickets, &parent->tickets, why);
	if (!parent->ticket_keys)
		return -EINVAL;
	close(tickets);
	return 0;
}

/* The records that belong to a generation end before this one. */
static size_t end_of(const struct manifest *manifest, size_t generation)
{
	size_t at = generation + 1;

	while (at < manifest->n && manifest->records[at].kind != MANIFEST_GENERATION)
		at++;
	return at;
}

static int take_process(struct parent *parent, struct generation *generation,
	const struct manifest_record *record, struct why *why)
{
	struct service *service = record->role == ROLE_SHIPPER
					  ? &parent->shipper
					  : generation_service(generation,
						    (enum role_kind)record->role, record->index);
	struct process_state state = {
		.pid = record->pid,
		.control = record->fds[0],
		.started_ns = record->started_ns,
		.overdue_ns = record->overdue_ns,
		.ready = record->ready,
		.draining = record->draining,
	};

	return service_adopt(service, &state, record->number, why);
}

/* config: NULL for one that drains. */
static int take_generation(struct parent *parent, const struct manifest *manifest, size_t at,
	struct config *config, struct why *why)
{
	const struct manifest_record *head = &manifest->records[at];
	size_t end = end_of(manifest, at);
	unsigned workers = config ? config->appliance.workers : 0;
	struct generation *generation;
	int error = 0;

	for (size_t i = at + 1; i < end && !config; i++)
		if (manifest->records[i].index >= workers)
			workers = manifest->records[i].index + 1;
	generation = generation_adopt(parent, config, workers, why);
	if (!generation)
		return -ENOMEM;
	generation->relieved = head->relieved;
	generation->config_fd = head->fds[0];
	generation->ca_certificate = head->fds[1];
	generation->policy_fd = head->fds[2];
	generation->issued_fd = head->fds[3];
	if (config) {
		parent->current = generation;
		service_init(&parent->shipper, parent, generation, ROLE_SHIPPER, 0);
	}
	for (size_t i = at + 1; i < end && !error; i++) {
		const struct manifest_record *record = &manifest->records[i];

		if (record->kind == MANIFEST_PROCESS)
			error = take_process(parent, generation, record, why);
	}
	return error;
}

/* Those that had ended, and waited to be started again. */
static void fill_places(struct parent *parent)
{
	if (!parent->shipper.process)
		service_start_later(&parent->shipper);
	for (unsigned i = 0; i < parent->current->nservices; i++)
		if (!parent->current->services[i].process)
			service_start_later(&parent->current->services[i]);
}

static int take_all(struct parent *parent, const struct manifest *manifest, struct why *why)
{
	struct config *config;
	int error = running_config(parent->options, manifest, &config, why);

	if (error)
		return error;
	memcpy(parent->epoch, manifest->epoch, sizeof(parent->epoch));
	parent->next_number = manifest->next_number;
	parent->lock = manifest->records[0].fds[0];
	parent->scouted = true;
	error = instance_keep(config->appliance.run_directory, parent->lock, why);
	if (!error)
		error = parent_start_counters(parent, config, why);
	if (!error)
		error = take_counters(parent, manifest, why);
	if (!error)
		error = parent_start_standing(parent, config, why);
	if (!error)
		error = take_tickets(parent, manifest, why);
	if (!error)
		error = take_listeners_and_rings(parent, manifest, why);
	for (size_t i = 0; i < manifest->n && !error; i++) {
		const struct manifest_record *record = &manifest->records[i];

		if (record->kind == MANIFEST_GENERATION)
			error = take_generation(
				parent, manifest, i, record->draining ? NULL : config, why);
	}
	if (!error)
		fill_places(parent);
	return error;
}

void takeover(struct parent *parent, const struct manifest *manifest)
{
	struct why why = {""};
	int error = take_all(parent, manifest, &why);

	if (!error)
		error = parent_start_datapath(parent, parent->current->config, &why);
	if (error) {
		log_error("upgrade: the daemon has to be started anew: %s", why.text);
		_exit(EXIT_FAILURE);
	}
	/* The shipper of before may stay, and has not heard of streams of this parent's own. */
	service_introduce(&parent->shipper, manifest->next_number);
	parent->upgrade.taken_over = true;
	parent->stage = PARENT_RUNNING;
	reload_begin(parent);
}
