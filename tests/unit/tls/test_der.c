// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tls/der.h"

static void good_values_have_no_problem(void **state)
{
	static const struct slice rows[] = {
		SLICE("\x05\x00"),
		SLICE("\x01\x01\xff"),
		SLICE("\x01\x01\x00"),
		SLICE("\x02\x01\x00"),
		SLICE("\x02\x02\x00\x80"),
		SLICE("\x02\x02\xff\x7f"),
		SLICE("\x03\x01\x00"),
		SLICE("\x03\x02\x01\x06"),
		SLICE("\x06\x03\x55\x1d\x13"),
		SLICE("\x06\x02\x88\x37"),
		SLICE("\x0c\x02\xc3\xa4"),
		SLICE("\x13\x03"
		      "a*b"),
		SLICE("\x17\x0d"
		      "490101000000Z"),
		SLICE("\x18\x0f"
		      "20500101000000Z"),
		SLICE("\x30\x00"),
		SLICE("\x30\x06\x01\x01\xff\x02\x01\x00"),
		SLICE("\x31\x06\x02\x01\x01\x02\x01\x02"),
		SLICE("\x31\x06\x02\x01\x01\x02\x01\x01"),
		SLICE("\xa0\x03\x02\x01\x02"),
		SLICE("\x82\x03"
		      "a.b"),
		SLICE("\x9f\x1f\x00"),
	};
	size_t offset;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *problem = der_problem(rows[i], &offset);

		if (problem)
			fail_msg("row %zu: %s", i, problem);
		/* Nothing less, and nothing more. */
		for (size_t n = 0; n < rows[i].len; n++)
			assert_non_null(der_problem(slice_first(rows[i], n), &offset));
	}
}

static void each_problem_is_named_where_it_is(void **state)
{
	static const struct {
		struct slice bytes;
		size_t offset;
		const char *problem;
	} rows[] = {
		{SLICE(""), 0, "ends too early"},
		{SLICE("\x30"), 0, "ends too early"},
		{SLICE("\x30\x03\x01\x01\x01"), 2, "the byte FF"},
		{SLICE("\x30\x03\x01\x01\xfe"), 2, "the byte FF"},
		{SLICE("\x30\x02\x01\x00"), 2, "the byte FF"},
		{SLICE("\x30\x80\x00\x00"), 0, "indefinite"},
		{SLICE("\x04\x81\x01"
		       "a"),
			0, "a length is not as short"},
		{SLICE("\x04\x82\x00\x01"
		       "a"),
			0, "a length is not as short"},
		{SLICE("\x04\x85\x00\x00\x00\x00\x01"
		       "a"),
			0, "ends too early"},
		{SLICE("\x04\xff"), 0, "ends too early"},
		{SLICE("\x02\x02\x00\x7f"), 0, "a number is not as short"},
		{SLICE("\x02\x02\xff\x80"), 0, "a number is not as short"},
		{SLICE("\x02\x00"), 0, "a number is not as short"},
		{SLICE("\x03\x02\x01\x07"), 0, "unused bits"},
		{SLICE("\x03\x02\x08\x00"), 0, "unused bits"},
		{SLICE("\x03\x01\x01"), 0, "unused bits"},
		{SLICE("\x03\x00"), 0, "unused bits"},
		{SLICE("\x05\x01\x00"), 0, "null"},
		{SLICE("\x06\x02\x80\x01"), 0, "object identifier"},
		{SLICE("\x06\x02\x55\x81"), 0, "object identifier"},
		{SLICE("\x06\x00"), 0, "object identifier"},
		{SLICE("\x0c\x01\xc3"), 0, "a text"},
		{SLICE("\x13\x01@"), 0, "a text"},
		{SLICE("\x16\x01\x80"), 0, "a text"},
		{SLICE("\x17\x0b"
		       "4901010000Z"),
			0, "a time"},
		{SLICE("\x17\x11"
		       "490101000000+0100"),
			0, "a time"},
		{SLICE("\x18\x11"
		       "20500101000000.5Z"),
			0, "a time"},
		{SLICE("\x24\x03\x04\x01"
		       "a"),
			0, "cut into pieces"},
		{SLICE("\x10\x00"), 0, "held no values"},
		{SLICE("\x00\x00"), 0, "without a type"},
		{SLICE("\x31\x06\x02\x01\x02\x02\x01\x01"), 0, "order"},
		{SLICE("\x1f\x1e\x00"), 0, "a tag is not as short"},
		{SLICE("\x1f\x80\x1f\x00"), 0, "a tag is not as short"},
		{SLICE("\x30\x00\x00"), 2, "bytes follow"},
	};
	size_t offset;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *problem = der_problem(rows[i].bytes, &offset);

		if (!problem || !strstr(problem, rows[i].problem) || offset != rows[i].offset)
			fail_msg("row %zu: %s at %zu", i, problem ? problem : "no problem", offset);
	}
}

static void a_nest_without_end_ends(void **state)
{
	char nest[4096];
	size_t offset;

	(void)state;
	for (size_t i = 0; i < sizeof(nest); i += 4)
		memcpy(nest + i,
			(char[]){0x30, (char)0x82, (char)((sizeof(nest) - i - 4) >> 8),
				(char)((sizeof(nest) - i - 4) & 0xff)},
			4);
	assert_non_null(der_problem(slice_of(nest, sizeof(nest)), &offset));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_values_have_no_problem),
		cmocka_unit_test(each_problem_is_named_where_it_is),
		cmocka_unit_test(a_nest_without_end_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
