/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a child process is to its role, and a role to its process. A role is a set of four
 * functions; child.c runs exactly one per process, supervisor.c decides when. */
#ifndef SUPERVISE_ROLE_H
#define SUPERVISE_ROLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/ipc.h"
#include "base/why.h"
#include "config/config.h"

struct ev_loop;

/* Messages on the control socket. Those marked * stay in child.c: no role sees them. */
enum control_type {
	CONTROL_BOOT = 1, /* *parent → child */
	CONTROL_BOOT_FDS, /* *parent → child */
	CONTROL_READY,	  /* *child → parent: init and sandbox succeeded */
	CONTROL_FAILED,	  /* *child → parent: init or sandbox failed; struct control_failed */
	CONTROL_DRAIN,	  /* *parent → child: role->drain; body: struct control_drain */
	CONTROL_PING,	  /* *parent → child; a child that does not answer is killed */
	CONTROL_PONG,	  /* *child → parent */
	/* parent → signer, keeper: struct control_peer and 1 fd, the ipc socket of a worker.
	 * parent → shipper: struct control_peer and 3 fds: ring, wake_shipper, wake_worker (and a
	 * fourth, whose end child.c takes for CONTROL_PEER_GONE). */
	CONTROL_PEER,
	/* to the shipper: struct control_peer. The worker is gone and will write no more to its
	 * ring (child.c learns that by itself, also when the parent is dead). When all of the ring
	 * has been spooled, the shipper sends the same message to the parent, which then lets the
	 * ring go. Until then every new shipper is told of this peer again. */
	CONTROL_PEER_GONE,
	CONTROL_SIGNER, /* parent → worker: 1 fd, replaces the boot fd "signer" */
	/* scout → parent: 1 .. n of struct datapath_endpoint. Parent → scout: the same told back,
	 * done or refused; and when the scout is ready, all that there are. */
	CONTROL_ENDPOINT,
	/* scout → parent, once: every configured name was resolved, or could not be. Before that
	 * the appliance is not ready: connections to addresses nobody knows yet would pass unseen.
	 */
	CONTROL_SCOUTED,
	/* signer → parent: struct control_peer. That worker asks more often than it may
	 * (tls.leaf_rate); of one worker at most one in a minute. */
	CONTROL_LIMITED,
	CONTROL_ISSUED_KEYS, /* parent → worker: 1 fd, replaces the boot fd "issued_keys" */
	/* signer → parent: struct control_suspect. That worker did what none of ours does; of one
	 * worker at most one in a minute. */
	CONTROL_SUSPECT,
	CONTROL_KEEPER, /* parent → worker: 1 fd, replaces the boot fd "keeper" */
	/* parent → keeper: struct control_file, and 1 fd, where the file could be opened. First of each
	 * credential that has a file, then when the file has changed. */
	CONTROL_FILE,
	/* parent → keeper: 1 fd, the socket to the keeper that comes after it (whose boot fd is
	 * "heritage"): what it holds is told there. */
	CONTROL_HEIR,
	/* keeper → parent: struct control_credential, each time that something of it has changed. */
	CONTROL_CREDENTIAL,
};

/* Both are child.c's business only. */
struct control_drain {
	uint64_t within_ns; /* 0: now; UINT64_MAX: no deadline */
};
struct control_failed {
	int32_t error; /* negative errno; -EAGAIN and -EBUSY: may go better the next time */
	char text[512];
};

struct control_peer {
	uint32_t number; /* of the worker process: role_context.number */
};

struct control_suspect {
	uint32_t number;  /* as in control_peer */
	char problem[92]; /* with its NUL: "sent …" */
};

struct control_file {
	uint32_t index; /* in config->credentials */
	char why[256];	/* no fd: why it cannot be opened */
};

enum credential_state {
	CREDENTIAL_STATE_AWAITED, /* asked for, nothing has come yet */
	CREDENTIAL_STATE_FRESH,	  /* it could be had at the last attempt */
	CREDENTIAL_STATE_KEPT,	  /* it could not: the last good value is in use */
	CREDENTIAL_STATE_MISSING, /* there is no value that could be used */
	CREDENTIAL_STATES
};

/* Never the value. Times are CLOCK_REALTIME, 0: none. */
struct control_credential {
	uint32_t index;
	uint32_t state;	     /* enum credential_state */
	uint32_t renewed;    /* 1: the value is another one than before */
	uint64_t got_ns;     /* when the value was got, or found unchanged, last */
	uint64_t expires_ns; /* of the value */
	uint64_t next_ns;    /* when it is asked for again */
	char error[256];     /* of the last attempt; "": none */
};

struct role_context {
	struct ev_loop *loop;
	const struct config *config;
	struct counters *counters;
	unsigned index;	 /* of its kind: worker 0, 1 … */
	uint32_t number; /* unique among all processes of the parent's life */
	char epoch[17];	 /* the parent's life: 16 hex digits, NUL */
	int control;
	struct child *child; /* child.c's own */
};

struct role {
	const char *title; /* "worker" */
	/* Makes the state. Still root and unconfined: what needs a privilege (or a file) is opened
	 * here; afterwards the process has its own uid, no capabilities and a seccomp list. On
	 * failure negative errno and why, and nothing of the state is left (close is not called);
	 * the process ends and is started again with backoff. At the very first start a failure is
	 * the daemon's, except -EAGAIN and -EBUSY. */
	int (*init)(struct role_context *context, void **state, struct why *why);
	/* A message of the parent. Fds that are taken are set to -1; the rest is closed. */
	void (*message)(void *state, struct ipc_message *message);
	/* Comes one or more times. patient: stop taking new work at once (a worker accepts what
	 * waits in its listeners, then closes them; connections without an exchange are closed),
	 * finish what is open and call role_exit when nothing is left. The signer: when all its
	 * workers' sockets are at their end. The shipper: when all peers are gone and their rings
	 * are empty. Not patient: the time is over (child.c keeps the deadline processes.drain_ns);
	 * end and record what is open, call role_exit within 2 seconds. The shipper: spool what is
	 * in the rings now, then role_exit; a successor takes the rings over. Also comes without a
	 * parent's word when the parent is dead. */
	void (*drain)(void *state, bool patient);
	/* Frees all of the state, after the loop ended. */
	void (*close)(void *state);
};

extern const struct role signer_role, worker_role, shipper_role, scout_role, keeper_role;

enum role_kind { ROLE_SIGNER, ROLE_WORKER, ROLE_SHIPPER, ROLE_SCOUT, ROLE_KEEPER, ROLE_KINDS };
/* By enum role_kind. main.c has the one of the daemon; tests have others. */
struct role_table {
	const struct role *roles[ROLE_KINDS];
};

/* What the boot fd of a worker is called that is for gateway.listen[i]. */
const char *role_gateway_name(unsigned i);
/* Takes the fd that was handed over at boot under this name (see generation.c); the caller owns it.
 * -1: there is none, or it was taken before. */
int role_fd(struct role_context *context, const char *name);
/* Sends to the parent: 0, or negative errno as ipc_send; -EAGAIN is waited out for a second. A
 * message that could not be sent is counted. */
int role_send(struct role_context *context, uint32_t type, const void *body, size_t len,
	const int *fds, size_t nfds);
/* Breaks the loop: close() follows and the process ends with success. */
void role_exit(struct role_context *context);

#endif
