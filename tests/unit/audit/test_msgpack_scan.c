// SPDX-License-Identifier: GPL-2.0-or-later
#include <msgpack.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "audit/msgpack_scan.h"

static enum msgpack_scan_result scan_whole(struct slice input, size_t max, size_t *consumed)
{
	struct msgpack_scan scan;

	msgpack_scan_init(&scan, max, 1000);
	return msgpack_scan_feed(&scan, input, consumed);
}

/* One object of every type of msgpack, in a map in an array. */
static void pack_everything(msgpack_sbuffer *out)
{
	static const char text[70000];
	msgpack_packer packer;

	msgpack_packer_init(&packer, out, msgpack_sbuffer_write);
	msgpack_pack_array(&packer, 22);
	msgpack_pack_nil(&packer);
	msgpack_pack_true(&packer);
	msgpack_pack_false(&packer);
	msgpack_pack_int(&packer, -1);
	msgpack_pack_int8(&packer, -100);
	msgpack_pack_int16(&packer, -1000);
	msgpack_pack_int32(&packer, -100000);
	msgpack_pack_int64(&packer, INT64_MIN);
	msgpack_pack_uint8(&packer, 200);
	msgpack_pack_uint16(&packer, 60000);
	msgpack_pack_uint64(&packer, UINT64_MAX);
	msgpack_pack_float(&packer, 1.5f);
	msgpack_pack_double(&packer, 2.5);
	for (size_t len = 20; len < 70000; len *= 14) { /* 20, 280, 3920, 54880 */
		msgpack_pack_str(&packer, len);
		msgpack_pack_str_body(&packer, text, len);
	}
	msgpack_pack_str(&packer, 66000);
	msgpack_pack_str_body(&packer, text, 66000);
	msgpack_pack_bin(&packer, 300);
	msgpack_pack_bin_body(&packer, text, 300);
	msgpack_pack_ext(&packer, 8, 0);
	msgpack_pack_ext_body(&packer, text, 8);
	msgpack_pack_ext(&packer, 100, 1);
	msgpack_pack_ext_body(&packer, text, 100);
	msgpack_pack_map(&packer, 17);
	for (int i = 0; i < 17; i++) {
		msgpack_pack_int(&packer, i);
		msgpack_pack_array(&packer, 0);
	}
}

static void every_type_is_measured_exactly(void **state)
{
	msgpack_sbuffer out;
	size_t consumed;

	(void)state;
	msgpack_sbuffer_init(&out);
	pack_everything(&out);
	msgpack_pack_nil(&(msgpack_packer){&out, msgpack_sbuffer_write});
	assert_int_equal(
		scan_whole(slice_of(out.data, out.size), 1 << 20, &consumed), MSGPACK_SCAN_DONE);
	assert_int_equal(consumed, out.size - 1);
	msgpack_sbuffer_destroy(&out);
}

static void cuts_do_not_matter(void **state)
{
	struct msgpack_scan scan;
	msgpack_sbuffer out;
	size_t consumed;

	(void)state;
	msgpack_sbuffer_init(&out);
	pack_everything(&out);
	msgpack_scan_init(&scan, 1 << 20, 1000);
	for (int twice = 0; twice < 2; twice++) {
		for (size_t i = 0; i < out.size; i++) {
			enum msgpack_scan_result result =
				msgpack_scan_feed(&scan, slice_of(out.data + i, 1), &consumed);

			assert_int_equal(consumed, 1);
			assert_int_equal(result,
				i + 1 < out.size ? MSGPACK_SCAN_MORE : MSGPACK_SCAN_DONE);
		}
	}
	msgpack_sbuffer_destroy(&out);
}

static void what_is_no_message_is_refused(void **state)
{
	static const struct {
		const char *name;
		struct slice input;
	} cases[] = {
		{"the byte that is no type", {"\xc1", 1}},
		{"a string longer than the limit", {"\xdb\x00\x10\x00\x00", 5}},
		{"an array of more values than bytes may come", {"\xdd\xff\xff\xff\xff", 5}},
		{"a map likewise", {"\xdf\x7f\xff\xff\xff", 5}},
		{"17 arrays in one another",
			{"\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91", 17}},
	};
	size_t consumed;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (scan_whole(cases[i].input, 1000, &consumed) != MSGPACK_SCAN_BAD)
			fail_msg("%s was not refused", cases[i].name);
}

static void many_small_values_reach_the_limit_too(void **state)
{
	char input[64] = "\xdc\x00\x3f"; /* an array of 63 */
	size_t consumed;

	(void)state;
	assert_int_equal(
		scan_whole(slice_of(input, sizeof(input)), 63, &consumed), MSGPACK_SCAN_BAD);
}

static void values_are_bounded_wherever_they_stand(void **state)
{
	/* Two values inside, and the arrays themselves. */
	static const struct slice nested = SLICE("\x92\x91\xc0\x91\xc0");
	struct msgpack_scan scan;
	size_t consumed;

	(void)state;
	msgpack_scan_init(&scan, 1000, 5);
	assert_int_equal(msgpack_scan_feed(&scan, nested, &consumed), MSGPACK_SCAN_DONE);
	assert_int_equal(scan.whole, 5);
	assert_int_equal(msgpack_scan_feed(&scan, nested, &consumed), MSGPACK_SCAN_DONE);
	msgpack_scan_init(&scan, 1000, 4);
	assert_int_equal(msgpack_scan_feed(&scan, nested, &consumed), MSGPACK_SCAN_BAD);
	/* A claim is refused before what it claims comes. */
	msgpack_scan_init(&scan, 1000, 4);
	assert_int_equal(msgpack_scan_feed(&scan, SLICE("\x94"), &consumed), MSGPACK_SCAN_BAD);
}

static void objects_and_heads_are_taken_one_by_one(void **state)
{
	struct slice rest = SLICE("\xdc\x00\x02\x92\x01\x02\xa1k"), object;
	size_t values;
	uint32_t n;

	(void)state;
	assert_true(msgpack_take_array(&rest, &n));
	assert_int_equal(n, 2);
	assert_true(msgpack_take(&rest, 10, &object, &values));
	assert_true(slice_equal(object, SLICE("\x92\x01\x02")));
	assert_int_equal(values, 3);
	assert_false(msgpack_take_array(&rest, &n));
	assert_true(msgpack_take(&rest, 10, &object, &values));
	assert_int_equal(rest.len, 0);
	assert_false(msgpack_take(&rest, 10, &object, &values));
	assert_false(msgpack_take_array(&rest, &n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_is_measured_exactly),
		cmocka_unit_test(cuts_do_not_matter),
		cmocka_unit_test(what_is_no_message_is_refused),
		cmocka_unit_test(many_small_values_reach_the_limit_too),
		cmocka_unit_test(values_are_bounded_wherever_they_stand),
		cmocka_unit_test(objects_and_heads_are_taken_one_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
