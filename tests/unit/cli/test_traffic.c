// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>

#include "base/clock.h"
#include "cli/traffic.h"

#define SOURCES 4

struct reading {
	struct datapath_status kernel;
	struct datapath_source sources[SOURCES];
};

static void reading_make(struct reading *reading, uint64_t read_ns)
{
	memset(reading, 0, sizeof(*reading));
	reading->kernel.read_ns = read_ns;
	reading->kernel.sources = reading->sources;
}

static struct source_counters *reading_add(struct reading *reading, const char *address)
{
	struct datapath_source *source = &reading->sources[reading->kernel.nsources++];

	assert_true(reading->kernel.nsources <= SOURCES);
	assert_int_equal(address_parse(address, &source->address), 0);
	return &source->counters;
}

static const struct traffic_row *row_of(const struct traffic *traffic, const char *address)
{
	struct address wanted;

	address_parse(address, &wanted);
	for (size_t i = 0; i < traffic->nrows; i++)
		if (address_equal(&traffic->rows[i].source.address, &wanted))
			return &traffic->rows[i];
	fail_msg("%s is not there", address);
	return NULL;
}

static void assert_rate(double rate, double expected)
{
	assert_true(rate > expected - 1e-9 && rate < expected + 1e-9);
}

static void two_readings_make_rates(void **state)
{
	struct reading before, now;
	struct source_counters *counters;
	struct traffic traffic;
	const struct traffic_row *row;

	(void)state;
	/* Given a source of which 300 packets came in 2 seconds, in another place of the list */
	reading_make(&before, 10 * NS_PER_S);
	reading_add(&before, "192.0.2.9")->packets = 5;
	counters = reading_add(&before, "192.0.2.1");
	counters->packets = 100;
	counters->drops[DROP_FLAGS] = 3;
	reading_make(&now, 12 * NS_PER_S);
	counters = reading_add(&now, "192.0.2.1");
	counters->packets = 400;
	counters->bytes_to = 1000;
	counters->drops[DROP_FLAGS] = 4;
	counters->drops[DROP_MARTIAN] = 2;
	now.sources[0].active = 7;
	reading_add(&now, "192.0.2.9")->packets = 5;

	assert_int_equal(traffic_read(&traffic, &before.kernel, &now.kernel), 0);

	row = row_of(&traffic, "192.0.2.1");
	assert_rate(row->rates.counts[SOURCE_COUNT_packets], 150);
	assert_rate(row->rates.counts[SOURCE_COUNT_bytes_to], 500);
	assert_rate(row->rates.drops, 1.5);
	assert_rate(row_of(&traffic, "192.0.2.9")->rates.counts[SOURCE_COUNT_packets], 0);
	assert_rate(traffic.all.counts[SOURCE_COUNT_packets], 150);
	assert_rate(traffic.all.drops, 1.5);
	assert_rate(traffic.seconds, 2);
	assert_int_equal(traffic.active, 7);
	traffic_free(&traffic);
}

static void what_the_kernel_had_forgotten_counts_from_zero(void **state)
{
	struct reading before, now;
	struct traffic traffic;

	(void)state;
	reading_make(&before, 1 * NS_PER_S);
	reading_add(&before, "192.0.2.1")->packets = 1000;
	reading_make(&now, 2 * NS_PER_S);
	reading_add(&now, "192.0.2.1")->packets = 10;
	reading_add(&now, "2001:db8::1")->packets = 20;

	assert_int_equal(traffic_read(&traffic, &before.kernel, &now.kernel), 0);

	assert_rate(row_of(&traffic, "192.0.2.1")->rates.counts[SOURCE_COUNT_packets], 10);
	assert_rate(row_of(&traffic, "2001:db8::1")->rates.counts[SOURCE_COUNT_packets], 20);
	traffic_free(&traffic);
}

static void one_reading_has_no_rates(void **state)
{
	struct reading now;
	struct traffic traffic;

	(void)state;
	reading_make(&now, 2 * NS_PER_S);
	reading_add(&now, "192.0.2.1")->packets = 10;

	assert_int_equal(traffic_read(&traffic, NULL, &now.kernel), 0);

	assert_string_equal(
		column_format(&traffic, &traffic.rows[0], column_find("packets/s"), false).text,
		"-");
	assert_string_equal(
		column_format(&traffic, &traffic.rows[0], column_find("drops/s"), true).text, "-");
	assert_string_equal(
		column_format(&traffic, &traffic.rows[0], column_find("packets"), false).text,
		"10");
	traffic_free(&traffic);
	/* Nor have two of the same time. */
	assert_int_equal(traffic_read(&traffic, &now.kernel, &now.kernel), 0);
	assert_true(traffic.seconds <= 0);
	traffic_free(&traffic);
}

static void nobody_is_no_error(void **state)
{
	struct reading before, now;
	struct traffic traffic;

	(void)state;
	reading_make(&before, 1);
	reading_make(&now, 2);
	assert_int_equal(traffic_read(&traffic, &before.kernel, &now.kernel), 0);
	traffic_sort(&traffic, &columns[0], false);
	assert_int_equal(traffic.nrows, 0);
	traffic_free(&traffic);
}

/* The last byte of the addresses of the rows, as digits. */
static const char *order_by(struct traffic *traffic, const char *column, bool reversed)
{
	static char order[SOURCES + 1];

	traffic_sort(traffic, column_find(column), reversed);
	for (size_t i = 0; i < traffic->nrows; i++)
		order[i] = (char)('0' + traffic->rows[i].source.address.bytes[15]);
	order[traffic->nrows] = '\0';
	return order;
}

static void every_column_sorts_the_rows(void **state)
{
	struct reading before, now;
	struct traffic traffic;

	(void)state;
	/* Given 1, 2 and 3, of which 2 has most of everything, and 3 least */
	reading_make(&before, 1 * NS_PER_S);
	reading_make(&now, 2 * NS_PER_S);
	for (unsigned i = 0; i < 3; i++) {
		static const unsigned most[] = {20, 30, 10};
		struct source_counters *counters;
		char address[] = "192.0.2.1";

		address[8] = (char)('1' + i);
		counters = reading_add(&now, address);
		for (__u64 *count = &counters->packets; count <= &counters->passed; count++)
			*count = most[i];
		counters->seen_ns = most[i];
		counters->drops[DROP_DENIED] = most[i];
		now.sources[i].active = most[i];
	}
	assert_int_equal(traffic_read(&traffic, &before.kernel, &now.kernel), 0);

	assert_true(ncolumns >= 2 * SOURCE_COUNT_MAX + 4);
	for (size_t i = 0; i < ncolumns; i++) {
		bool address = columns[i].kind == COLUMN_ADDRESS;

		assert_string_equal(
			order_by(&traffic, columns[i].name, false), address ? "123" : "213");
		assert_string_equal(
			order_by(&traffic, columns[i].name, true), address ? "321" : "312");
	}
	traffic_free(&traffic);
}

static void equal_rows_are_ordered_by_bytes_then_address(void **state)
{
	struct reading now;
	struct traffic traffic;

	(void)state;
	reading_make(&now, 1);
	reading_add(&now, "192.0.2.3");
	reading_add(&now, "192.0.2.2");
	reading_add(&now, "192.0.2.4")->bytes = 1;
	assert_int_equal(traffic_read(&traffic, NULL, &now.kernel), 0);
	assert_string_equal(order_by(&traffic, "syns", false), "423");
	assert_string_equal(order_by(&traffic, "syns", true), "423");
	traffic_free(&traffic);
}

static void columns_are_found_by_their_names(void **state)
{
	(void)state;
	assert_int_equal(column_find("bytes_to")->kind, COLUMN_TOTAL);
	assert_int_equal(column_find("bytes_to")->count, SOURCE_COUNT_bytes_to);
	assert_int_equal(column_find("bytes_to/s")->kind, COLUMN_RATE);
	assert_true(column_is_total(column_find("seen")));
	assert_false(column_is_total(column_find("drops/s")));
	assert_null(column_find(""));
	assert_null(column_find("bytes_"));
	for (size_t i = 0; i < ncolumns; i++)
		assert_ptr_equal(column_find(columns[i].name), &columns[i]);
}

static void quantities_are_short(void **state)
{
	static const struct {
		double quantity;
		const char *text;
	} rows[] = {{0, "0.0"}, {0.44, "0.4"}, {27, "27.0"}, {99.94, "99.9"}, {99.96, "100"},
		{999.4, "999"}, {999.6, "1.00k"}, {1234, "1.23k"}, {12345, "12.3k"},
		{123456, "123k"}, {999499, "999k"}, {999500, "1.00M"}, {1.5e12, "1.50T"},
		{2e24, "2.00Y"}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(quantity_format(rows[i].quantity).text, rows[i].text);
}

static void ages_are_for_a_glance(void **state)
{
	(void)state;
	assert_string_equal(age_format(0).text, "0 s");
	assert_string_equal(age_format(119 * NS_PER_S).text, "119 s");
	assert_string_equal(age_format(120 * NS_PER_S).text, "2 min");
	assert_string_equal(age_format(7200 * NS_PER_S).text, "2 h");
	assert_string_equal(age_format(172800 * NS_PER_S).text, "2 d");
}

static void counts_are_exact_where_it_is_asked(void **state)
{
	struct reading now;
	struct traffic traffic;

	(void)state;
	reading_make(&now, 9 * NS_PER_S);
	reading_add(&now, "2001:db8::7")->bytes = 123456789;
	now.sources[0].counters.seen_ns = 4 * NS_PER_S;
	assert_int_equal(traffic_read(&traffic, NULL, &now.kernel), 0);
	assert_string_equal(column_format(&traffic, traffic.rows, column_find("bytes"), true).text,
		"123456789");
	assert_string_equal(
		column_format(&traffic, traffic.rows, column_find("bytes"), false).text, "123M");
	assert_string_equal(
		column_format(&traffic, traffic.rows, column_find("seen"), true).text, "5 s");
	assert_string_equal(
		column_format(&traffic, traffic.rows, column_find("address"), true).text,
		"2001:db8::7");
	traffic_free(&traffic);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_readings_make_rates),
		cmocka_unit_test(what_the_kernel_had_forgotten_counts_from_zero),
		cmocka_unit_test(one_reading_has_no_rates),
		cmocka_unit_test(nobody_is_no_error),
		cmocka_unit_test(every_column_sorts_the_rows),
		cmocka_unit_test(equal_rows_are_ordered_by_bytes_then_address),
		cmocka_unit_test(columns_are_found_by_their_names),
		cmocka_unit_test(quantities_are_short),
		cmocka_unit_test(ages_are_for_a_glance),
		cmocka_unit_test(counts_are_exact_where_it_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
