/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A spool in a directory of its own, for tests. */
#ifndef SUPPORT_SPOOL_BOX_H
#define SUPPORT_SPOOL_BOX_H

#include <stddef.h>
#include <stdint.h>

#include "audit/spool.h"
#include "base/buf.h"

struct spool_box {
	char path[64];
	int directory;
	const char *epoch;
	uint64_t bytes, segment_bytes; /* 1 GiB, 32 KiB */
};

/* For cmocka: *state is the box. */
int spool_box_setup(void **state);
int spool_box_teardown(void **state);

struct spool *spool_box_open(struct spool_box *box);

/* A record with that many bytes of text besides. */
void spool_box_record(
	struct buf *record, const char *epoch, uint32_t stream, uint64_t sequence, size_t padding);
void spool_box_text_record(struct buf *record, struct slice text);
/* Appends one to the spool (epoch 0123456789abcdef); as spool_append. */
int spool_box_append(struct spool *spool, uint32_t stream, uint64_t sequence, size_t padding);

/* For spool_read: collects sequences; the caller frees them. */
struct spool_box_read {
	uint64_t *sequences;
	size_t n, room;
};
int spool_box_given(void *context, struct slice record);
/* How many records can be read from the cursor on. */
uint64_t spool_box_count(struct spool *spool);

size_t spool_box_segments(const struct spool_box *box);
uint64_t spool_box_size(const struct spool_box *box, uint64_t segment);
void spool_box_truncate(const struct spool_box *box, uint64_t segment, uint64_t size);
void spool_box_overwrite(const struct spool_box *box, uint64_t segment, uint64_t offset,
	const char *data, size_t len);
/* Inverts a byte and returns what it was. */
char spool_box_flip(const struct spool_box *box, uint64_t segment, uint64_t offset);
void spool_box_damage_cursor(const struct spool_box *box);
void spool_box_unlink(const struct spool_box *box, const char *name);

#endif
