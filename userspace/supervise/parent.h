/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parent is made of: the state that the files of the parent share. supervisor.c runs it.
 */
#ifndef SUPERVISE_PARENT_H
#define SUPERVISE_PARENT_H

#include <ev.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/counter.h"
#include "base/list.h"
#include "base/log.h"
#include "config/config.h"
#include "kernel/datapath.h"
#include "supervise/endpoints.h"
#include "supervise/gateway_listeners.h"
#include "supervise/process.h"
#include "supervise/role.h"
#include "supervise/selftest_watch.h"
#include "supervise/worker_listeners.h"
#include "tls/ticket_keys.h"

struct accounting;
struct credential_watch;
struct guard_watch;
struct heartbeat;
struct keys_watch;
struct limit_watch;
struct scout_watch;
struct worker_watch;

struct parent_options {
	const char *config_path;
	enum log_level log_level;
	const struct role_table *table;
	char *const *argv; /* as the program was started; NULL: it cannot be replaced */
};

enum parent_stage {
	PARENT_STARTING,
	PARENT_RUNNING,
	PARENT_STOPPING_WORKERS, /* they drain; everybody else serves them */
	PARENT_STOPPING_REST,
};

/* A place that one process fills at a time, again when it dies. */
struct service {
	struct parent *parent;
	struct generation *generation;
	enum role_kind kind;
	unsigned index;
	uint32_t number;	 /* of the process in it */
	struct process *process; /* NULL: none now */
	unsigned failures;	 /* in a row */
	bool temporary;		 /* the last failure said that it may go better the next time */
	ev_timer restart;
};

/* What the parent knows of a credential: never its value. */
struct credential_place {
	struct stat file;		/* that was handed to the keeper last; all 0: none */
	struct control_credential told; /* by the keeper */
};

struct generation {
	struct list node; /* in parent->generations */
	struct config *config;
	int config_fd; /* its text */
	int ca_certificate;
	int policy_fd, issued_fd; /* policy_files.h */
	struct credential_place *credentials; /* by index */
	bool draining;
	bool relieved;		  /* only for a worker that another one has taken the place of */
	struct service *services; /* signer, scout, keeper, then the workers */
	unsigned nservices;
};

#define GENERATION_SIGNER 0
#define GENERATION_SCOUT  1
#define GENERATION_KEEPER 2
#define GENERATION_WORKER 3 /* + index */

/* More tables of counters than a daemon's life sees. */
#define UPGRADE_OLDER 8

struct upgrade {
	char program[PATH_MAX]; /* the path that the program was started from */
	bool asked;		/* SIGUSR2 came when it was not possible yet */
	bool taken_over;	/* of a parent before, and what came of it is not told yet */
	bool late;		/* the trial did not answer in time */
	pid_t trial;		/* 0: none */
	struct stat tried;	/* the program on trial */
	int pidfd, answer;
	struct counters *older[UPGRADE_OLDER]; /* where processes of before still count */
	size_t nolder;
	ev_signal signal;
	ev_io ended;
	ev_timer deadline;
};

/* What a part of the parent asks of whom it cannot know. */
struct parent_ops {
	/* After anything that may have moved the parent on: all ready, a generation gone, the end.
	 */
	void (*step)(struct parent *parent);
	/* A reload has ended. refusal: why it was refused; NULL: done. True when it was the second
	 * half of an upgrade, which was then told. */
	bool (*reloaded)(struct parent *parent, const char *refusal);
	/* A reload has ended and was told: what was asked for meanwhile begins. */
	void (*go_on)(struct parent *parent);
};

struct parent {
	const struct parent_options *options;
	const struct parent_ops *ops;
	const struct process_owner *owner; /* of all processes: contexts are services */
	struct ev_loop *loop;
	enum parent_stage stage;
	bool failed;  /* exit status */
	bool scouted; /* the configured names were resolved once */
	char epoch[17];
	uint32_t next_number;
	int lock;
	char *counters_path;
	struct counters *counters;
	struct datapath *datapath;
	struct endpoints endpoints;
	struct heartbeat *heartbeat; /* of all workers */
	struct worker_watch *worker_watch;
	struct scout_watch *scout_watch;
	struct guard_watch *guard_watch;
	struct keys_watch *keys_watch; /* NULL before the loop runs */
	struct credential_watch *credential_watch;
	struct limit_watch *limit_watch;
	int tickets; /* the memory of ticket_keys; -1: not made yet */
	int standing; /* what is known of the backends; -1: not opened yet */
	struct ticket_keys *ticket_keys;
	struct worker_listeners listeners;
	struct gateway_listeners gateways;
	struct list rings; /* of struct event_ring */
	struct accounting *accounting;
	struct list generations;
	struct generation *current;  /* NULL before the first */
	struct generation *pending;  /* reload under way; NULL: none */
	struct generation *retiring; /* the one before, until its drain begins; NULL: none */
	bool swapping;		     /* the reload is at the change of the shipper */
	bool reload_again;	     /* SIGHUP came during a reload */
	struct upgrade upgrade;
	struct selftest_watch selftest;
	struct service shipper;
	ev_signal terminate, interrupt, hangup;
	ev_timer watchdog, sweep, rotate, reload_deadline, settle, stop_deadline;
};

#endif
