// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "collector/when.h"

#define NOW (1769860800 * NS_PER_S) /* 2026-01-31T12:00:00Z */

static void times_are_read(void **state)
{
	static const struct {
		const char *text;
		uint64_t seconds;
	} cases[] = {
		{"now", 1769860800},
		{"30m", 1769859000},
		{"1h30m", 1769855400},
		{"7d", 1769256000},
		{"2w", 1768651200},
		{"0s", 1769860800},
		/* this place is two hours and a half before Greenwich */
		{"today", 1769808600},
		{"yesterday", 1769722200},
		{"2026-01-31", 1769808600},
		{"2026-01-31T12:00", 1769851800},
		{"2026-01-31 12:00:30", 1769851830},
		{"2026-01-31T12:00:00Z", 1769860800},
		{"2026-01-31T12:00Z", 1769860800},
		{"2026-01-31T12:00:00+02:00", 1769853600},
		{"2026-01-31T12:00:00-00:30", 1769862600},
		{"2024-02-29T00:00:00Z", 1709164800},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t ns = 0;

		if (when_read(cases[i].text, NOW, &ns) != 0 || ns != cases[i].seconds * NS_PER_S)
			fail_msg("%s: %llu", cases[i].text, (unsigned long long)(ns / NS_PER_S));
	}
}

static void what_is_no_time_is_refused(void **state)
{
	static const char *const cases[] = {"", "bogus", "2026-02-30", "2025-02-29", "2026-13-01",
		"2026-01-31T25:00", "2026-01-31T12:60", "2026-01-31T12:00:00+2", "2026-01-31+02:00",
		"2026-01-31T12:00:00+02:00x", "2026-01-31x", "12", "-1h", "1h-", "1960-01-01", "7",
		"1x", " 1h"};
	uint64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (when_read(cases[i], NOW, &ns) == 0)
			fail_msg("\"%s\" was taken", cases[i]);
}

static int in_a_place(void **state)
{
	(void)state;
	setenv("TZ", "XYZ-2:30", 1);
	tzset();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_read),
		cmocka_unit_test(what_is_no_time_is_refused),
	};

	return cmocka_run_group_tests(tests, in_a_place, NULL);
}
