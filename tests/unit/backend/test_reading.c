// SPDX-License-Identifier: GPL-2.0-or-later
/* What backends say of their limits, as they have been seen to write it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/reading.h"
#include "base/clock.h"

#define NOW_S 784111777u /* Sun, 06 Nov 1994 08:49:37 GMT */

static void field(struct reading *reading, const char *name, const char *value)
{
	reading_field(reading, slice_of_string(name), slice_of_string(value), NOW_S);
}

static void test_pauses(void **state)
{
	static const struct {
		const char *name, *value;
		bool pauses;
		uint64_t ns;
	} cases[] = {
		{"Retry-After", "7", true, 7 * NS_PER_S},
		{"retry-after", " 0 ", true, 0},
		{"Retry-After", "86400", true, READING_LONGEST_NS},
		{"Retry-After", "999999999999999", true, READING_LONGEST_NS},
		{"Retry-After", "9999999999999999", false, 0},
		{"Retry-After", "Sun, 06 Nov 1994 08:49:47 GMT", true, 10 * NS_PER_S},
		{"Retry-After", "Sun, 06 Nov 1994 08:49:27 GMT", true, 0},
		{"Retry-After", "Sun, 06 Now 1994 08:49:47 GMT", false, 0},
		{"Retry-After", "Sunday, 06-Nov-94 08:49:47 GMT", false, 0},
		{"Retry-After", "-1", false, 0},
		{"Retry-After", "soon", false, 0},
		{"Retry-After", "", false, 0},
		{"retry-after-ms", "1500", true, 1500 * NS_PER_MS},
		{"Retry-After-Ms", "12.5", true, 12500000},
		{"retry-after-ms", "12.", false, 0},
		{"x-ms-retry-after-ms", "20", true, 20 * NS_PER_MS},
		{"x-should-retry", "1", false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct reading reading = {0};

		field(&reading, cases[i].name, cases[i].value);
		assert_int_equal(reading.pauses, cases[i].pauses);
		assert_int_equal(reading.pause_ns, cases[i].ns);
	}
}

static void test_the_most_exact_field_counts(void **state)
{
	struct reading reading = {0};

	(void)state;
	field(&reading, "x-ms-retry-after-ms", "250");
	field(&reading, "Retry-After", "60");
	assert_int_equal(reading.pause_ns, 250 * NS_PER_MS);
	field(&reading, "retry-after-ms", "300");
	assert_int_equal(reading.pause_ns, 300 * NS_PER_MS);
	field(&reading, "retry-after-ms", "400"); /* the first of two */
	assert_int_equal(reading.pause_ns, 300 * NS_PER_MS);
}

static void test_limits(void **state)
{
	struct reading reading = {0};

	(void)state;
	field(&reading, "x-ratelimit-limit-requests", "600");
	field(&reading, "X-RateLimit-Remaining-Requests", "599");
	field(&reading, "x-ratelimit-remaining-tokens", "0");
	field(&reading, "x-ratelimit-limit-tokens", "many");
	field(&reading, "x-ratelimit-remaining-images", "3");
	assert_true(reading.requests.has_limit && reading.requests.has_remaining);
	assert_int_equal(reading.requests.limit, 600);
	assert_int_equal(reading.requests.remaining, 599);
	assert_false(reading.requests.has_reset);
	assert_true(reading.tokens.has_remaining);
	assert_int_equal(reading.tokens.remaining, 0);
	assert_false(reading.tokens.has_limit);
	assert_false(reading.pauses);
}

static void test_resets(void **state)
{
	static const struct {
		const char *value;
		bool there;
		uint64_t ns;
	} cases[] = {
		{"1s", true, NS_PER_S}, {"6m0s", true, 360 * NS_PER_S},
		{"120ms", true, 120 * NS_PER_MS}, {"59.57s", true, 59570 * NS_PER_MS},
		{"1h2m3.5s", true, 3723 * NS_PER_S + 500 * NS_PER_MS}, {"0s", true, 0},
		{"30", true, 30 * NS_PER_S}, {"2d", true, READING_LONGEST_NS},
		{"", false, 0}, {"s", false, 0}, {"1x", false, 0}, {"1s2", false, 0},
		{"1.2.3s", false, 0}, {"-1s", false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct reading reading = {0};

		field(&reading, "x-ratelimit-reset-tokens", cases[i].value);
		assert_int_equal(reading.tokens.has_reset, cases[i].there);
		if (cases[i].there)
			assert_int_equal(reading.tokens.reset_ns, cases[i].ns);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pauses),
		cmocka_unit_test(test_the_most_exact_field_counts),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_resets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
