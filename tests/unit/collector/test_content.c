// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "collector/content.h"
#include "collector/layout.h"
#include "collector/row.h"
#include "collector/squeeze.h"

static void arrays_are_taken_apart(void **state)
{
	static const struct {
		struct slice text;
		const char *elements; /* each in <>; NULL: it stays whole */
	} cases[] = {
		{SLICE("[1]"), "<1>"},
		{SLICE("[{\"a\":[1,2]},\"x,y]\",{\"b\":\"\\\"}\"}]"),
			"<{\"a\":[1,2]}><\"x,y]\"><{\"b\":\"\\\"}\"}>"},
		{SLICE("[ 1, 2 ]"), "< 1>< 2 >"},
		{SLICE("[[],{}]"), "<[]><{}>"},
		{SLICE("[\"\\\\\",\"\\\\\\\"\"]"), "<\"\\\\\"><\"\\\\\\\"\">"},
		{SLICE("[]"), NULL},
		{SLICE("[,]"), NULL},
		{SLICE("[1,]"), NULL},
		{SLICE("[1"), NULL},
		{SLICE("[1] "), NULL},
		{SLICE("[1][2]"), NULL},
		{SLICE("[1}]"), NULL},
		{SLICE("[\"\\\"]"), NULL},
		{SLICE("{\"a\":1}"), NULL},
		{SLICE("text"), NULL},
		{SLICE(""), NULL},
		{SLICE("[\"a"), NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf elements = BUF_EMPTY;
		struct slice element;
		size_t at = 0;

		if (!content_elements(cases[i].text) != !cases[i].elements)
			fail_msg("%.*s", SLICE_ARG(cases[i].text));
		while (cases[i].elements && content_next(cases[i].text, &at, &element))
			assert_int_equal(buf_printf(&elements, "<%.*s>", SLICE_ARG(element)), 0);
		if (cases[i].elements)
			assert_true(slice_equal(
				buf_slice(&elements), slice_of_string(cases[i].elements)));
		buf_free(&elements);
	}
}

static void lists_are_read_as_they_were_written(void **state)
{
	static const int64_t blocks[] = {1, 2, 3, 1, 1000000, 5, INT64_MAX, 1};
	const struct content_list put = {CONTENT_TOOLS, true, 8};
	struct content_list taken;
	struct buf out = BUF_EMPTY;
	int64_t last = 0, block;
	struct slice rest;

	(void)state;
	assert_int_equal(content_put_list(&out, &put), 0);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(content_put_block(&out, blocks[i], &last), 0);
	rest = buf_slice(&out);
	assert_true(content_take_list(&rest, &taken));
	assert_int_equal(taken.kind, CONTENT_TOOLS);
	assert_true(taken.array);
	last = 0;
	for (size_t i = 0; i < taken.n; i++) {
		assert_true(content_take_block(&rest, &block, &last));
		assert_int_equal(block, blocks[i]);
	}
	assert_int_equal(rest.len, 0);
	assert_false(content_take_list(&rest, &taken));
	buf_free(&out);
}

static void damaged_lists_are_refused(void **state)
{
	static const struct slice cases[] = {SLICE("\x03\x01\x01"), SLICE("\x00"),
		SLICE("\x00\xff"), SLICE("\x00\x7f\x01"),
		SLICE("\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct slice rest = cases[i];
		struct content_list list;

		assert_false(content_take_list(&rest, &list));
	}
}

static void what_is_packed_is_unpacked(void **state)
{
	struct squeeze *squeeze = squeeze_new(), *other = squeeze_new();
	struct buf packed = BUF_EMPTY, plain = BUF_EMPTY, samples = BUF_EMPTY,
		   dictionary = BUF_EMPTY;
	size_t sizes[500], before;
	uint32_t id, needed;

	(void)state;
	for (unsigned i = 0; i < 500; i++) {
		before = buf_len(&samples);
		assert_int_equal(
			buf_printf(&samples,
				"{\"role\":\"user\",\"content\":\"sentence %u of the samples, "
				"which are alike but for %u\"}",
				i * 7919, i * 104729),
			0);
		sizes[i] = buf_len(&samples) - before;
	}
	assert_int_equal(squeeze_train(buf_slice(&samples).data, sizes, 500, &dictionary), 0);
	assert_int_equal(squeeze_use(squeeze, buf_slice(&dictionary), &id), 0);
	assert_int_equal(squeeze_pack(squeeze, slice_of(samples.memory, sizes[0]), &packed), 0);
	assert_true(buf_len(&packed) < sizes[0] / 2);
	/* Who has not the dictionary is told which it is. */
	assert_int_equal(squeeze_unpack(other, buf_slice(&packed), 1000, &plain, &needed), -ENOENT);
	assert_int_equal(needed, id);
	assert_int_equal(squeeze_unpack(squeeze, buf_slice(&packed), sizes[0] - 1, &plain, &needed),
		-EBADMSG);
	assert_int_equal(squeeze_unpack(squeeze, buf_slice(&packed), sizes[0], &plain, &needed), 0);
	assert_memory_equal(buf_slice(&plain).data, samples.memory, sizes[0]);
	assert_int_equal(
		squeeze_unpack(squeeze, SLICE("not packed"), 1000, &plain, &needed), -EBADMSG);
	assert_int_equal(
		squeeze_unpack(squeeze, slice_first(buf_slice(&packed), 9), 1000, &plain, &needed),
		-EBADMSG);
	assert_int_equal(squeeze_use(squeeze, SLICE("no dictionary"), &id), -EBADMSG);
	buf_free(&packed);
	buf_free(&plain);
	buf_free(&samples);
	buf_free(&dictionary);
	squeeze_free(squeeze);
	squeeze_free(other);
}

static void names_of_days_are_told_from_others(void **state)
{
	static const char *const others[] = {"2026-1-31.db", "2026-02-31.db", "2026-01-31.db-wal",
		"key", "2026-01-31", "x2026-01-31.db", "1969-12-31.db"};

	(void)state;
	assert_int_equal(layout_day_of("1970-01-02.db"), 1);
	assert_int_equal(layout_day_of("2026-01-31.db"), 20484);
	assert_string_equal(layout_day_name(20484).text, "2026-01-31.db");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(layout_day_of(others[i]), -1);
}

static void families_are_models_without_their_date(void **state)
{
	static const char *const cases[][2] = {{"gpt-4o-2024-08-06", "gpt-4o"},
		{"gpt-4-0613", "gpt-4"}, {"claude-20240620", "claude"}, {"o3", "o3"},
		{"-2024-08-06", "-2024-08-06"}, {"gpt-4o-2024-08-0x", "gpt-4o-2024-08-0x"},
		{"", ""}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_true(slice_equal(
			row_family(slice_of_string(cases[i][0])), slice_of_string(cases[i][1])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arrays_are_taken_apart),
		cmocka_unit_test(lists_are_read_as_they_were_written),
		cmocka_unit_test(damaged_lists_are_refused),
		cmocka_unit_test(what_is_packed_is_unpacked),
		cmocka_unit_test(names_of_days_are_told_from_others),
		cmocka_unit_test(families_are_models_without_their_date),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
