// SPDX-License-Identifier: GPL-2.0-or-later
/* What a packet costs in the kernel programs, and what their maps take: prints a table. The
 * programs run on hand-made packets (BPF_PROG_TEST_RUN), with the tables filled; the figures are
 * medians of several rounds, in ns on this machine. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "bpf/parse.h"
#include "kernel/admission_map.h"
#include "kernel/endpoint_map.h"
#include "kernel/programs.h"
#include "tests/support/packet.h"

#define FLOWS	1000000
#define SOURCES 100000
#define ROUNDS	5
#define REPEAT	200000
#define SYNS	20000 /* new connections, one run each */
#define BATCH	4096

/* Some room besides: a full table evicts what was written last and not looked at yet. */
static const struct config_datapath config = {.mark = 0x5a11,
	.max_sources = SOURCES,
	.max_flows = FLOWS + FLOWS / 20,
	.max_endpoints = 16384};

/* Ends the program with a message: a benchmark has nobody to go on for. */
static void must(int error, const char *what)
{
	if (error >= 0)
		return;
	fprintf(stderr, "packets: %s: %s\n", what, strerror(-error));
	exit(EXIT_FAILURE);
}

static struct address parsed(const char *text)
{
	struct address address;

	must(address_parse(text, &address), text);
	return address;
}

/* --- the tables --- */

/* Other connections of other sources. */
static void flows_fill(int map)
{
	struct flow_key *keys = calloc(BATCH, sizeof(*keys));
	struct flow *flows = calloc(BATCH, sizeof(*flows));
	LIBBPF_OPTS(bpf_map_batch_opts, options);
	struct address client = parsed("10.128.0.0"), server = parsed("198.51.100.1");

	must(keys && flows ? 0 : -ENOMEM, "flows");
	for (uint32_t at = 0; at < FLOWS; at += BATCH) {
		uint32_t n = FLOWS - at < BATCH ? FLOWS - at : BATCH;

		for (uint32_t i = 0; i < n; i++) {
			uint32_t source = (at + i) % SOURCES;

			memcpy(&keys[i].client, &client, sizeof(client));
			memcpy(&keys[i].server, &server, sizeof(server));
			keys[i].client.bytes[13] = (uint8_t)(128 + (source >> 16));
			keys[i].client.bytes[14] = (uint8_t)(source >> 8);
			keys[i].client.bytes[15] = (uint8_t)source;
			keys[i].client_port = (uint16_t)((at + i) / SOURCES);
			flows[i] = (struct flow){.decision = FLOW_DIRECT,
				.marks = FLOW_SAW_ACK,
				.seen_ns = clock_monotonic_ns()};
		}
		must(bpf_map_update_batch(map, keys, flows, &n, &options), "flows");
	}
	free(keys);
	free(flows);
}

static void sources_fill(int map)
{
	struct source_counters *each = calloc((size_t)libbpf_num_possible_cpus(), sizeof(*each));
	struct address source = parsed("10.128.0.0");

	must(each ? 0 : -ENOMEM, "sources");
	for (uint32_t i = 0; i < SOURCES; i++) {
		source.bytes[13] = (uint8_t)(128 + (i >> 16));
		source.bytes[14] = (uint8_t)(i >> 8);
		source.bytes[15] = (uint8_t)i;
		must(bpf_map_update_elem(map, &source, each, BPF_ANY), "sources");
	}
	free(each);
}

static void settings_set(const struct programs *programs, bool admission)
{
	const struct settings settings = {
		.workers = 1, .xdp = XDP_MODE_NATIVE, .admission = admission};
	const uint32_t zero = 0;

	must(bpf_map_update_elem(programs->maps.settings, &zero, &settings, BPF_ANY), "settings");
}

static void worker_listen(const struct programs *programs)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const uint64_t value = (uint64_t)fd;
	const uint32_t slot = WORKER_SLOT(0, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(fd, 1) < 0)
		must(-errno, "listener");
	must(bpf_map_update_elem(programs->maps.workers, &slot, &value, BPF_ANY), "workers");
}

static void maps_fill(const struct programs *programs)
{
	const uint32_t word = 443 / 32, bits = 1u << (443 % 32);
	const struct map_fds *maps = &programs->maps;
	struct address endpoint = parsed("192.0.2.10");
	struct prefix denied;
	const struct config_admission admission = {.deny = &denied, .ndeny = 1};
	struct why why;

	must(prefix_parse("10.66.0.0/16", &denied), "prefix");
	must(admission_map_set(maps->admission, &admission, &why), "admission");
	must(endpoint_map_learn(maps->endpoints, &endpoint, 0, ENDPOINT_RESOLVED, FAIL_CLOSED,
		     clock_monotonic_ns()),
		"endpoint");
	must(bpf_map_update_elem(maps->ports, &word, &bits, BPF_ANY), "ports");
	settings_set(programs, false);
	worker_listen(programs);
	sources_fill(maps->sources);
	flows_fill(maps->flows);
}

/* --- the packets --- */

static uint32_t run(int program, const struct packet_plan *plan, int repeat)
{
	struct packet_bytes packet;
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.bytes, .repeat = repeat);

	packet_build(plan, &packet);
	options.data_size_in = (uint32_t)packet.len;
	must(bpf_prog_test_run_opts(program, &options), "test run");
	return options.duration;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static uint32_t median(int program, const struct packet_plan *plan)
{
	uint32_t ns[ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		ns[i] = run(program, plan, REPEAT);
	qsort(ns, ROUNDS, sizeof(ns[0]), compare);
	return ns[ROUNDS / 2];
}

/* Each SYN another one: written into the table. */
static uint32_t median_syn(int program, struct packet_plan plan)
{
	uint32_t *ns = calloc(SYNS, sizeof(*ns)), middle;

	must(ns ? 0 : -ENOMEM, "SYNs");
	for (uint32_t i = 0; i < SYNS; i++) {
		plan.source_port = (uint16_t)(1024 + i);
		plan.sequence = i;
		ns[i] = run(program, &plan, 1);
	}
	qsort(ns, SYNS, sizeof(ns[0]), compare);
	middle = ns[SYNS / 2];
	free(ns);
	return middle;
}

static void show(const char *what, uint32_t xdp, uint32_t tc)
{
	printf("  %-44s %5u %5u %7u\n", what, xdp, tc, xdp + tc);
}

static void packets_measure(const struct programs *programs)
{
	const char *const client = "10.1.0.5", *const client6 = "2001:db8:1::5";
	struct packet_plan plan = {.source = client,
		.destination = "203.0.113.1",
		.source_port = 40000,
		.destination_port = 443,
		.flags = TCP_SYN};
	struct packet_plan plan6 = plan, ours = plan, denied = plan, datagram = plan, back;
	int xdp = programs->admit_fd, tc = programs->steer_fd;

	plan6.source = client6;
	plan6.destination = "2001:db8:4::1";
	ours.destination = "192.0.2.10";
	denied.source = "10.66.1.1";
	datagram.protocol = IPPROTO_UDP;
	run(tc, &plan, 1);
	run(tc, &plan6, 1);
	run(tc, &ours, 1);
	plan.flags = plan6.flags = ours.flags = TCP_ACK;
	back = plan;
	back.source = plan.destination;
	back.destination = plan.source;
	back.source_port = plan.destination_port;
	back.destination_port = plan.source_port;
	printf("  %-44s %5s %5s %7s\n", "ns per packet", "XDP", "TC", "both");
	show("not ours, established", median(xdp, &plan), median(tc, &plan));
	show("not ours, established, IPv6", median(xdp, &plan6), median(tc, &plan6));
	show("not ours, UDP", median(xdp, &datagram), median(tc, &datagram));
	show("not ours, back to the client", 0, median(programs->reply_fd, &back));
	show("steered, established", median(xdp, &ours), median(tc, &ours));
	plan.flags = ours.flags = TCP_SYN;
	show("SYN, not ours, one call each", median_syn(xdp, plan), median_syn(tc, plan));
	show("SYN, steered, one call each", median_syn(xdp, ours), median_syn(tc, ours));
	settings_set(programs, true);
	plan.flags = TCP_ACK;
	show("not ours, established, with admission lists", median(xdp, &plan), median(tc, &plan));
	show("denied", median(xdp, &denied), 0);
}

/* --- their memory --- */

static uint64_t map_bytes(int map)
{
	uint64_t bytes = 0;
	char path[64], line[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", map);
	file = fopen(path, "re");
	must(file ? 0 : -errno, path);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "memlock: %" SCNu64, &bytes) == 1)
			break;
	fclose(file);
	return bytes;
}

static void memory_measure(const struct programs *programs)
{
	uint64_t sum = 0;

	printf("\n  MiB of maps for %d flows and %d sources on %d processors\n  ", FLOWS, SOURCES,
		libbpf_num_possible_cpus());
#define MAP_SHOW(name)                                                                             \
	if (map_bytes(programs->maps.name) >= 1 << 20)                                             \
		printf("%s %.1f, ", #name, (double)map_bytes(programs->maps.name) / (1 << 20));    \
	sum += map_bytes(programs->maps.name);
	MAPS(MAP_SHOW)
	printf("all %.1f\n", (double)sum / (1 << 20));
}

int main(void)
{
	struct programs programs;
	struct why why = {""};

	if (programs_load(&programs, &config, NULL, &why)) {
		fprintf(stderr, "packets: %s\n", why.text);
		return EXIT_FAILURE;
	}
	maps_fill(&programs);
	printf("Kernel programs\n");
	packets_measure(&programs);
	memory_measure(&programs);
	programs_free(&programs);
	return EXIT_SUCCESS;
}
