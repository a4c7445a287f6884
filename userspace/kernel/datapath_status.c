/* SPDX-License-Identifier: GPL-2.0-or-later */
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

#define ACTIVE_NS (300 * NS_PER_S)

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
	program->foreign = attached->there && strcmp(attached->name, name) != 0;
	program->attached = attached->there && !program->foreign;
	program->id = attached->program;
	program->loaded_ns = attached->loaded_ns;
	memcpy(program->mode, attached->mode, sizeof(program->mode));
	memcpy(program->name, attached->name, sizeof(program->name));
}

static void programs_read(struct datapath_status *status, const struct pins *pins)
{
	struct attached attached;

	if (status->ifindex) {
		attached_admit(status->ifindex, &attached);
		program_read(&attached, PROGRAM_ADMIT, &status->admit);
		attached_tc(pins, status->ifindex, TC_STEER, &attached);
		program_read(&attached, PROGRAM_STEER, &status->steer);
		attached_tc(pins, status->ifindex, TC_REPLY, &attached);
		program_read(&attached, PROGRAM_REPLY, &status->reply);
	}
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

static void workers_read(struct datapath_status *status, int settings, int workers)
{
	struct settings current = {0};
	const uint32_t zero = 0;
	uint64_t cookie;

	if (settings < 0 || bpf_map_lookup_elem(settings, &zero, &current) < 0)
		return;
	status->workers = current.workers;
	for (uint32_t worker = 0; worker < current.workers && worker < WORKERS_MAX; worker++) {
		uint32_t slot4 = WORKER_SLOT(worker, 0), slot6 = WORKER_SLOT(worker, 1);

		status->listening4 += bpf_map_lookup_elem(workers, &slot4, &cookie) == 0;
		status->listening6 += bpf_map_lookup_elem(workers, &slot6, &cookie) == 0;
	}
}

static void flows_read(struct datapath_status *status, int map)
{
	struct walk walk = walk_start(map);
	uint64_t now = clock_monotonic_ns();
	struct flow flow;

	while (walk_next(&walk)) {
		if (bpf_map_lookup_elem(map, &walk.key, &flow) < 0 || flow.decision != FLOW_STEER)
			continue;
		status->flows++;
		status->flows_active += flow_state(flow.marks) < FLOW_CLOSING && now - flow.seen_ns < ACTIVE_NS;
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

static int maps_read(struct datapath_status *status, const struct pins *pins, struct why *why)
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
	workers_read(status, maps.settings, maps.workers);
	flows_read(status, maps.flows);
	error = cpus < 1 ? -EIO : endpoints_read(status, maps.endpoints, maps.prefixes);
	if (!error)
		error = sources_read(status, maps.sources);
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
		error = maps_read(status, &pins, why);
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
	free(status->sources);
	free(status);
}
