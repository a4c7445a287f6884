// SPDX-License-Identifier: GPL-2.0-or-later
/* An event as a record: what msgpack-c reads back is what was put in, made safe. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <msgpack.h>

#include "audit/event.h"
#include "audit/record.h"
#include "base/clock.h"
#include "base/utf8.h"

static struct event event_smallest(void)
{
	return (struct event){
		.time_ns = 1700000000ULL * NS_PER_S + 5,
		.epoch = SLICE("0123456789abcdef"),
		.stream = event_number(7),
		.sequence = event_number(1),
	};
}

/* The record's map, read by msgpack-c. */
static msgpack_object_map unpack(struct slice record, msgpack_unpacked *unpacked)
{
	msgpack_unpacked_init(unpacked);
	assert_int_equal(msgpack_unpack_next(unpacked, record.data + RECORD_TIME_SIZE,
				 record.len - RECORD_TIME_SIZE, NULL),
		MSGPACK_UNPACK_SUCCESS);
	assert_int_equal(unpacked->data.type, MSGPACK_OBJECT_MAP);
	return unpacked->data.via.map;
}

static const msgpack_object *field(msgpack_object_map map, const char *name)
{
	for (uint32_t i = 0; i < map.size; i++)
		if (slice_equal(slice_of(map.ptr[i].key.via.str.ptr, map.ptr[i].key.via.str.size),
			    slice_of_string(name)))
			return &map.ptr[i].val;
	return NULL;
}

static void assert_text(msgpack_object_map map, const char *name, const char *expected)
{
	const msgpack_object *value = field(map, name);

	assert_non_null(value);
	assert_int_equal(value->type, MSGPACK_OBJECT_STR);
	assert_true(slice_equal(slice_of(value->via.str.ptr, value->via.str.size),
		slice_of_string(expected)));
}

static void assert_number(msgpack_object_map map, const char *name, uint64_t expected)
{
	const msgpack_object *value = field(map, name);

	assert_non_null(value);
	assert_int_equal(value->type, MSGPACK_OBJECT_POSITIVE_INTEGER);
	assert_int_equal(value->via.u64, expected);
}

static void test_smallest(void **state)
{
	struct event event = event_smallest();
	struct buf record = BUF_EMPTY;
	struct record_identity identity;
	msgpack_unpacked unpacked;
	msgpack_object_map map;

	(void)state;
	assert_int_equal(event_encode(&event, &record), 0);
	assert_memory_equal(buf_slice(&record).data, "\x65\x53\xf1\x00\x00\x00\x00\x05", 8);
	map = unpack(buf_slice(&record), &unpacked);
	assert_int_equal(map.size, 4);
	assert_number(map, "schema.version", SCHEMA_VERSION);
	assert_text(map, "event.epoch", "0123456789abcdef");
	assert_number(map, "event.stream", 7);
	assert_number(map, "event.sequence", 1);
	msgpack_unpacked_destroy(&unpacked);
	assert_int_equal(record_check(buf_slice(&record), &identity), 0);
	assert_int_equal(identity.stream, 7);
	assert_int_equal(identity.sequence, 1);
	assert_true(slice_equal(identity.epoch, event.epoch));
	buf_free(&record);
}

static void test_every_kind(void **state)
{
	struct event event = event_smallest();
	struct buf record = BUF_EMPTY;
	struct record_identity identity;
	msgpack_unpacked unpacked;
	msgpack_object_map map;

	(void)state;
	assert_int_equal(address_parse("192.0.2.1", &event.source_ip), 0);
	assert_int_equal(address_parse("2001:db8::1", &event.destination_ip), 0);
	event.source_port = 50000;
	event.status = event_number(200);
	event.input_tokens = event_number(0);
	event.total_tokens = event_number(UINT64_MAX);
	event.request_temperature = event_real(0.5);
	event.request_top_p = event_real(NAN);
	event.request_stream = EVENT_NO;
	event.body_readable = EVENT_YES;
	event.path = SLICE("/x?api-key=1&\xff" "=sk-abcdefghij0123456789");
	event.user_agent = SLICE("curl\xff Bearer abcdefgh1");
	event.input_messages = SLICE("[{\"role\":\"user\",\"content\":\"\xc3\xa4\"}]");
	assert_int_equal(event_encode(&event, &record), 0);
	map = unpack(buf_slice(&record), &unpacked);
	assert_text(map, "source.ip", "192.0.2.1");
	assert_text(map, "destination.ip", "2001:db8::1");
	assert_null(field(map, "client.address"));
	assert_number(map, "source.port", 50000);
	assert_number(map, "http.response.status_code", 200);
	assert_number(map, "gen_ai.usage.input_tokens", 0);
	assert_number(map, "gen_ai.usage.total_tokens", UINT64_MAX);
	assert_int_equal(field(map, "gen_ai.request.temperature")->type, MSGPACK_OBJECT_FLOAT64);
	assert_true(field(map, "gen_ai.request.temperature")->via.f64 == 0.5);
	assert_null(field(map, "gen_ai.request.top_p"));
	assert_int_equal(field(map, "gen_ai.request.stream")->type, MSGPACK_OBJECT_BOOLEAN);
	assert_false(field(map, "gen_ai.request.stream")->via.boolean);
	assert_true(field(map, "body.readable")->via.boolean);
	assert_text(map, "url.path", "/x?api-key=[redacted]&\xef\xbf\xbd=[redacted]");
	assert_text(map, "user_agent.original", "curl\xef\xbf\xbd Bearer [redacted]");
	assert_text(map, "gen_ai.input.messages", "[{\"role\":\"user\",\"content\":\"\xc3\xa4\"}]");
	assert_null(field(map, "gen_ai.input.messages.truncated"));
	msgpack_unpacked_destroy(&unpacked);
	assert_int_equal(record_check(buf_slice(&record), &identity), 0);
	buf_free(&record);
}

static void test_identity_is_required(void **state)
{
	struct event event = event_smallest();
	struct buf record = BUF_EMPTY;

	(void)state;
	event.sequence.present = false;
	assert_int_equal(event_encode(&event, &record), -EINVAL);
	event = event_smallest();
	event.epoch = SLICE_NONE;
	assert_int_equal(event_encode(&event, &record), -EINVAL);
	assert_int_equal(buf_len(&record), 0);
	buf_free(&record);
}

static void test_longest_is_cut_and_says_so(void **state)
{
	struct event event = event_smallest();
	struct buf record = BUF_EMPTY;
	struct record_identity identity;
	msgpack_unpacked unpacked;
	msgpack_object_map map;
	size_t len = 6u << 20;
	char *bad = malloc(len), *good = malloc(len);

	(void)state;
	/* Each bad byte becomes three. */
	memset(bad, 0xff, len);
	for (size_t i = 0; i < len; i += 2)
		memcpy(good + i, "\xc3\xa4", 2);
	event.input_messages = event.tools = slice_of(bad, len);
	event.output_messages = slice_of(good, len);
	event.output_messages_truncated = EVENT_NO;
	for (size_t i = 0; i < SCHEMA_COUNT; i++)
		if (schema_fields[i].kind == SCHEMA_TEXT && i != SCHEMA_ID_epoch)
			*(struct slice *)((char *)&event + event_offsets[i]) =
				slice_of(bad, len);
	assert_int_equal(event_encode(&event, &record), 0);
	assert_true(buf_len(&record) <= EVENT_RECORD_MAX);
	assert_int_equal(record_check(buf_slice(&record), &identity), 0);
	map = unpack(buf_slice(&record), &unpacked);
	assert_true(field(map, "gen_ai.input.messages.truncated")->via.boolean);
	assert_true(field(map, "gen_ai.output.messages.truncated")->via.boolean);
	assert_true(field(map, "gen_ai.tools.truncated")->via.boolean);
	assert_int_equal(field(map, "gen_ai.output.messages")->via.str.size, 4u << 20);
	assert_true(field(map, "gen_ai.input.messages")->via.str.size <= 4u << 20);
	msgpack_unpacked_destroy(&unpacked);
	buf_free(&record);
	free(bad);
	free(good);
}

static void test_appends_to_what_is_there(void **state)
{
	struct event event = event_smallest();
	struct buf record = BUF_EMPTY;
	struct record_identity identity;

	(void)state;
	event.user_agent = SLICE("\xff");
	assert_int_equal(buf_append(&record, "front", 5), 0);
	buf_consume(&record, 2);
	assert_int_equal(event_encode(&event, &record), 0);
	assert_true(slice_starts_with(buf_slice(&record), SLICE("ont")));
	assert_int_equal(record_check(slice_after(buf_slice(&record), 3), &identity), 0);
	buf_free(&record);
}

static void test_names_are_unique(void **state)
{
	(void)state;
	for (size_t i = 0; i < SCHEMA_COUNT; i++)
		for (size_t j = 0; j < i; j++)
			assert_false(slice_equal(schema_fields[i].name, schema_fields[j].name));
}

/* Not a good record cut anywhere, nor with any one byte more, nor what nobody should send on. */
static void test_record_check(void **state)
{
	static const struct slice bad[] = {
		SLICE(""),
		/* nanoseconds beyond a second */
		SLICE("\0\0\0\0\x3b\x9a\xca\x00\x80"),
		/* no map, an empty map, an array */
		SLICE("\0\0\0\0\0\0\0\0\xc0"), SLICE("\0\0\0\0\0\0\0\0\x80"),
		SLICE("\0\0\0\0\0\0\0\0\x94\x01\x01\x01\x01"),
		/* a map of four billion */
		SLICE("\0\0\0\0\0\0\0\0\xdf\xff\xff\xff\xff"),
	};
	struct event event = event_smallest();
	struct buf record = BUF_EMPTY;
	struct record_identity identity;
	char *nested;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(record_check(bad[i], &identity), -EBADMSG);
	event.kind = SLICE("exchange");
	event.request_temperature = event_real(1);
	event.status = event_number(70000);
	assert_int_equal(event_encode(&event, &record), 0);
	for (size_t len = 0; len < buf_len(&record); len++)
		assert_int_equal(record_check(slice_first(buf_slice(&record), len), &identity),
			-EBADMSG);
	nested = memmem(record.memory, buf_len(&record), "exchange", 8);
	assert_non_null(nested);
	nested[0] = (char)0xff;
	assert_int_equal(record_check(buf_slice(&record), &identity), -EBADMSG);
	nested[0] = 'e';
	assert_int_equal(record_check(buf_slice(&record), &identity), 0);
	nested[-1] = (char)0x91; /* an array where the text's header was */
	assert_int_equal(record_check(buf_slice(&record), &identity), -EBADMSG);
	nested[-1] = (char)0xa8;
	assert_int_equal(buf_append(&record, "\xc0", 1), 0);
	assert_int_equal(record_check(buf_slice(&record), &identity), -EBADMSG);
	buf_free(&record);
}

static void test_utf8_cut(void **state)
{
	struct slice s = SLICE("a\xf0\x9f\x98\x80" "b\x80\x80\x80\x80\x80");
	static const size_t cuts[] = {0, 1, 1, 1, 1, 5, 6};

	(void)state;
	for (size_t max = 0; max < sizeof(cuts) / sizeof(cuts[0]); max++)
		assert_int_equal(utf8_cut(s, max).len, cuts[max]);
	assert_int_equal(utf8_cut(s, 10).len, 10);
	assert_int_equal(utf8_cut(s, 100).len, s.len);
}

/* The worker's cost of an event with 2 KB of text: printed, and bounded loosely for busy machines
 * and sanitizers. */
static void test_cost(void **state)
{
	struct event event = event_smallest();
	struct buf record = BUF_EMPTY;
	static char input[1024], output[1024];
	static const char text[] = "{\"role\":\"user\",\"content\":\"Tell me about the desk in the "
				   "back of the library, because it looks old.\"},";
	uint64_t begun, ns;
	unsigned rounds = 20000;

	(void)state;
	for (size_t i = 0; i < sizeof(input); i++)
		input[i] = output[i] = text[i % (sizeof(text) - 1)];
	event.input_messages = slice_of(input, sizeof(input));
	event.output_messages = slice_of(output, sizeof(output));
	for (size_t i = 0; i < SCHEMA_COUNT; i++) {
		void *member = (char *)&event + event_offsets[i];

		if (schema_fields[i].kind == SCHEMA_TEXT && i != SCHEMA_ID_epoch)
			*(struct slice *)member = SLICE("a value of a field");
		else if (schema_fields[i].kind == SCHEMA_NUMBER)
			*(struct event_number *)member = event_number(12345);
		else if (schema_fields[i].kind == SCHEMA_ADDRESS)
			assert_int_equal(address_parse("192.0.2.1", member), 0);
	}
	event.path = SLICE("/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21");
	begun = clock_monotonic_ns();
	for (unsigned i = 0; i < rounds; i++) {
		buf_clear(&record);
		assert_int_equal(event_encode(&event, &record), 0);
	}
	ns = (clock_monotonic_ns() - begun) / rounds;
	printf("event_encode: %llu ns for %zu bytes\n", (unsigned long long)ns, buf_len(&record));
	assert_true(ns < 1000000);
	buf_free(&record);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_smallest),
		cmocka_unit_test(test_every_kind),
		cmocka_unit_test(test_identity_is_required),
		cmocka_unit_test(test_longest_is_cut_and_says_so),
		cmocka_unit_test(test_appends_to_what_is_there),
		cmocka_unit_test(test_names_are_unique),
		cmocka_unit_test(test_record_check),
		cmocka_unit_test(test_utf8_cut),
		cmocka_unit_test(test_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
