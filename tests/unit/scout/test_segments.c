// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <cmocka.h>

#include "scout/segments.h"

#define LIMIT 64

static const char text[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/";

static const struct row {
	const char *title;
	struct {
		size_t at, len;
	} pieces[6];
	size_t front, npieces;
} rows[] = {
	{"in order", {{0, 4}, {4, 4}, {8, 2}}, 10, 1},
	{"backwards", {{8, 2}, {4, 4}, {0, 4}}, 10, 1},
	{"a gap", {{0, 4}, {6, 4}}, 4, 2},
	{"no beginning", {{2, 4}, {6, 4}}, 0, 1},
	{"overlaps", {{0, 6}, {3, 7}, {2, 2}}, 10, 1},
	{"one that spans gaps", {{2, 2}, {6, 2}, {10, 2}, {0, 14}}, 14, 1},
	{"touching on both sides", {{0, 2}, {4, 2}, {2, 2}}, 6, 1},
	{"up to the limit", {{60, 4}, {0, 60}}, 64, 1},
};

static void pieces_make_a_stream(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct segments segments = SEGMENTS_EMPTY;
		struct slice front;

		for (size_t j = 0; j < 6 && rows[i].pieces[j].len; j++)
			assert_int_equal(segments_add(&segments, rows[i].pieces[j].at,
						 slice_of(text + rows[i].pieces[j].at,
							 rows[i].pieces[j].len),
						 LIMIT),
				0);
		front = segments_front(&segments);
		if (front.len != rows[i].front || segments.npieces != rows[i].npieces)
			fail_msg("%s: %zu bytes, %zu pieces", rows[i].title, front.len,
				segments.npieces);
		if (front.len)
			assert_memory_equal(front.data, text, front.len);
		segments_free(&segments);
	}
}

static void the_first_bytes_count(void **state)
{
	struct segments segments = SEGMENTS_EMPTY;

	(void)state;
	assert_int_equal(segments_add(&segments, 2, SLICE("xx"), LIMIT), 0);
	assert_int_equal(segments_add(&segments, 0, SLICE("yyyyyy"), LIMIT), 0);
	assert_true(slice_equal(segments_front(&segments), SLICE("yyxxyy")));
	segments_free(&segments);
}

static void what_was_read_goes(void **state)
{
	struct segments segments = SEGMENTS_EMPTY;

	(void)state;
	assert_int_equal(segments_add(&segments, 0, SLICE("abcd"), LIMIT), 0);
	assert_int_equal(segments_add(&segments, 6, SLICE("gh"), LIMIT), 0);
	segments_consume(&segments, 3);
	assert_true(slice_equal(segments_front(&segments), SLICE("d")));
	assert_int_equal(segments_add(&segments, 1, SLICE("ef"), LIMIT), 0);
	assert_true(slice_equal(segments_front(&segments), SLICE("defgh")));
	segments_consume(&segments, 5);
	assert_int_equal(segments_front(&segments).len, 0);
	assert_int_equal(segments_add(&segments, 0, SLICE("i"), LIMIT), 0);
	assert_true(slice_equal(segments_front(&segments), SLICE("i")));
	segments_free(&segments);
}

static void bounds_hold(void **state)
{
	struct segments segments = SEGMENTS_EMPTY;

	(void)state;
	assert_int_equal(segments_add(&segments, 63, SLICE("ab"), LIMIT), -EMSGSIZE);
	assert_int_equal(segments_add(&segments, SIZE_MAX, SLICE("ab"), LIMIT), -EMSGSIZE);
	for (size_t i = 0; i < SEGMENTS_PIECES_MAX; i++)
		assert_int_equal(segments_add(&segments, 3 * i, SLICE("a"), LIMIT), 0);
	assert_int_equal(segments_add(&segments, 3 * SEGMENTS_PIECES_MAX, SLICE("a"), LIMIT), -ENOBUFS);
	assert_int_equal(segments_add(&segments, 1, SLICE("a"), LIMIT), 0);
	segments_free(&segments);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_make_a_stream),
		cmocka_unit_test(the_first_bytes_count),
		cmocka_unit_test(what_was_read_goes),
		cmocka_unit_test(bounds_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
