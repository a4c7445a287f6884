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
#include <stdbool.h>
#endif

#define SALLYPORT_ABI 3

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
	X(DENIED, "denied", "source that admission.deny names, or admission.allow does not")       \
	X(SYN_RATE, "syn_rate", "SYN beyond admission.syn_rate of its source")                     \
	X(CONNECTIONS, "connections", "SYN beyond admission.connections of its source")            \
	X(HIDDEN, "hidden", "fragment or header chain that can hide a SYN to an endpoint")         \
	X(NO_WORKER, "no_worker", "reset: no worker is alive for this source address")

/* What became of a packet, counted once per packet that steer saw: X(NAME, "name", "help"). */
#define OUTCOMES(X)                                                                                \
	X(OTHER, "other", "not TCP: passed")                                                       \
	X(NOT_ENDPOINT, "not_endpoint", "SYN to another destination or port: passed")              \
	X(DIRECT, "direct", "later segment of a connection that is not steered: passed")           \
	X(NO_FLOW, "no_flow", "segment of a connection that is not known: passed")                 \
	X(OPENED, "opened", "SYN to an endpoint: steered")                                         \
	X(STEERED, "steered", "later segment of a steered connection")                             \
	X(ICMP_STEERED, "icmp_steered", "ICMP error about a steered connection: steered")          \
	X(FAILED_OPEN, "failed_open",                                                              \
		"SYN to an endpoint, passed unseen: no worker is alive and it fails open")         \
	X(FRAGMENT, "fragment", "IP fragment: passed")                                             \
	X(VLAN, "vlan", "tagged, so for another interface: passed")                                \
	X(UNREADABLE, "unreadable", "neither IPv4 nor IPv6 that can be read: passed")              \
	X(RESET, "reset", "answered with a reset: no worker is alive")                             \
	X(DROPPED, "dropped", "dropped; the reason is counted with the source address")            \
	X(FLOWS_FULL, "flows_full", "SYN reset because the flow table took no entry")              \
	X(FLOOD, "flood", "of the SYNs: not recorded, for more than admission.flood_rate come")    \
	X(FORWARDED, "forwarded", "forwarded by XDP (datapath.forward)")                           \
	X(SELECTED, "selected", "connection handed to its worker")                                 \
	X(SELECT_EMPTY, "select_empty", "worker vanished between steering and selection")          \
	X(BESIDE, "beside", "to an endpoint past datapath.inside, on its way out: passed")         \
	X(BESIDE_REFUSED, "beside_refused",                                                        \
		"to an endpoint past datapath.inside, on its way out: reset or dropped")

#define ABI_ENUM_DROP(NAME, name, help) DROP_##NAME,
enum drop { DROPS(ABI_ENUM_DROP) DROP_COUNT };
#define DROP_NONE DROP_COUNT

#define ABI_ENUM_OUTCOME(NAME, name, help) OUTCOME_##NAME,
enum outcome { OUTCOMES(ABI_ENUM_OUTCOME) OUTCOME_COUNT };

/* Times are taken once a tick of 32 jiffies (32 ms at 1000 Hz, 320 ms at 100 Hz), for reading the
 * clock costs more than the rest of the counting. */
#define TICK_JIFFIES_SHIFT 5

/* What is counted of a source address, in segments as they are on the wire and bytes from the
 * Ethernet header on: X(member, "name", "help"). */
#define SOURCE_COUNTS(X)                                                                           \
	X(packets, "packets", "packets from the source")                                           \
	X(bytes, "bytes", "bytes from the source")                                                 \
	X(packets_to, "packets_to", "packets to the source")                                       \
	X(bytes_to, "bytes_to", "bytes to the source")                                             \
	X(steered_packets, "steered_packets", "packets from the source that were steered")         \
	X(steered_bytes, "steered_bytes", "bytes from the source that were steered")               \
	X(syns, "syns", "connection attempts: SYNs, each counted once")                            \
	X(syns_again, "syns_again", "SYNs sent again")                                             \
	X(opened, "opened", "connections opened: the source answered the SYN-ACK")                 \
	X(closed, "closed", "connections closed by both sides")                                    \
	X(resets, "resets", "connections reset by either side")                                    \
	X(steered, "steered", "connection attempts that were steered")                             \
	X(passed, "passed", "connection attempts that were passed")

/* Value of the map sources (key: struct abi_address), one per CPU. */
struct source_counters {
#define ABI_SOURCE_MEMBER(member, name, help) __u64 member;
	SOURCE_COUNTS(ABI_SOURCE_MEMBER)
	__u64 seen_ns; /* CLOCK_MONOTONIC: the first packet of the last tick */
	__u64 tick;
	__u64 drops[DROP_COUNT];
};

/* Value of the map limits (key: struct abi_address), shared by the CPUs: kept only while admission
 * limits connections. */
struct source_limit {
	__u64 full_ns;	/* CLOCK_MONOTONIC: when the bucket of SYNs will be full again (GCRA) */
	__u32 attempts; /* connections recorded, ever */
	__u32 ended;	/* of these: closed, reset or replaced */
};

/* Value of the map actives (key: struct abi_address): written by userspace at every sweep of the
 * flow table, so that it cannot drift. */
struct source_active {
	__u64 swept_ns; /* CLOCK_MONOTONIC, at the start of the sweep */
	__u32 active;	/* connections that are open */
	__u32 opening;	/* connections that are not open yet */
	__u32 attempts; /* as of struct source_limit when the sweep began */
	__u32 ended;
};

/* An older sweep says nothing about now. */
#define SWEEP_STALE_NS 60000000000ULL

/* Key prefix_key, in the inner map of admission: what the longest prefix says. */
enum admission { ADMISSION_ALLOW = 1, ADMISSION_DENY = 2 };
#define ADMISSION_PREFIXES_MAX 65536

enum endpoint_source {
	ENDPOINT_CONFIGURED = 1, /* endpoints.prefixes */
	ENDPOINT_RESOLVED = 2,	 /* a configured name, resolved by the scout */
	ENDPOINT_DNS = 3,	 /* a DNS reply to a client */
	ENDPOINT_SNI = 4,	 /* a ClientHello of a client, over TCP or QUIC */
};

/* What becomes of a SYN to an endpoint while its worker is not alive. As enum config_fail. */
enum fail { FAIL_CLOSED = 0, FAIL_OPEN = 1 };

/* Value of the maps endpoints (key: struct abi_address) and prefixes (struct prefix_key). */
struct endpoint {
	__u64 expires_ns; /* CLOCK_MONOTONIC; 0: never. Swept by userspace */
	__u32 source;	  /* enum endpoint_source */
	__u32 fail;	  /* enum fail: of the strictest host that lives there */
	__u64 closed_ns;  /* userspace's: until when one that fails closed is known to live there */
};

struct prefix_key {
	__u32 bits;
	struct abi_address address;
};

struct flow_key {
	struct abi_address client, server;
	__u16 client_port, server_port; /* network order */
};

enum flow_decision {
	FLOW_STEER = 1,
	FLOW_DIRECT = 2,
	FLOW_UNSEEN = 3, /* direct, to an endpoint that failed open */
};

/* The mark of packets that the netfilter rules do not show to the scout, beside datapath.mark: of
 * connections that he has judged, and of those that pass because they fail open, for he may be as
 * dead as the workers. What has no mark is shown. */
#define MARK_UNSEEN(mark) ((mark) + 1)
/* The mark of packets beside the gate that were counted, and pass because they fail open. */
#define MARK_BESIDE(mark) ((mark) + 2)

/* Value of the map beside_interfaces (key: __u32, index of the interface that packets came by):
 * what went to endpoints without the gate. */
struct beside {
	__u64 passed, refused;
	struct abi_address source, destination; /* of one of the last ones */
};
#define BESIDE_INTERFACES_MAX 64

/* X(NAME, "name", seconds that a flow stays without a packet, "help") */
#define FLOW_STATES(X)                                                                             \
	X(OPENING, "opening", 30, "SYN seen")                                                      \
	X(OPEN, "open", 7200, "the client answered the SYN-ACK")                                   \
	X(CLOSING, "closing", 300, "one side said FIN")                                            \
	X(CLOSED, "closed", 10, "both said FIN, or one reset it")

#define ABI_ENUM_FLOW_STATE(NAME, name, seconds, help) FLOW_##NAME,
enum flow_state { FLOW_STATES(ABI_ENUM_FLOW_STATE) FLOW_STATE_COUNT };

/* What was seen of a flow. Both directions set their bits, on any CPU, so nothing else is kept: the
 * state follows from them. */
enum flow_mark {
	FLOW_SAW_ACK = 1, /* the client acknowledged */
	FLOW_SAW_CLIENT_FIN = 2,
	FLOW_SAW_SERVER_FIN = 4,
	FLOW_SAW_RESET = 8,
	FLOW_SAW_REPLY = 16, /* the server's side came back through datapath.inside */
	FLOW_NO_SYN = 32,    /* recorded in its middle */
	FLOW_SHOWN = 64,     /* its port is one of those whose connections the scout judges … */
	FLOW_JUDGED = 128,   /* … and he has: what follows the bytes he judged is not shown */
	FLOW_SETTLED = 256,  /* its server has acknowledged them: nothing is shown any more */
};
#define FLOW_SAW_BOTH_FINS (FLOW_SAW_CLIENT_FIN | FLOW_SAW_SERVER_FIN)

/* Value of the map flows. Decided at the SYN; every later segment follows it, whatever becomes of
 * the endpoint. */
struct flow {
	__u64 seen_ns; /* CLOCK_MONOTONIC: the first segment of the last tick */
	__u32 isn;     /* host order: the same SYN again is no new decision */
	__u32 marks;   /* enum flow_mark */
	__u32 judged;  /* FLOW_JUDGED: bytes from the stream's beginning on */
	__u16 tick;
	__u8 decision; /* enum flow_decision */
	__u8 reserved;
};

/* Value of the map judgements (key: struct flow_key), written by the scout, who may not touch the
 * flow itself: he has made up his mind about the connection that began with this SYN. */
struct judgement {
	__u32 isn; /* host order; of a connection seen from its middle on, one before its first byte
		    */
	__u32 bytes; /* as the member judged of struct flow */
};
#define JUDGEMENTS_MAX 16384

static inline enum flow_state flow_state(__u32 marks)
{
	if ((marks & FLOW_SAW_RESET) || (marks & FLOW_SAW_BOTH_FINS) == FLOW_SAW_BOTH_FINS)
		return FLOW_CLOSED;
	if (marks & FLOW_SAW_BOTH_FINS)
		return FLOW_CLOSING;
	return marks & FLOW_SAW_ACK ? FLOW_OPEN : FLOW_OPENING;
}

/* Whether the client's side of a connection goes on and nothing of the server's came back through
 * datapath.inside: the answers take another way. */
static inline bool flow_unanswered(__u32 marks)
{
	return (marks & FLOW_SAW_ACK) && !(marks & FLOW_SAW_REPLY) &&
	       flow_state(marks) != FLOW_CLOSED;
}

/* The one element of the map flood: connections recorded, counted by windows of 2^30 ns. */
struct flood {
	__u64 window;
	__u32 now, before; /* in this window and in the one before it */
};

/* Where the XDP program is attached. Where it could see what GRO has merged (generic), it leaves
 * to steer what may be merged: each segment is counted, wherever it is dropped. */
enum xdp_mode { XDP_MODE_OFF, XDP_MODE_GENERIC, XDP_MODE_NATIVE };

/* Whose first packets are shown to the scout, by the netfilter rules. */
enum showing {
	SHOWN_TCP = 1,	   /* of connections to steered ports */
	SHOWN_UDP = 2,	   /* of datagrams there: QUIC's long headers, and all to endpoints */
	SHOWN_DNS = 4,	   /* to PORT_ENCRYPTED_DNS, as to steered ports … */
	SHOWN_DNS_ALL = 8, /* … and all datagrams there, for they are refused */
};
#define PORT_ENCRYPTED_DNS 853

/* The one element of the map settings. */
struct settings {
	__u64 heartbeat_ns;    /* a worker whose stamp is older is not alive; 0: not looked at */
	__u64 syn_interval_ns; /* between two SYNs of a source; 0: no limit */
	__u64 syn_burst_ns;    /* syn_interval_ns times the burst */
	__u32 connections_max; /* of a source; 0: no limit */
	__u32 flood_rate;      /* connections in a window beyond which none is recorded; 0: never */
	__u32 workers;	       /* slots that source addresses are hashed over */
	__u32 clsact_ours;     /* the clsact qdisc was made by the appliance */
	__u32 admission;       /* the map admission has prefixes */
	__u32 xdp;	       /* enum xdp_mode: where packets are admitted */
	__u32 shown;	       /* enum showing */
	__u32 prefixes;	       /* the map prefixes has some */
};

/* The map heartbeats, an array that can be mapped: CLOCK_MONOTONIC ns of the last sign of life of
 * each worker, and of the scout. */
#define HEARTBEAT_SCOUT WORKERS_MAX
#define HEARTBEATS_MAX	(WORKERS_MAX + 1)

/* Index into the SOCKMAP of listeners. */
#define WORKER_SLOT(worker, ipv6) (2 * (worker) + ((ipv6) ? 1 : 0))

/* The map ports: one bit per destination port. */
#define PORT_WORDS (65536 / 32)

#endif
