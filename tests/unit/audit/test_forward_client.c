// SPDX-License-Identifier: GPL-2.0-or-later
/* Chunks as msgpack-c reads them; acknowledgements as peers write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <msgpack.h>

#include "audit/event.h"
#include "audit/forward_client.h"

static void assert_str(const msgpack_object *object, struct slice expected)
{
	assert_int_equal(object->type, MSGPACK_OBJECT_STR);
	assert_true(slice_equal(
		slice_of(object->via.str.ptr, object->via.str.size), expected));
}

static void test_chunk(void **state)
{
	struct event event = {.time_ns = 1000000002, .epoch = SLICE("0123456789abcdef"),
		.stream = event_number(1)};
	struct buf chunk = BUF_EMPTY, record = BUF_EMPTY;
	struct forward_id id = forward_id(1, 2, 3, 4);
	struct forward_chunk making;
	msgpack_unpacked unpacked;
	const msgpack_object *top;
	size_t end = 0;

	(void)state;
	assert_int_equal(forward_chunk_begin(&making, SLICE("a.tag"), &chunk), 0);
	for (unsigned i = 1; i <= 3; i++) {
		buf_clear(&record);
		event.sequence = event_number(i);
		assert_int_equal(event_encode(&event, &record), 0);
		assert_int_equal(forward_chunk_add(&making, buf_slice(&record)), 0);
	}
	assert_true(forward_chunk_add(&making, SLICE("short")) < 0);
	assert_int_equal(forward_chunk_end(&making, &id), 0);

	msgpack_unpacked_init(&unpacked);
	assert_int_equal(msgpack_unpack_next(&unpacked, chunk.memory, buf_len(&chunk), &end),
		MSGPACK_UNPACK_SUCCESS);
	assert_int_equal(end, buf_len(&chunk));
	assert_int_equal(unpacked.data.type, MSGPACK_OBJECT_ARRAY);
	assert_int_equal(unpacked.data.via.array.size, 3);
	top = unpacked.data.via.array.ptr;
	assert_str(&top[0], SLICE("a.tag"));
	assert_int_equal(top[1].via.array.size, 3);
	for (unsigned i = 0; i < 3; i++) {
		const msgpack_object *entry = top[1].via.array.ptr[i].via.array.ptr;

		assert_int_equal(entry[0].type, MSGPACK_OBJECT_EXT);
		assert_int_equal(entry[0].via.ext.type, 0);
		assert_int_equal(entry[0].via.ext.size, 8);
		assert_memory_equal(entry[0].via.ext.ptr, "\0\0\0\1\0\0\0\2", 8);
		assert_int_equal(entry[1].type, MSGPACK_OBJECT_MAP);
		assert_int_equal(entry[1].via.map.ptr[3].val.via.u64, i + 1);
	}
	assert_int_equal(top[2].via.map.size, 2);
	assert_str(&top[2].via.map.ptr[0].key, SLICE("size"));
	assert_int_equal(top[2].via.map.ptr[0].val.via.u64, 3);
	assert_str(&top[2].via.map.ptr[1].key, SLICE("chunk"));
	assert_str(&top[2].via.map.ptr[1].val, slice_of_string(id.text));
	msgpack_unpacked_destroy(&unpacked);
	buf_free(&chunk);
	buf_free(&record);
}

static void test_id(void **state)
{
	struct forward_id id = forward_id(1, 2, 3, 4);

	(void)state;
	assert_int_equal(strlen(id.text), 24);
	assert_string_equal(id.text + 22, "==");
	assert_int_equal(strspn(id.text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789+/"), 22);
	assert_string_equal(id.text, forward_id(1, 2, 3, 4).text);
	assert_string_not_equal(id.text, forward_id(2, 2, 3, 4).text);
	assert_string_not_equal(id.text, forward_id(1, 3, 3, 4).text);
	assert_string_not_equal(id.text, forward_id(1, 2, 4, 4).text);
	assert_string_not_equal(id.text, forward_id(1, 2, 3, 5).text);
}

static void test_acks(void **state)
{
	static const struct {
		struct slice input, id;
		enum forward_ack_result result;
		size_t consumed;
	} cases[] = {
		{SLICE("\x81\xa3" "ack\xa2" "id"), SLICE("id"), FORWARD_ACK_OK, 8},
		{SLICE("\x81\xa3" "ack\xa2" "id\x81"), SLICE("id"), FORWARD_ACK_OK, 8},
		{SLICE("\x81\xc4\x03" "ack\xd9\x02" "id"), SLICE("id"), FORWARD_ACK_OK, 10},
		{SLICE("\x81\xa3" "ack\xc5\0\x02" "id"), SLICE("id"), FORWARD_ACK_OK, 10},
		{SLICE("\xde\0\x01\xa3" "ack\xa2" "id"), SLICE("id"), FORWARD_ACK_OK, 10},
		/* other keys, before and after, of every type */
		{SLICE("\x83\xa1" "a\x92\x01\x81\xa1" "b\xc3\xa3" "ack\xa2" "id\xa1" "c\xd7\0"
		       "12345678"),
			SLICE("id"), FORWARD_ACK_OK, 28},
		{SLICE("\x82\xa1" "a\xcb" "12345678\xa3" "ack\xa2" "id"), SLICE("id"),
			FORWARD_ACK_OK, 19},
		/* signs of life */
		{SLICE("\xc0"), SLICE(""), FORWARD_ACK_OK, 1},
		{SLICE("\x80"), SLICE(""), FORWARD_ACK_OK, 1},
		/* not yet */
		{SLICE(""), SLICE(""), FORWARD_ACK_MORE, 0},
		{SLICE("\x81"), SLICE(""), FORWARD_ACK_MORE, 0},
		{SLICE("\x81\xa3" "ac"), SLICE(""), FORWARD_ACK_MORE, 0},
		{SLICE("\x81\xa3" "ack\xa2" "i"), SLICE(""), FORWARD_ACK_MORE, 0},
		{SLICE("\xdf\0\0"), SLICE(""), FORWARD_ACK_MORE, 0},
		/* never */
		{SLICE("HTTP/1.1 400"), SLICE(""), FORWARD_ACK_BAD, 0},
		{SLICE("\x93\xa4HELO"), SLICE(""), FORWARD_ACK_BAD, 0},
		{SLICE("\x81\xa3" "ack\x01"), SLICE(""), FORWARD_ACK_BAD, 0},
		{SLICE("\x81\xa3" "ack\xa0"), SLICE(""), FORWARD_ACK_BAD, 0},
		{SLICE("\x81\xa3" "ack\x91\xa1" "a"), SLICE(""), FORWARD_ACK_BAD, 0},
		{SLICE("\x81\x91\x01\x01"), SLICE(""), FORWARD_ACK_BAD, 0},
		{SLICE("\xc1"), SLICE(""), FORWARD_ACK_BAD, 0},
		{SLICE("\x81\xa1" "a\xc1"), SLICE(""), FORWARD_ACK_BAD, 0},
		/* nested deeper than any answer */
		{SLICE("\x81\xa1" "a\x91\x91\x91\x91\x91\x91\x91"), SLICE(""), FORWARD_ACK_BAD, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t consumed;
		struct slice id;

		if (forward_ack_read(cases[i].input, &consumed, &id) != cases[i].result ||
			consumed != cases[i].consumed || !slice_equal(id, cases[i].id))
			fail_msg("case %zu", i);
	}
}

/* An id that never ends is refused, not waited for. */
static void test_ack_is_bounded(void **state)
{
	static char input[FORWARD_ACK_MAX + 10] = "\x81\xa3" "ack\xdb\x7f\xff\xff\xff";
	size_t consumed;
	struct slice id;

	(void)state;
	assert_int_equal(forward_ack_read(slice_of(input, FORWARD_ACK_MAX - 1), &consumed, &id),
		FORWARD_ACK_MORE);
	assert_int_equal(forward_ack_read(slice_of(input, FORWARD_ACK_MAX), &consumed, &id),
		FORWARD_ACK_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunk),
		cmocka_unit_test(test_id),
		cmocka_unit_test(test_acks),
		cmocka_unit_test(test_ack_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
