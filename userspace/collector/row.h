/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An event as the store takes it: a record of the wire, its fields found, its content apart. */
#ifndef COLLECTOR_ROW_H
#define COLLECTOR_ROW_H

#include <stdbool.h>
#include <stdint.h>

#include "audit/schema.h"
#include "base/address.h"
#include "collector/content.h"
#include "collector/forward_server.h"

#define ROW_ID_MAX 320

struct row {
	uint64_t time_ns;
	bool untimed; /* its clock was wrong: time_ns is when it came */
	struct slice id;     /* event.id, or made: its place in a chunk of a foreign sender */
	struct slice raw;    /* the record, as it came */
	struct slice narrow; /* and without its content */
	struct slice content[CONTENT_KINDS];	    /* empty: none */
	const msgpack_object *fields[SCHEMA_COUNT]; /* by enum schema_id; NULL: absent */
	struct slice model;			    /* what answered, or else was asked for */
	struct address source;
	bool has_source;
	/* own memory */
	char id_text[ROW_ID_MAX];
	struct buf memory;
};

/* Fills row from an entry; what it had is forgotten, its memory is used again. Slices are valid as
 * long as the entry, and until the next call. 0; -EINVAL: the entry has no identity; -EBADMSG: it
 * is no record; -ENOMEM. */
int row_read(struct row *row, const struct forward_entry *entry);
void row_free(struct row *row);

/* The text of a field, or an empty one; a number that fits, or false. */
struct slice row_text(const msgpack_object *object);
bool row_number(const msgpack_object *object, int64_t *number);
/* The field that holds that kind of content. */
enum schema_id row_content_field(enum content_kind kind);
/* A model's name before its date: gpt-4o-2024-08-06, gpt-4-0613, claude-20240620. */
struct slice row_family(struct slice model);

#endif
