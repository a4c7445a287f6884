/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel programs on hand-made packets, run by the kernel (BPF_PROG_TEST_RUN), with maps of
 * their own: a client, an endpoint of each kind, and somebody else. */
#ifndef SUPPORT_BENCH_H
#define SUPPORT_BENCH_H

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdint.h>

#include "bpf/parse.h"
#include "kernel/programs.h"
#include "tests/support/packet.h"

#define MARK	     0x5a11u
#define PASSED	     TC_ACT_UNSPEC
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define CLIENT4	  "10.1.0.5"
#define ENDPOINT4 "192.0.2.10"
#define PREFIXED4 "198.51.100.77" /* of 198.51.100.0/24 */
#define OTHER4	  "203.0.113.1"
#define CLIENT6	  "2001:db8:1::5"
#define ENDPOINT6 "2001:db8:2::10"
#define PREFIXED6 "2001:db8:3::77" /* of 2001:db8:3::/48 */
#define OTHER6	  "2001:db8:4::1"

struct bench {
	struct programs programs;
	struct settings settings;
	int listener4, listener6; /* of the one worker */
};

struct run {
	int action;
	uint32_t mark;
	uint8_t out[PACKET_BYTES_MAX];
	size_t len;
	uint32_t ns;
};

/* For cmocka: of a group, and before each test: the worker listens, both endpoints are known, no
 * flow, source or limit is, packets were admitted by native XDP, and everything may send. */
int bench_setup(void **state);
int bench_setup_forwarding(void **state); /* datapath.forward: xdp */
int bench_teardown(void **state);
int bench_fresh(void **state);

/* Runs one of bench->programs. */
struct run bench_run_bytes(struct bench *bench, int program, const struct packet_bytes *packet,
	const struct __sk_buff *skb, int repeat);
struct run bench_run(struct bench *bench, int program, const struct packet_plan *plan);
/* steer once, steer so many times, and the other way. */
struct run run(struct bench *bench, const struct packet_plan *plan);
struct run run_repeated(struct bench *bench, const struct packet_plan *plan, int repeat);

/* After a change of bench->settings. */
void bench_settings(struct bench *bench);
void learn(struct bench *bench, const char *address);
void forget(struct bench *bench, const char *address);
/* fd -1: the worker has no listener. */
void slot_set(struct bench *bench, bool ipv6, int fd);
void address_of(const char *text, struct address *address);

/* What was counted, over all CPUs. */
uint64_t counted(struct bench *bench, enum outcome outcome);
struct source_counters counted_source(struct bench *bench, const char *source);
uint64_t drops_of(const struct source_counters *counters);
/* The only flow there is. */
struct flow only_flow(struct bench *bench);

/* Plans of the usual segments, from the client to the learned endpoint and back. */
struct packet_plan segment(bool ipv6, uint8_t flags);
struct packet_plan segment_back(bool ipv6, uint8_t flags);
void open_flow(struct bench *bench, bool ipv6);

#endif
