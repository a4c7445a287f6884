// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "collector/day_internal.h"

#define DAY_UPSERT                                                                                 \
	" DO UPDATE SET calls = calls + excluded.calls, counted = counted + excluded.counted,"     \
	" input_tokens = input_tokens + excluded.input_tokens,"                                    \
	" output_tokens = output_tokens + excluded.output_tokens,"                                 \
	" total_tokens = total_tokens + excluded.total_tokens"

#define DAY_NUMBERS                                                                                \
	"calls INTEGER, counted INTEGER, input_tokens INTEGER, output_tokens INTEGER,"             \
	" total_tokens INTEGER, PRIMARY KEY"
/* The sums of the rows that are there, for a file of before the table was. */
#define DAY_SUMMED                                                                                 \
	"count(*), count(total_tokens), coalesce(sum(input_tokens), 0),"                           \
	" coalesce(sum(output_tokens), 0), coalesce(sum(total_tokens), 0) FROM event"              \
	" WHERE kind = 1 AND conflict IS NULL GROUP BY "

static const struct {
	int keys;
	const char *add;
	const char *name, *make; /* NULL: it is in every file */
} day_tables[DAY_TABLES] = {
	[DAY_BY_MODEL] = {5, "INSERT INTO hourly VALUES(?6, ?7, ?8, ?9, ?10, ?1, ?2, ?3, ?4, ?5)"
			     " ON CONFLICT(hour, model, operation, outcome, backend)" DAY_UPSERT,
		NULL, NULL},
	[DAY_BY_VERDICT] = {4,
		"INSERT INTO hourly_verdict VALUES(?6, ?7, ?8, ?9, ?1, ?2, ?3, ?4, ?5)"
		" ON CONFLICT(hour, action, status, error_type)" DAY_UPSERT,
		"hourly_verdict",
		"BEGIN IMMEDIATE;"
		"CREATE TABLE hourly_verdict(hour INTEGER, action INTEGER, status INTEGER,"
		" error_type INTEGER, " DAY_NUMBERS
		"(hour, action, status, error_type)) WITHOUT ROWID;"
		"INSERT INTO hourly_verdict SELECT time_ns / 3600000000000, coalesce(action, 0),"
		" coalesce(status, 0), coalesce(error_type, 0), " DAY_SUMMED "1, 2, 3, 4; COMMIT"},
	[DAY_BY_USER] = {3,
		"INSERT INTO hourly_user VALUES(?6, ?7, ?8, ?1, ?2, ?3, ?4, ?5)"
		" ON CONFLICT(hour, request_user, status)" DAY_UPSERT,
		"hourly_user",
		"BEGIN IMMEDIATE;"
		"CREATE TABLE hourly_user(hour INTEGER, request_user INTEGER,"
		" status INTEGER, " DAY_NUMBERS "(hour, request_user, status)) WITHOUT ROWID;"
		"INSERT INTO hourly_user SELECT time_ns / 3600000000000,"
		" coalesce(request_user, 0), coalesce(status, 0), " DAY_SUMMED "1, 2, 3; COMMIT"},
	[DAY_BY_SUBJECT] = {5,
		"INSERT INTO hourly_subject VALUES(?6, ?7, ?8, ?9, ?10, ?1, ?2, ?3, ?4, ?5)"
		" ON CONFLICT(hour, subject, model, deployment, tier)" DAY_UPSERT,
		"hourly_subject",
		"BEGIN IMMEDIATE;"
		"CREATE TABLE hourly_subject(hour INTEGER, subject INTEGER, model INTEGER,"
		" deployment INTEGER, tier INTEGER, " DAY_NUMBERS
		"(hour, subject, model, deployment, tier)) WITHOUT ROWID;"
		"INSERT INTO hourly_subject SELECT time_ns / 3600000000000, coalesce(subject, 0),"
		" coalesce(model, 0), coalesce(deployment, 0), coalesce(tier, 0), " DAY_SUMMED
		"1, 2, 3, 4, 5; COMMIT"},
};

/* By the hour what daily has by the day. */
static const char day_source_make[] =
	"BEGIN IMMEDIATE;"
	"CREATE TABLE hourly_source(hour INTEGER, source BLOB, model INTEGER, done INTEGER, " DAY_NUMBERS
	"(hour, source, model, done)) WITHOUT ROWID;"
	"INSERT INTO hourly_source SELECT time_ns / 3600000000000, coalesce(source, x''),"
	" coalesce(model, 0), coalesce(outcome = (SELECT id FROM name WHERE text = 'success') AND"
	" operation IN (SELECT id FROM name WHERE text IN ('chat', 'text_completion')), 0), " DAY_SUMMED
	"1, 2, 3, 4; COMMIT";

/* Makes the table where it is not. */
static int day_table_open(struct day *day, enum day_table table, struct why *why)
{
	char sql[128];
	int error = 0;

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM sqlite_master WHERE name = '%s'",
		day_tables[table].name ? day_tables[table].name : "hourly");
	if (day_ask(day, sql) == 0)
		error = day_execute(day, day_tables[table].make, why);
	return error ? error
		     : day_prepare(day, day_tables[table].add, &day->hourly_add[table], why);
}

int day_sums_open(struct day *day, struct why *why)
{
	int error = 0;

	for (int table = 0; table < DAY_TABLES && !error; table++)
		error = day_table_open(day, (enum day_table)table, why);
	if (!error)
		error = day_prepare(day,
			"INSERT INTO daily VALUES(?6, ?7, ?8, ?1, ?2, ?3, ?4, ?5)"
			" ON CONFLICT(source, model, done)" DAY_UPSERT,
			&day->daily_add, why);
	if (!error && day_ask(day, "SELECT count(*) FROM sqlite_master WHERE name ="
				   " 'hourly_source'") == 0)
		error = day_execute(day, day_source_make, why);
	return error ? error
		     : day_prepare(day,
			       "INSERT INTO hourly_source VALUES(?9, ?6, ?7, ?8, ?1, ?2, ?3, ?4, ?5)"
			       " ON CONFLICT(hour, source, model, done)" DAY_UPSERT,
			       &day->source_add, why);
}

void day_sums_forget(struct day *day)
{
	memset(day->hourly, 0, sizeof(day->hourly));
	memset(day->daily, 0, sizeof(day->daily));
	memset(day->by_source, 0, sizeof(day->by_source));
}

void day_sums_close(struct day *day)
{
	for (int table = 0; table < DAY_TABLES; table++)
		sqlite3_finalize(day->hourly_add[table]);
	sqlite3_finalize(day->daily_add);
	sqlite3_finalize(day->source_add);
}

static int day_sum_step(
	struct day *day, sqlite3_stmt *statement, struct day_counts *counts, struct why *why)
{
	const int64_t numbers[] = {
		counts->calls, counts->counted, counts->input, counts->output, counts->total};
	int step;

	for (int i = 0; i < 5; i++)
		sqlite3_bind_int64(statement, 1 + i, numbers[i]);
	step = sqlite3_step(statement);
	sqlite3_reset(statement);
	counts->calls = 0;
	return step == SQLITE_DONE ? 0 : day_error(day, why);
}

static int day_hourly_write(
	struct day *day, int table, struct day_hour *hour, struct why *why)
{
	for (int i = 0; i < day_tables[table].keys; i++)
		sqlite3_bind_int64(day->hourly_add[table], 6 + i, hour->key[i]);
	return day_sum_step(day, day->hourly_add[table], &hour->counts, why);
}

static int day_source_write(
	struct day *day, sqlite3_stmt *add, struct day_sum *sum, struct why *why)
{
	/* An event without an address has an empty one. */
	sqlite3_bind_blob(add, 6, sum->source.bytes, sum->has_source ? 16 : 0, SQLITE_STATIC);
	sqlite3_bind_int64(add, 7, sum->model);
	sqlite3_bind_int(add, 8, sum->done);
	if (add == day->source_add)
		sqlite3_bind_int64(add, 9, sum->hour);
	return day_sum_step(day, add, &sum->counts, why);
}

static void day_counts_add(struct day_counts *to, const struct day_counts *counts)
{
	to->calls += counts->calls;
	to->counted += counts->counted;
	to->input += counts->input;
	to->output += counts->output;
	to->total += counts->total;
}

static int day_sum_hourly(struct day *day, int table, const int64_t key[DAY_KEYS],
	const struct day_counts *counts, struct why *why)
{
	const size_t size = DAY_KEYS * sizeof(key[0]);
	struct day_hour *hour = &day->hourly[table][crc32c(0, (const char *)key, size) % DAY_SUMS];
	int error = 0;

	if (hour->counts.calls && memcmp(hour->key, key, size) != 0)
		error = day_hourly_write(day, table, hour, why);
	if (error)
		return error;
	if (!hour->counts.calls) {
		memcpy(hour->key, key, size);
		hour->counts = (struct day_counts){0};
	}
	day_counts_add(&hour->counts, counts);
	return 0;
}

/* Into one of the two caches of sums by source; hours count in one of them alone. */
static int day_sum_source(struct day *day, struct day_sum *all, sqlite3_stmt *add,
	const struct day_sum *sum, struct why *why)
{
	bool hours = add == day->source_add;
	struct day_sum *place = &all[(crc32c(0, (const char *)sum->source.bytes, 16) +
					     (uint32_t)sum->model * 2 + sum->done +
					     (hours ? (uint32_t)sum->hour * 7 : 0)) %
				     DAY_SUMS];
	int error = 0;

	if (place->counts.calls &&
		(place->has_source != sum->has_source || place->model != sum->model ||
			place->done != sum->done || (hours && place->hour != sum->hour) ||
			!address_equal(&place->source, &sum->source)))
		error = day_source_write(day, add, place, why);
	if (error)
		return error;
	if (place->counts.calls)
		day_counts_add(&place->counts, &sum->counts);
	else
		*place = *sum;
	return 0;
}

int day_sum(struct day *day, const struct day_sum *sum, struct why *why)
{
	const int64_t keys[DAY_TABLES][DAY_KEYS] = {
		[DAY_BY_MODEL] = {sum->hour, sum->model, sum->operation, sum->outcome,
			sum->backend},
		[DAY_BY_VERDICT] = {sum->hour, sum->action, sum->status, sum->error_type},
		[DAY_BY_USER] = {sum->hour, sum->request_user, sum->status},
		[DAY_BY_SUBJECT] = {sum->hour, sum->subject, sum->model, sum->deployment,
			sum->tier}};
	int error = 0;

	for (int table = 0; table < DAY_TABLES && !error; table++)
		error = day_sum_hourly(day, table, keys[table], &sum->counts, why);
	if (!error)
		error = day_sum_source(day, day->daily, day->daily_add, sum, why);
	return error ? error : day_sum_source(day, day->by_source, day->source_add, sum, why);
}

int day_sums_write(struct day *day, struct why *why)
{
	int error = 0;

	for (size_t i = 0; i < DAY_SUMS && !error; i++) {
		for (int table = 0; table < DAY_TABLES && !error; table++)
			if (day->hourly[table][i].counts.calls)
				error = day_hourly_write(
					day, table, &day->hourly[table][i], why);
		if (!error && day->daily[i].counts.calls)
			error = day_source_write(day, day->daily_add, &day->daily[i], why);
		if (!error && day->by_source[i].counts.calls)
			error = day_source_write(day, day->source_add, &day->by_source[i], why);
	}
	return error;
}
