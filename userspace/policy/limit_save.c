// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/limit_save.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/crc32c.h"

#define MAGIC 0x3176617370736cULL /* "lspsav1": another one for another form */

/* As it lies in memory: it is read where it was written. */
struct head {
	uint64_t magic, sequence, rows;
	uint32_t crc, none; /* of sequence, rows, and all that follows */
};

static_assert(sizeof(struct head) == LIMIT_SAVE_HEAD, "as limit_save.h says");

struct saved_row {
	uint64_t begins_s, used;
	uint8_t measure, period;
	char limit[LIMIT_NAME], who[LIMIT_WHO];
};

static uint32_t sum_of(const struct head *head, struct slice rows)
{
	uint32_t crc = crc32c(0, &head->sequence, sizeof(head->sequence) + sizeof(head->rows));

	return crc32c(crc, rows.data, rows.len);
}

int limit_save_write(
	const struct limit_table *table, uint64_t sequence, uint64_t now_s, struct buf *out)
{
	struct head head = {.magic = MAGIC, .sequence = sequence};
	size_t before = buf_len(out);
	struct limit_reading reading;
	char *at;

	if (buf_append(out, &head, sizeof(head)))
		return -ENOMEM;
	for (uint32_t i = 0; i < limit_table_rows(table); i++) {
		struct saved_row row;

		if (!limit_table_read(table, i, now_s, &reading) ||
			reading.period == LIMIT_AT_ONCE ||
			!(reading.sum.used + reading.sum.reserved))
			continue;
		memset(&row, 0, sizeof(row));
		row.begins_s = reading.window.begins_s;
		row.used = reading.sum.used + reading.sum.reserved;
		row.measure = (uint8_t)reading.measure;
		row.period = (uint8_t)reading.period;
		memcpy(row.limit, reading.limit, LIMIT_NAME);
		memcpy(row.who, reading.who, LIMIT_WHO);
		if (buf_append(out, &row, sizeof(row)))
			return -ENOMEM;
		head.rows++;
	}
	at = out->memory + out->start + before;
	head.crc = sum_of(&head, slice_of(at + sizeof(head), head.rows * sizeof(struct saved_row)));
	memcpy(at, &head, sizeof(head));
	return 0;
}

uint64_t limit_save_check(struct slice saved)
{
	struct head head;
	struct slice rows = slice_after(saved, sizeof(head));

	if (saved.len < sizeof(head))
		return 0;
	memcpy(&head, saved.data, sizeof(head));
	/* What is behind it is of an older, longer one. */
	if (head.magic != MAGIC || head.rows > rows.len / sizeof(struct saved_row))
		return 0;
	rows = slice_first(rows, head.rows * sizeof(struct saved_row));
	return sum_of(&head, rows) == head.crc ? head.sequence : 0;
}

void limit_save_restore(struct limit_table *table, struct slice saved, uint64_t now_s)
{
	struct head head;
	struct slice rows = slice_after(saved, sizeof(head));

	memcpy(&head, saved.data, sizeof(head));
	for (uint64_t i = 0; i < head.rows; i++, rows = slice_after(rows, sizeof(struct saved_row))) {
		struct limit_reading reading = {.measure = LIMIT_REQUESTS};
		struct saved_row row;

		memcpy(&row, rows.data, sizeof(row));
		if (row.measure >= LIMIT_MEASURES || row.period >= LIMIT_PERIODS)
			continue;
		reading.measure = (enum limit_measure)row.measure;
		reading.period = (enum limit_period)row.period;
		reading.window.begins_s = row.begins_s;
		reading.sum.used = row.used;
		memcpy(reading.limit, row.limit, LIMIT_NAME);
		memcpy(reading.who, row.who, LIMIT_WHO);
		reading.limit[LIMIT_NAME - 1] = reading.who[LIMIT_WHO - 1] = '\0';
		limit_table_restore(table, &reading, now_s);
	}
}
