// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "collector/day_internal.h"

int day_names_open(struct day *day, struct why *why)
{
	int error = day_prepare(day, "SELECT id FROM name WHERE text = ?", &day->name_find, why);

	return error ? error
		     : day_prepare(day, "INSERT INTO name(text) VALUES(?)", &day->name_add, why);
}

void day_names_forget(struct day *day)
{
	for (size_t i = 0; i < DAY_NAMES; i++) {
		free(day->names[i].text);
		day->names[i] = (struct day_name){0};
	}
}

void day_names_close(struct day *day)
{
	day_names_forget(day);
	sqlite3_finalize(day->name_find);
	sqlite3_finalize(day->name_add);
}

static int day_name_ask(struct day *day, struct slice text, int64_t *id, struct why *why)
{
	int step, error = 0;

	sqlite3_bind_text(day->name_find, 1, text.data, (int)text.len, SQLITE_STATIC);
	step = sqlite3_step(day->name_find);
	if (step == SQLITE_ROW) {
		*id = sqlite3_column_int64(day->name_find, 0);
	} else if (step == SQLITE_DONE) {
		sqlite3_bind_text(day->name_add, 1, text.data, (int)text.len, SQLITE_STATIC);
		if (sqlite3_step(day->name_add) != SQLITE_DONE)
			error = day_error(day, why);
		*id = sqlite3_last_insert_rowid(day->database);
		sqlite3_reset(day->name_add);
	} else {
		error = day_error(day, why);
	}
	sqlite3_reset(day->name_find);
	return error;
}

int day_name(struct day *day, struct slice text, int64_t *id, struct why *why)
{
	struct day_name *slot = &day->names[crc32c(0, text.data, text.len) % DAY_NAMES];
	char *copy;
	int error;

	if (slot->text && slice_equal(text, slice_of(slot->text, slot->len))) {
		*id = slot->id;
		return 0;
	}
	error = day_name_ask(day, text, id, why);
	copy = error ? NULL : malloc(text.len);
	if (!copy)
		return error;
	memcpy(copy, text.data, text.len);
	free(slot->text);
	*slot = (struct day_name){copy, text.len, *id};
	return 0;
}
