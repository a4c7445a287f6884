/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is used of the limits, as it is kept over the end of the machine: bytes that are whole or
 * nothing. What is reserved counts as used there, for nobody knows what becomes of those calls. */
#ifndef POLICY_LIMIT_SAVE_H
#define POLICY_LIMIT_SAVE_H

#include "base/buf.h"
#include "policy/limit_table.h"

#define LIMIT_SAVE_MAX (1u << 30)
/* Before the rows: what is different every time. */
#define LIMIT_SAVE_HEAD 32

/* Appends all that counts still. sequence: greater with every one. 0 or -ENOMEM. */
int limit_save_write(
	const struct limit_table *table, uint64_t sequence, uint64_t now_s, struct buf *out);
/* The sequence of what was written whole; 0: it is none. */
uint64_t limit_save_check(struct slice saved);
/* Adds what counts still to the table, of what was checked. */
void limit_save_restore(struct limit_table *table, struct slice saved, uint64_t now_s);

#endif
