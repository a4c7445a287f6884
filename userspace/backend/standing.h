/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is known of the backends, shared by all workers: a table in a file of the run directory that
 * each maps, made of atomics, so that nobody waits for anybody and a crash spoils nothing. Because
 * rows are found by name, the table outlives reloads, upgrades and restarts of the daemon. Times
 * are CLOCK_MONOTONIC ns.
 *
 * One row stands for a backend as a whole (its deployment is empty), and one for each deployment
 * that something was learned of there. The table is bounded; the deployment that was not asked for
 * the longest time goes first, and what was known of it is found out anew. */
#ifndef BACKEND_STANDING_H
#define BACKEND_STANDING_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/why.h"

#define STANDING_ROWS    4096
#define STANDING_BUDGETS 1024
#define STANDING_OWNERS  (1u << 18)
#define STANDING_JOBS	 (1u << 14)
#define STANDING_JOB_OWNER 160
#define STANDING_NAME    64 /* longer names are cut, and told apart by their keys */
/* In appliance.run_directory. */
#define STANDING_FILE "backends"

struct standing_row {
	_Atomic uint64_t key; /* of both names; 0: nobody has this row */
	_Atomic uint64_t used_ns;
	/* the breaker's */
	_Atomic uint64_t open_until_ns; /* 0: it is closed */
	_Atomic uint64_t probe_ns;	/* since when somebody tries; 0: nobody */
	_Atomic uint64_t closed_ns;	/* when it was closed after having been open; 0: never */
	_Atomic uint64_t failures;	/* in a row */
	_Atomic uint64_t answered_ns;	/* the last call that was; 0: none */
	_Atomic uint64_t trips;		/* in a row */
	_Atomic uint64_t window;	/* see breaker.c */
	_Atomic uint64_t paused_until_ns, low_until_ns;
	_Atomic uint64_t throttles; /* in a row, without a time to wait */
	_Atomic uint64_t reason;    /* enum backend_outcome that opened it last */
	_Atomic uint64_t minute;    /* its number (24 bits), and the tokens used in it */
	/* told to people */
	_Atomic uint64_t calls, failed, throttled, tripped;
	_Atomic uint64_t input_tokens, cached_tokens;
	_Atomic uint64_t remaining_requests, remaining_tokens; /* plus one; 0: never said */
	char backend[STANDING_NAME], deployment[STANDING_NAME];    /* NUL-terminated */
};

/* Of a pool: see budget.h. */
struct standing_budget {
	_Atomic uint64_t key;
	_Atomic uint64_t balance; /* thousandths of an attempt, plus one; 0: it was never used */
	_Atomic uint64_t filled_ns;
	_Atomic uint64_t refused;
};

/* See owner.h. */
struct standing_owner {
	_Atomic uint64_t check, value;
};

/* See job.h. */
struct standing_job {
	_Atomic uint64_t key;	/* 0: nobody has this place */
	_Atomic uint64_t parent; /* the key of what it is a part of; 0: of nothing */
	_Atomic uint64_t told;
	_Atomic uint64_t begun_s;
	char owner[STANDING_JOB_OWNER]; /* NUL-terminated */
};

struct standing;

/* The parent's side: the file at path, as it was left if it is of our form, else a new one; *fd is
 * the caller's, for the workers. 0, or negative errno with why. */
int standing_open(const char *path, int *fd, struct why *why);
/* A worker's side; fd stays the caller's. NULL with why. */
struct standing *standing_map(int fd, struct why *why);
/* For the command line: read-only. -ENOENT: there is no such file, or -EINVAL: it is of another
 * version; with why. */
int standing_look(const char *path, struct standing **standing, struct why *why);
/* In memory of this process alone, for tests. NULL without memory. */
struct standing *standing_new(void);
void standing_free(struct standing *standing);

/* The row, or NULL when nothing is known. */
struct standing_row *standing_find(
	const struct standing *standing, struct slice backend, struct slice deployment);
/* The row, made if need be; never NULL. */
struct standing_row *standing_take(struct standing *standing, struct slice backend,
	struct slice deployment, uint64_t now_ns);
/* The budget of a pool, made if need be; never NULL. */
struct standing_budget *standing_budget(struct standing *standing, struct slice pool);
/* The row with that number, for telling; NULL: nobody has it. */
const struct standing_row *standing_at(const struct standing *standing, size_t number);

/* The row with that number, if it is of that backend, or of a deployment there; else NULL. */
struct standing_row *standing_of_backend(
	const struct standing *standing, size_t number, struct slice backend);

/* The owner's place with that number, which is taken round the table. */
struct standing_owner *standing_owner(const struct standing *standing, uint64_t number);

/* The job's place with that number, likewise. */
struct standing_job *standing_job(const struct standing *standing, uint64_t number);

/* A number for a name that stays the same; never 0. */
uint64_t standing_hash(struct slice name);

#endif
