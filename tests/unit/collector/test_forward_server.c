// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "audit/forward_client.h"
#include "collector/forward_server.h"

#define EVENT_TIME "\xd7\x00\x00\x00\x00\x05\x00\x00\x00\x07" /* 5 s and 7 ns */
#define RECORD	   "\x81\xa1k\xa1v"

struct told {
	unsigned n;
	uint64_t time_ns;
	int answer;
};

static int tell(void *context, const struct forward_entry *entry)
{
	struct told *told = context;

	assert_int_equal(entry->record->type, MSGPACK_OBJECT_MAP);
	assert_int_equal(entry->index, told->n);
	told->n++;
	told->time_ns = entry->time_ns;
	return told->answer;
}

static void every_mode_of_every_sender_is_read(void **state)
{
	static const struct {
		const char *name;
		struct slice message;
		unsigned entries;
		uint64_t time_ns;
		const char *chunk;
	} cases[] = {
		{"Message mode", SLICE("\x93\xa1t" EVENT_TIME RECORD), 1, 5000000007, ""},
		{"Message mode with whole seconds", SLICE("\x93\xa1t\x05" RECORD), 1, 5000000000,
			""},
		{"Message mode with options",
			SLICE("\x94\xa1t\x05" RECORD "\x81\xa5"
			      "chunk\xa2"
			      "id"),
			1, 5000000000, "id"},
		{"Forward mode", SLICE("\x92\xa1t\x92\x92" EVENT_TIME RECORD "\x92\x06" RECORD), 2,
			6000000000, ""},
		{"Forward mode with size and chunk",
			SLICE("\x93\xa1t\x91\x92" EVENT_TIME RECORD "\x82\xa4size\x01\xa5"
			      "chunk\xa3"
			      "a=\n"),
			1, 5000000007, "a=\n"},
		{"Fluent Bit's metadata", SLICE("\x92\xa1t\x91\x92\x92" EVENT_TIME "\x80" RECORD),
			1, 5000000007, ""},
		{"PackedForward as bin",
			SLICE("\x93\xa1t\xc4\x20\x92" EVENT_TIME RECORD "\x92" EVENT_TIME RECORD
			      "\x81\xaa"
			      "compressed\xa4text"),
			2, 5000000007, ""},
		{"PackedForward as str",
			SLICE("\x93\xa1t\xb0\x92" EVENT_TIME RECORD "\x81\xa5"
			      "chunk\xc4\x02id"),
			1, 5000000007, "id"},
		{"no entries", SLICE("\x92\xa1t\x90"), 0, 0, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct told told = {0};
		struct slice chunk;

		if (forward_read(cases[i].message, tell, &told, &chunk) != FORWARD_OK)
			fail_msg("%s was not read", cases[i].name);
		if (told.n != cases[i].entries || told.time_ns != cases[i].time_ns)
			fail_msg("%s: %u entries, time %llu", cases[i].name, told.n,
				(unsigned long long)told.time_ns);
		if (!slice_equal(chunk, slice_of_string(cases[i].chunk)))
			fail_msg("%s: another chunk", cases[i].name);
	}
}

static void gzip_of_several_members_is_read(void **state)
{
	static const char pair[] = "\x92" EVENT_TIME RECORD;
	unsigned char packed[512];
	char message[600];
	size_t len = 0, at;
	struct told told = {0};
	struct slice chunk;

	(void)state;
	for (int member = 0; member < 2; member++) {
		z_stream z = {.next_in = (unsigned char *)pair,
			.avail_in = sizeof(pair) - 1,
			.next_out = packed + len,
			.avail_out = (unsigned)(sizeof(packed) - len)};

		assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
		assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
		len += z.total_out;
		deflateEnd(&z);
	}
	at = (size_t)snprintf(message, sizeof(message), "\x93\xa1t\xc4%c", (int)len);
	memcpy(message + at, packed, len);
	at += len;
	memcpy(message + at,
		"\x81\xaa"
		"compressed\xa4gzip",
		17);
	assert_int_equal(forward_read(slice_of(message, at + 17), tell, &told, &chunk), FORWARD_OK);
	assert_int_equal(told.n, 2);
}

static void what_is_no_message_is_refused(void **state)
{
	static const struct slice cases[] = {
		SLICE("\x01"),
		SLICE("\x80"),
		SLICE("\x91\xa1t"),
		SLICE("\x92\x01\x90"),
		SLICE("\x92\xa1t\x05"),
		SLICE("\x92\xa1t\x91\x05"),
		SLICE("\x92\xa1t\x91\x91\x05"),
		SLICE("\x92\xa1t\x91\x92\x05\x05"),
		SLICE("\x92\xa1t\x91\x92\xa1x" RECORD),
		SLICE("\x93\xa1t\xa1\x92\x80"),
		SLICE("\x93\xa1t\x90\x05"),
		SLICE("\x93\xa1t\x90\x81\xa5"
		      "chunk\x05"),
		SLICE("\x93\xa1t\xa0\x81\xaa"
		      "compressed\xa4zstd"),
		SLICE("\x93\xa1t\xa3"
		      "abc\x81\xaa"
		      "compressed\xa4gzip"),
		SLICE("\x95\xa1t\x05" RECORD "\x80\x80"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct told told = {0};
		struct slice chunk;

		if (forward_read(cases[i], tell, &told, &chunk) != FORWARD_BAD)
			fail_msg("case %zu was not refused", i);
	}
}

static void nil_is_a_heartbeat(void **state)
{
	struct told told = {0};
	struct slice chunk;

	(void)state;
	assert_int_equal(forward_read(SLICE("\xc0"), tell, &told, &chunk), FORWARD_HEARTBEAT);
}

static void a_refused_entry_ends_the_message(void **state)
{
	struct told told = {.answer = -EIO};
	struct slice chunk;

	(void)state;
	assert_int_equal(forward_read(SLICE("\x92\xa1t\x92\x92\x05" RECORD "\x92\x06" RECORD), tell,
				 &told, &chunk),
		FORWARD_REFUSED);
	assert_int_equal(told.n, 1);
}

static void our_client_reads_our_acknowledgement(void **state)
{
	struct buf out = BUF_EMPTY;
	struct slice id;
	size_t consumed;

	(void)state;
	assert_int_equal(forward_write_ack(&out, SLICE("an id")), 0);
	assert_int_equal(forward_ack_read(buf_slice(&out), &consumed, &id), FORWARD_ACK_OK);
	assert_int_equal(consumed, buf_len(&out));
	assert_true(slice_equal(id, SLICE("an id")));
	buf_free(&out);
}

/* Appends n times the bytes. */
static void append_times(struct buf *out, struct slice bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(buf_append_slice(out, bytes), 0);
}

/* A message with these entries compressed. */
static void append_compressed(struct buf *out, struct slice plain)
{
	unsigned char *packed = malloc(plain.len / 50 + 1000);
	z_stream z = {.next_in = (unsigned char *)(uintptr_t)plain.data,
		.avail_in = (unsigned)plain.len,
		.next_out = packed,
		.avail_out = (unsigned)(plain.len / 50 + 1000)};
	unsigned char head[5];

	assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	for (int i = 0; i < 4; i++)
		head[1 + i] = (unsigned char)(z.total_out >> (24 - 8 * i));
	head[0] = 0xc6;
	append_times(out, SLICE("\x93\xa1t"), 1);
	assert_int_equal(buf_append(out, head, sizeof(head)), 0);
	assert_int_equal(buf_append(out, packed, z.total_out), 0);
	append_times(out,
		SLICE("\x82\xaa"
		      "compressed\xa4gzip\xa5"
		      "chunk\xa2id"),
		1);
	deflateEnd(&z);
	free(packed);
}

/* What msgpack-c would build of them takes gigabytes. */
static void bombs_of_values_are_refused(void **state)
{
	static const struct {
		const char *name;
		struct slice head, each;
		size_t n;
		unsigned told;
	} bombs[] = {
		{"a map of thirty million nils", SLICE("\x92\x05\xdf\x00\xe4\xe1\xc0"),
			SLICE("\xc0"), 30000000, 0},
		{"many records of many nils, of which the first are within the bounds", SLICE_NONE,
			SLICE("\x92\x05\x8f\xa1k\xc0\xa1k\xc0\xa1k\xc0\xa1k\xc0\xa1k\xc0"
			      "\xa1k\xc0\xa1k\xc0\xa1k\xc0\xa1k\xc0\xa1k\xc0\xa1k\xc0"
			      "\xa1k\xc0\xa1k\xc0\xa1k\xc0\xa1k\xc0"),
			600000, FORWARD_VALUES_MAX / 33},
		{"more bytes than a message may have",
			SLICE("\x92\x05\x81\xa1k\xdb\x05\x00\x00\x00"), SLICE("0123456789abcdef"),
			5 << 20, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
		struct buf plain = BUF_EMPTY, message = BUF_EMPTY;
		struct told told = {0};
		struct slice chunk;

		append_times(&plain, bombs[i].head, 1);
		append_times(&plain, bombs[i].each, bombs[i].n);
		append_compressed(&message, buf_slice(&plain));
		if (forward_read(buf_slice(&message), tell, &told, &chunk) != FORWARD_BAD)
			fail_msg("%s: not refused", bombs[i].name);
		if (told.n != bombs[i].told)
			fail_msg("%s: %u entries", bombs[i].name, told.n);
		buf_free(&plain);
		buf_free(&message);
	}
}

static void compressed_entries_are_read_across_pieces(void **state)
{
	struct buf plain = BUF_EMPTY, message = BUF_EMPTY;
	struct told told = {0};
	struct slice chunk;

	(void)state;
	append_times(&plain, SLICE("\x92" EVENT_TIME RECORD), 50000);
	append_compressed(&message, buf_slice(&plain));
	assert_int_equal(forward_read(buf_slice(&message), tell, &told, &chunk), FORWARD_OK);
	assert_int_equal(told.n, 50000);
	assert_true(slice_equal(chunk, SLICE("id")));
	buf_free(&plain);
	buf_free(&message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_mode_of_every_sender_is_read),
		cmocka_unit_test(gzip_of_several_members_is_read),
		cmocka_unit_test(what_is_no_message_is_refused),
		cmocka_unit_test(bombs_of_values_are_refused),
		cmocka_unit_test(compressed_entries_are_read_across_pieces),
		cmocka_unit_test(nil_is_a_heartbeat),
		cmocka_unit_test(a_refused_entry_ends_the_message),
		cmocka_unit_test(our_client_reads_our_acknowledgement),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
