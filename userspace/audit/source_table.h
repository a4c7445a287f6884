/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The totals of each source address, where all workers can read them: memory that the parent
 * writes and workers have mapped read-only. A look never waits for the writer: what cannot be read
 * whole within a few attempts, because the writer is at it or died at it, is left out.
 *
 * Memory: 224 bytes for each of datapath.max_sources and 8 to 16 for its place; pages that no
 * source has come to are not there. */
#ifndef AUDIT_SOURCE_TABLE_H
#define AUDIT_SOURCE_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/why.h"
#include "bpf/abi.h"

struct source_totals {
	struct source_counters counters;
	uint32_t active;  /* connections open at the last sweep of the flow table */
	uint32_t opening; /* connections whose handshake was not finished then; not in active */
};

struct source_table;

/* The parent's side: room for that many sources; *fd is its memfd, sealed so that nobody else can
 * map it writable, and is the caller's. NULL with why. */
struct source_table *source_table_create(size_t most, int *fd, struct why *why);
/* Begins a round of puts: those that the round before and this one do not put may be forgotten for
 * others. */
void source_table_begin(struct source_table *table);
/* 0; or -ENOSPC: as many as may be, all of them put lately. */
int source_table_put(struct source_table *table, const struct address *address,
	const struct source_totals *totals);

/* A worker's side: read-only; fd stays the caller's. NULL with why. */
const struct source_table *source_table_map(int fd, struct why *why);
/* 0: *totals is as it was published last; -ENOENT: that source is not there; -EAGAIN: it is being
 * written. */
int source_table_find(const struct source_table *table, const struct address *address,
	struct source_totals *totals);

/* Either side; NULL is fine. */
void source_table_free(const struct source_table *table);

#endif
