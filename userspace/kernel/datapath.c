/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/datapath.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "kernel/admission_map.h"
#include "kernel/attach.h"
#include "kernel/egress.h"
#include "kernel/endpoint_map.h"
#include "kernel/guard.h"
#include "kernel/endpoint_room.h"
#include "kernel/pins.h"
#include "kernel/programs.h"
#include "kernel/queue_rules.h"
#include "kernel/route.h"
#include "kernel/subnet.h"

_Static_assert(
	(int)FAIL_CLOSED == (int)CONFIG_FAIL_CLOSED && (int)FAIL_OPEN == (int)CONFIG_FAIL_OPEN,
	"the kernel has the configuration's modes");

#define LRU_PER_CPU 128 /* free elements each CPU keeps for itself */

struct datapath {
	struct config_datapath config; /* inside and bpf_directory are copies */
	char inside[IF_NAMESIZE];
	struct pins pins;
	struct programs programs;
	struct endpoint_room endpoints;
	struct route route;
	struct guard guard;
	struct queue_rules *queue_rules;
	int ifindex;
	int netlink;
	int admit_link, steer_link, reply_link,
		select_link;	       /* fds; the pins hold the links as well */
	struct settings settings;      /* as the kernel has them */
	bool pinned, routed, steering; /* what there is to undo */
};

static int settings_write(const struct datapath *datapath)
{
	const uint32_t zero = 0;

	return bpf_map_update_elem(
		datapath->programs.maps.settings, &zero, &datapath->settings, BPF_ANY);
}

/* An earlier life may have made the qdisc, and its workers may listen still. */
static void settings_read(struct datapath *datapath)
{
	const uint32_t zero = 0;

	bpf_map_lookup_elem(datapath->programs.maps.settings, &zero, &datapath->settings);
}

static void settings_fill(struct settings *settings, const struct config *config)
{
	const struct config_admission *admission = &config->admission;

	settings->heartbeat_ns = config->datapath.heartbeat_ns;
	settings->syn_interval_ns = admission->syn_rate ? NS_PER_S / admission->syn_rate : 0;
	settings->syn_burst_ns = settings->syn_interval_ns * admission->syn_burst;
	settings->connections_max = admission->connections;
	settings->flood_rate = admission->flood_rate;
	settings->admission = admission->nallow || admission->ndeny;
	settings->shown = queue_rules_shown(config);
	settings->prefixes =
		config->endpoints.nprefixes || config->endpoints.steer == CONFIG_STEER_ALL;
}

static int interface_find(struct datapath *datapath, const char *name, struct why *why)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {0};
	int error = 0;

	if (fd < 0)
		return why_set(why, errno, "socket: %s", strerror(errno));
	datapath->ifindex = (int)if_nametoindex(name);
	if (strlen(name) >= IF_NAMESIZE || datapath->ifindex == 0) {
		error = why_set(why, ENODEV,
			"there is no interface %s in this network namespace (datapath.inside; ip "
			"link)",
			name);
		goto out;
	}
	memcpy(datapath->inside, name, strlen(name) + 1);
	memcpy(request.ifr_name, name, strlen(name) + 1);
	if (ioctl(fd, SIOCGIFHWADDR, &request) < 0)
		error = why_set(why, errno, "%s: %s", name, strerror(errno));
	else if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER)
		error = why_set(why, EMEDIUMTYPE,
			"%s is no Ethernet interface (type %u): datapath.inside must be one", name,
			request.ifr_hwaddr.sa_family);
out:
	close(fd);
	return error;
}

static void sizes_warn(const struct config_datapath *config)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);

	if (cpus > 0 && (config->max_flows < cpus * LRU_PER_CPU * 4 ||
				config->max_sources < cpus * LRU_PER_CPU * 4))
		log_warning("datapath.max_flows and .max_sources should be at least %ld here: each "
			    "of %ld CPUs keeps %d free entries for itself",
			cpus * LRU_PER_CPU * 4, cpus, LRU_PER_CPU);
}

static void forwarding_warn(const struct datapath *datapath)
{
	char path[128], value = '1';
	FILE *file;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/forwarding", datapath->inside);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fread(&value, 1, 1, file) == 1 && value == '0')
		log_warning("%s does not forward IPv4 (net.ipv4.ip_forward=0): what is not steered "
			    "goes nowhere",
			datapath->inside);
	fclose(file);
}

static void subnet_warn(void *context, const char *interface, const struct address *address)
{
	const struct datapath *datapath = context;

	log_warning(
		"%s (%s) is in the same network as %s: what clients send there does not come by "
		"%s, and calls to AI endpoints among it are refused or pass uninspected "
		"(datapath.fail); move it, or set net.ipv4.conf.all.arp_ignore=1 and "
		".arp_announce=2",
		interface, address_format(address).text, datapath->inside, datapath->inside);
}

static int ports_fill(const struct datapath *datapath, const struct config_endpoints *endpoints)
{
	uint32_t *words = calloc(PORT_WORDS, sizeof(*words));
	int error = words ? 0 : -ENOMEM;

	for (size_t i = 0; !error && i < endpoints->nports; i++)
		words[endpoints->ports[i] / 32] |= 1u << (endpoints->ports[i] % 32);
	for (uint32_t word = 0; !error && word < PORT_WORDS; word++)
		error = bpf_map_update_elem(
			datapath->programs.maps.ports, &word, &words[word], BPF_ANY);
	free(words);
	return error;
}

/* `steer: all` is the prefix that all addresses fall under. */
static int prefixes_fill(
	const struct datapath *datapath, const struct config *config, struct why *why)
{
	const struct config_endpoints *endpoints = &config->endpoints;
	static const struct prefix all = {.bits = 0};
	enum fail fail = (enum fail)config_fail_of(config, NULL);

	if (endpoints->steer == CONFIG_STEER_ALL)
		return endpoint_map_prefixes(datapath->programs.maps.prefixes, &all, 1,
			config->datapath.max_endpoints, fail, why);
	return endpoint_map_prefixes(datapath->programs.maps.prefixes, endpoints->prefixes,
		endpoints->nprefixes, config->datapath.max_endpoints, fail, why);
}

/* Everything that a reload may change. */
static int configuration_fill(
	struct datapath *datapath, const struct config *config, struct why *why)
{
	int error = ports_fill(datapath, &config->endpoints);

	if (error)
		return why_set(
			why, -error, "the steered ports cannot be set: %s", strerror(-error));
	error = prefixes_fill(datapath, config, why);
	if (!error)
		error = admission_map_set(
			datapath->programs.maps.admission, &config->admission, why);
	if (error)
		return error;
	settings_fill(&datapath->settings, config);
	error = settings_write(datapath);
	return error ? why_set(why, -error, "settings: %s", strerror(-error)) : 0;
}

static int routes_add(struct datapath *datapath, struct why *why)
{
	int error;

	datapath->routed = true;
	error = route_add(datapath->netlink, &datapath->route, AF_INET, why);

	if (error == -EAFNOSUPPORT)
		return why_set(why, EAFNOSUPPORT,
			"this kernel has no policy routing for IPv4 "
			"(CONFIG_IP_MULTIPLE_TABLES)");
	if (error)
		return error;
	error = route_add(datapath->netlink, &datapath->route, AF_INET6, why);
	if (error == -EAFNOSUPPORT) {
		log_info("no IPv6 here: only IPv4 is steered");
		return 0;
	}
	return error;
}

static int attach_both_sides(struct datapath *datapath, struct why *why)
{
	bool made = datapath->settings.clsact_ours;
	int error = attach_tc(&datapath->pins, datapath->inside, datapath->ifindex, TC_REPLY,
		datapath->programs.reply_fd, &datapath->reply_link, &made, why);

	if (!error)
		error = attach_tc(&datapath->pins, datapath->inside, datapath->ifindex, TC_STEER,
			datapath->programs.steer_fd, &datapath->steer_link, &made, why);
	datapath->settings.clsact_ours = made;
	if (error)
		return error;
	datapath->guard = (struct guard){
		.pins = &datapath->pins,
		.netlink = datapath->netlink,
		.ethernet_fd = datapath->programs.guard_fd,
		.bare_fd = datapath->programs.guard_bare_fd,
	};
	guard_attach_all(&datapath->guard);
	return 0;
}

/* Marking comes last: before, nothing that it needs is missing. */
static int attach_all(struct datapath *datapath, struct why *why)
{
	const struct config_datapath *config = &datapath->config;
	int error = routes_add(datapath, why), mode;

	if (error)
		return error;
	datapath->select_link = attach_select(&datapath->pins, datapath->programs.select_fd, why);
	if (datapath->select_link < 0)
		return datapath->select_link;
	mode = attach_admit(&datapath->pins, datapath->inside, datapath->ifindex, config->xdp,
		datapath->programs.admit_fd, &datapath->admit_link, why);
	if (mode < 0)
		return mode;
	if (config->forward == CONFIG_FORWARD_XDP && mode != XDP_MODE_NATIVE)
		log_warning("datapath.forward: xdp is without effect: %s has no native XDP",
			datapath->inside);
	datapath->settings.xdp = (uint32_t)mode;
	datapath->steering = true;
	error = attach_both_sides(datapath, why);
	if (error)
		return error;
	error = settings_write(datapath);
	return error ? why_set(why, -error, "settings: %s", strerror(-error)) : 0;
}

static struct datapath *datapath_new(const struct config *config)
{
	struct datapath *datapath = calloc(1, sizeof(*datapath));

	if (!datapath)
		return NULL;
	datapath->config = config->datapath;
	datapath->config.inside = datapath->inside;
	datapath->config.bpf_directory = strdup(config->datapath.bpf_directory);
	datapath->netlink = datapath->select_link = -1;
	datapath->admit_link = datapath->steer_link = datapath->reply_link = -1;
	datapath->pins.lock = -1;
	datapath->route = (struct route){
		.inside = datapath->inside,
		.mark = config->datapath.mark,
		.table = config->datapath.table,
	};
	if (!datapath->config.bpf_directory) {
		free(datapath);
		return NULL;
	}
	return datapath;
}

/* Up to here nothing of the kernel's state changes. */
static int datapath_load(struct datapath *datapath, const struct config *config, struct why *why)
{
	int error = interface_find(datapath, config->datapath.inside, why);

	if (error)
		return error;
	sizes_warn(&datapath->config);
	forwarding_warn(datapath);
	(void)subnet_shared(datapath->inside, subnet_warn, datapath);
	datapath->netlink = netlink_open();
	if (datapath->netlink < 0)
		return why_set(
			why, -datapath->netlink, "netlink: %s", strerror(-datapath->netlink));
	error = pins_open(&datapath->pins, config->datapath.bpf_directory, why);
	if (!error)
		error = attach_check(&datapath->pins, datapath->inside, datapath->ifindex,
			config->datapath.xdp, why);
	if (!error)
		error = programs_load(&datapath->programs, &datapath->config, &datapath->pins, why);
	if (error)
		return error;
	settings_read(datapath);
	return configuration_fill(datapath, config, why);
}

int datapath_open(const struct config *config, struct datapath **opened, struct why *why)
{
	struct datapath *datapath = datapath_new(config);
	int error;

	*opened = NULL;
	if (!datapath)
		return why_set(why, ENOMEM, "datapath: no memory");
	error = datapath_load(datapath, config, why);
	if (!error) {
		/* Known from an earlier life, by its configuration. */
		datapath_endpoint_fail(datapath, config);
		endpoint_room_open(&datapath->endpoints, datapath->programs.maps.endpoints,
			config->datapath.max_endpoints);
		datapath->pinned = true;
		error = programs_pin(&datapath->programs, &datapath->pins, why);
	}
	if (!error)
		error = attach_all(datapath, why);
	if (!error)
		error = queue_rules_add(config, &datapath->queue_rules, why);
	if (!error)
		error = egress_set(datapath->netlink, config, why);
	if (!error)
		*opened = datapath;
	else
		datapath_close(datapath);
	return error;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* Marking goes first, for the reason it comes last. */
void datapath_close(struct datapath *datapath)
{
	if (!datapath)
		return;
	queue_rules_remove(datapath->queue_rules);
	if (datapath->steering) {
		if (datapath->guard.pins)
			guard_detach_all(&datapath->guard);
		detach_tc(&datapath->pins, datapath->netlink, datapath->ifindex, TC_STEER, false);
		detach_tc(&datapath->pins, datapath->netlink, datapath->ifindex, TC_REPLY,
			datapath->settings.clsact_ours);
	}
	if (datapath->pinned) {
		link_detach(&datapath->pins, PIN_ADMIT);
		link_detach(&datapath->pins, PIN_SELECT);
		pins_remove(&datapath->pins);
	} else if (datapath->pins.lock >= 0) {
		pins_rmdir(&datapath->pins);
	}
	close_fd(datapath->admit_link);
	close_fd(datapath->steer_link);
	close_fd(datapath->reply_link);
	close_fd(datapath->select_link);
	if (datapath->routed) {
		route_remove(datapath->netlink, &datapath->route, AF_INET);
		route_remove(datapath->netlink, &datapath->route, AF_INET6);
		egress_remove(datapath->netlink, datapath->inside);
	}
	if (datapath->netlink >= 0)
		close(datapath->netlink);
	programs_free(&datapath->programs);
	pins_close(&datapath->pins);
	free(datapath->config.bpf_directory);
	free(datapath);
}

const struct map_fds *datapath_maps(const struct datapath *datapath)
{
	return &datapath->programs.maps;
}

int datapath_worker_set(struct datapath *datapath, unsigned worker, int fd4, int fd6)
{
	const int fds[2] = {fd4, fd6};

	if (worker >= WORKERS_MAX)
		return -EINVAL;
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		const uint32_t slot = WORKER_SLOT(worker, ipv6);
		const uint64_t fd = (uint64_t)fds[ipv6];
		int map = datapath->programs.maps.workers;
		int error = fds[ipv6] < 0 ? bpf_map_delete_elem(map, &slot)
					  : bpf_map_update_elem(map, &slot, &fd, BPF_ANY);

		/* An empty slot cannot be emptied: EINVAL or ENOENT, by kernel version. */
		if (error && fds[ipv6] >= 0)
			return error;
	}
	return 0;
}

int datapath_workers(struct datapath *datapath, unsigned n)
{
	if (n > WORKERS_MAX)
		return -EINVAL;
	datapath->settings.workers = n;
	return settings_write(datapath);
}

int datapath_heartbeats(const struct datapath *datapath)
{
	return datapath->programs.maps.heartbeats;
}

uint64_t datapath_outcome(const struct datapath *datapath, enum outcome outcome)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t *each = cpus > 0 ? calloc((size_t)cpus, sizeof(*each)) : NULL, sum = 0;
	uint32_t key = outcome;

	if (each && bpf_map_lookup_elem(datapath->programs.maps.outcomes, &key, each) == 0)
		for (int cpu = 0; cpu < cpus; cpu++)
			sum += each[cpu];
	free(each);
	return sum;
}

void datapath_guard(struct datapath *datapath, int ifindex)
{
	if (ifindex)
		(void)guard_attach(&datapath->guard, ifindex);
	else
		guard_attach_all(&datapath->guard);
}

int datapath_judge_fds(const struct datapath *datapath, int *flows, int *judgements)
{
	*flows = pins_get_restricted(&datapath->pins, "flows", BPF_F_RDONLY);
	*judgements = pins_get_restricted(&datapath->pins, "judgements", BPF_F_WRONLY);
	if (*flows >= 0 && *judgements >= 0)
		return 0;
	close_fd(*flows);
	close_fd(*judgements);
	return *flows < 0 ? *flows : *judgements;
}

int datapath_endpoint_learn(struct datapath *datapath, const struct address *address,
	uint64_t expires_ns, enum endpoint_source source, enum fail fail)
{
	return endpoint_room_learn(
		&datapath->endpoints, address, expires_ns, source, fail, clock_monotonic_ns());
}

void datapath_endpoint_fail(struct datapath *datapath, const struct config *config)
{
	bool modes[2];

	config_fail_modes(config, modes);
	endpoint_map_fail(datapath->programs.maps.endpoints, modes[CONFIG_FAIL_CLOSED],
		modes[CONFIG_FAIL_OPEN]);
}

void datapath_endpoints(struct datapath *datapath,
	void (*each)(void *context, const struct address *address, const struct endpoint *endpoint),
	void *context)
{
	endpoint_map_walk(datapath->programs.maps.endpoints, each, context);
}

size_t datapath_endpoint_sweep(struct datapath *datapath, uint64_t now_ns)
{
	return endpoint_room_sweep(&datapath->endpoints, now_ns);
}

void datapath_on_forgotten(struct datapath *datapath,
	void (*forgotten)(void *context, const struct address *address), void *context)
{
	datapath->endpoints.forgotten = forgotten;
	datapath->endpoints.context = context;
}

int datapath_reconfigure(struct datapath *datapath, const struct config *config, struct why *why)
{
	const char *changed = config_datapath_restart(&datapath->config, &config->datapath);
	int error;

	if (changed)
		return why_set(why, ENOTSUP,
			"%s cannot change while the appliance runs: restart it", changed);
	error = queue_rules_change(&datapath->queue_rules, config, why);
	if (!error)
		error = egress_set(datapath->netlink, config, why);
	return error ? error : configuration_fill(datapath, config, why);
}
