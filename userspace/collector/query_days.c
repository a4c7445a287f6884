// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <sys/stat.h>

#include "collector/query_internal.h"

/* The bytes of a file and of its log. */
static uint64_t days_bytes(const struct query *query, const char *name)
{
	static const char *const suffixes[] = {"", "-wal"};
	uint64_t sum = 0;

	for (size_t i = 0; i < 2; i++) {
		char path[4200];
		struct stat status;

		snprintf(path, sizeof(path), "%s/%s%s", query->path, name, suffixes[i]);
		if (stat(path, &status) == 0)
			sum += (uint64_t)status.st_size;
	}
	return sum;
}

static int days_ask(struct query *query, const char *sql, uint64_t *a, uint64_t *b, uint64_t *c,
	struct why *why)
{
	sqlite3_stmt *statement = NULL;
	int error = 0;

	if (sqlite3_prepare_v2(query->database, sql, -1, &statement, NULL) != SQLITE_OK ||
		sqlite3_step(statement) != SQLITE_ROW) {
		error = query_error(query, why);
	} else {
		*a = query_count(statement, 0);
		*b = query_count(statement, 1);
		*c = query_count(statement, 2);
	}
	sqlite3_finalize(statement);
	return error;
}

/* The attached day. */
static int days_state(
	struct query *query, int32_t day, struct query_day_state *state, struct why *why)
{
	uint64_t none;
	int error = days_ask(query,
		"SELECT (SELECT count(*) FROM day.event),"
		" (SELECT count(*) FROM day.event WHERE conflict IS NOT NULL),"
		" (SELECT time_ns FROM day.event ORDER BY id DESC LIMIT 1)",
		&state->events, &state->conflicts, &state->last_ns, why);

	if (error)
		return error;
	state->unindexed = state->events;
	error = query_attach_index(query, day, false, why);
	if (error)
		return error == -ENOENT ? 0 : error;
	error = days_ask(query,
		"SELECT (SELECT count(*) FROM day.event WHERE id > last_event), 0, 0 FROM fts.state",
		&state->unindexed, &none, &none, why);
	query_detach_index(query);
	return error;
}

int query_days(struct query *query,
	int (*row)(void *context, const struct query_day_state *day), void *context,
	struct why *why)
{
	int error = query_begin(query, why);

	for (size_t i = 0; i < query->ndays && !error; i++) {
		int32_t day = query->days[i];
		struct layout_day_name name = layout_day_name(day);
		struct query_day_state state = {.day = slice_of(name.text, 10),
			.bytes = days_bytes(query, name.text),
			.index_bytes = days_bytes(query, layout_index_name(day).text)};

		error = query_attach(query, day, why);
		if (error) {
			error = error == -ENOENT ? 0 : error;
			continue;
		}
		error = days_state(query, day, &state, why);
		query_detach(query);
		if (!error)
			error = row(context, &state);
	}
	return error;
}
