// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/learn_scene.h"

/* Replies over TCP, their length in front: an address, and an HTTPS record with "h3" and ech. */
#define QUESTION "\3api\6openai\3com\0"
#define REPLY                                                                                      \
	SLICE("\0\x30\0\1\x81\x80\0\1\0\1\0\0\0\0" QUESTION "\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\x3c"   \
	      "\0\4\xc0\0\2\x09")
#define ARMED                                                                                      \
	SLICE("\0\x3c\0\1\x81\x80\0\1\0\1\0\0\0\0" QUESTION "\0\x41\0\1\xc0\x0c\0\x41\0\1\0\0\0"   \
	      "\x3c\0\x10\0\1\0\0\1\0\3\2h3\0\5\0\2ab")
#define DISARMED                                                                                   \
	SLICE("\0\x3c\0\1\x81\x80\0\1\0\1\0\0\0\0" QUESTION "\0\x41\0\1\xc0\x0c\0\x41\0\1\0\0\0"   \
	      "\x3c\0\x10\0\1\0\0\1\0\3\2\n\n\xff\0\0\2\0\0")
/* The same for a name that is not listed. */
#define OTHER                                                                                      \
	SLICE("\0\x3c\0\1\x81\x80\0\1\0\1\0\0\0\0\3api\6openai\3net\0\0\x41\0\1\xc0\x0c\0\x41\0"   \
	      "\1\0\0\0\x3c\0\x10\0\1\0\0\1\0\3\2h3\0\5\0\2ab")
#define RECORDS (2 + 12 + sizeof(QUESTION) + 3) /* where they begin in these */
#define FIRST	100				/* sequence number of the stream's first byte */

/* Bytes from … to of a stream that consists of this. */
static void part_at(struct scene *scene, struct slice stream, size_t from, size_t to, uint64_t ns)
{
	give(scene, false, IP_PACKET_TCP, 53, 40000, FIRST + (uint32_t)from, IP_PACKET_ACK,
		slice_of(stream.data + from, to - from), ns);
}

static void part(struct scene *scene, struct slice stream, size_t from, size_t to)
{
	part_at(scene, stream, from, to, NOW_NS);
}

static void begin(struct scene *scene, const char *endpoints)
{
	scene_open(scene, endpoints);
	give(scene, false, IP_PACKET_TCP, 53, 40000, FIRST - 1, IP_PACKET_SYN | IP_PACKET_ACK,
		SLICE_NONE, NOW_NS);
	assert_done(scene, "P1 ");
}

static void assert_sent(struct scene *scene, struct slice expected)
{
	assert_int_equal(buf_len(&scene->sent), expected.len);
	assert_memory_equal(buf_slice(&scene->sent).data, expected.data, expected.len);
	buf_clear(&scene->sent);
}

static void a_reply_in_order_waits_for_its_address(void **state)
{
	struct slice reply = REPLY;
	struct scene scene;

	(void)state;
	begin(&scene, "");
	/* The length, as many servers send it; the question. Nothing to be edited is in them. */
	part(&scene, reply, 0, 2);
	part(&scene, reply, 2, 20);
	assert_done(&scene, "P2 P3 ");
	part(&scene, reply, 20, reply.len);
	assert_done(&scene, "A1 ");
	/* Sent again, it waits as well. */
	part(&scene, reply, 20, reply.len);
	assert_done(&scene, "");
	answer(&scene, true);
	assert_done(&scene, "P4 P5 ");
	scene_close(&scene);
}

static void a_reply_out_of_order_waits_for_its_beginning(void **state)
{
	struct slice reply = REPLY;
	struct scene scene;

	(void)state;
	begin(&scene, "");
	part(&scene, reply, 2, reply.len);
	assert_done(&scene, "");
	part(&scene, reply, 0, 2);
	assert_done(&scene, "P2 A1 ");
	answer(&scene, true);
	assert_done(&scene, "P3 ");
	scene_close(&scene);
}

/* Whatever the cut. */
static void records_over_segments_are_edited(void **state)
{
	struct slice armed = ARMED, disarmed = DISARMED;

	(void)state;
	for (size_t cut = RECORDS + 1; cut < armed.len; cut++) {
		bool first = memcmp(armed.data, disarmed.data, cut) != 0;
		bool second = memcmp(armed.data + cut, disarmed.data + cut, armed.len - cut) != 0;
		struct scene scene;
		char done[16];

		begin(&scene, "");
		part(&scene, armed, 0, cut);
		assert_done(&scene, "");
		part(&scene, armed, cut, armed.len);
		/* A part in which nothing had to be changed passes as it was. */
		snprintf(done, sizeof(done), "%c2 %c3 ", first ? 'C' : 'P', second ? 'C' : 'P');
		assert_done(&scene, done);
		if (first && second)
			assert_sent(&scene, disarmed);
		buf_clear(&scene.sent);
		/* Lost behind us, and sent again in one piece: still edited. */
		part(&scene, armed, 0, armed.len);
		assert_done(&scene, "C4 ");
		assert_sent(&scene, DISARMED);
		scene_close(&scene);
	}
}

static void records_over_many_segments_are_edited_in_order(void **state)
{
	struct slice armed = ARMED;
	struct scene scene;

	(void)state;
	begin(&scene, "");
	part(&scene, armed, 0, 50);
	part(&scene, armed, 50, 55);
	part(&scene, armed, 57, armed.len);
	assert_done(&scene, "");
	part(&scene, armed, 55, 57);
	assert_done(&scene, "P2 C3 C4 C5 ");
	scene_close(&scene);
}

/* A server sends no more than a few segments before the first is acknowledged (RFC 6928). */
static void a_record_waits_for_its_own_rest_only(void **state)
{
	static const char head[] = "\0\x58\0\1\x81\x80\0\1\0\2\0\0\0\0" QUESTION "\0\x41\0\1";
	struct slice records = slice_after(ARMED, RECORDS);
	struct buf stream = BUF_EMPTY;
	struct scene scene;
	struct slice whole;

	(void)state;
	buf_append(&stream, head, sizeof(head) - 1);
	buf_append(&stream, records.data, records.len);
	buf_append(&stream, records.data, records.len);
	whole = buf_slice(&stream);
	begin(&scene, "");
	part(&scene, whole, 0, RECORDS + 10);
	assert_done(&scene, "");
	part(&scene, whole, RECORDS + 10, RECORDS + records.len);
	assert_done(&scene, "P2 C3 ");
	part(&scene, whole, RECORDS + records.len, whole.len);
	assert_done(&scene, "C4 ");
	buf_free(&stream);
	scene_close(&scene);
}

static void a_name_that_is_not_listed_waits_for_nothing(void **state)
{
	struct slice other = OTHER;
	struct scene scene;

	(void)state;
	begin(&scene, "");
	part(&scene, other, 0, 50);
	part(&scene, other, 50, 55);
	part(&scene, other, 55, other.len);
	assert_done(&scene, "P2 P3 P4 ");
	scene_close(&scene);
}

static void messages_that_share_segments_are_edited(void **state)
{
	struct slice other = OTHER, armed = ARMED;
	struct buf stream = BUF_EMPTY, expected = BUF_EMPTY;
	struct scene scene;
	struct slice whole;

	(void)state;
	begin(&scene, "");
	buf_append(&stream, armed.data, armed.len);
	buf_append(&stream, other.data, other.len);
	buf_append(&stream, armed.data, armed.len);
	whole = buf_slice(&stream);
	part(&scene, whole, 0, 60);
	assert_done(&scene, "");
	/* Ends one message and begins two others. */
	part(&scene, whole, 60, 2 * armed.len + RECORDS + 1);
	assert_done(&scene, "C2 ");
	part(&scene, whole, 2 * armed.len + RECORDS + 1, whole.len);
	assert_done(&scene, "C3 C4 ");
	armed = DISARMED;
	buf_append(&expected, armed.data, armed.len);
	buf_append(&expected, other.data, other.len);
	buf_append(&expected, armed.data, armed.len);
	assert_sent(&scene, buf_slice(&expected));
	buf_free(&stream);
	buf_free(&expected);
	scene_close(&scene);
}

static void segments_go_at_their_deadline(void **state)
{
	struct slice armed = ARMED;
	struct scene scene;
	uint64_t late = NOW_NS + 50 * NS_PER_MS;

	(void)state;
	begin(&scene, "hold: 50ms");
	part(&scene, armed, 0, 50);
	part_at(&scene, armed, 50, 55, NOW_NS + NS_PER_MS);
	assert_done(&scene, "");
	assert_int_equal(learn_due(scene.learn, NOW_NS + 2 * NS_PER_MS), late);
	assert_int_equal(learn_due(scene.learn, late), UINT64_MAX);
	assert_done(&scene, "P2 P3 ");
	/* Half of it edited would be neither. */
	part_at(&scene, armed, 55, armed.len, late);
	assert_done(&scene, "P4 ");
	/* What comes next is edited again. */
	give(&scene, false, IP_PACKET_TCP, 53, 40000, FIRST + (uint32_t)armed.len, IP_PACKET_ACK,
		armed, late);
	assert_done(&scene, "C5 ");
	assert_sent(&scene, DISARMED);
	scene_close(&scene);
}

static void the_end_of_a_connection_lets_go(void **state)
{
	struct slice armed = ARMED;
	struct scene scene;

	(void)state;
	begin(&scene, "");
	part(&scene, armed, 0, 50);
	give(&scene, false, IP_PACKET_TCP, 53, 40000, FIRST + 50, IP_PACKET_RST, SLICE_NONE,
		NOW_NS);
	assert_done(&scene, "P2 P3 ");
	scene_close(&scene);
	begin(&scene, "");
	part(&scene, armed, 0, 50);
	learn_free(scene.learn);
	scene.learn = NULL;
	assert_done(&scene, "P2 ");
	scene_close(&scene);
}

#define WAITING_MAX 768

/* More replies wait than there is room for. */
static void nothing_waits_without_bounds(void **state)
{
	static const char head[] = "\xff\xff\0\1\x81\x80\0\1\0\1\0\0\0\0" QUESTION
				   "\0\x41\0\1\xc0\x0c\0\x41\0\1\0\0\0\x3c\xff\xf0";
	struct scene scene;
	char bytes[64] = {0};

	(void)state;
	begin(&scene, "");
	memcpy(bytes, head, sizeof(head) - 1);
	part(&scene, slice_of(bytes, sizeof(bytes)), 0, sizeof(bytes));
	for (uint32_t i = 1; i < WAITING_MAX; i++)
		give(&scene, false, IP_PACKET_TCP, 53, 40000, FIRST + i * 63 + 1, IP_PACKET_ACK,
			slice_of(bytes, 63), NOW_NS);
	assert_done(&scene, "");
	give(&scene, false, IP_PACKET_TCP, 53, 40000, FIRST + WAITING_MAX * 63 + 1, IP_PACKET_ACK,
		slice_of(bytes, 63), NOW_NS);
	/* All of them go, and the last one first. */
	assert_true(buf_len(&scene.done) > WAITING_MAX * 3);
	buf_clear(&scene.done);
	assert_int_equal(learn_due(scene.learn, NOW_NS), UINT64_MAX);
	scene_close(&scene);
}

/* --- aliases --- */

/* A reply to api.openai.com HTTPS: an alias (priority 0) to x.example.net, and nothing else. */
#define LED_ON                                                                                     \
	SLICE("\0\1\x81\x80\0\1\0\1\0\0\0\0" QUESTION "\0\x41\0\1\xc0\x0c\0\x41\0\1\0\0\0\x3c"     \
	      "\0\x11\0\0\1x\7example\3net\0")
/* Replies to x.example.net: its address, and its HTTPS record. */
#define TARGET "\1x\7example\3net\0"
/* A reply to www.example.org A: an alias and nothing else. */
#define WATCHED_LED_ON                                                                             \
	SLICE("\0\1\x81\x80\0\1\0\1\0\0\0\0\3www\7example\3org\0\0\1\0\1\xc0\x0c\0\5\0\1"          \
	      "\0\0\0\x3c\0\x0f" TARGET)
#define TARGET_ADDRESS                                                                             \
	SLICE("\0\1\x81\x80\0\1\0\1\0\0\0\0" TARGET "\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4"       \
	      "\xc0\0\2\x0a")
#define TARGET_ARMED                                                                               \
	SLICE("\0\1\x81\x80\0\1\0\1\0\0\0\0" TARGET "\0\x41\0\1\xc0\x0c\0\x41\0\1\0\0\0\x3c"       \
	      "\0\x10\0\1\0\0\1\0\3\2h3\0\5\0\2ab")

static void give_dns_at(struct scene *scene, struct slice message, uint64_t now_ns)
{
	give(scene, false, IP_PACKET_UDP, 53, 40000, 0, 0, message, now_ns);
}

static void an_alias_is_followed_as_long_as_it_lives(void **state)
{
	uint64_t over = NOW_NS + 61 * NS_PER_S;
	struct scene scene;

	(void)state;
	scene_open(&scene, "grace: 1s, ttl_floor: 1s");
	give_dns(&scene, TARGET_ADDRESS);
	give_dns(&scene, TARGET_ARMED);
	assert_done(&scene, "P1 P2 ");
	give_dns(&scene, LED_ON);
	assert_done(&scene, "P3 ");
	give_dns(&scene, TARGET_ADDRESS);
	/* Whoever has x.example.net must not vouch for it. */
	assert_string_equal(scene.asked_name, "api.openai.com");
	assert_done(&scene, "A1 ");
	answer(&scene, true);
	assert_done(&scene, "P4 ");
	give_dns(&scene, TARGET_ARMED);
	assert_done(&scene, "C5 ");
	give_dns_at(&scene, TARGET_ARMED, over - 1);
	assert_done(&scene, "C6 ");
	give_dns_at(&scene, TARGET_ARMED, over);
	assert_done(&scene, "P7 ");
	scene_close(&scene);
}

static void an_alias_of_a_name_that_is_only_watched_is_not_edited(void **state)
{
	struct scene scene;

	(void)state;
	scene_open(&scene, "names: [www.example.org]");
	give_dns(&scene, WATCHED_LED_ON);
	give_dns(&scene, TARGET_ARMED);
	assert_done(&scene, "P1 P2 ");
	give_dns(&scene, TARGET_ADDRESS);
	assert_done(&scene, "A1 ");
	scene_close(&scene);
}

static void an_alias_has_the_strictest_fail_mode_of_those_it_is_of(void **state)
{
	struct scene scene;

	(void)state;
	/* The watched name fails as datapath.fail: closed. */
	scene_open_host(&scene, "names: [www.example.org]", "api.openai.com, fail: open");
	give_dns(&scene, LED_ON);
	give_dns(&scene, TARGET_ADDRESS);
	assert_done(&scene, "P1 A1 ");
	assert_int_equal(scene.asked[0].fail, FAIL_OPEN);
	give_dns(&scene, WATCHED_LED_ON);
	give_dns(&scene, LED_ON);
	give_dns(&scene, TARGET_ADDRESS);
	assert_done(&scene, "P3 P4 A1 ");
	assert_int_equal(scene.asked[0].fail, FAIL_CLOSED);
	scene_close(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reply_in_order_waits_for_its_address),
		cmocka_unit_test(a_reply_out_of_order_waits_for_its_beginning),
		cmocka_unit_test(records_over_segments_are_edited),
		cmocka_unit_test(records_over_many_segments_are_edited_in_order),
		cmocka_unit_test(a_record_waits_for_its_own_rest_only),
		cmocka_unit_test(a_name_that_is_not_listed_waits_for_nothing),
		cmocka_unit_test(messages_that_share_segments_are_edited),
		cmocka_unit_test(segments_go_at_their_deadline),
		cmocka_unit_test(the_end_of_a_connection_lets_go),
		cmocka_unit_test(nothing_waits_without_bounds),
		cmocka_unit_test(an_alias_is_followed_as_long_as_it_lives),
		cmocka_unit_test(an_alias_of_a_name_that_is_only_watched_is_not_edited),
		cmocka_unit_test(an_alias_has_the_strictest_fail_mode_of_those_it_is_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
