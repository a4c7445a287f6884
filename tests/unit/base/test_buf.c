// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"

static void assert_content(const struct buf *b, const char *expected)
{
	struct slice content = buf_slice(b);

	assert_int_equal(content.len, strlen(expected));
	assert_memory_equal(content.data ? content.data : "", expected, content.len);
}

static void appended_bytes_are_the_content(void **state)
{
	struct buf b = BUF_EMPTY;

	(void)state;
	assert_int_equal(buf_append(&b, "one", 3), 0);
	assert_int_equal(buf_append_slice(&b, SLICE(" two")), 0);
	assert_int_equal(buf_printf(&b, " %d%s", 3, "."), 0);
	assert_content(&b, "one two 3.");
	buf_free(&b);
	assert_null(b.memory);
}

static void appending_nothing_needs_no_memory(void **state)
{
	struct buf b = BUF_EMPTY;

	(void)state;
	assert_int_equal(buf_append(&b, NULL, 0), 0);
	assert_int_equal(buf_append_slice(&b, SLICE_NONE), 0);
	assert_null(b.memory);
	assert_int_equal(buf_slice(&b).len, 0);
	buf_free(&b);
}

static void consumed_bytes_leave_from_the_front(void **state)
{
	struct buf b = BUF_EMPTY;

	(void)state;
	buf_append(&b, "abcdef", 6);
	buf_consume(&b, 2);
	assert_content(&b, "cdef");
	buf_append(&b, "g", 1);
	assert_content(&b, "cdefg");
	buf_consume(&b, 1000);
	assert_content(&b, "");
	buf_free(&b);
}

static void reserved_room_counts_after_its_commit(void **state)
{
	struct buf b = BUF_EMPTY;
	char *room = buf_reserve(&b, 4096);

	(void)state;
	assert_non_null(room);
	memset(room, 'x', 4096);
	assert_int_equal(buf_len(&b), 0);
	buf_commit(&b, 4096);
	assert_int_equal(buf_len(&b), 4096);
	buf_free(&b);
}

/* The memory of a stream that is consumed as it grows must stay as small as what is in flight. */
static void consumed_room_is_used_again(void **state)
{
	struct buf b = BUF_EMPTY;
	uint8_t out = 0, in = 0;

	(void)state;
	for (int round = 0; round < 100000; round++) {
		char bytes[100];

		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (char)in++;
		assert_int_equal(buf_append(&b, bytes, sizeof(bytes)), 0);
		/* Always some left, so that the buffer is never reset by being empty. */
		while (buf_len(&b) > 50) {
			assert_int_equal((uint8_t)buf_slice(&b).data[0], out++);
			buf_consume(&b, 1);
		}
	}
	assert_true(b.capacity <= 1024);
	buf_free(&b);
}

static void what_cannot_be_had_is_refused_and_changes_nothing(void **state)
{
	struct buf b = BUF_EMPTY;

	(void)state;
	buf_append(&b, "kept", 4);
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_null(buf_reserve(&b, SIZE_MAX / 4));
	assert_content(&b, "kept");
	buf_free(&b);
}

static void wiping_frees(void **state)
{
	struct buf b = BUF_EMPTY;

	(void)state;
	buf_append(&b, "secret", 6);
	buf_wipe(&b);
	assert_null(b.memory);
	assert_int_equal(buf_len(&b), 0);
	buf_wipe(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appended_bytes_are_the_content),
		cmocka_unit_test(appending_nothing_needs_no_memory),
		cmocka_unit_test(consumed_bytes_leave_from_the_front),
		cmocka_unit_test(reserved_room_counts_after_its_commit),
		cmocka_unit_test(consumed_room_is_used_again),
		cmocka_unit_test(what_cannot_be_had_is_refused_and_changes_nothing),
		cmocka_unit_test(wiping_frees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
