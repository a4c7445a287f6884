// SPDX-License-Identifier: GPL-2.0-or-later
/* What is told of sources, pass by pass, and how a recorder that never waits hands it over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/source_exporter.h"
#include "tests/support/recorder_scene.h"

#define SOURCES 2048u
#define BEGIN	(1000 * NS_PER_S)

/* What an event said. */
struct seen {
	uint64_t sequence, packets, active, count, total;
	char kind[24], source[48], reason[24], drops[64];
};

struct scene {
	struct recorder_scene recording;
	struct source_exporter exporter;
	uint64_t now_ns;
	struct seen events[4 * SOURCES];
	size_t n;
};

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	recorder_scene_open(&scene->recording, 1 << 16, false);
	scene->now_ns = BEGIN;
	source_exporter_init(&scene->exporter, scene->recording.recorder,
		&scene->recording.counters, SOURCES, 0);
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	source_exporter_free(&scene->exporter);
	recorder_scene_close(&scene->recording);
	free(scene);
	return 0;
}

/* ---- reading ---- */

static void text_of(char *text, size_t size, const msgpack_object *object)
{
	snprintf(text, size, "%.*s", (int)object->via.str.size, object->via.str.ptr);
}

static void field_read(struct seen *seen, const msgpack_object_kv *pair)
{
	const struct {
		const char *name;
		uint64_t *number;
	} numbers[] = {
		{"event.sequence", &seen->sequence},
		{"source.packets", &seen->packets},
		{"source.connections.active", &seen->active},
		{"drop.count", &seen->count},
		{"drop.total", &seen->total},
	};
	const struct {
		const char *name;
		char *text;
		size_t size;
	} texts[] = {
		{"event.kind", seen->kind, sizeof(seen->kind)},
		{"source.ip", seen->source, sizeof(seen->source)},
		{"drop.reason", seen->reason, sizeof(seen->reason)},
		{"source.drops", seen->drops, sizeof(seen->drops)},
	};
	struct slice key = slice_of(pair->key.via.str.ptr, pair->key.via.str.size);

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (slice_equal(key, slice_of_string(numbers[i].name)))
			*numbers[i].number = pair->val.via.u64;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (slice_equal(key, slice_of_string(texts[i].name)))
			text_of(texts[i].text, texts[i].size, &pair->val);
}

static void record_read(struct scene *scene, struct slice record)
{
	struct seen *seen = &scene->events[scene->n++];
	msgpack_unpacked unpacked;
	size_t offset = 8;

	assert_in_range(scene->n, 1, 4 * SOURCES);
	memset(seen, 0, sizeof(*seen));
	msgpack_unpacked_init(&unpacked);
	assert_int_equal(msgpack_unpack_next(&unpacked, record.data, record.len, &offset),
		MSGPACK_UNPACK_SUCCESS);
	for (uint32_t i = 0; i < unpacked.data.via.map.size; i++)
		field_read(seen, &unpacked.data.via.map.ptr[i]);
	msgpack_unpacked_destroy(&unpacked);
}

/* Takes what is in the ring, as the shipper does; how many events. */
static size_t take(struct scene *scene)
{
	struct ring_cursor cursor = ring_cursor(scene->recording.ring);
	size_t before = scene->n;
	struct slice record;

	while (ring_next(scene->recording.ring, &cursor, &record) > 0)
		record_read(scene, record);
	ring_release(scene->recording.ring, &cursor);
	return scene->n - before;
}

/* ---- exporter ---- */

static struct address numbered(uint32_t number)
{
	struct address address = {.bytes = {[10] = 0xff, [11] = 0xff, [12] = 10}};

	address.bytes[14] = (uint8_t)(number >> 8);
	address.bytes[15] = (uint8_t)number;
	return address;
}

static bool tell(struct scene *scene, uint32_t source, const struct source_totals *totals)
{
	struct address address = numbered(source);

	return source_exporter_export(&scene->exporter, &address, totals);
}

static void begin(struct scene *scene, bool due, bool last)
{
	scene->now_ns += 2 * NS_PER_S;
	if (due)
		source_exporter_due(&scene->exporter, scene->now_ns);
	source_exporter_begin(&scene->exporter, scene->now_ns, last);
}

/* A pass over one source only; how many events. */
static size_t pass(struct scene *scene, bool due, const struct source_totals *totals)
{
	begin(scene, due, false);
	assert_true(tell(scene, 1, totals));
	source_exporter_end(&scene->exporter);
	return take(scene);
}

static struct source_totals packets(uint64_t n)
{
	return (struct source_totals){.counters = {.packets = n, .seen_ns = BEGIN}};
}

static void a_source_is_told_when_due_and_only_if_it_did_something(void **state)
{
	struct scene *scene = *state;
	struct source_totals totals = packets(5);

	assert_int_equal(pass(scene, false, &totals), 0);
	assert_int_equal(pass(scene, true, &totals), 1);
	assert_string_equal(scene->events[0].kind, "source.summary");
	assert_string_equal(scene->events[0].source, "10.0.0.1");
	assert_int_equal(scene->events[0].packets, 5);
	assert_int_equal(pass(scene, true, &totals), 0);
	totals.counters.packets_to++;
	assert_int_equal(pass(scene, false, &totals), 0);
	assert_int_equal(pass(scene, true, &totals), 1);
	/* Its connections may end by their silence. */
	totals.active = 1;
	assert_int_equal(pass(scene, true, &totals), 1);
	totals.active = 0;
	assert_int_equal(pass(scene, true, &totals), 1);
	assert_int_equal(scene->events[3].active, 0);
	assert_int_equal(pass(scene, true, &totals), 0);
	/* Forgotten and counted anew by the kernel. */
	totals = packets(1);
	assert_int_equal(pass(scene, true, &totals), 1);
	assert_int_equal(scene->events[4].packets, 1);
}

static void what_an_earlier_life_told_is_not_told_again(void **state)
{
	struct scene *scene = *state;
	struct source_totals old = packets(5), later = packets(6);

	source_exporter_free(&scene->exporter);
	source_exporter_init(&scene->exporter, scene->recording.recorder, NULL, SOURCES, BEGIN);
	old.counters.seen_ns = BEGIN - NS_PER_S;
	old.counters.drops[DROP_FLAGS] = 3;
	old.active = 2;
	/* Within the tick of the stamp there may have been more. */
	later.counters.seen_ns = BEGIN - NS_PER_MS;
	begin(scene, true, false);
	assert_true(tell(scene, 1, &old));
	assert_true(tell(scene, 2, &later));
	assert_true(source_exporter_end(&scene->exporter));
	assert_int_equal(take(scene), 1);
	assert_string_equal(scene->events[0].source, "10.0.0.2");
	old.counters.packets++;
	assert_int_equal(pass(scene, true, &old), 1);
	assert_string_equal(scene->events[1].drops, "{\"flags\":3}");
}

/* Each source once in a period, however many passes that takes, as the ring has room. */
static void a_period_goes_over_several_passes_when_the_ring_is_small(void **state)
{
	struct scene *scene = *state;
	unsigned told[SOURCES] = {0}, passes = 0;
	struct source_totals totals;
	bool whole = false;

	for (; !whole; passes++) {
		begin(scene, passes == 0, false);
		for (uint32_t i = 0; i < SOURCES; i++) {
			/* All of them go on meanwhile. */
			totals = packets(100 + passes);
			if (tell(scene, i, &totals))
				continue;
			source_exporter_put_off(&scene->exporter);
			assert_true(tell(scene, i, &totals));
		}
		whole = source_exporter_end(&scene->exporter);
		take(scene);
	}
	assert_true(passes > 2);
	assert_int_equal(scene->n, SOURCES);
	for (size_t i = 0; i < scene->n; i++) {
		unsigned a, b;

		assert_int_equal(scene->events[i].sequence, i + 1);
		assert_int_equal(sscanf(scene->events[i].source, "10.0.%u.%u", &a, &b), 2);
		told[256 * a + b]++;
	}
	for (uint32_t i = 0; i < SOURCES; i++)
		assert_int_equal(told[i], 1);
	assert_int_equal(scene->recording.counted[COUNTER_ACCOUNTING_SUMMARIES], SOURCES);
	assert_int_equal(scene->recording.counted[COUNTER_ACCOUNTING_SUMMARIES_LATE], passes - 1);
	assert_int_equal(scene->recording.counted[COUNTER_AUDIT_DROPPED], 0);
}

static void drops_are_told_by_reason_once_in_ten_seconds(void **state)
{
	struct scene *scene = *state;
	struct source_totals totals = packets(5);

	totals.counters.drops[DROP_FLAGS] = 2;
	totals.counters.drops[DROP_MARTIAN] = 1;
	assert_int_equal(pass(scene, false, &totals), 2);
	assert_string_equal(scene->events[0].kind, "source.drop");
	assert_string_equal(scene->events[0].reason, "martian");
	assert_string_equal(scene->events[1].reason, "flags");
	assert_int_equal(scene->events[1].count, 2);
	assert_int_equal(scene->events[1].total, 2);
	/* 2, 4, 6 and 8 seconds later; another reason has a rate of its own. */
	for (int i = 0; i < 4; i++) {
		totals.counters.drops[DROP_FLAGS] += 10;
		assert_int_equal(pass(scene, false, &totals), 0);
	}
	assert_int_equal(scene->recording.counted[COUNTER_ACCOUNTING_DROPS_PUT_OFF], 4);
	totals.counters.drops[DROP_DENIED] = 1;
	assert_int_equal(pass(scene, false, &totals), 2);
	assert_string_equal(scene->events[2].reason, "flags");
	assert_int_equal(scene->events[2].count, 40);
	assert_int_equal(scene->events[2].total, 42);
	assert_string_equal(scene->events[3].reason, "denied");
	assert_int_equal(pass(scene, false, &totals), 0);
}

static void the_last_pass_tells_whatever_is_left(void **state)
{
	struct scene *scene = *state;
	struct source_totals totals = packets(5);

	totals.counters.drops[DROP_FLAGS] = 1;
	assert_int_equal(pass(scene, true, &totals), 2);
	totals.counters.drops[DROP_FLAGS] = 4;
	begin(scene, false, true);
	assert_true(tell(scene, 1, &totals));
	assert_true(source_exporter_end(&scene->exporter));
	assert_int_equal(take(scene), 2);
	assert_int_equal(scene->events[2].count, 3);
	assert_string_equal(scene->events[3].drops, "{\"flags\":4}");
}

/* More sources with drops than one pass may tell: the next ones go on where it ended. */
static void everybody_has_his_turn(void **state)
{
	struct scene *scene = *state;
	const uint32_t sources = 4 * SOURCE_DROPS_MAX + 1;
	bool told[1024] = {false};
	struct source_totals totals = packets(5);
	size_t before;

	for (uint64_t passes = 1; passes <= 5; passes++) {
		totals.counters.drops[DROP_FLAGS] = passes;
		begin(scene, false, false);
		for (uint32_t i = 0; i < sources; i++)
			assert_true(tell(scene, i, &totals));
		source_exporter_end(&scene->exporter);
		before = scene->n;
		assert_int_equal(take(scene), passes == 5 ? 1 : SOURCE_DROPS_MAX);
		for (size_t i = before; i < scene->n; i++) {
			unsigned a, b;

			assert_int_equal(sscanf(scene->events[i].source, "10.0.%u.%u", &a, &b), 2);
			assert_false(told[256 * a + b]);
			told[256 * a + b] = true;
			assert_int_equal(scene->events[i].count, passes);
		}
	}
}

/* As many as may be remembered, and others in their place afterwards. */
static void who_is_gone_makes_room(void **state)
{
	struct scene *scene = *state;
	struct source_totals totals = packets(5);

	for (uint32_t first = 0; first <= 2 * SOURCES; first += SOURCES / 2) {
		begin(scene, false, false);
		for (uint32_t i = 0; i < SOURCES / 2; i++)
			assert_true(tell(scene, first + i, &totals));
		source_exporter_end(&scene->exporter);
	}
	assert_int_equal(scene->recording.counted[COUNTER_ACCOUNTING_SOURCES_FULL], 0);
	/* Those of the pass before might come yet: not so after one without them. */
	begin(scene, false, false);
	source_exporter_end(&scene->exporter);
	begin(scene, false, false);
	for (uint32_t i = 0; i < SOURCES + 5; i++)
		assert_true(tell(scene, 8 * SOURCES + i, &totals));
	assert_int_equal(scene->recording.counted[COUNTER_ACCOUNTING_SOURCES_FULL], 5);
}

/* Without a waiter: what finds the ring full is gone, counted, and a gap. */
static void a_full_ring_drops_and_leaves_a_gap(void **state)
{
	struct scene *scene = *state;
	uint64_t recorded = 0, dropped;

	while (scene->recording.counted[COUNTER_AUDIT_DROPPED] < 3) {
		struct event event = {.kind = SLICE("datapath.state")};

		assert_int_equal(recorder_record(scene->recording.recorder, &event, NULL), 0);
		recorded++;
	}
	dropped = scene->recording.counted[COUNTER_AUDIT_DROPPED];
	assert_true(recorder_is_half_full(scene->recording.recorder));
	assert_int_equal(take(scene), recorded - dropped);
	assert_false(recorder_is_half_full(scene->recording.recorder));
	assert_int_equal(scene->events[scene->n - 1].sequence, scene->n);
	for (int i = 0; i < 2; i++) {
		struct event event = {.kind = SLICE("datapath.state")};

		recorder_record(scene->recording.recorder, &event, NULL);
	}
	assert_int_equal(take(scene), 2);
	assert_int_equal(scene->events[scene->n - 1].sequence, recorded + 2);
	assert_int_equal(scene->events[scene->n - 2].sequence, recorded + 1);
}

int main(void)
{
#define SCENE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		SCENE_TEST(a_source_is_told_when_due_and_only_if_it_did_something),
		SCENE_TEST(what_an_earlier_life_told_is_not_told_again),
		SCENE_TEST(a_period_goes_over_several_passes_when_the_ring_is_small),
		SCENE_TEST(drops_are_told_by_reason_once_in_ten_seconds),
		SCENE_TEST(the_last_pass_tells_whatever_is_left),
		SCENE_TEST(everybody_has_his_turn),
		SCENE_TEST(who_is_gone_makes_room),
		SCENE_TEST(a_full_ring_drops_and_leaves_a_gap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
