// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/traffic.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define COLUMN_OF_RATE(member, name, help)  {COLUMN_RATE, SOURCE_COUNT_##member, name "/s"},
#define COLUMN_OF_TOTAL(member, name, help) {COLUMN_TOTAL, SOURCE_COUNT_##member, name},

const struct column columns[] = {
	{COLUMN_ADDRESS, 0, "address"},
	{COLUMN_ACTIVE, 0, "active"},
	SOURCE_COUNTS(COLUMN_OF_RATE){COLUMN_DROP_RATE, 0, "drops/s"},
	SOURCE_COUNTS(COLUMN_OF_TOTAL){COLUMN_DROPS, 0, "drops"},
	{COLUMN_SEEN, 0, "seen"},
};
const size_t ncolumns = sizeof(columns) / sizeof(columns[0]);

const struct column *column_find(const char *name)
{
	for (size_t i = 0; i < ncolumns; i++)
		if (strcmp(columns[i].name, name) == 0)
			return &columns[i];
	return NULL;
}

bool column_is_total(const struct column *column)
{
	return column->kind != COLUMN_RATE && column->kind != COLUMN_DROP_RATE;
}

/* --- rates --- */

static int source_order(const void *a, const void *b)
{
	const struct datapath_source *const *x = a, *const *y = b;

	return memcmp(&(*x)->address, &(*y)->address, sizeof(struct address));
}

/* The sources of a reading, sorted by address. NULL without memory. */
static const struct datapath_source **sources_by_address(const struct datapath_status *status)
{
	const struct datapath_source **sorted = calloc(status->nsources + 1, sizeof(*sorted));

	if (!sorted)
		return NULL;
	for (size_t i = 0; i < status->nsources; i++)
		sorted[i] = &status->sources[i];
	qsort(sorted, status->nsources, sizeof(*sorted), source_order);
	return sorted;
}

static double rate_of(uint64_t before, uint64_t now, double seconds)
{
	return (double)(now >= before ? now - before : now) / seconds;
}

static void rates_make(struct traffic_rates *rates, const struct source_counters *before,
	const struct source_counters *now, double seconds)
{
	for (enum source_count i = 0; i < SOURCE_COUNT_MAX; i++)
		rates->counts[i] =
			rate_of(source_count_of(before, i), source_count_of(now, i), seconds);
	rates->drops = rate_of(source_drops(before), source_drops(now), seconds);
}

static void rates_add(struct traffic_rates *sum, const struct traffic_rates *rates)
{
	for (enum source_count i = 0; i < SOURCE_COUNT_MAX; i++)
		sum->counts[i] += rates->counts[i];
	sum->drops += rates->drops;
}

int traffic_read(struct traffic *traffic, const struct datapath_status *before,
	const struct datapath_status *now)
{
	static const struct source_counters none;
	const struct datapath_source **known = NULL;

	memset(traffic, 0, sizeof(*traffic));
	traffic->now_ns = now->read_ns;
	traffic->rows = calloc(now->nsources + 1, sizeof(*traffic->rows));
	if (before && now->read_ns > before->read_ns) {
		traffic->seconds = (double)(now->read_ns - before->read_ns) / (double)NS_PER_S;
		known = sources_by_address(before);
	}
	if (!traffic->rows || (traffic->seconds > 0 && !known)) {
		free(known);
		traffic_free(traffic);
		return -ENOMEM;
	}
	traffic->nrows = now->nsources;
	for (size_t i = 0; i < now->nsources; i++) {
		struct traffic_row *row = &traffic->rows[i];
		const struct datapath_source *source = &now->sources[i], **last = NULL;

		row->source = *source;
		traffic->active += source->active;
		if (!known)
			continue;
		last = bsearch(&source, known, before->nsources, sizeof(*known), source_order);
		rates_make(&row->rates, last ? &(*last)->counters : &none, &source->counters,
			traffic->seconds);
		rates_add(&traffic->all, &row->rates);
	}
	free(known);
	return 0;
}

void traffic_free(struct traffic *traffic)
{
	free(traffic->rows);
	memset(traffic, 0, sizeof(*traffic));
}

/* --- order --- */

struct order {
	const struct column *column;
	int sign;
};

static int compare_counts(uint64_t x, uint64_t y)
{
	return x < y ? -1 : x > y;
}

static int compare_rates(double x, double y)
{
	return x < y ? -1 : x > y;
}

static int compare_addresses(const struct traffic_row *x, const struct traffic_row *y)
{
	return memcmp(&x->source.address, &y->source.address, sizeof(struct address));
}

/* What comes first is less. */
static int compare_column(
	const struct column *column, const struct traffic_row *x, const struct traffic_row *y)
{
	const struct source_counters *a = &x->source.counters, *b = &y->source.counters;

	switch (column->kind) {
	case COLUMN_ADDRESS:
		return compare_addresses(x, y);
	case COLUMN_ACTIVE:
		return compare_counts(y->source.active, x->source.active);
	case COLUMN_RATE:
		return compare_rates(
			y->rates.counts[column->count], x->rates.counts[column->count]);
	case COLUMN_DROP_RATE:
		return compare_rates(y->rates.drops, x->rates.drops);
	case COLUMN_TOTAL:
		return compare_counts(
			source_count_of(b, column->count), source_count_of(a, column->count));
	case COLUMN_DROPS:
		return compare_counts(source_drops(b), source_drops(a));
	case COLUMN_SEEN:
		return compare_counts(b->seen_ns, a->seen_ns);
	}
	return 0;
}

static int compare_rows(const void *a, const void *b, void *context)
{
	const struct traffic_row *x = a, *y = b;
	const struct order *order = context;
	int compared = order->sign * compare_column(order->column, x, y);

	if (!compared)
		compared = compare_counts(y->source.counters.bytes, x->source.counters.bytes);
	return compared ? compared : compare_addresses(x, y);
}

void traffic_sort(struct traffic *traffic, const struct column *column, bool reversed)
{
	struct order order = {column, reversed ? -1 : 1};

	if (traffic->nrows)
		qsort_r(traffic->rows, traffic->nrows, sizeof(*traffic->rows), compare_rows,
			&order);
}

/* --- cells --- */

struct column_text quantity_format(double quantity)
{
	static const char units[] = " kMGTPEZY";
	struct column_text text;
	size_t unit = 0;

	/* 999.6 would be printed as 1000. */
	while (quantity >= 999.5 && unit < sizeof(units) - 2) {
		quantity /= 1000;
		unit++;
	}
	snprintf(text.text, sizeof(text.text), "%.*f%.*s",
		quantity >= 99.95		 ? 0
		: quantity >= 9.995 || unit == 0 ? 1
						 : 2,
		quantity, unit != 0, units + unit);
	return text;
}

struct column_text age_format(uint64_t ns)
{
	struct column_text text;
	uint64_t s = ns / NS_PER_S;

	if (s < 120)
		snprintf(text.text, sizeof(text.text), "%" PRIu64 " s", s);
	else if (s < 7200)
		snprintf(text.text, sizeof(text.text), "%" PRIu64 " min", s / 60);
	else if (s < 172800)
		snprintf(text.text, sizeof(text.text), "%" PRIu64 " h", s / 3600);
	else
		snprintf(text.text, sizeof(text.text), "%" PRIu64 " d", s / 86400);
	return text;
}

static struct column_text count_format(uint64_t count, bool exactly)
{
	struct column_text text;

	if (!exactly && count >= 100000)
		return quantity_format((double)count);
	snprintf(text.text, sizeof(text.text), "%" PRIu64, count);
	return text;
}

static struct column_text rate_format(const struct traffic *traffic, double rate, bool exactly)
{
	struct column_text text;

	if (traffic->seconds <= 0) {
		snprintf(text.text, sizeof(text.text), "-");
		return text;
	}
	if (!exactly)
		return quantity_format(rate);
	snprintf(text.text, sizeof(text.text), "%.3f", rate);
	return text;
}

struct column_text column_format(const struct traffic *traffic, const struct traffic_row *row,
	const struct column *column, bool exactly)
{
	const struct source_counters *counters = &row->source.counters;
	struct column_text text = {""};

	switch (column->kind) {
	case COLUMN_ADDRESS:
		snprintf(text.text, sizeof(text.text), "%.47s",
			address_format(&row->source.address).text);
		break;
	case COLUMN_ACTIVE:
		return count_format(row->source.active, exactly);
	case COLUMN_RATE:
		return rate_format(traffic, row->rates.counts[column->count], exactly);
	case COLUMN_DROP_RATE:
		return rate_format(traffic, row->rates.drops, exactly);
	case COLUMN_TOTAL:
		return count_format(source_count_of(counters, column->count), exactly);
	case COLUMN_DROPS:
		return count_format(source_drops(counters), exactly);
	case COLUMN_SEEN:
		return age_format(traffic->now_ns > counters->seen_ns
					  ? traffic->now_ns - counters->seen_ns
					  : 0);
	}
	return text;
}
