// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "scout/segments.h"
#include "tests/support/learn_scene.h"

static struct buf corpus(const char *path)
{
	struct buf bytes = BUF_EMPTY;
	struct why why = {""};

	if (file_read(path, 1 << 16, &bytes, &why))
		fail_msg("%s", why.text);
	return bytes;
}

#define REPLY                                                                                      \
	SLICE("\0\1\x81\x80\0\1\0\1\0\0\0\0\3api\6openai\3com\0\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\x3c" \
	      "\0\4\xc0\0\2\x09")

/* A ClientHello of TLS 1.2 with a server name of 14 bytes. */
#define HELLO(name)                                                                                \
	SLICE("\x16\3\1\0\x42\1\0\0\x3e\3\3"                                                       \
	      "0123456789abcdef0123456789abcdef\0\0\2\x13\1\1\0\0"                                 \
	      "\x13\0\0\0\x0f\0\x0d\0\0\x0a" name)

static void a_reply_waits_until_its_address_is_an_endpoint(void **state)
{
	struct scene scene;

	(void)state;
	scene_open(&scene, "");
	give_dns(&scene, REPLY);
	assert_done(&scene, "A1 ");
	assert_int_equal(scene.asked[0].source, ENDPOINT_DNS);
	answer(&scene, true);
	assert_done(&scene, "P1 ");
	/* Known by now: its life is made longer, and nothing waits. */
	give_dns(&scene, REPLY);
	assert_done(&scene, "A1 P2 ");
	scene_close(&scene);
}

static void a_reply_goes_at_its_deadline(void **state)
{
	struct scene scene;

	(void)state;
	scene_open(&scene, "hold: 50ms");
	give_dns(&scene, REPLY);
	assert_done(&scene, "A1 ");
	assert_int_equal(learn_due(scene.learn, NOW_NS), NOW_NS + 50 * NS_PER_MS);
	assert_done(&scene, "");
	assert_int_equal(learn_due(scene.learn, NOW_NS + 50 * NS_PER_MS), UINT64_MAX);
	assert_done(&scene, "P1 ");
	answer(&scene, true); /* too late: nobody waits */
	assert_done(&scene, "");
	scene_close(&scene);
}

static void a_refused_endpoint_holds_nobody(void **state)
{
	struct scene scene;

	(void)state;
	scene_open(&scene, "");
	give_dns(&scene, REPLY);
	answer(&scene, false);
	assert_done(&scene, "A1 P1 ");
	scene_close(&scene);
}

static void nothing_is_kept_at_the_end(void **state)
{
	struct scene scene;

	(void)state;
	scene_open(&scene, "");
	give_dns(&scene, REPLY);
	learn_free(scene.learn);
	scene.learn = NULL;
	assert_done(&scene, "A1 P1 ");
	scene_close(&scene);
}

/* By DNS and by SNI; and a name that is only watched, by datapath.fail. */
static void an_address_has_the_fail_mode_of_the_host_it_was_learned_for(void **state)
{
	static const struct {
		const char *endpoints, *host;
		enum fail dns;
	} cases[] = {
		{"", "api.openai.com", FAIL_CLOSED},
		{"", "api.openai.com, fail: open", FAIL_OPEN},
		{"names: [api.openai.com]", "a.example.com, fail: open", FAIL_CLOSED},
	};
	struct scene scene;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		scene_open_host(&scene, cases[i].endpoints, cases[i].host);
		give_dns(&scene, REPLY);
		assert_done(&scene, "A1 ");
		assert_int_equal(scene.asked[0].fail, cases[i].dns);
		scene_close(&scene);
	}
	for (int open = 0; open < 2; open++) {
		scene_open_host(&scene, "", open ? "api.openai, fail: open" : "api.openai");
		give_tcp(&scene, 99, IP_PACKET_SYN, SLICE_NONE);
		give_tcp(&scene, 100, IP_PACKET_ACK, HELLO("api.openai"));
		assert_done(&scene, "P1 A1 ");
		assert_int_equal(scene.asked[0].fail, open ? FAIL_OPEN : FAIL_CLOSED);
		scene_close(&scene);
	}
}

static void other_replies_pass(void **state)
{
	struct scene scene;

	(void)state;
	scene_open(&scene, "");
	give_dns(&scene, SLICE("\0\1\x81\x80\0\1\0\0\0\0\0\0\3www\7example\3org\0\0\1\0\1"));
	give_dns(&scene, SLICE("rubbish"));
	assert_done(&scene, "P1 P2 ");
	scene_close(&scene);
}

static void a_listed_name_is_learned_and_its_connection_reset(void **state)
{
	struct slice hello = HELLO("api.openai");
	struct scene scene;

	(void)state;
	scene_open_host(&scene, "", "api.openai");
	give_tcp(&scene, 99, IP_PACKET_SYN, SLICE_NONE);
	give_tcp(&scene, 110, IP_PACKET_ACK, slice_after(hello, 10));
	/* Behind a gap: it has to come again. */
	assert_done(&scene, "P1 D2 ");
	give_tcp(&scene, 100, IP_PACKET_ACK, slice_first(hello, 10));
	assert_done(&scene, "A1 ");
	assert_int_equal(scene.asked[0].source, ENDPOINT_SNI);
	answer(&scene, true);
	assert_done(&scene, "E E D3 ");
	/* Known for long, and still not steered: refused, for its host fails closed. */
	give(&scene, true, IP_PACKET_TCP, 40001, 443, 99, IP_PACKET_SYN, SLICE_NONE,
		NOW_NS + 5 * NS_PER_S);
	give(&scene, true, IP_PACKET_TCP, 40001, 443, 100, IP_PACKET_ACK, hello,
		NOW_NS + 5 * NS_PER_S);
	assert_done(&scene, "P4 A1 ");
	answer(&scene, true);
	assert_done(&scene, "E E D5 ");
	/* Datagrams to what is an endpoint are refused. */
	give(&scene, true, IP_PACKET_UDP, 40002, 443, 0, 0, SLICE("x"), NOW_NS);
	assert_done(&scene, "E D6 ");
	scene_close(&scene);
}

/* Its address cannot be learned: because the parent is late, or says so, which is never a reason to
 * let it pass. */
static void a_listed_name_fails_as_its_host_says(void **state)
{
	static const struct {
		const char *host, *late, *refused;
	} hosts[] = {
		{"api.openai", "E E D1 ", "E E D2 "},
		{"api.openai, fail: open", "P1 ", "E E D2 "},
	};
	struct slice hello = HELLO("api.openai");

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		struct scene scene;

		scene_open_host(&scene, "hold: 50ms", hosts[i].host);
		give_tcp(&scene, 100, IP_PACKET_ACK, hello);
		assert_done(&scene, "A1 ");
		assert_int_equal(learn_due(scene.learn, NOW_NS + 50 * NS_PER_MS), UINT64_MAX);
		assert_done(&scene, hosts[i].late);
		give(&scene, true, IP_PACKET_TCP, 40001, 443, 100, IP_PACKET_ACK, hello, NOW_NS);
		assert_done(&scene, "A1 ");
		answer(&scene, false);
		assert_done(&scene, hosts[i].refused);
		scene_close(&scene);
	}
}

/* One that fails open, and whose address the kernel does not steer, would be cut for good. */
static void what_fails_open_passes_where_it_cannot_be_steered(void **state)
{
	struct scene scene;

	(void)state;
	scene_open_host(&scene, "", "api.openai, fail: open");
	give_tcp(&scene, 100, IP_PACKET_ACK, HELLO("api.openai"));
	answer(&scene, true);
	assert_done(&scene, "A1 E E D1 ");
	give(&scene, true, IP_PACKET_TCP, 40001, 443, 100, IP_PACKET_ACK, HELLO("api.openai"),
		NOW_NS + 5 * NS_PER_S);
	assert_done(&scene, "P2 ");
	scene_close(&scene);
}

/* --- a ClientHello in pieces --- */

static const char *const modes[] = {"api.openai", "api.openai, fail: open"};

/* Whatever their length, in whatever order: it is seen before its last byte has passed. */
static void pieces_of_any_length_are_put_together(void **state)
{
	struct slice hello = HELLO("api.openai");
	struct scene scene;

	(void)state;
	for (size_t step = 1; step <= hello.len; step++)
		for (int odd_last = 0; odd_last < 2; odd_last++) {
			size_t n = (hello.len + step - 1) / step;

			/* Every second piece comes late: as many gaps as are kept. */
			if (odd_last && n / 2 > SEGMENTS_PIECES_MAX)
				continue;
			scene_open_host(&scene, "", "api.openai");
			give_tcp(&scene, 99, IP_PACKET_SYN, SLICE_NONE);
			for (size_t i = 0; i < n; i++) {
				size_t order = !odd_last	 ? i
					       : i < (n + 1) / 2 ? 2 * i
								 : 2 * (i - (n + 1) / 2) + 1;

				give_tcp(&scene, (uint32_t)(100 + order * step), IP_PACKET_ACK,
					slice_first(slice_after(hello, order * step), step));
			}
			if (scene.nasked != 1)
				fail_msg("pieces of %zu bytes, %s", step,
					odd_last ? "every second one late" : "in order");
			buf_clear(&scene.done);
			scene_close(&scene);
		}
}

static void records_of_one_byte_are_put_together(void **state)
{
	struct slice hello = HELLO("api.openai");
	struct buf records = BUF_EMPTY;
	struct scene scene;

	(void)state;
	for (size_t i = 5; i < hello.len; i++) {
		buf_append(&records, "\x16\3\1\0\1", 5);
		buf_append(&records, hello.data + i, 1);
	}
	scene_open_host(&scene, "", "api.openai");
	for (size_t i = 0; i < buf_slice(&records).len; i += 7)
		give_tcp(&scene, (uint32_t)(100 + i), IP_PACKET_ACK,
			slice_first(slice_after(buf_slice(&records), i), 7));
	assert_int_equal(scene.nasked, 1);
	buf_free(&records);
	scene_close(&scene);
}

static void what_comes_while_a_hello_waits_comes_later(void **state)
{
	struct slice hello = HELLO("api.openai");
	struct scene scene;

	(void)state;
	scene_open_host(&scene, "", "api.openai");
	give_tcp(&scene, 100, IP_PACKET_ACK, hello);
	give_tcp(&scene, 100, IP_PACKET_ACK, hello);
	give_tcp(&scene, 171, IP_PACKET_ACK, SLICE("more"));
	assert_done(&scene, "A1 D2 D3 ");
	answer(&scene, true);
	assert_done(&scene, "E E D1 ");
	scene_close(&scene);
}

/* Fast Open: the server may take the data with the SYN, or what is sent again after it. */
static void data_with_the_syn_is_the_beginning(void **state)
{
	struct slice hello = HELLO("api.openai");
	struct scene scene;

	(void)state;
	scene_open_host(&scene, "", "api.openai");
	give_tcp(&scene, 99, IP_PACKET_SYN, slice_first(hello, 40));
	give_tcp(&scene, 140, IP_PACKET_ACK, slice_after(hello, 40));
	assert_done(&scene, "P1 A1 ");
	scene_close(&scene);
}

/* What cannot be decided: {sequence, payload} one after the other; all but the last pass. */
static const struct {
	const char *name;
	struct {
		uint32_t sequence;
		uint8_t flags;
		struct slice payload;
	} packets[3];
	const char *before;
	bool begun; /* its SYN had the number 99, says the datapath */
} undecided[] = {
	{"other data with the SYN than after it",
		{{99, IP_PACKET_SYN, {"HELO", 4}}, {100, IP_PACKET_ACK, {"\x16\3\1\0", 4}}},
		"J4 P1 ", false},
	{"a part written over",
		{{99, IP_PACKET_SYN, {"", 0}}, {100, IP_PACKET_ACK, {"\x16\3\1\0\x42\1", 6}},
			{104, IP_PACKET_ACK, {"\x43\1\0", 3}}},
		"P1 P2 ", false},
	{"before its beginning",
		{{99, IP_PACKET_SYN, {"", 0}}, {90, IP_PACKET_ACK, {"0123456789\x16\3\1", 13}}},
		"P1 ", false},
	{"a beginning that was forgotten", {{104, IP_PACKET_ACK, {"\x42\1\0\0", 4}}}, "", true},
	{"not well-formed",
		{{99, IP_PACKET_SYN, {"", 0}}, {100, IP_PACKET_ACK, {"\x16\3\1\0\0", 5}}}, "P1 ",
		false},
	{"beyond what is looked at",
		{{99, IP_PACKET_SYN, {"", 0}}, {100 + 40000, IP_PACKET_ACK, {"x", 1}}}, "P1 ",
		false},
};

static void what_cannot_be_decided_is_refused_or_taught(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(undecided) / sizeof(undecided[0]); i++)
		for (int open = 0; open < 2; open++) {
			struct scene scene;
			unsigned n = 0;
			char wanted[64];
			const char *done;

			scene_open_host(&scene, "", modes[open]);
			if (open)
				((struct config *)scene.config)->datapath.fail = CONFIG_FAIL_OPEN;
			scene.begun = undecided[i].begun;
			scene.isn = 99;
			while (n < 3 && undecided[i].packets[n].sequence) {
				give_tcp(&scene, undecided[i].packets[n].sequence,
					undecided[i].packets[n].flags,
					undecided[i].packets[n].payload);
				n++;
			}
			give_tcp(&scene, 120, IP_PACKET_ACK, SLICE("more"));
			buf_append(&scene.done, "", 1);
			done = buf_slice(&scene.done).data;
			snprintf(wanted, sizeof(wanted), "%sE E D%u D%u ", undecided[i].before, n,
				n + 1);
			if (!open && strcmp(done, wanted) != 0)
				fail_msg("%s: %s", undecided[i].name, done);
			if (open && (!strstr(done, "A1 J") || strchr(done, 'D')))
				fail_msg("%s, open: %s", undecided[i].name, done);
			if (open)
				assert_int_equal(scene.asked[0].fail, FAIL_OPEN);
			scene_close(&scene);
		}
}

/* The datapath is told how much was judged, and of which connection; what is sent again is looked
 * at again, a keepalive is none of it. */
static void a_judged_connection_is_told(void **state)
{
	struct slice hello = HELLO("example.ai");
	struct scene scene;

	(void)state;
	scene_open_host(&scene, "", "api.openai");
	give_tcp(&scene, 99, IP_PACKET_SYN, SLICE_NONE);
	give_tcp(&scene, 100, IP_PACKET_ACK, hello);
	assert_done(&scene, "P1 P2 J71 ");
	assert_int_equal(scene.judged_isn, 99);
	give_tcp(&scene, 110, IP_PACKET_ACK, slice_after(hello, 10));
	give_tcp(&scene, 99, IP_PACKET_ACK, SLICE("x"));
	assert_done(&scene, "J71 P3 P4 ");
	give_tcp(&scene, 100, IP_PACKET_ACK, HELLO("api.openai"));
	assert_done(&scene, "E E D5 ");
	scene_close(&scene);
}

/* --- what a client says alone --- */

static void a_reply_that_our_resolver_does_not_confirm_teaches_nothing(void **state)
{
	struct scene scene;

	(void)state;
	scene_open(&scene, "");
	scene.resolver_waits = true;
	give_dns(&scene, REPLY);
	assert_string_equal(scene.asked_name, "api.openai.com");
	assert_done(&scene, "");
	confirm(&scene, false);
	assert_done(&scene, "P1 ");
	/* Late is no reason either, but then it is learned. */
	give_dns(&scene, REPLY);
	assert_int_equal(learn_due(scene.learn, NOW_NS + NS_PER_S), UINT64_MAX);
	assert_done(&scene, "P2 ");
	confirm(&scene, true);
	assert_done(&scene, "A1 ");
	scene_close(&scene);
}

/* Their number is bounded; what is not asked is as if it were not confirmed. */
static void our_resolver_is_not_asked_without_bounds(void **state)
{
	struct scene scene;
	size_t waiting = 0;

	(void)state;
	scene_open(&scene, "");
	scene.resolver_waits = true;
	for (unsigned i = 0; i < 1000; i++)
		give_dns(&scene, REPLY);
	for (const char *at = buf_slice(&scene.done).data, *end = at + buf_len(&scene.done);
		at < end; at++)
		waiting += *at == 'P';
	/* Of one source so many that are not answered … */
	assert_int_equal(waiting, 1000 - 16);
	for (unsigned i = 0; i < 16; i++)
		learn_confirmed(scene.learn, i, NULL, 0, NOW_NS);
	buf_clear(&scene.done);
	/* … and 20 in a second. */
	scene.resolver_waits = false;
	for (unsigned i = 0; i < 100; i++)
		give_dns(&scene, REPLY);
	waiting = 0;
	for (const char *at = buf_slice(&scene.done).data, *end = at + buf_len(&scene.done);
		at < end; at++)
		waiting += *at == 'A';
	assert_int_equal(waiting, 20 - 16);
	scene_close(&scene);
}

/* Its beginning does not get past by waiting until nobody knows of it any more, nor by pushing it
 * out: first all of the ClientHello but its first byte, which then comes as if sent again. */
static void who_waits_or_pushes_does_not_get_past(void **state)
{
	struct slice hello = HELLO("api.openai");

	(void)state;
	for (int bytes = 0; bytes < 2; bytes++) {
		struct scene scene;
		char *end;

		scene_open_host(&scene, "", "api.openai");
		give_tcp(&scene, 99, IP_PACKET_SYN, SLICE_NONE);
		if (bytes)
			give_tcp(&scene, 100, IP_PACKET_ACK, slice_first(hello, 1));
		assert_done(&scene, bytes ? "P1 P2 " : "P1 ");
		/* The datapath has forgotten it: it saw a reset that nobody else believed. */
		give(&scene, true, IP_PACKET_TCP, 40000, 443, 101, IP_PACKET_ACK,
			slice_after(hello, 1), NOW_NS + 1000 * NS_PER_S);
		assert_done(&scene, bytes ? "A1 " : "D2 ");
		if (!bytes) {
			give(&scene, true, IP_PACKET_TCP, 40000, 443, 100, IP_PACKET_ACK,
				slice_first(hello, 1), NOW_NS + 1000 * NS_PER_S);
			assert_done(&scene, "A1 ");
		}
		scene_close(&scene);

		scene_open_host(&scene, "", "api.openai");
		give_tcp(&scene, 99, IP_PACKET_SYN, SLICE_NONE);
		if (bytes)
			give_tcp(&scene, 100, IP_PACKET_ACK, slice_first(hello, 1));
		for (unsigned i = 0; i < 9000; i++)
			give(&scene, true, IP_PACKET_TCP, 41000 + i, 443, 99, IP_PACKET_SYN,
				SLICE_NONE, NOW_NS);
		/* It is told to its server that it is over, as of the others that had no room. */
		buf_append(&scene.done, "", 1);
		end = strchr(scene.done.memory + scene.done.start, 'E');
		assert_non_null(end);
		scene_close(&scene);
	}
}

/* SYNs that the server never sees, or does not believe, make nobody lose sight of the stream. */
static void a_syn_in_the_middle_changes_nothing(void **state)
{
	struct slice hello = HELLO("api.openai");
	struct scene scene;

	(void)state;
	for (uint32_t isn = 60; isn < 140; isn += 7) {
		scene_open_host(&scene, "", "api.openai");
		give_tcp(&scene, 99, IP_PACKET_SYN, SLICE_NONE);
		give_tcp(&scene, 100, IP_PACKET_ACK, slice_first(hello, 5));
		give_tcp(&scene, isn, IP_PACKET_SYN, SLICE_NONE);
		assert_done(&scene, "P1 P2 E D3 ");
		give_tcp(&scene, 105, IP_PACKET_ACK, slice_after(hello, 5));
		assert_done(&scene, "A1 ");
		scene_close(&scene);
		/* Before its first byte: what does not fit does not pass. */
		scene_open_host(&scene, "", "api.openai");
		give_tcp(&scene, 99, IP_PACKET_SYN, SLICE_NONE);
		give_tcp(&scene, isn, IP_PACKET_SYN, SLICE_NONE);
		assert_done(&scene, "P1 P2 ");
		give_tcp(&scene, 100, IP_PACKET_ACK, hello);
		assert_done(&scene, isn < 99 ? "D3 " : "E E D3 ");
		scene_close(&scene);
	}
}

/* Where hosts fail open, a source that cannot make itself understood teaches as many addresses as
 * it may, and nobody else's; what it cannot teach does not pass. */
static void what_cannot_be_decided_counts_by_its_source(void **state)
{
	struct scene scene;

	(void)state;
	scene_open_host(&scene, "claims_per_source: 2", "api.openai, fail: open");
	((struct config *)scene.config)->datapath.fail = CONFIG_FAIL_OPEN;
	for (unsigned i = 0; i < 3; i++) {
		scene.farther = (uint8_t)i;
		give(&scene, true, IP_PACKET_TCP, 40000 + i, 443, 99, IP_PACKET_SYN, SLICE_NONE,
			NOW_NS);
		give(&scene, true, IP_PACKET_TCP, 40000 + i, 443, 98, IP_PACKET_ACK,
			SLICE("before"), NOW_NS);
	}
	assert_done(&scene, "P1 A1 J0 P2 P3 A1 J0 P4 P5 E E D6 ");
	scene_close(&scene);
}

static void connect_to(struct scene *scene, unsigned i, unsigned farther)
{
	scene->farther = (uint8_t)farther;
	give(scene, true, IP_PACKET_TCP, 40000 + i, 443, 100, IP_PACKET_ACK,
		HELLO("api.openai"), NOW_NS);
}

/* In both modes: what cannot be learned is refused. */
static void a_source_claims_some_addresses_only(void **state)
{
	static const char *const hosts[] = {"api.openai", "api.openai, fail: open"};

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		struct scene scene;

		scene_open_host(&scene, "claims_per_source: 2", hosts[i]);
		scene.resolver_waits = true;
		for (unsigned j = 0; j < 2; j++) {
			connect_to(&scene, j, j);
			answer(&scene, true);
			confirm(&scene, false);
		}
		assert_done(&scene, "A1 E E D1 A1 E E D2 ");
		connect_to(&scene, 2, 2);
		assert_done(&scene, "E E D3 ");
		/* Confirmed after all: it is learned, and takes nobody's place. */
		learn_confirmed(scene.learn, scene.question,
			&(struct address){{[10] = 0xff, 0xff, 198, 51, 100, 9}}, 1, NOW_NS);
		assert_done(&scene, "A1 ");
		assert_int_equal(scene.asked[0].source, ENDPOINT_DNS);
		scene_close(&scene);
	}
}

static void a_forgotten_address_is_learned_again(void **state)
{
	struct scene scene;

	(void)state;
	scene_open_host(&scene, "claims_per_source: 1", "api.openai");
	connect_to(&scene, 0, 0);
	answer(&scene, true);
	assert_done(&scene, "A1 E E D1 ");
	scene.asked[0].state = ENDPOINT_FORGOTTEN;
	scene.asked[0].ticket = 0;
	learn_told(scene.learn, scene.asked, 1, NOW_NS);
	/* Its claim went with it. */
	connect_to(&scene, 1, 1);
	answer(&scene, true);
	assert_done(&scene, "A1 E E D2 ");
	scene_close(&scene);
}

/* Nobody looks at the connection that follows: what cannot be steered must not be told. */
static void without_a_look_at_connections_a_reply_is_dropped_when_it_claims_too_much(void **state)
{
	struct scene scene;

	(void)state;
	scene_open(&scene, "learn: dns, claims_per_source: 1");
	scene.resolver_waits = true;
	give_dns(&scene, REPLY);
	answer(&scene, true);
	assert_done(&scene, "A1 P1 ");
	give_dns(&scene, SLICE("\0\1\x81\x80\0\1\0\1\0\0\0\0\3api\6openai\3com\0\0\1\0\1"
			       "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\x0a"));
	assert_done(&scene, "");
	confirm(&scene, false);
	assert_done(&scene, "D2 ");
	/* Confirmed it may, and unanswered it may not. */
	give_dns(&scene, SLICE("\0\1\x81\x80\0\1\0\1\0\0\0\0\3api\6openai\3com\0\0\1\0\1"
			       "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\x0a"));
	confirm(&scene, true);
	answer(&scene, true);
	assert_done(&scene, "A1 P3 ");
	give_dns(&scene, SLICE("\0\1\x81\x80\0\1\0\1\0\0\0\0\3api\6openai\3com\0\0\1\0\1"
			       "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\x0b"));
	assert_int_equal(learn_due(scene.learn, NOW_NS + 10 * NS_PER_S), UINT64_MAX);
	assert_done(&scene, "D4 ");
	scene_close(&scene);
}

static const struct policy {
	const char *endpoints, *done;
} policies[] = {
	{"no_sni: pass", "P1 J50 J50 P2 "},
	{"no_sni: reset", "E E D1 D2 "},
	{"no_sni: deny", "E D1 D2 "},
};

static void a_hidden_name_is_treated_by_policy(void **state)
{
	static const struct slice hello = {"\x16\3\1\0\x2d\1\0\0\x29\3\3"
					   "0123456789abcdef0123456789abcdef\0\0\2\x13\1\1\0",
		50};

	(void)state;
	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
		struct scene scene;

		scene_open(&scene, policies[i].endpoints);
		give_tcp(&scene, 100, IP_PACKET_ACK, hello);
		give_tcp(&scene, 100, IP_PACKET_ACK, hello); /* sent again */
		assert_done(&scene, policies[i].done);
		scene_close(&scene);
	}
}

static void dns_over_tls_is_treated_by_policy(void **state)
{
	struct scene scene;

	(void)state;
	scene_open(&scene, "encrypted_dns: reset");
	give(&scene, true, IP_PACKET_TCP, 40000, 853, 99, IP_PACKET_SYN, SLICE_NONE, NOW_NS);
	give(&scene, true, IP_PACKET_UDP, 40000, 853, 0, 0, SLICE("x"), NOW_NS);
	assert_done(&scene, "E D1 E D2 ");
	scene_close(&scene);
}

static void quic_is_looked_into(void **state)
{
	struct buf datagram = corpus("tests/fuzz/corpus/quic/rfc9001-a2");
	struct scene scene;

	(void)state;
	scene_open(&scene, "");
	give(&scene, true, IP_PACKET_UDP, 40000, 443, 0, 0, buf_slice(&datagram), NOW_NS);
	assert_done(&scene, "P1 "); /* example.com is not listed */
	scene_close(&scene);
	scene_open(&scene, "steer: all");
	give(&scene, true, IP_PACKET_UDP, 40000, 443, 0, 0, buf_slice(&datagram), NOW_NS);
	assert_done(&scene, "E D1 ");
	scene_close(&scene);
	buf_free(&datagram);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reply_waits_until_its_address_is_an_endpoint),
		cmocka_unit_test(a_reply_goes_at_its_deadline),
		cmocka_unit_test(a_refused_endpoint_holds_nobody),
		cmocka_unit_test(nothing_is_kept_at_the_end),
		cmocka_unit_test(other_replies_pass),
		cmocka_unit_test(an_address_has_the_fail_mode_of_the_host_it_was_learned_for),
		cmocka_unit_test(a_listed_name_is_learned_and_its_connection_reset),
		cmocka_unit_test(a_listed_name_fails_as_its_host_says),
		cmocka_unit_test(what_fails_open_passes_where_it_cannot_be_steered),
		cmocka_unit_test(a_reply_that_our_resolver_does_not_confirm_teaches_nothing),
		cmocka_unit_test(our_resolver_is_not_asked_without_bounds),
		cmocka_unit_test(who_waits_or_pushes_does_not_get_past),
		cmocka_unit_test(a_syn_in_the_middle_changes_nothing),
		cmocka_unit_test(what_cannot_be_decided_counts_by_its_source),
		cmocka_unit_test(a_source_claims_some_addresses_only),
		cmocka_unit_test(a_forgotten_address_is_learned_again),
		cmocka_unit_test(
			without_a_look_at_connections_a_reply_is_dropped_when_it_claims_too_much),
		cmocka_unit_test(pieces_of_any_length_are_put_together),
		cmocka_unit_test(records_of_one_byte_are_put_together),
		cmocka_unit_test(what_comes_while_a_hello_waits_comes_later),
		cmocka_unit_test(data_with_the_syn_is_the_beginning),
		cmocka_unit_test(what_cannot_be_decided_is_refused_or_taught),
		cmocka_unit_test(a_judged_connection_is_told),
		cmocka_unit_test(a_hidden_name_is_treated_by_policy),
		cmocka_unit_test(dns_over_tls_is_treated_by_policy),
		cmocka_unit_test(quic_is_looked_into),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
