/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A small network for tests of the datapath, in one process:
 *
 *	client 10.77.1.2 ── hop ── gate ── server 10.77.3.2 … .9
 *
 * Everything, the BPF file system too, lives in a mount namespace of the process and is gone with
 * it. Sockets belong to the namespace they were made in, so one thread can hold all sides. */
#ifndef SUPPORT_NAMESPACES_H
#define SUPPORT_NAMESPACES_H

#include <stdbool.h>
#include <stdint.h>

enum place { PLACE_CLIENT, PLACE_HOP, PLACE_GATE, PLACE_SERVER, PLACES };

struct namespaces {
	int fds[PLACES];
	char bpf[64]; /* where a BPF file system is mounted */
};

#define CLIENT4	    "10.77.1.2"
#define CLIENT6	    "fd77:1::2"
#define SERVER4	    "10.77.3.2" /* … .9 and ::2 … ::9 are the server's as well */
#define SERVER6	    "fd77:3::2"
#define GATE_INSIDE "inside"

/* Builds it, or fails the test; the process is in the gate afterwards. */
void namespaces_open(struct namespaces *namespaces);
void namespaces_close(struct namespaces *namespaces);
void namespaces_enter(const struct namespaces *namespaces, enum place place);
/* Runs a shell command in a namespace; fails the test when it fails. */
__attribute__((format(printf, 3, 4))) void namespaces_run(
	const struct namespaces *namespaces, enum place place, const char *format, ...);
/* The status of a shell command in a namespace; its output is thrown away. */
int namespaces_try(const struct namespaces *namespaces, enum place place, const char *command);

/* A listener in a namespace, on every address of the port's. */
int namespaces_listen(
	const struct namespaces *namespaces, enum place place, bool ipv6, uint16_t port);
/* Connects from the client: fd, or a negative errno; -ETIMEDOUT after the milliseconds. port 0:
 * any source port. */
int namespaces_connect(const struct namespaces *namespaces, const char *address, uint16_t port,
	uint16_t source_port, int milliseconds);
/* Takes a connection off a non-blocking listener within 2 seconds: fd, or a negative errno. */
int namespaces_accept(int listener);
/* Whether the other side's end of file arrives within 5 seconds. */
bool namespaces_ended(int fd);
/* Whether bytes sent on one end arrive at the other within 5 seconds. */
bool namespaces_carries(int from, int to, uint32_t bytes);

#endif
