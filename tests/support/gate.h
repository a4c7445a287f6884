/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The datapath running in the gate of namespaces.h, with two listeners in place of a worker and a
 * web server behind it. Everything here fails the test when it fails. */
#ifndef SUPPORT_GATE_H
#define SUPPORT_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/datapath.h"
#include "kernel/datapath_status.h"
#include "tests/support/namespaces.h"

#define PATIENCE_MS 3000
#define FAST_MS	    700 /* below the first retransmission of a SYN */

struct gate {
	struct config config;
	struct datapath *datapath;
	int listeners[2]; /* worker 0: IPv4, IPv6 */
	int origins[2];	  /* port 443 of the server */
};

extern struct namespaces gate_net;
/* By family, IPv4 first: the learned endpoint, one of a configured prefix, somebody else. */
extern const char *const gate_endpoints[2], *const gate_prefixed[2], *const gate_others[2];

/* For cmocka_run_group_tests: the namespaces. */
int gate_group_setup(void **state);
int gate_group_teardown(void **state);
/* For each test: the gate with the usual configuration. */
int gate_setup(void **state);
int gate_teardown(void **state);

struct config gate_configuration(void);
/* There is one at a time. Opens all: gate_start, gate_listen, endpoints learned, origins. */
struct gate *gate_open(struct config config);
void gate_close(struct gate *gate);
void gate_start(struct gate *gate);
void gate_listen(struct gate *gate);
void gate_learn(struct gate *gate, const char *address);
/* Connects to an address: it arrives at the gate's listener, whole, and nowhere else. */
void gate_steers(struct gate *gate, int family, const char *to);
struct datapath_status *gate_status(const struct gate *gate);

struct address parsed(const char *text);
bool nothing_arrives(int listener);
/* Connects (source_port 0: any) and takes the connection off the listener; both ends are given
 * back. */
void pair_open(int listener, const char *to, uint16_t source_port, int ends[2]);
void pair_close(int ends[2]);
struct address_port name_of(int fd, bool peer);
/* NULL: not counted. */
const struct datapath_source *source_of(const struct datapath_status *status, const char *address);

#endif
