// SPDX-License-Identifier: GPL-2.0-or-later
#include "supervise/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "supervise/directory.h"
#include "supervise/parent.h"

/* The named descriptors of one process: the worker has most. */
#define FDS_MOST 16
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

static int hold_text(struct slice text, struct why *why)
{
	int fd = memfd_create("sallyport-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return why_set(why, errno, "configuration: cannot make its memory file: %m");
	if (pwrite(fd, text.data, text.len, 0) != (ssize_t)text.len ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) <
			0) {
		close(fd);
		return why_set(why, EIO, "configuration: cannot keep its text");
	}
	return fd;
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
	generation->config_fd = hold_text(text, why);
	if (generation->config_fd < 0)
		return generation->config_fd;
	generation->ca_certificate = open_certificate(config, why);
	return generation->ca_certificate < 0 ? generation->ca_certificate : 0;
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
	list_append(&parent->generations, &generation->node);
	generation->credentials = calloc(
		(config ? config->ncredentials : 0) + 1, sizeof(*generation->credentials));
	generation->slots = calloc(GENERATION_WORKER + workers, sizeof(*generation->slots));
	if (!generation->credentials || !generation->slots) {
		generation_free(generation);
		why_set(why, ENOMEM, "no memory for the configuration");
		return NULL;
	}
	generation->nslots = GENERATION_WORKER + workers;
	slot_init(&generation->slots[GENERATION_SIGNER], parent, generation, ROLE_SIGNER, 0);
	slot_init(&generation->slots[GENERATION_SCOUT], parent, generation, ROLE_SCOUT, 0);
	slot_init(&generation->slots[GENERATION_KEEPER], parent, generation, ROLE_KEEPER, 0);
	for (unsigned i = 0; i < workers; i++)
		slot_init(&generation->slots[GENERATION_WORKER + i], parent, generation,
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
	for (unsigned i = 0; i < generation->nslots; i++) {
		struct slot *slot = &generation->slots[i];

		ev_timer_stop(slot->parent->loop, &slot->restart);
		process_free(slot->process);
	}
	close_fd(generation->config_fd);
	close_fd(generation->ca_certificate);
	free(generation->credentials);
	free(generation->slots);
	config_free(generation->config);
	free(generation);
}

unsigned generation_running(const struct generation *generation, enum role_kind kind)
{
	unsigned n = 0;

	for (unsigned i = 0; i < generation->nslots; i++) {
		if (generation->slots[i].process &&
			(kind == ROLE_KINDS || generation->slots[i].kind == kind))
			n++;
	}
	return n;
}

bool generation_is_ready(const struct generation *generation)
{
	for (unsigned i = 0; i < generation->nslots; i++) {
		if (!generation->slots[i].process ||
			!process_is_ready(generation->slots[i].process))
			return false;
	}
	return true;
}

/* ---- what a process gets ---- */

/* The list of descriptors for one start: those made for it are closed afterwards. */
struct package {
	struct process_fd fds[FDS_MOST];
	size_t nfds;
	int made[FDS_MOST];
	size_t nmade;
	int error;
};

static void package_close(struct package *package)
{
	for (size_t i = 0; i < package->nmade; i++)
		close(package->made[i]);
}

static void pack(struct package *package, const char *name, int fd)
{
	if (fd >= 0)
		package->fds[package->nfds++] = (struct process_fd){name, fd};
}

/* Packs a descriptor that exists for this child only. */
static void pack_made(struct package *package, const char *name, int fd)
{
	if (fd < 0) {
		package->error = fd;
		return;
	}
	package->made[package->nmade++] = fd;
	pack(package, name, fd);
}

/* Packs the same file, with an offset of its own, to be read only. */
static void pack_copy(struct package *package, const char *name, int fd)
{
	pack_made(package, name, process_reopen(fd));
}

static void pack_judge(struct package *package, const struct datapath *datapath)
{
	int flows, judgements, error = datapath_judge_fds(datapath, &flows, &judgements);

	if (error) {
		package->error = error;
		return;
	}
	pack_made(package, "flows", flows);
	pack_made(package, "judgements", judgements);
}

static void pack_worker(struct package *package, const struct slot *slot,
	const struct handout_ring *ring, int life)
{
	const struct handout *handout = &slot->parent->handout;
	const struct handout_listener *listener = &handout->listeners[slot->index];

	pack(package, "listener4", listener->fd4);
	pack(package, "listener6", listener->fd6);
	pack_copy(package, "ca_certificate", slot->generation->ca_certificate);
	if (slot->generation->config->tls.ticket_rotation_ns)
		pack_copy(package, "tickets", handout->tickets);
	pack(package, "ring", ring->ring);
	pack(package, "wake_shipper", ring->wake_shipper);
	pack(package, "wake_worker", ring->wake_worker);
	if (slot->parent->census)
		pack_copy(package, "board", census_board(slot->parent->census));
	pack_made(package, "life", life);
}

static struct process_start start_of(struct slot *slot, const struct control_boot *boot)
{
	struct parent *parent = slot->parent;

	return (struct process_start){
		.loop = parent->loop,
		.counters = parent->counters,
		.title = parent->options->table->roles[slot->kind]->title,
		.patience = slot->kind == ROLE_SHIPPER ? PATIENCE_SHIPPER : PATIENCE,
		.boot = boot,
		.owner = &parent_owner,
		.context = slot,
	};
}

static int start(struct slot *slot, struct package *package, struct why *why)
{
	struct parent *parent = slot->parent;
	struct control_boot boot = {
		.kind = slot->kind,
		.index = slot->index,
		.number = slot->number,
		.log_level = parent->options->log_level,
	};
	struct process_start start = start_of(slot, &boot);

	memcpy(boot.epoch, parent->epoch, sizeof(boot.epoch));
	snprintf(boot.config_path, sizeof(boot.config_path), "%s", parent->options->config_path);
	pack_copy(package, "config", slot->generation->config_fd);
	pack(package, "counters", parent->counters->fd);
	if (slot->kind == ROLE_WORKER || slot->kind == ROLE_SCOUT)
		pack(package, "heartbeats", datapath_heartbeats(parent->datapath));
	if (slot->kind == ROLE_SCOUT && slot->generation->config->endpoints.learn)
		pack_judge(package, parent->datapath);
	if (package->error)
		return why_set(why, -package->error, "%s: cannot open a file for it: %s",
			start.title, strerror(-package->error));
	start.fds = package->fds;
	start.nfds = package->nfds;
	return process_start(&start, &slot->process, why);
}

/* ---- introductions ---- */

static void introduce_to_shipper(struct process *shipper, const struct handout_ring *ring)
{
	struct control_peer peer = {.number = ring->number};
	int fds[4] = {ring->ring, ring->wake_shipper, ring->wake_worker, ring->life};

	process_send(shipper, CONTROL_PEER, &peer, sizeof(peer), fds, 4);
}

void slot_introduce(struct slot *shipper, uint32_t from)
{
	list_for_each (node, &shipper->parent->handout.rings) {
		const struct handout_ring *ring = list_entry(node, struct handout_ring, node);

		if (shipper->process && ring->number >= from)
			introduce_to_shipper(shipper->process, ring);
	}
}

/* Who serves the workers over a socket each, and what a worker is told when there is another one. */
static const struct server {
	unsigned slot;
	const char *name; /* of the worker's descriptor at its start */
	uint32_t told;
} servers[] = {
	{GENERATION_SIGNER, "signer", CONTROL_SIGNER},
	{GENERATION_KEEPER, "keeper", CONTROL_KEEPER},
};
#define SERVERS (sizeof(servers) / sizeof(servers[0]))

static void introduce_to_server(struct slot *server, uint32_t worker, int socket)
{
	struct control_peer peer = {.number = worker};

	if (server->process)
		process_send(server->process, CONTROL_PEER, &peer, sizeof(peer), &socket, 1);
}

/* The workers' ends go into the package; ends[i] are for the servers, the caller's to close. */
static int pack_servers(struct package *package, int ends[SERVERS], struct why *why)
{
	for (size_t i = 0; i < SERVERS; i++) {
		int pair[2], error = ipc_pair(pair);

		if (error)
			return why_set(why, -error, "worker: no socket to the %s: %s",
				servers[i].name, strerror(-error));
		pack_made(package, servers[i].name, pair[0]);
		ends[i] = pair[1];
	}
	return 0;
}

static int start_worker(struct slot *slot, struct package *package, struct why *why)
{
	struct parent *parent = slot->parent;
	int life, ends[SERVERS] = {-1, -1}, error = pack_servers(package, ends, why);
	struct handout_ring *ring = error ? NULL
					  : handout_ring_make(&parent->handout, slot->number,
						    slot->generation->config->audit.ring_bytes,
						    &life, why);

	if (ring) {
		pack_worker(package, slot, ring, life);
		error = start(slot, package, why);
		if (error)
			handout_ring_free(ring);
	} else if (!error) {
		error = -ENOMEM;
	}
	if (!error) {
		/* Whoever died by accident is back within the timeout of its stamp: until it can
		 * write one, connections wait in its listener. Not for one that dies again and
		 * again, with whom they would wait in vain. */
		if (slot->failures <= 1)
			vitals_vouch(parent->vitals, slot->index);
		if (parent->shipper.process)
			introduce_to_shipper(parent->shipper.process, ring);
		for (size_t i = 0; i < SERVERS; i++)
			introduce_to_server(&slot->generation->slots[servers[i].slot],
				slot->number, ends[i]);
	}
	for (size_t i = 0; i < SERVERS; i++)
		close_fd(ends[i]);
	return error;
}

/* Workers that are there already get to know the server that has just started. */
static void introduce_workers(struct slot *slot, const struct server *server)
{
	struct generation *generation = slot->generation;

	for (unsigned i = GENERATION_WORKER; i < generation->nslots; i++) {
		struct slot *worker = &generation->slots[i];
		int pair[2];

		if (!worker->process)
			continue;
		if (ipc_pair(pair)) {
			/* Without it this worker is of no use: it starts anew. */
			process_kill(worker->process);
			continue;
		}
		introduce_to_server(slot, worker->number, pair[1]);
		process_send(worker->process, server->told, NULL, 0, &pair[0], 1);
		close(pair[0]);
		close(pair[1]);
	}
}

static int start_signer(struct slot *slot, struct package *package, struct why *why)
{
	struct generation *generation = slot->generation;
	const struct config *config = generation->config;
	int key = file_secret_open(config->tls.ca_key, config->processes.signer.uid, why);
	int certificate = key < 0 ? key : open_certificate(config, why);
	int error = certificate < 0 ? certificate : 0;

	/* Opened for this start only, and both now: the key is in nobody else's hands for longer
	 * than it takes to pass it on, and it always fits the certificate. */
	if (key >= 0)
		pack_made(package, "ca_key", key);
	if (certificate >= 0)
		pack_made(package, "ca_certificate", certificate);
	if (!error)
		error = start(slot, package, why);
	if (!error)
		introduce_workers(slot, &servers[0]);
	return error;
}

static int start_keeper(struct slot *slot, struct package *package, struct why *why)
{
	int error = start(slot, package, why);

	if (error)
		return error;
	credential_watch_tell(slot->generation);
	introduce_workers(slot, &servers[1]);
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

static int start_shipper(struct slot *slot, struct package *package, struct why *why)
{
	const char *key_path = slot->generation->config->audit.collector_key_file;
	int spool = open_spool(slot->generation->config, why);
	int key, error;

	if (spool < 0)
		return spool;
	pack_made(package, "spool", spool);
	if (key_path) {
		key = file_secret_open(key_path, 0, why);
		if (key < 0)
			return key;
		pack_made(package, "collector_key", key);
	}
	error = start(slot, package, why);
	if (error)
		return error;
	slot_introduce(slot, 0);
	return 0;
}

/* ---- slots ---- */

struct slot *generation_slot(struct generation *generation, enum role_kind kind, unsigned index)
{
	for (unsigned i = 0; i < generation->nslots; i++) {
		struct slot *slot = &generation->slots[i];

		if (slot->kind == kind && slot->index == index)
			return slot;
	}
	return NULL;
}

int slot_adopt(
	struct slot *slot, const struct process_state *state, uint32_t number, struct why *why)
{
	struct control_boot boot = {.kind = slot->kind, .index = slot->index};
	struct process_start start = start_of(slot, &boot);

	slot->number = number;
	return process_adopt(&start, state, &slot->process, why);
}

static void on_restart(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct slot *slot = timer->data;
	struct why why = {""};

	(void)loop;
	(void)events;
	if (!slot_start(slot, &why))
		return;
	log_error("%s", why.text);
	slot->failures = process_failures(slot->failures, 0);
	slot_start_later(slot);
}

void slot_init(struct slot *slot, struct parent *parent, struct generation *generation,
	enum role_kind kind, unsigned index)
{
	*slot = (struct slot){
		.parent = parent, .generation = generation, .kind = kind, .index = index};
	ev_timer_init(&slot->restart, on_restart, 0., 0.);
	slot->restart.data = slot;
}

int slot_start(struct slot *slot, struct why *why)
{
	struct package package = {.nfds = 0};
	int error;

	slot->number = slot->parent->next_number++;
	slot->temporary = false;
	if (slot->kind == ROLE_WORKER)
		error = start_worker(slot, &package, why);
	else if (slot->kind == ROLE_SIGNER)
		error = start_signer(slot, &package, why);
	else if (slot->kind == ROLE_KEEPER)
		error = start_keeper(slot, &package, why);
	else if (slot->kind == ROLE_SHIPPER)
		error = start_shipper(slot, &package, why);
	else
		error = start(slot, &package, why);
	package_close(&package);
	return error;
}

/* How many of this place were relieved and are still there. Those that hang on are killed: a client
 * that makes one after the other hang must not gather them. */
static unsigned relieved(const struct slot *slot)
{
	unsigned n = 0;

	list_for_each (node, &slot->parent->generations) {
		struct generation *generation = list_entry(node, struct generation, node);
		const struct slot *place = &generation->slots[generation->nslots - 1];

		if (!generation->relieved || place->index != slot->index || !place->process)
			continue;
		n++;
		if (process_is_silent(place->process))
			process_kill(place->process);
	}
	return n;
}

int slot_relieve(struct slot *slot, struct why *why)
{
	struct generation *generation;
	struct slot *place;

	if (relieved(slot) >= RELIEVED_MAX)
		return why_set(why, EBUSY, "%s: %d that were relieved before are not gone yet",
			process_name(slot->process), RELIEVED_MAX);
	/* A generation of its own, which has nothing but this worker and ends with it. */
	generation = generation_adopt(slot->parent, NULL, slot->index + 1, why);
	if (!generation)
		return -ENOMEM;
	generation->relieved = true;
	place = &generation->slots[GENERATION_WORKER + slot->index];
	place->process = slot->process;
	place->number = slot->number;
	process_set_context(place->process, place);
	slot->process = NULL;
	process_drain(place->process, UINT64_MAX);
	return slot_start(slot, why);
}

void slot_start_later(struct slot *slot)
{
	ev_timer_stop(slot->parent->loop, &slot->restart);
	ev_timer_set(&slot->restart, (double)process_backoff_ns(slot->failures) / 1e9, 0.);
	ev_timer_start(slot->parent->loop, &slot->restart);
}
