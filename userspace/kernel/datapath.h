/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel side of the appliance: XDP accounting, TC steering, socket selection, and the
 * routing that delivers steered packets locally. bpf/abi.h is its data. */
#ifndef KERNEL_DATAPATH_H
#define KERNEL_DATAPATH_H

#include <stdint.h>

#include "base/address.h"
#include "base/why.h"
#include "bpf/abi.h"
#include "config/config.h"

struct datapath;
struct map_fds; /* kernel/programs.h */

enum endpoint_state {
	ENDPOINT_STEERED,   /* the kernel steers it */
	ENDPOINT_REFUSED,   /* it cannot be: there is no room, or no endpoint can be there */
	ENDPOINT_FORGOTTEN, /* it was, and had to make room */
};

/* What the scout tells the parent of one learned address: the body of CONTROL_ENDPOINT is an
 * array of these. */
struct datapath_endpoint {
	struct address address;
	uint64_t expires_ns; /* CLOCK_MONOTONIC; grace included */
	uint32_t source;     /* enum endpoint_source, not ENDPOINT_CONFIGURED */
	uint32_t fail;	     /* enum fail: of the host that was found there */
	uint32_t state;	     /* enum endpoint_state: told back, what became of it */
	uint32_t ticket;     /* 0, or what the scout waits for: told back when it is done */
};

/* Loads the programs, attaches them to datapath.inside, fills ports and prefixes, adds rules and
 * routes. What an unclean stop left is adopted (flows, endpoints, counters, listeners) or replaced.
 * New AI connections are reset, or pass where they fail open, until a worker is set. Errors are
 * explained in why; among them -EBUSY: another appliance owns bpf_directory, a foreign program sits
 * in the XDP slot, or the routing table is in use; -ENODEV: no such interface; -EPERM. Close with
 * datapath_close. */
int datapath_open(const struct config *config, struct datapath **datapath, struct why *why);

/* The maps, for who reads them as bpf/abi.h says; open as long as the datapath. */
const struct map_fds *datapath_maps(const struct datapath *datapath);

/* A listening TCP socket (AF_INET: 127.0.0.1, AF_INET6: ::1, port listen_base + worker), non-
 * blocking, close-on-exec, IP_TRANSPARENT: getsockname() of an accepted connection tells the
 * original destination. Returns the fd, the caller's, or a negative errno;
 * -EAFNOSUPPORT: the host has no IPv6, which a caller should take as "none of this family". */
int datapath_listener(const struct config *config, unsigned worker, int family, struct why *why);

/* A listening TCP socket at an address of this machine, for all workers: non-blocking, close-on-exec.
 * The fd, the caller's, or a negative errno with why. */
int datapath_gateway(const struct config *config, const struct address_port *at, struct why *why);

/* Puts the listeners of a worker into the map; -1 empties the slot. The map takes no reference
 * that outlives the socket: a closed listener empties its slot, and SYNs to it are reset. */
int datapath_worker_set(struct datapath *datapath, unsigned worker, int fd4, int fd6);
/* How many slots (1 … WORKERS_MAX) the source addresses are hashed over, from the next SYN on; 0:
 * new connections are reset, and those that are open go on. */
int datapath_workers(struct datapath *datapath, unsigned n);
/* The map of stamps (kernel/heartbeat.h), by whose age a worker counts as alive. The fd stays the
 * datapath's. */
int datapath_heartbeats(const struct datapath *datapath);

/* How many packets had this outcome since the maps were made. */
uint64_t datapath_outcome(const struct datapath *datapath, enum outcome outcome);
/* An interface is there that was not when the datapath was opened: what leaves by it is guarded as
 * well. 0: there may be some. */
void datapath_guard(struct datapath *datapath, int ifindex);

/* For kernel/flow_judge.h: the flow table to read, the judgements to write, each no more than that.
 * Both are the caller's. */
int datapath_judge_fds(const struct datapath *datapath, int *flows, int *judgements);

/* From the next SYN on this address is an endpoint, until the first sweep after expires_ns, or
 * until a learned one has to make room (kernel/endpoint_room.h); a known address is never shortened.
 * It fails closed for as long as it was learned for any host that does. 0, -ENOSPC (max_endpoints,
 * and nothing can make room), -EINVAL (an address that no endpoint can have: loopback,
 * multicast, unspecified, link-local), … */
int datapath_endpoint_learn(struct datapath *datapath, const struct address *address,
	uint64_t expires_ns, enum endpoint_source source, enum fail fail);
/* Forgets endpoints that expired before now_ns (CLOCK_MONOTONIC), and what made others fail closed;
 * flows keep their decision. Returns how many were forgotten. */
size_t datapath_endpoint_sweep(struct datapath *datapath, uint64_t now_ns);
/* Calls forgotten for every address that has to make room, during datapath_endpoint_learn. */
void datapath_on_forgotten(struct datapath *datapath,
	void (*forgotten)(void *context, const struct address *address), void *context);
/* The fail modes of hosts are others now: where all have the same one, every known address has it
 * at once; else an address has its own when it is learned again, and until then the one it had. */
void datapath_endpoint_fail(struct datapath *datapath, const struct config *config);
/* Calls each for every address that is an endpoint by itself (prefixes are not told). */
void datapath_endpoints(struct datapath *datapath,
	void (*each)(void *context, const struct address *address, const struct endpoint *endpoint),
	void *context);

/* Takes over `endpoints` and `admission` of a new configuration, and what of `datapath` can change;
 * flows keep their decision. -ENOTSUP names what cannot, and nothing was changed. */
int datapath_reconfigure(struct datapath *datapath, const struct config *config, struct why *why);

/* Detaches and removes everything that datapath_open made, and frees. NULL is allowed. */
void datapath_close(struct datapath *datapath);

#endif
