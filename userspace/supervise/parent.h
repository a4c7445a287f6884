/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parent: configuration, datapath, listeners, children, reload, end. It sees no payload. */
#ifndef SUPERVISE_PARENT_H
#define SUPERVISE_PARENT_H

#include "base/log.h"
#include "supervise/accounting.h"
#include "supervise/endpoints.h"
#include "supervise/generation.h"
#include "supervise/worker_listeners.h"
#include "tls/ticket_keys.h"
#include "supervise/role.h"
#include "supervise/guard_watch.h"
#include "supervise/scout_watch.h"
#include "supervise/selftest_watch.h"
#include "supervise/upgrade.h"
#include "supervise/worker_watch.h"

struct parent_options {
	const char *config_path;
	enum log_level log_level;
	const struct role_table *table;
	char *const *argv; /* as the program was started; NULL: it cannot be replaced */
};

/* Runs the daemon until it is told to end. Returns the exit status: errors were logged. */
int parent_main(const struct parent_options *options);

enum parent_stage {
	PARENT_STARTING,
	PARENT_RUNNING,
	PARENT_STOPPING_WORKERS, /* they drain; everybody else serves them */
	PARENT_STOPPING_REST,
};

/* For the files of the parent only: parent.c, generation.c, reload.c, upgrade.c, takeover.c,
 * worker_watch.c, scout_watch.c. */
struct parent {
	const struct parent_options *options;
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
	struct worker_watch *worker_watch;
	struct scout_watch *scout_watch;
	struct guard_watch *guard_watch;
	int tickets; /* the memory of ticket_keys; -1: not made yet */
	int standing; /* what is known of the backends; -1: not opened yet */
	struct ticket_keys *ticket_keys;
	struct worker_listeners listeners;
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

/* The owner of all processes: contexts are services. */
extern const struct process_owner parent_owner;

/* After anything that may have moved the parent on: all ready, a generation gone, the end. */
void parent_step(struct parent *parent);
/* Starts the rotation of ticket keys by the current configuration. */
void parent_schedule_rotation(struct parent *parent);
/* Sets the path of its file of counters. */
int parent_name_counters(struct parent *parent, const struct config *config, struct why *why);
/* Opens the file of what is known of the backends. */
int parent_open_standing(struct parent *parent, const struct config *config, struct why *why);
/* Opens the datapath and makes the listeners that are not there yet. */
int parent_attach(struct parent *parent, const struct config *config, struct why *why);

/* reload.c */
void reload_begin(struct parent *parent);
/* Each time a process became ready or ended: goes on when it can. */
void reload_step(struct parent *parent);
void reload_on_deadline(struct ev_loop *loop, ev_timer *timer, int events);
/* Retires the old generation now, if a reload to fewer workers still waits with it. */
void reload_settle(struct parent *parent);
/* The key of the first setting that a running daemon cannot change; NULL: none differs. */
const char *reload_unchangeable(const struct config *old, const struct config *new);
void reload_on_settled(struct ev_loop *loop, ev_timer *timer, int events);
/* Keeps the old configuration; whoever runs by the new one drains. */
void reload_abort(struct parent *parent, const char *reason);
/* Tells a generation that it is no longer the one: its processes drain without a deadline. */
void reload_retire(struct generation *generation);

#endif
