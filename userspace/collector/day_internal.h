/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of a day's file, for the files that are one object: names, blocks with their dictionaries,
 * sums, chains. All return 0, or -EIO, -EBADMSG or -ENOMEM with why. */
#ifndef COLLECTOR_DAY_INTERNAL_H
#define COLLECTOR_DAY_INTERNAL_H

#include <sqlite3.h>

#include "base/address.h"
#include "base/buf.h"
#include "base/why.h"
#include "collector/anchor.h"
#include "collector/chain.h"
#include "collector/keyed.h"
#include "collector/squeeze.h"

#define DAY_NAMES  4096	 /* that are known without asking: the slot of another is taken over */
#define DAY_KNOWN  16384 /* likewise, blocks */
#define DAY_SUMS   1024	 /* sums of a transaction, in memory; likewise, written then */
#define DAY_CHAINS 64	 /* whose ends are in memory; likewise */
#define DAY_PACKED 2	 /* what is packed: records and blocks */

enum day_packed { DAY_RECORDS, DAY_BLOCKS };

struct day_name {
	char *text;
	size_t len;
	int64_t id;
};

struct day_known {
	struct keyed_hash hash;
	int64_t id; /* 0: none */
};

struct day_counts {
	int64_t calls, counted, input, output, total;
};

/* What a call counts for. */
struct day_sum {
	int64_t hour, model, operation, outcome, backend, action, status, error_type, request_user;
	int64_t subject, deployment, tier;
	bool has_source, done; /* done: a completion that succeeded */
	struct address source;
	struct day_counts counts;
};

/* The tables of sums by hour, and by what besides; one more by day. */
enum day_table { DAY_BY_MODEL, DAY_BY_VERDICT, DAY_BY_USER, DAY_BY_SUBJECT, DAY_TABLES };
#define DAY_KEYS 5
struct day_hour {
	int64_t key[DAY_KEYS]; /* the first is the hour */
	struct day_counts counts; /* calls 0: free */
};

/* Samples of what is packed, until there are enough of them to learn from. */
struct day_samples {
	struct squeeze *squeeze;
	struct buf bytes;
	size_t *sizes; /* NULL: it has learned */
	unsigned n;
};

/* The chain of an appliance. */
struct day_chain {
	bool used, changed; /* changed: by the transaction */
	int64_t observer;   /* number of its name, 0: it has none */
	char *text;
	size_t len;
	struct chain_place end, before; /* before: what its first event follows */
};

struct day {
	int32_t number;
	char path[4096];
	struct keyed *keyed;
	struct anchors *anchors;
	struct seal *seal; /* NULL: contents are not sealed */
	sqlite3 *database;
	sqlite3_stmt *insert, *same;
	sqlite3_stmt *name_find, *name_add, *block_find, *block_add;
	sqlite3_stmt *hourly_add[DAY_TABLES], *daily_add, *source_add;
	sqlite3_stmt *chain_find, *chain_put;
	bool in_transaction;
	int64_t model; /* of the event that is bound */
	struct buf packed, list;
	struct day_name names[DAY_NAMES];
	struct day_known known[DAY_KNOWN];
	struct day_chain chains[DAY_CHAINS];
	int64_t first_id;  /* of the transaction; 0: nothing was added yet */
	bool chains_moved; /* one that the transaction changed made room for another */
	struct day_hour hourly[DAY_TABLES][DAY_SUMS];
	struct day_sum daily[DAY_SUMS], by_source[DAY_SUMS]; /* calls 0: free; the second by hour */
	struct day_samples samples[DAY_PACKED];
};

int day_error(struct day *day, struct why *why);
int day_execute(struct day *day, const char *sql, struct why *why);
int day_prepare(struct day *day, const char *sql, sqlite3_stmt **statement, struct why *why);
/* The number that a question has for an answer; -1: none. */
int64_t day_ask(struct day *day, const char *sql);

/* Each part: opened with the file, forgotten when a transaction is rolled back, closed. */
int day_names_open(struct day *day, struct why *why);
void day_names_forget(struct day *day);
void day_names_close(struct day *day);
/* The number of a name, which is stored when it is new. */
int day_name(struct day *day, struct slice text, int64_t *id, struct why *why);

/* With seal_key, contents are sealed; before: a day whose dictionaries are taken along, or -1. */
int day_blocks_open(struct day *day, const struct seal_key *seal_key, const char *directory,
	int32_t before, struct why *why);
void day_blocks_forget(struct day *day);
void day_blocks_close(struct day *day);
/* The number of a block, which is stored when it is new. */
int day_block(struct day *day, struct slice text, int64_t *id, struct why *why);
/* Packs a record into day->packed. */
int day_pack_record(struct day *day, struct slice record, struct why *why);
/* Learns a dictionary as soon as there are enough samples. */
int day_train(struct day *day, struct why *why);

int day_sums_open(struct day *day, struct why *why);
void day_sums_forget(struct day *day);
void day_sums_close(struct day *day);
int day_sum(struct day *day, const struct day_sum *sum, struct why *why);
int day_sums_write(struct day *day, struct why *why);

int day_chain_open(struct day *day, struct why *why);
void day_chain_forget(struct day *day);
void day_chain_close(struct day *day);
/* The chain of an appliance, by the number and the text of its name; it is there until the next call. */
int day_chain(struct day *day, int64_t observer, struct slice text, struct day_chain **chain,
	struct why *why);
/* It goes on by an event. */
void day_chain_next(struct day_chain *chain, int64_t id, const struct keyed_link *link);
int day_chain_write(struct day *day, struct why *why);
/* What was written is durable. */
void day_chain_committed(struct day *day);

#endif
