/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file "cursor" of a spool: up to where its records were acknowledged. Replaced whole. */
#ifndef AUDIT_SPOOL_CURSOR_H
#define AUDIT_SPOOL_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "audit/spool_options.h"

struct spool_cursor_file {
	uint64_t number; /* spool_number() */
	struct spool_position position;
};

/* 0; -ENOENT: there is none; -EBADMSG: it is damaged; or another negative errno. */
int spool_cursor_load(int directory, struct spool_cursor_file *cursor);
/* Writes a new file and renames it over the old one; sync: durable when it returns. 0, or negative
 * errno and the old file stays. */
int spool_cursor_store(int directory, const struct spool_cursor_file *cursor, bool sync);

#endif
