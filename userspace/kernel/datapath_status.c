/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/guard.h"
#include "kernel/datapath_status.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "kernel/attach.h"
#include "kernel/netlink.h"
#include "kernel/pins.h"
#include "kernel/programs.h"
#include "kernel/route.h"
#include "kernel/source_active.h"

/* Walks the keys of a map; entries that come and go meanwhile may be missed, and a key that is
 * deleted under the walk starts it again: bounded by twice the map's size. */
struct walk {
	int map;
	size_t left;
	bool started;
	union {
		struct address address;
		struct prefix_key prefix;
		struct flow_key flow;
	} key, next;
};

static struct walk walk_start(int map)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);
	struct walk walk = {.map = map};

	if (map >= 0 && bpf_obj_get_info_by_fd(map, &info, &len) == 0)
		walk.left = 2 * (size_t)info.max_entries;
	return walk;
}

static bool walk_next(struct walk *walk)
{
	if (walk->left == 0 ||
		bpf_map_get_next_key(walk->map, walk->started ? &walk->key : NULL, &walk->next) < 0)
		return false;
	walk->left--;
	walk->started = true;
	walk->key = walk->next;
	return true;
}

/* Room for one more element in a growing array; NULL without memory. */
static void *grown(void **array, size_t n, size_t size)
{
	/* Doubles at each power of two. */
	if ((n & (n - 1)) == 0) {
		void *larger = reallocarray(*array, n ? 2 * n : 1, size);

		if (!larger)
			return NULL;
		*array = larger;
	}
	return (char *)*array + n * size;
}

static void program_read(
	const struct attached *attached, const char *name, struct datapath_program *program)
{
	program->foreign =
		attached->there && !attached->hidden && strcmp(attached->name, name) != 0;
	program->attached = attached->there && !program->foreign;
	program->id = attached->program;
	program->loaded_ns = attached->loaded_ns;
	memcpy(program->mode, attached->mode, sizeof(program->mode));
	memcpy(program->name, attached->name, sizeof(program->name));
}

/* XDP has one slot, which anybody may take: ours is the program of the pinned link. */
static bool admit_pinned(const struct pins *pins, uint32_t program)
{
	struct bpf_link_info info = {0};
	uint32_t len = sizeof(info);
	int fd = pins_get(pins, PIN_ADMIT);
	bool ours;

	ours = fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && info.prog_id == program;
	if (fd >= 0)
		close(fd);
	return ours;
}

static void programs_read(struct datapath_status *status, const struct pins *pins)
{
	struct attached attached;
	struct guard_state guard;

	if (status->ifindex) {
		attached_admit(status->ifindex, &attached);
		attached.hidden = attached.hidden && admit_pinned(pins, attached.program);
		program_read(&attached, PROGRAM_ADMIT, &status->admit);
		attached_tc(pins, status->ifindex, TC_STEER, &attached);
		program_read(&attached, PROGRAM_STEER, &status->steer);
		attached_tc(pins, status->ifindex, TC_REPLY, &attached);
		program_read(&attached, PROGRAM_REPLY, &status->reply);
	}
	guard_look(pins, &guard);
	program_read(&guard.attached, PROGRAM_GUARD, &status->guard);
	status->guarded = guard.guarded;
	status->guardable = guard.interfaces;
	memcpy(status->unguarded, guard.unguarded, sizeof(status->unguarded));
	status->guard.attached = status->guard.attached && guard.guarded == guard.interfaces;
	attached_select(pins, &attached);
	program_read(&attached, PROGRAM_SELECT, &status->select);
}

static int routes_read(
	struct datapath_status *status, const struct config_datapath *config, struct why *why)
{
	const struct route route = {
		.inside = config->inside,
		.mark = config->mark,
		.table = config->table,
	};
	int netlink = netlink_open(), error;

	if (netlink < 0)
		return why_set(why, -netlink, "netlink: %s", strerror(-netlink));
	error = route_look(netlink, &route, AF_INET, &status->rule4, &status->route4);
	if (!error)
		error = route_look(netlink, &route, AF_INET6, &status->rule6, &status->route6);
	close(netlink);
	return error ? why_set(why, -error, "routing rules: %s", strerror(-error)) : 0;
}

static void settings_read(struct datapath_status *status, const struct map_fds *maps)
{
	const uint32_t zero = 0;

	if (bpf_map_lookup_elem(maps->settings, &zero, &status->settings) < 0)
		memset(&status->settings, 0, sizeof(status->settings));
	for (uint32_t i = 0; i < HEARTBEATS_MAX; i++)
		if (bpf_map_lookup_elem(maps->heartbeats, &i, &status->heartbeats[i]) < 0)
			status->heartbeats[i] = 0;
}

/* As the kernel programs see it: one that has given no sign at all yet is not judged by it. */
static bool worker_fresh(const struct datapath_status *status, uint32_t worker)
{
	uint64_t timeout = status->settings.heartbeat_ns, last = status->heartbeats[worker];

	return timeout == 0 || last == 0 || last + timeout > status->read_ns;
}

static void workers_read(struct datapath_status *status, int workers)
{
	uint64_t cookie;

	status->workers = status->settings.workers;
	for (uint32_t worker = 0; worker < status->workers && worker < WORKERS_MAX; worker++) {
		uint32_t slot4 = WORKER_SLOT(worker, 0), slot6 = WORKER_SLOT(worker, 1);
		bool ipv4 = bpf_map_lookup_elem(workers, &slot4, &cookie) == 0;
		bool ipv6 = bpf_map_lookup_elem(workers, &slot6, &cookie) == 0;

		status->listening4 += ipv4;
		status->listening6 += ipv6;
		status->alive += (ipv4 || ipv6) && worker_fresh(status, worker);
	}
}

static int endpoint_compare(const void *a, const void *b)
{
	const struct datapath_known_endpoint *x = a, *y = b;
	int addresses = memcmp(&x->prefix.address, &y->prefix.address, sizeof(struct address));

	return addresses ? addresses : (int)x->prefix.bits - (int)y->prefix.bits;
}

static int endpoint_add(
	struct datapath_status *status, const struct prefix *prefix, const struct endpoint *value)
{
	struct datapath_known_endpoint *endpoint =
		grown((void **)&status->endpoints, status->nendpoints, sizeof(*endpoint));

	if (!endpoint)
		return -ENOMEM;
	*endpoint = (struct datapath_known_endpoint){
		.prefix = *prefix,
		.expires_ns = value->expires_ns,
		.source = (enum endpoint_source)value->source,
		.fail = (enum fail)value->fail,
	};
	status->nendpoints++;
	return 0;
}

static int endpoints_read(struct datapath_status *status, int addresses, int prefixes)
{
	struct walk walk = walk_start(addresses);
	struct endpoint value;
	struct prefix prefix;

	while (walk_next(&walk)) {
		prefix = (struct prefix){.address = walk.key.address, .bits = 128};
		if (bpf_map_lookup_elem(addresses, &walk.key, &value) == 0 &&
			endpoint_add(status, &prefix, &value) < 0)
			return -ENOMEM;
	}
	walk = walk_start(prefixes);
	while (walk_next(&walk)) {
		prefix.bits = (uint8_t)walk.key.prefix.bits;
		memcpy(prefix.address.bytes, walk.key.prefix.address.bytes, 16);
		if (bpf_map_lookup_elem(prefixes, &walk.key, &value) == 0 &&
			endpoint_add(status, &prefix, &value) < 0)
			return -ENOMEM;
	}
	if (status->nendpoints)
		qsort(status->endpoints, status->nendpoints, sizeof(*status->endpoints),
			endpoint_compare);
	return 0;
}

/* Most bytes first. */
static int source_compare(const void *a, const void *b)
{
	const struct datapath_source *x = a, *y = b;

	if (x->counters.bytes != y->counters.bytes)
		return x->counters.bytes > y->counters.bytes ? -1 : 1;
	return memcmp(&x->address, &y->address, sizeof(x->address));
}

static int sources_read(struct datapath_status *status, int map)
{
	int error = map < 0 ? 0 : source_map_read(map, &status->sources, &status->nsources);

	if (status->nsources)
		qsort(status->sources, status->nsources, sizeof(*status->sources), source_compare);
	return error;
}

static int admission_compare(const void *a, const void *b)
{
	const struct datapath_admission *x = a, *y = b;
	int addresses = memcmp(&x->prefix.address, &y->prefix.address, sizeof(struct address));

	return addresses ? addresses : (int)x->prefix.bits - (int)y->prefix.bits;
}

static int admission_add(
	struct datapath_status *status, const struct prefix_key *key, uint32_t rule)
{
	struct datapath_admission *row =
		grown((void **)&status->admission, status->nadmission, sizeof(*row));

	if (!row)
		return -ENOMEM;
	row->prefix.bits = (uint8_t)key->bits;
	memcpy(row->prefix.address.bytes, key->address.bytes, 16);
	row->rule = (enum admission)rule;
	status->nadmission++;
	return 0;
}

/* The trie that is in force now; it may be replaced under the walk, which goes on over the old. */
static int admission_read(struct datapath_status *status, int outer)
{
	const uint32_t zero = 0;
	uint32_t id = 0, rule;
	struct walk walk;
	int inner, error = 0;

	if (bpf_map_lookup_elem(outer, &zero, &id) < 0 || id == 0)
		return 0;
	inner = bpf_map_get_fd_by_id(id);
	status->admission_unread = inner == -EPERM;
	walk = walk_start(inner);
	while (!error && walk_next(&walk))
		if (bpf_map_lookup_elem(inner, &walk.key, &rule) == 0)
			error = admission_add(status, &walk.key.prefix, rule);
	if (status->nadmission)
		qsort(status->admission, status->nadmission, sizeof(*status->admission),
			admission_compare);
	if (inner >= 0)
		close(inner);
	return error;
}

static int connections_read(
	struct datapath_status *status, const struct map_fds *maps, unsigned parts)
{
	bool by_source = parts & DATAPATH_SOURCES;

	if (by_source)
		status->swept_ns = source_active_swept(
			status->sources, status->nsources, maps->actives, status->read_ns);
	if (maps->flows < 0)
		return 0;
	if (by_source && !status->swept_ns)
		return source_active_count(status->sources, status->nsources, maps->flows,
			status->read_ns, &status->flows);
	return parts & DATAPATH_FLOWS
		       ? flow_count_read(maps->flows, status->read_ns, &status->flows, NULL, NULL)
		       : 0;
}

static int outcomes_read(struct datapath_status *status, int map, int cpus)
{
	uint64_t *each = calloc((size_t)cpus, sizeof(*each));

	if (!each)
		return -ENOMEM;
	for (uint32_t outcome = 0; outcome < OUTCOME_COUNT; outcome++)
		if (map >= 0 && bpf_map_lookup_elem(map, &outcome, each) == 0)
			for (int cpu = 0; cpu < cpus; cpu++)
				status->outcomes[outcome] += each[cpu];
	free(each);
	return 0;
}

static int maps_read(
	struct datapath_status *status, const struct pins *pins, unsigned parts, struct why *why)
{
	int cpus = libbpf_num_possible_cpus();
	struct map_fds maps;
	int error;

#define MAPS_OPEN(name) maps.name = pins_get(pins, #name);
	MAPS(MAPS_OPEN)
	if (maps.settings == -EPERM || maps.settings == -EACCES) {
		error = why_set(why, EPERM, "%s cannot be read: run as root", pins->directory);
		goto out;
	}
	status->pinned = maps.settings >= 0;
	status->read_ns = clock_monotonic_ns();
	settings_read(status, &maps);
	workers_read(status, maps.workers);
	error = cpus < 1 ? -EIO : 0;
	if (!error && (parts & DATAPATH_ENDPOINTS))
		error = endpoints_read(status, maps.endpoints, maps.prefixes);
	if (!error && (parts & DATAPATH_ENDPOINTS))
		error = admission_read(status, maps.admission);
	if (!error && (parts & DATAPATH_SOURCES))
		error = sources_read(status, maps.sources);
	if (!error)
		error = connections_read(status, &maps, parts);
	if (!error)
		error = outcomes_read(status, maps.outcomes, cpus);
	if (error)
		why_set(why, -error, "datapath status: %s", strerror(-error));
out:
#define MAPS_CLOSE(name)                                                                           \
	if (maps.name >= 0)                                                                        \
		close(maps.name);
	MAPS(MAPS_CLOSE)
	return error;
}

int datapath_status_read(
	const struct config *config, struct datapath_status **read, struct why *why)
{
	return datapath_status_read_parts(config, DATAPATH_ALL, read, why);
}

int datapath_status_read_parts(
	const struct config *config, unsigned parts, struct datapath_status **read, struct why *why)
{
	struct datapath_status *status = calloc(1, sizeof(*status));
	struct pins pins;
	int error;

	*read = NULL;
	if (!status)
		return why_set(why, ENOMEM, "datapath status: no memory");
	error = pins_name(&pins, config->datapath.bpf_directory);
	if (error) {
		free(status);
		return why_set(why, -error, "datapath.bpf_directory is too long");
	}
	programs_quiet();
	snprintf(status->inside, sizeof(status->inside), "%s", config->datapath.inside);
	status->ifindex = (int)if_nametoindex(config->datapath.inside);
	programs_read(status, &pins);
	error = routes_read(status, &config->datapath, why);
	if (!error)
		error = maps_read(status, &pins, parts, why);
	if (error) {
		datapath_status_free(status);
		return error;
	}
	*read = status;
	return 0;
}

void datapath_status_free(struct datapath_status *status)
{
	if (!status)
		return;
	free(status->endpoints);
	free(status->admission);
	free(status->sources);
	free(status);
}
