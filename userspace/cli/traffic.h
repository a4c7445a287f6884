/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the source addresses do: two readings of the kernel made into rates per second, and rows
 * that can be sorted by any column. Knows no terminal and no clock. */
#ifndef CLI_TRAFFIC_H
#define CLI_TRAFFIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/datapath_status.h"

/* Per second. */
struct traffic_rates {
	double counts[SOURCE_COUNT_MAX];
	double drops;
};

struct traffic_row {
	struct datapath_source source;
	struct traffic_rates rates;
};

struct traffic {
	double seconds;	 /* between the readings; 0: there is only one, and no rate is known */
	uint64_t now_ns; /* CLOCK_MONOTONIC: the later reading */
	struct traffic_row *rows;
	size_t nrows;
	struct traffic_rates all; /* summed over the rows */
	uint64_t active;
};

/* Fills traffic from a reading and the one before it (NULL: none), which need DATAPATH_SOURCES. A
 * counter that went back began again from 0 (the kernel had forgotten the source), like one that
 * was not there before. Free with traffic_free. 0 or -ENOMEM. */
int traffic_read(struct traffic *traffic, const struct datapath_status *before,
	const struct datapath_status *now);
void traffic_free(struct traffic *traffic);

enum column_kind {
	COLUMN_ADDRESS,
	COLUMN_ACTIVE,
	COLUMN_RATE,
	COLUMN_DROP_RATE,
	COLUMN_TOTAL,
	COLUMN_DROPS,
	COLUMN_SEEN,
};

struct column {
	enum column_kind kind;
	enum source_count count; /* COLUMN_RATE, COLUMN_TOTAL */
	const char *name;	 /* "packets/s", "packets" */
};

extern const struct column columns[];
extern const size_t ncolumns;

/* The column of that name, or NULL. */
const struct column *column_find(const char *name);
/* Whether the column is known from one reading: it is no rate. */
bool column_is_total(const struct column *column);

/* Highest, or seen last, first (addresses: lowest first); reversed: the other way round. Equal ones
 * are ordered by bytes, then by address. */
void traffic_sort(struct traffic *traffic, const struct column *column, bool reversed);

struct column_text {
	char text[48];
};
/* The cell, as a person reads it ("12.3k", "5 s"), or exactly ("12345"). Use as
 * column_format(…).text within one full expression. */
struct column_text column_format(const struct traffic *traffic, const struct traffic_row *row,
	const struct column *column, bool exactly);

/* "0.4", "27.0", "999", "12.3k", "4.56M": at most 6 characters up to 10^24. */
struct column_text quantity_format(double quantity);
/* "5 s", "12 min", "3 h", "2 d": ages are for a glance. */
struct column_text age_format(uint64_t ns);

#endif
