// SPDX-License-Identifier: GPL-2.0-or-later
/* Edits of a body on its way: the same, however it is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "base/buf.h"
#include "proxy/edits.h"

#define BODY "{\"model\":\"a\",\"stream\":true}"

static int collect(void *to, struct slice piece)
{
	return buf_append_slice(to, piece);
}

static struct edits made_of(const struct request_splice *splices, unsigned n)
{
	struct edits edits = {.count = 0};

	for (unsigned i = 0; i < n; i++)
		assert_int_equal(edits_add(&edits, &splices[i]), 0);
	return edits;
}

static void assert_becomes(const struct edits *edits, struct slice wanted)
{
	const struct slice body = SLICE(BODY);

	assert_int_equal((int64_t)wanted.len - (int64_t)body.len, edits_growth(edits));
	/* Cut in two places, each of them anywhere. */
	for (size_t a = 0; a <= body.len; a++)
		for (size_t b = a; b <= body.len; b++) {
			struct buf got = BUF_EMPTY;

			edits_apply(edits, 0, slice_first(body, a), false, collect, &got);
			edits_apply(edits, a, slice_after(slice_first(body, b), a), false, collect,
				&got);
			edits_apply(edits, b, slice_after(body, b), true, collect, &got);
			if (!slice_equal(buf_slice(&got), wanted))
				fail_msg("cut at %zu and %zu: %.*s", a, b, (int)buf_len(&got),
					buf_slice(&got).data);
			buf_free(&got);
		}
}

static void test_none(void **state)
{
	const struct edits none = {.count = 0};

	(void)state;
	assert_becomes(&none, SLICE(BODY));
}

static void test_in_every_place(void **state)
{
	/* Added in any order. */
	const struct request_splice splices[] = {
		{26, 0, SLICE(",\"x\":1")}, {9, 3, SLICE("\"long\"")}, {27, 0, SLICE("\n")},
		{0, 1, SLICE(" {")}};
	const struct edits edits = made_of(splices, 4);

	(void)state;
	assert_becomes(&edits, SLICE(" {\"model\":\"long\",\"stream\":true,\"x\":1}\n"));
}

static void test_removed_to_the_end(void **state)
{
	const struct request_splice all = {0, sizeof(BODY) - 1, SLICE("")};
	const struct request_splice next[] = {{1, 8, SLICE("A")}, {9, 3, SLICE("B")}};
	const struct edits everything = made_of(&all, 1), touching = made_of(next, 2);

	(void)state;
	assert_becomes(&everything, SLICE(""));
	assert_becomes(&touching, SLICE("{AB,\"stream\":true}"));
}

static void test_what_overlaps_or_is_too_much_is_refused(void **state)
{
	struct edits edits = {.count = 0};

	(void)state;
	assert_int_equal(edits_add(&edits, &(struct request_splice){5, 5, SLICE("")}), 0);
	assert_int_equal(edits_add(&edits, &(struct request_splice){9, 1, SLICE("")}), -EINVAL);
	assert_int_equal(edits_add(&edits, &(struct request_splice){0, 6, SLICE("")}), -EINVAL);
	for (unsigned i = 1; i < EDITS_MAX; i++)
		assert_int_equal(edits_add(&edits, &(struct request_splice){10 + i, 1, SLICE("")}), 0);
	assert_int_equal(edits_add(&edits, &(struct request_splice){50, 0, SLICE("")}), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_in_every_place),
		cmocka_unit_test(test_removed_to_the_end),
		cmocka_unit_test(test_what_overlaps_or_is_too_much_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
