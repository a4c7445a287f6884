/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel programs and userspace share. Any change of a layout or a meaning raises
 * SALLYPORT_ABI: the pins live in a directory of that number. */
#ifndef BPF_ABI_H
#define BPF_ABI_H

#ifdef __bpf__
/* All kernel types used here are contexts and other UAPI, which the verifier relocates itself;
 * it refuses the address arithmetic that compilers make of CO-RE accesses to a context. */
#define BPF_NO_PRESERVE_ACCESS_INDEX
#include "vmlinux.h"
#else
#include <linux/types.h>
#endif

#define SALLYPORT_ABI 1

#define WORKERS_MAX 256

/* IPv4 as ::ffff:a.b.c.d, as in userspace/base/address.h. */
struct abi_address {
	__u8 bytes[16]; /* network order */
};

/* Why a packet was dropped, counted per source address: X(NAME, "name", "help"). */
#define DROPS(X)                                                                                   \
	X(MALFORMED, "malformed", "IP or TCP header that contradicts itself or is cut short")      \
	X(MARTIAN, "martian", "source address that cannot arrive on a wire")                       \
	X(FLAGS, "flags", "TCP flags that no stack sends: SYN with FIN or RST, none at all")       \
	X(HIDDEN, "hidden", "fragment or header chain that can hide a SYN to an endpoint")         \
	X(NO_WORKER, "no_worker", "reset: no worker listens for this source address")

/* What became of a packet, counted once per packet that steer saw: X(NAME, "name", "help"). */
#define OUTCOMES(X)                                                                                \
	X(OTHER, "other", "not TCP to a steered port: passed")                                     \
	X(NOT_ENDPOINT, "not_endpoint", "SYN to a steered port of another destination: passed")    \
	X(NO_FLOW, "no_flow", "segment of a connection that was not steered: passed")              \
	X(OPENED, "opened", "SYN to an endpoint: steered")                                         \
	X(STEERED, "steered", "later segment of a steered connection")                             \
	X(ICMP_STEERED, "icmp_steered", "ICMP error about a steered connection: steered")          \
	X(FRAGMENT, "fragment", "IP fragment: passed")                                             \
	X(VLAN, "vlan", "tagged, so for another interface: passed")                                \
	X(UNREADABLE, "unreadable", "neither IPv4 nor IPv6 that can be read: passed")              \
	X(RESET, "reset", "answered with a reset: no worker listens")                              \
	X(DROPPED, "dropped", "dropped; the reason is counted with the source address")            \
	X(FLOWS_FULL, "flows_full", "SYN reset because the flow table took no entry")              \
	X(SELECTED, "selected", "connection handed to its worker")                                 \
	X(SELECT_EMPTY, "select_empty", "worker vanished between steering and selection")

#define ABI_ENUM_DROP(NAME, name, help) DROP_##NAME,
enum drop { DROPS(ABI_ENUM_DROP) DROP_COUNT };
#define DROP_NONE DROP_COUNT

#define ABI_ENUM_OUTCOME(NAME, name, help) OUTCOME_##NAME,
enum outcome { OUTCOMES(ABI_ENUM_OUTCOME) OUTCOME_COUNT };

/* Times are taken once a tick of 32 jiffies (32 ms at 1000 Hz, 320 ms at 100 Hz), for reading the
 * clock costs more than the rest of the counting. */
#define TICK_JIFFIES_SHIFT 5

/* Value of the map sources (key: struct abi_address), one per CPU. */
struct source_counters {
	__u64 packets;
	__u64 bytes;   /* on the wire, from the Ethernet header on */
	__u64 syns;    /* SYN without ACK */
	__u64 seen_ns; /* CLOCK_MONOTONIC: the first packet of the last tick */
	__u64 tick;
	__u64 drops[DROP_COUNT];
};

enum endpoint_source {
	ENDPOINT_CONFIGURED = 1, /* endpoints.prefixes */
	ENDPOINT_RESOLVED = 2,	 /* a configured name, resolved by the scout */
	ENDPOINT_DNS = 3,	 /* a DNS reply to a client */
	ENDPOINT_SNI = 4,	 /* a ClientHello of a client, over TCP or QUIC */
};

/* Value of the maps endpoints (key: struct abi_address) and prefixes (struct prefix_key). */
struct endpoint {
	__u64 expires_ns; /* CLOCK_MONOTONIC; 0: never. Swept by userspace */
	__u32 source;	  /* enum endpoint_source */
	__u32 reserved;
};

struct prefix_key {
	__u32 bits;
	struct abi_address address;
};

struct flow_key {
	struct abi_address client, server;
	__u16 client_port, server_port; /* network order */
};

enum flow_decision { FLOW_STEER = 1, FLOW_DIRECT = 2 };

/* Taken at the SYN; every later segment follows it, whatever becomes of the endpoint. */
struct flow {
	__u64 seen_ns; /* CLOCK_MONOTONIC: the first segment of the last tick */
	__u32 isn;     /* host order: the same SYN again is no new decision */
	__u8 decision; /* enum flow_decision */
	__u8 closed;   /* a FIN or RST of the client was seen */
	__u16 tick;
};

/* The one element of the map settings. */
struct settings {
	__u32 workers;	   /* slots that source addresses are hashed over */
	__u32 clsact_ours; /* the clsact qdisc was made by the appliance */
};

/* Index into the SOCKMAP of listeners. */
#define WORKER_SLOT(worker, ipv6) (2 * (worker) + ((ipv6) ? 1 : 0))

/* The map ports: one bit per destination port. */
#define PORT_WORDS (65536 / 32)

#endif
