// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "base/crc32c.h"
#include "collector/day_internal.h"

#define DAY_UPSERT                                                                                 \
	" DO UPDATE SET calls = calls + excluded.calls, counted = counted + excluded.counted,"     \
	" input_tokens = input_tokens + excluded.input_tokens,"                                    \
	" output_tokens = output_tokens + excluded.output_tokens,"                                 \
	" total_tokens = total_tokens + excluded.total_tokens"

int day_sums_open(struct day *day, struct why *why)
{
	int error = day_prepare(day,
		"INSERT INTO hourly VALUES(?6, ?7, ?8, ?9, ?10, ?1, ?2, ?3, ?4, ?5)"
		" ON CONFLICT(hour, model, operation, outcome, backend)" DAY_UPSERT,
		&day->hourly_add, why);

	return error ? error
		     : day_prepare(day,
			       "INSERT INTO daily VALUES(?6, ?7, ?8, ?1, ?2, ?3, ?4, ?5)"
			       " ON CONFLICT(source, model, done)" DAY_UPSERT,
			       &day->daily_add, why);
}

void day_sums_forget(struct day *day)
{
	memset(day->hourly, 0, sizeof(day->hourly));
	memset(day->daily, 0, sizeof(day->daily));
}

void day_sums_close(struct day *day)
{
	sqlite3_finalize(day->hourly_add);
	sqlite3_finalize(day->daily_add);
}

static int day_sum_step(
	struct day *day, sqlite3_stmt *statement, struct day_sum *sum, struct why *why)
{
	const int64_t counts[] = {sum->counts.calls, sum->counts.counted, sum->counts.input,
		sum->counts.output, sum->counts.total};
	int step;

	for (int i = 0; i < 5; i++)
		sqlite3_bind_int64(statement, 1 + i, counts[i]);
	step = sqlite3_step(statement);
	sqlite3_reset(statement);
	sum->counts.calls = 0;
	return step == SQLITE_DONE ? 0 : day_error(day, why);
}

static int day_hourly_write(struct day *day, struct day_sum *sum, struct why *why)
{
	const int64_t key[] = {sum->hour, sum->model, sum->operation, sum->outcome, sum->backend};

	for (int i = 0; i < 5; i++)
		sqlite3_bind_int64(day->hourly_add, 6 + i, key[i]);
	return day_sum_step(day, day->hourly_add, sum, why);
}

static int day_daily_write(struct day *day, struct day_sum *sum, struct why *why)
{
	/* An event without an address has an empty one. */
	sqlite3_bind_blob(
		day->daily_add, 6, sum->source.bytes, sum->has_source ? 16 : 0, SQLITE_STATIC);
	sqlite3_bind_int64(day->daily_add, 7, sum->model);
	sqlite3_bind_int(day->daily_add, 8, sum->done);
	return day_sum_step(day, day->daily_add, sum, why);
}

static void day_counts_add(struct day_counts *to, const struct day_counts *counts)
{
	to->calls += counts->calls;
	to->counted += counts->counted;
	to->input += counts->input;
	to->output += counts->output;
	to->total += counts->total;
}

int day_sum(struct day *day, const struct day_sum *sum, struct why *why)
{
	const int64_t by_hour[] = {
		sum->hour, sum->model, sum->operation, sum->outcome, sum->backend};
	struct day_sum *hourly =
		&day->hourly[crc32c(0, (const char *)by_hour, sizeof(by_hour)) % DAY_SUMS];
	struct day_sum *daily = &day->daily[(crc32c(0, (const char *)sum->source.bytes, 16) +
						    (uint32_t)sum->model * 2 + sum->done) %
					    DAY_SUMS];
	int error = 0;

	if (hourly->counts.calls &&
		(hourly->hour != sum->hour || hourly->model != sum->model ||
			hourly->operation != sum->operation || hourly->outcome != sum->outcome ||
			hourly->backend != sum->backend))
		error = day_hourly_write(day, hourly, why);
	if (!error && daily->counts.calls &&
		(daily->has_source != sum->has_source || daily->model != sum->model ||
			daily->done != sum->done || !address_equal(&daily->source, &sum->source)))
		error = day_daily_write(day, daily, why);
	if (error)
		return error;
	if (hourly->counts.calls)
		day_counts_add(&hourly->counts, &sum->counts);
	else
		*hourly = *sum;
	if (daily->counts.calls)
		day_counts_add(&daily->counts, &sum->counts);
	else
		*daily = *sum;
	return 0;
}

int day_sums_write(struct day *day, struct why *why)
{
	int error = 0;

	for (size_t i = 0; i < DAY_SUMS && !error; i++) {
		if (day->hourly[i].counts.calls)
			error = day_hourly_write(day, &day->hourly[i], why);
		if (!error && day->daily[i].counts.calls)
			error = day_daily_write(day, &day->daily[i], why);
	}
	return error;
}
