/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rows of all limits, in a file of the run directory that every worker maps. Rows are found by
 * name, so the table outlives reloads, upgrades and restarts of the daemon; limit_save.h takes what is
 * used over the end of the machine.
 *
 * The table is bounded. A row whose period is over makes room for another one; where there is none,
 * all further ones of that limit share a row, which is in nobody's favour.
 *
 * A worker's cells are lent to it together with a descriptor, whose lock ends with the last process that
 * has it: so whoever is dead is seen, whoever has started it. */
#ifndef POLICY_LIMIT_TABLE_H
#define POLICY_LIMIT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/why.h"
#include "policy/limit_period.h"
#include "policy/limit_row.h"

/* In appliance.run_directory. */
#define LIMIT_FILE "limits"
/* In audit.spool_directory, with a 0 or a 1 behind it: see limit_save.h. */
#define LIMIT_SAVED "limits."
#define LIMIT_NOBODY UINT32_MAX /* as a worker: it has no cells */

/* What is counted. */
enum limit_measure {
	LIMIT_REQUESTS,
	LIMIT_TOKENS, /* thousandths */
	LIMIT_COST,   /* 1e-8 of the currency */
	LIMIT_BYTES,
	LIMIT_CONCURRENT, /* calls at the same time */
	LIMIT_MEASURES
};
const char *limit_measure_name(enum limit_measure measure);
/* So many of its amounts are one. */
uint64_t limit_measure_unit(enum limit_measure measure);

/* Whose row it is. */
struct limit_key {
	struct slice limit, who; /* who: empty, where all count together */
	enum limit_measure measure;
	enum limit_period period;
};

struct limit_table;

/* The parent's side: the file at path, as it was left if it is of that form, else a new one that has
 * what the old one had; *fresh: there was none. *fd is the caller's. 0, or negative errno with why. */
int limit_table_open(const char *path, uint32_t rows, uint32_t workers, int *fd, bool *fresh,
	struct why *why);
/* fd stays the caller's; it is read only if so opened. NULL with why. */
struct limit_table *limit_table_map(int fd, bool write, struct why *why);
/* For the command line. -ENOENT: there is no such file, or -EINVAL; with why. */
int limit_table_look(const char *path, struct limit_table **table, struct why *why);
/* In memory of this process alone. NULL without memory. */
struct limit_table *limit_table_new(uint32_t rows, uint32_t workers);
void limit_table_free(struct limit_table *table);

/* Lends the cells of a worker for as long as the descriptor is open, which is the caller's; fd is that of
 * limit_table_open. Or negative errno with why; -EAGAIN: all are lent. */
int limit_table_lend(struct limit_table *table, int fd, struct why *why);
/* Which cells those are: the descriptor's offset says so. LIMIT_NOBODY: it was not lent. */
uint32_t limit_table_lent(const struct limit_table *table, int fd);
/* Takes back the cells of those that are dead; how many. */
unsigned limit_table_reap(struct limit_table *table, int fd);

/* The row, made if need be by that worker, and kept until then at least; *shared: it is one for many.
 * NULL: there is none. */
struct limit_row *limit_table_take(struct limit_table *table, uint32_t worker,
	const struct limit_key *key, uint64_t now_s, uint64_t until_s, bool *shared);
uint32_t limit_table_workers(const struct limit_table *table);
uint32_t limit_table_rows(const struct limit_table *table);

/* A row for telling. */
struct limit_reading {
	char limit[LIMIT_NAME], who[LIMIT_WHO];
	enum limit_measure measure;
	enum limit_period period;
	struct limit_window window;
	struct limit_sum sum;
};
/* The row with that number, in its period of now; false: nobody has it. */
bool limit_table_read(
	const struct limit_table *table, uint32_t i, uint64_t now_s, struct limit_reading *reading);
/* Adds what was used in a former life, if it is of the period of now. */
void limit_table_restore(
	struct limit_table *table, const struct limit_reading *reading, uint64_t now_s);

/* How many tokens a model makes of what was estimated, in 1024ths: as much as lately at most. */
uint32_t limit_table_ratio(const struct limit_table *table, struct slice model);
void limit_table_learn(
	struct limit_table *table, struct slice model, uint64_t estimated, uint64_t were);

#endif
