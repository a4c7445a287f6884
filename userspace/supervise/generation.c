// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "kernel/heartbeat.h"
#include "supervise/boot_fds.h"
#include "supervise/credential_watch.h"
#include "supervise/directory.h"
#include "supervise/event_ring.h"
#include "supervise/limit_watch.h"
#include "supervise/accounting.h"
#include "supervise/parent.h"
#include "supervise/policy_files.h"
#include "supervise/text_memfd.h"

/* Seconds without an answer after which a child is killed, and so replaced. They answer in the same
 * turn of their loop, but for a shipper that sits in fsync(2) on a slow disk. */
#define PATIENCE	 10
#define PATIENCE_SHIPPER 60
/* Workers of one place that hang, or drain because they did, at a time. */
#define RELIEVED_MAX 4

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* ---- a configuration and its files ---- */

static void told(void *context, const char *problem)
{
	(void)context;
	log_error("%s", problem);
}

int generation_load(const char *path, struct config **config, struct buf *text)
{
	struct why why = {""};
	int error = config_read(path, text, &why);
	size_t problems;

	*config = NULL;
	if (error) {
		log_error("%s", why.text);
		return error;
	}
	error = config_parse_all(path, buf_slice(text), config, told, NULL, &problems);
	if (error)
		return error;
	problems = config_check_system(path, *config, told, NULL);
	if (!problems)
		return 0;
	config_free(*config);
	*config = NULL;
	return -EINVAL;
}

/* Writes the head and what the descriptor holds under a new name, and puts it in place. */
static int publish(int text_fd, const char *head, const char *path, struct why *why)
{
	char new_path[PATH_MAX];
	off_t at = 0;
	ssize_t n = -1;
	int fd;

	if (snprintf(new_path, sizeof(new_path), "%s.new", path) >= (int)sizeof(new_path))
		return why_set(why, ENAMETOOLONG, "%s: the path is too long", path);
	unlink(new_path);
	fd = open(new_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return why_set(why, errno, "%s: cannot be made: %m", new_path);
	if (write(fd, head, strlen(head)) == (ssize_t)strlen(head))
		while ((n = sendfile(fd, text_fd, &at, 1 << 20)) > 0)
			;
	if (close(fd) < 0 || n < 0 || rename(new_path, path) < 0) {
		why_set(why, errno, "%s: cannot be written: %m", path);
		unlink(new_path);
		return -EIO;
	}
	return 0;
}

void generation_publish(const struct generation *generation, const char *config_path)
{
	const char *directory = generation->config->appliance.run_directory;
	char path[PATH_MAX], head[PATH_MAX + 64], *absolute = realpath(config_path, NULL);
	struct why why = {""};

	snprintf(head, sizeof(head), CONFIG_RUNNING_HEAD "%s\n", absolute ? absolute : config_path);
	free(absolute);
	if (snprintf(path, sizeof(path), "%s/" CONFIG_RUNNING_FILE, directory) >=
			(int)sizeof(path) ||
		publish(generation->config_fd, head, path, &why))
		log_warning("the command line goes by the file on disk: %s", why.text);
}

void generation_unpublish(const struct generation *generation)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/" CONFIG_RUNNING_FILE,
		    generation->config->appliance.run_directory) < (int)sizeof(path))
		unlink(path);
}

static int open_certificate(const struct config *config, struct why *why)
{
	int fd = open(config->tls.ca_certificate, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? why_set(why, errno, "tls.ca_certificate: cannot open %s: %m",
				config->tls.ca_certificate)
		      : fd;
}

static int open_files(struct generation *generation, struct slice text, struct why *why)
{
	const struct config *config = generation->config;
	int error = directory_make("audit.spool_directory", config->audit.spool_directory, 0700,
		&config->processes.shipper, why);

	if (error)
		return error;
	generation->config_fd = text_memfd(text, why);
	if (generation->config_fd < 0)
		return generation->config_fd;
	generation->ca_certificate = open_certificate(config, why);
	if (generation->ca_certificate < 0)
		return generation->ca_certificate;
	return policy_files_open(
		&config->policy, &generation->policy_fd, &generation->issued_fd, why);
}

struct generation *generation_adopt(
	struct parent *parent, struct config *config, unsigned workers, struct why *why)
{
	struct generation *generation = calloc(1, sizeof(*generation));

	if (!generation) {
		config_free(config);
		why_set(why, ENOMEM, "no memory for the configuration");
		return NULL;
	}
	generation->config = config;
	generation->draining = !config;
	generation->config_fd = generation->ca_certificate = -1;
	generation->policy_fd = generation->issued_fd = -1;
	list_append(&parent->generations, &generation->node);
	generation->credentials = calloc(
		(config ? config->ncredentials : 0) + 1, sizeof(*generation->credentials));
	generation->services = calloc(GENERATION_WORKER + workers, sizeof(*generation->services));
	if (!generation->credentials || !generation->services) {
		generation_free(generation);
		why_set(why, ENOMEM, "no memory for the configuration");
		return NULL;
	}
	generation->nservices = GENERATION_WORKER + workers;
	service_init(&generation->services[GENERATION_SIGNER], parent, generation, ROLE_SIGNER, 0);
	service_init(&generation->services[GENERATION_SCOUT], parent, generation, ROLE_SCOUT, 0);
	service_init(&generation->services[GENERATION_KEEPER], parent, generation, ROLE_KEEPER, 0);
	for (unsigned i = 0; i < workers; i++)
		service_init(&generation->services[GENERATION_WORKER + i], parent, generation,
			ROLE_WORKER, i);
	return generation;
}

struct generation *generation_new(
	struct parent *parent, struct config *config, struct slice text, struct why *why)
{
	struct generation *generation =
		generation_adopt(parent, config, config->appliance.workers, why);

	if (generation && open_files(generation, text, why)) {
		generation_free(generation);
		return NULL;
	}
	return generation;
}

void generation_free(struct generation *generation)
{
	if (!generation)
		return;
	list_remove(&generation->node);
	for (unsigned i = 0; i < generation->nservices; i++) {
		struct service *service = &generation->services[i];

		ev_timer_stop(service->parent->loop, &service->restart);
		process_free(service->process);
	}
	close_fd(generation->config_fd);
	close_fd(generation->ca_certificate);
	close_fd(generation->policy_fd);
	close_fd(generation->issued_fd);
	free(generation->credentials);
	free(generation->services);
	config_free(generation->config);
	free(generation);
}

unsigned generation_running(const struct generation *generation, enum role_kind kind)
{
	unsigned n = 0;

	for (unsigned i = 0; i < generation->nservices; i++) {
		if (generation->services[i].process &&
			(kind == ROLE_KINDS || generation->services[i].kind == kind))
			n++;
	}
	return n;
}

bool generation_is_ready(const struct generation *generation)
{
	for (unsigned i = 0; i < generation->nservices; i++) {
		if (!generation->services[i].process ||
			!process_is_ready(generation->services[i].process))
			return false;
	}
	return true;
}

/* ---- what a process gets ---- */

static void add_judge(struct boot_fds *fds, const struct datapath *datapath)
{
	int flows, judgements, error = datapath_judge_fds(datapath, &flows, &judgements);

	if (error) {
		fds->error = error;
		return;
	}
	boot_fds_own(fds, "flows", flows);
	boot_fds_own(fds, "judgements", judgements);
}

static void add_gateways(struct boot_fds *fds, const struct service *service)
{
	const struct config_gateway *gateway = &service->generation->config->gateway;

	for (size_t i = 0; i < gateway->nlisten; i++)
		boot_fds_add(fds, role_gateway_name((unsigned)i),
			gateway_listeners_find(&service->parent->gateways, &gateway->listen[i]));
}

static void add_worker(struct boot_fds *fds, const struct service *service,
	const struct event_ring *ring, int life)
{
	const struct worker_listener *listener = &service->parent->listeners.each[service->index];

	boot_fds_add(fds, "listener4", listener->fd4);
	boot_fds_add(fds, "listener6", listener->fd6);
	add_gateways(fds, service);
	boot_fds_reopen(fds, "ca_certificate", service->generation->ca_certificate);
	if (service->generation->config->tls.ticket_rotation_ns)
		boot_fds_reopen(fds, "tickets", service->parent->tickets);
	boot_fds_add(fds, "standing", service->parent->standing);
	limit_watch_boot(service->parent->limit_watch, fds);
	boot_fds_add(fds, "ring", ring->ring);
	boot_fds_add(fds, "wake_shipper", ring->wake_shipper);
	boot_fds_add(fds, "wake_worker", ring->wake_worker);
	if (service->parent->accounting)
		boot_fds_reopen(fds, "sources", accounting_sources(service->parent->accounting));
	boot_fds_own(fds, "life", life);
	boot_fds_reopen(fds, "policy", service->generation->policy_fd);
	boot_fds_reopen(fds, "issued_keys", service->generation->issued_fd);
}

static struct process_start start_of(struct service *service, const struct control_boot *boot)
{
	struct parent *parent = service->parent;

	return (struct process_start){
		.loop = parent->loop,
		.counters = parent->counters,
		.title = parent->options->table->roles[service->kind]->title,
		.patience = service->kind == ROLE_SHIPPER ? PATIENCE_SHIPPER : PATIENCE,
		.boot = boot,
		.owner = parent->owner,
		.context = service,
	};
}

static int start(struct service *service, struct boot_fds *fds, struct why *why)
{
	struct parent *parent = service->parent;
	struct control_boot boot = {
		.kind = service->kind,
		.index = service->index,
		.number = service->number,
		.log_level = parent->options->log_level,
	};
	struct process_start start = start_of(service, &boot);

	memcpy(boot.epoch, parent->epoch, sizeof(boot.epoch));
	snprintf(boot.config_path, sizeof(boot.config_path), "%s", parent->options->config_path);
	boot_fds_reopen(fds, "config", service->generation->config_fd);
	boot_fds_add(fds, "counters", parent->counters->fd);
	if (service->kind == ROLE_WORKER || service->kind == ROLE_SCOUT)
		boot_fds_add(fds, "heartbeats", datapath_heartbeats(parent->datapath));
	if (service->kind == ROLE_SCOUT && service->generation->config->endpoints.learn)
		add_judge(fds, parent->datapath);
	if (fds->error)
		return why_set(why, -fds->error, "%s: cannot open a file for it: %s", start.title,
			strerror(-fds->error));
	start.fds = fds->fds;
	start.nfds = fds->nfds;
	return process_start(&start, &service->process, why);
}

/* ---- introductions ---- */

static void introduce_to_shipper(struct process *shipper, const struct event_ring *ring)
{
	struct control_peer peer = {.number = ring->number};
	int fds[4] = {ring->ring, ring->wake_shipper, ring->wake_worker, ring->life};

	process_send(shipper, CONTROL_PEER, &peer, sizeof(peer), fds, 4);
}

void service_introduce(struct service *shipper, uint32_t from)
{
	list_for_each (node, &shipper->parent->rings) {
		const struct event_ring *ring = list_entry(node, struct event_ring, node);

		if (shipper->process && ring->number >= from)
			introduce_to_shipper(shipper->process, ring);
	}
}

/* Who serves the workers over a socket each, and what a worker is told when there is another one. */
static const struct server {
	unsigned service;
	const char *name; /* of the worker's descriptor at its start */
	uint32_t told;
} servers[] = {
	{GENERATION_SIGNER, "signer", CONTROL_SIGNER},
	{GENERATION_KEEPER, "keeper", CONTROL_KEEPER},
};
#define SERVERS (sizeof(servers) / sizeof(servers[0]))

static void introduce_to_server(struct service *server, uint32_t worker, int socket)
{
	struct control_peer peer = {.number = worker};

	if (server->process)
		process_send(server->process, CONTROL_PEER, &peer, sizeof(peer), &socket, 1);
}

/* The worker's ends go on the list; ends[i] are for the servers, the caller's to close. */
static int add_servers(struct boot_fds *fds, int ends[SERVERS], struct why *why)
{
	for (size_t i = 0; i < SERVERS; i++) {
		int pair[2], error = ipc_pair(pair);

		if (error)
			return why_set(why, -error, "worker: no socket to the %s: %s",
				servers[i].name, strerror(-error));
		boot_fds_own(fds, servers[i].name, pair[0]);
		ends[i] = pair[1];
	}
	return 0;
}

static int start_worker(struct service *service, struct boot_fds *fds, struct why *why)
{
	struct parent *parent = service->parent;
	int life, ends[SERVERS] = {-1, -1}, error = add_servers(fds, ends, why);
	struct event_ring *ring = error ? NULL
					: event_ring_make(&parent->rings, service->number,
						  service->generation->config->audit.ring_bytes,
						  &life, why);

	if (ring) {
		add_worker(fds, service, ring, life);
		error = start(service, fds, why);
		if (error)
			event_ring_free(ring);
	} else if (!error) {
		error = -ENOMEM;
	}
	if (!error) {
		/* Whoever died by accident is back within the timeout of its stamp: until it can
		 * write one, connections wait in its listener. Not for one that dies again and
		 * again, with whom they would wait in vain. */
		if (service->failures <= 1)
			heartbeat_vouch(parent->heartbeat, service->index);
		if (parent->shipper.process)
			introduce_to_shipper(parent->shipper.process, ring);
		for (size_t i = 0; i < SERVERS; i++)
			introduce_to_server(&service->generation->services[servers[i].service],
				service->number, ends[i]);
	}
	for (size_t i = 0; i < SERVERS; i++)
		close_fd(ends[i]);
	return error;
}

/* Workers that are there already get to know the server that has just started. */
static void introduce_workers(struct service *service, const struct server *server)
{
	struct generation *generation = service->generation;

	for (unsigned i = GENERATION_WORKER; i < generation->nservices; i++) {
		struct service *worker = &generation->services[i];
		int pair[2];

		if (!worker->process)
			continue;
		if (ipc_pair(pair)) {
			/* Without it this worker is of no use: it starts anew. */
			process_kill(worker->process);
			continue;
		}
		introduce_to_server(service, worker->number, pair[1]);
		process_send(worker->process, server->told, NULL, 0, &pair[0], 1);
		close(pair[0]);
		close(pair[1]);
	}
}

static int start_signer(struct service *service, struct boot_fds *fds, struct why *why)
{
	struct generation *generation = service->generation;
	const struct config *config = generation->config;
	int key = file_secret_open(config->tls.ca_key, config->processes.signer.uid, why);
	int certificate = key < 0 ? key : open_certificate(config, why);
	int error = certificate < 0 ? certificate : 0;

	/* Opened for this start only, and both now: the key is in nobody else's hands for longer
	 * than it takes to pass it on, and it always fits the certificate. */
	if (key >= 0)
		boot_fds_own(fds, "ca_key", key);
	if (certificate >= 0)
		boot_fds_own(fds, "ca_certificate", certificate);
	if (!error)
		error = start(service, fds, why);
	if (!error)
		introduce_workers(service, &servers[0]);
	return error;
}

/* The keeper of the configuration in force has values that are good, and leaves them to the one that
 * starts. */
static int add_heritage(struct service *service, struct boot_fds *fds, int *end, struct why *why)
{
	struct generation *current = service->parent->current;
	int pair[2], error;

	*end = -1;
	if (!current || current == service->generation ||
		!current->services[GENERATION_KEEPER].process)
		return 0;
	error = ipc_pair(pair);
	if (error)
		return why_set(why, -error, "keeper: no socket to the one before: %s",
			strerror(-error));
	boot_fds_own(fds, "heritage", pair[0]);
	*end = pair[1];
	return 0;
}

static int start_keeper(struct service *service, struct boot_fds *fds, struct why *why)
{
	int end, error = add_heritage(service, fds, &end, why);

	if (!error)
		error = start(service, fds, why);
	if (!error && end >= 0)
		process_send(service->parent->current->services[GENERATION_KEEPER].process,
			CONTROL_HEIR, NULL, 0, &end, 1);
	close_fd(end);
	if (error)
		return error;
	credential_watch_tell(service->generation);
	introduce_workers(service, &servers[1]);
	return 0;
}

/* The spool has one owner: the lock is of the description that is handed over, so it ends with the
 * shipper, even of a parent that was killed. */
static int open_spool(const struct config *config, struct why *why)
{
	const char *path = config->audit.spool_directory;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error;

	if (fd < 0)
		return why_set(why, errno, "audit.spool_directory: cannot open %s: %m", path);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	if (errno == EWOULDBLOCK)
		error = why_set(why, EBUSY,
			"audit.spool_directory: another shipper still uses %s: waiting for its end",
			path);
	else
		error = why_set(why, errno, "audit.spool_directory: cannot lock %s: %m", path);
	close(fd);
	return error;
}

/* What the shipper shows to the collector, and knows it by. */
static int open_collector(
	const struct config_audit *audit, struct boot_fds *fds, struct why *why)
{
	const struct {
		const char *name, *path;
		bool secret;
	} files[] = {{"collector_key", audit->collector_key_file, true},
		{"collector_ca", audit->collector_ca_file, false},
		{"collector_certificate", audit->collector_certificate_file, false},
		{"collector_certificate_key", audit->collector_certificate_key_file, true}};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		int fd;

		if (!files[i].path)
			continue;
		fd = files[i].secret ? file_secret_open(files[i].path, 0, why)
				     : open(files[i].path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return files[i].secret ? fd
					       : why_set(why, errno, "%s: %m", files[i].path);
		boot_fds_own(fds, files[i].name, fd);
	}
	return 0;
}

static int start_shipper(struct service *service, struct boot_fds *fds, struct why *why)
{
	int spool = open_spool(service->generation->config, why);
	int error;

	if (spool < 0)
		return spool;
	boot_fds_own(fds, "spool", spool);
	limit_watch_show(service->parent->limit_watch, fds);
	error = open_collector(&service->generation->config->audit, fds, why);
	if (error)
		return error;
	error = start(service, fds, why);
	if (error)
		return error;
	service_introduce(service, 0);
	return 0;
}

/* ---- services ---- */

struct service *generation_service(
	struct generation *generation, enum role_kind kind, unsigned index)
{
	for (unsigned i = 0; i < generation->nservices; i++) {
		struct service *service = &generation->services[i];

		if (service->kind == kind && service->index == index)
			return service;
	}
	return NULL;
}

int service_adopt(struct service *service, const struct process_state *state, uint32_t number,
	struct why *why)
{
	struct control_boot boot = {.kind = service->kind, .index = service->index};
	struct process_start start = start_of(service, &boot);

	service->number = number;
	return process_adopt(&start, state, &service->process, why);
}

static void on_restart(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct service *service = timer->data;
	struct why why = {""};

	(void)loop;
	(void)events;
	if (!service_start(service, &why))
		return;
	log_error("%s", why.text);
	service->failures = process_failures(service->failures, 0);
	service_start_later(service);
}

void service_init(struct service *service, struct parent *parent, struct generation *generation,
	enum role_kind kind, unsigned index)
{
	*service = (struct service){
		.parent = parent, .generation = generation, .kind = kind, .index = index};
	ev_timer_init(&service->restart, on_restart, 0., 0.);
	service->restart.data = service;
}

int service_start(struct service *service, struct why *why)
{
	struct boot_fds fds = {.nfds = 0};
	int error;

	service->number = service->parent->next_number++;
	service->temporary = false;
	if (service->kind == ROLE_WORKER)
		error = start_worker(service, &fds, why);
	else if (service->kind == ROLE_SIGNER)
		error = start_signer(service, &fds, why);
	else if (service->kind == ROLE_KEEPER)
		error = start_keeper(service, &fds, why);
	else if (service->kind == ROLE_SHIPPER)
		error = start_shipper(service, &fds, why);
	else
		error = start(service, &fds, why);
	boot_fds_close(&fds);
	return error;
}

/* How many of this place were relieved and are still there. Those that hang on are killed: a client
 * that makes one after the other hang must not gather them. */
static unsigned relieved(const struct service *service)
{
	unsigned n = 0;

	list_for_each (node, &service->parent->generations) {
		struct generation *generation = list_entry(node, struct generation, node);
		const struct service *place = &generation->services[generation->nservices - 1];

		if (!generation->relieved || place->index != service->index || !place->process)
			continue;
		n++;
		if (process_is_silent(place->process))
			process_kill(place->process);
	}
	return n;
}

int service_relieve(struct service *service, struct why *why)
{
	struct generation *generation;
	struct service *place;

	if (relieved(service) >= RELIEVED_MAX)
		return why_set(why, EBUSY, "%s: %d that were relieved before are not gone yet",
			process_name(service->process), RELIEVED_MAX);
	/* A generation of its own, which has nothing but this worker and ends with it. */
	generation = generation_adopt(service->parent, NULL, service->index + 1, why);
	if (!generation)
		return -ENOMEM;
	generation->relieved = true;
	place = &generation->services[GENERATION_WORKER + service->index];
	place->process = service->process;
	place->number = service->number;
	process_set_context(place->process, place);
	service->process = NULL;
	process_drain(place->process, UINT64_MAX);
	return service_start(service, why);
}

void service_start_later(struct service *service)
{
	ev_timer_stop(service->parent->loop, &service->restart);
	ev_timer_set(&service->restart, (double)process_backoff_ns(service->failures) / 1e9, 0.);
	ev_timer_start(service->parent->loop, &service->restart);
}
