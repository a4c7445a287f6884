/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the table of the limits lies in its file: for limit_table.c and limit_share.c alone. */
#ifndef POLICY_LIMIT_MEMORY_H
#define POLICY_LIMIT_MEMORY_H

#include "policy/limit_period.h"
#include "policy/limit_row.h"

#define LIMIT_WORKERS_MAX 1024
#define LIMIT_RATIOS	  512 /* models of which is known what their tokens are */
#define LIMIT_ROW_FILLED  UINT64_MAX /* the key of a row that somebody fills */

/* The parent, as one that makes rows. */
#define LIMIT_PARENT(memory) ((memory)->workers)

struct limit_ratio {
	_Atomic uint64_t model; /* a hash; 0: nobody's */
	_Atomic uint64_t value; /* 1024ths */
};

struct limit_memory {
	uint64_t magic;
	uint32_t rows, workers; /* rows: of names; behind them are those that are shared */
	_Atomic uint32_t maker; /* the worker plus one that makes a row now; 0: nobody */
	_Atomic uint32_t lent[LIMIT_WORKERS_MAX];
	struct limit_ratio ratios[LIMIT_RATIOS];
};

struct limit_table {
	struct limit_memory *memory;
	size_t size, stride;
};

/* Rows that are for many: one for each limit, where there are not more than these. */
#define LIMIT_SHARED 512

static inline struct limit_row *limit_memory_row(const struct limit_table *table, uint64_t i)
{
	return (struct limit_row *)(void *)((char *)(table->memory + 1) + i * table->stride);
}

static inline bool limit_shape_is_at_once(uint64_t shape)
{
	return shape >> 8 == LIMIT_AT_ONCE;
}

#endif
