/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A child process as its parent sees it: started, booted, asked, heard, ended. */
#ifndef SUPERVISE_PROCESS_H
#define SUPERVISE_PROCESS_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/counter.h"
#include "base/ipc.h"
#include "base/why.h"
#include "supervise/child.h"

struct process;

/* How a process ended. */
struct process_end {
	bool clean;	   /* by itself, with success */
	bool refused_call; /* killed by its seccomp list */
	uint64_t lived_ns;
	char text[160]; /* "killed by signal 9 (Killed)" */
};

/* What the owner is told. Each may end with process_free(process) only in ended. */
struct process_owner {
	void (*ready)(void *owner, struct process *process);
	/* Init failed; ended follows. */
	void (*failed)(void *owner, struct process *process, int error, const char *text);
	/* A message that the process has no business with itself. Fds not taken are closed. */
	void (*message)(void *owner, struct process *process, struct ipc_message *message);
	/* It is gone and nothing more is to be heard of it. The owner frees it. */
	void (*ended)(void *owner, struct process *process, const struct process_end *end);
};

/* A descriptor to hand over under a name; it stays the caller's. */
struct process_fd {
	const char *name;
	int fd;
};

struct process_start {
	struct ev_loop *loop;
	struct counters *counters; /* the parent's */
	const char *title;	   /* of the role; for the command line */
	const struct control_boot *boot;
	const struct process_fd *fds;
	size_t nfds;	   /* boot->nfds is set from it */
	unsigned patience; /* seconds that it may leave pings unanswered, once it is ready */
	const struct process_owner *owner;
	void *context;
};

/* Starts this very program anew with --child, with no descriptor but its control socket and
 * standard error, and sends it the boot messages. 0; or negative errno with why. */
int process_start(const struct process_start *start, struct process **process, struct why *why);
/* What has to be known to go on with a process in another program of the same pid. */
struct process_state {
	pid_t pid;
	int control;
	uint64_t started_ns, overdue_ns; /* CLOCK_MONOTONIC; overdue 0: no deadline */
	bool ready, draining;
};
/* The control socket stays the process'. */
struct process_state process_state(const struct process *process);
/* Goes on with a child that another program of this pid started; of start, what tells how to boot
 * it is not used. The control socket is the process' from now on. -ECHILD: it is no child of ours;
 * then, and on any other negative errno, why is set and the socket is the caller's. */
int process_adopt(const struct process_start *start, const struct process_state *state,
	struct process **process, struct why *why);
/* Stops watching and forgets; a process that still runs is killed. NULL is fine. */
void process_free(struct process *process);

bool process_is_ready(const struct process *process);
/* Whether it has left a ping unanswered, so for a second or two. */
bool process_is_silent(const struct process *process);
/* Who is told of it from now on. */
void process_set_context(struct process *process, void *context);
bool process_is_draining(const struct process *process);
/* Also when its owner was not told yet. */
bool process_has_ended(const struct process *process);
/* "worker 1 (pid 77)"; until the next call. */
const char *process_name(const struct process *process);

/* Sends a message. A child whose socket is full has not read for long: it is killed, and its
 * successor gets everything at boot. Fds stay the caller's. */
void process_send(struct process *process, uint32_t type, const void *body, size_t len,
	const int *fds, size_t nfds);
/* Orders to drain within that time (0: now; UINT64_MAX: no deadline) and kills when the order is
 * overdue. May be repeated with less time. */
void process_drain(struct process *process, uint64_t within_ns);
void process_kill(struct process *process);

/* A new descriptor for the same file with its own offset, read-only. Or negative errno. */
int process_reopen(int fd);

/* How long to wait before the start after that many failures in a row (1: the first), and how many
 * failures in a row it is when one that lived so long ended. */
uint64_t process_backoff_ns(unsigned failures);
unsigned process_failures(unsigned before, uint64_t lived_ns);

#endif
