// SPDX-License-Identifier: GPL-2.0-or-later
/* Accounting over maps that the tests fill by hand: what it publishes, records and costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "audit/source_table.h"
#include "base/clock.h"
#include "base/ring.h"
#include "kernel/programs.h"
#include "supervise/accounting.h"
#include "supervise/event_ring.h"

#define MAX_SOURCES 4096
#define PATIENCE    120. /* s: only a hang takes as long */

struct scene {
	struct ev_loop *loop;
	struct config config;
	struct map_fds maps;
	struct list rings;
	struct accounting *accounting;
	const struct source_table *table;
	struct ring *ring; /* of the shipper */
	_Atomic uint64_t counted[COUNTER_ROWS];
	struct counters counters;
	char directory[64];
	bool stopped;
	int cpus;
	/* What the loop is run for. */
	bool (*done)(struct scene *);
	uint64_t wanted;
	ev_prepare checking;
	ev_timer patience;
};

static void on_stopped(void *context)
{
	struct scene *scene = context;

	scene->stopped = true;
}

static int map_make(enum bpf_map_type type, size_t key, size_t value, uint32_t entries)
{
	int map = bpf_map_create(type, "test", (uint32_t)key, (uint32_t)value, entries, NULL);

	if (map < 0)
		fail_msg("map of type %d: %s", type, strerror(-map));
	return map;
}

static void accounting_open(struct scene *scene)
{
	struct why why = {""};
	const struct accounting_options options = {
		.loop = scene->loop,
		.config = &scene->config,
		.counters = &scene->counters,
		.rings = &scene->rings,
		.maps = &scene->maps,
		.epoch = "0123456789abcdef",
		.stream = 1,
		.stopped = on_stopped,
		.context = scene,
	};
	struct event_ring *ring;

	list_init(&scene->rings);
	if (accounting_new(&options, &scene->accounting, &why))
		fail_msg("%s", why.text);
	ring = event_ring_find(&scene->rings, 1);
	assert_non_null(ring);
	scene->ring = ring_map(ring->ring, false, &why);
	assert_non_null(scene->ring);
	scene->table = source_table_map(accounting_sources(scene->accounting), &why);
	assert_non_null(scene->table);
}

static void accounting_close(struct scene *scene)
{
	accounting_free(scene->accounting);
	source_table_free(scene->table);
	ring_unmap(scene->ring);
	event_ring_free(event_ring_find(&scene->rings, 1));
}

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	const size_t address = sizeof(struct abi_address);

	scene->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	assert_non_null(scene->loop);
	snprintf(scene->directory, sizeof(scene->directory), "/tmp/sallyport-accounting-XXXXXX");
	assert_non_null(mkdtemp(scene->directory));
	scene->counters.own = scene->counted;
	scene->cpus = libbpf_num_possible_cpus();
	scene->config.appliance.name = "gate";
	scene->config.appliance.run_directory = scene->directory;
	scene->config.audit.ring_bytes = 4 << 20;
	scene->config.datapath.max_sources = MAX_SOURCES;
	scene->config.accounting.summary_ns = 100 * NS_PER_MS;
	scene->maps.sources = map_make(
		BPF_MAP_TYPE_LRU_PERCPU_HASH, address, sizeof(struct source_counters), MAX_SOURCES);
	scene->maps.flows = map_make(
		BPF_MAP_TYPE_LRU_HASH, sizeof(struct flow_key), sizeof(struct flow), 262144);
	scene->maps.limits =
		map_make(BPF_MAP_TYPE_LRU_HASH, address, sizeof(struct source_limit), MAX_SOURCES);
	scene->maps.actives =
		map_make(BPF_MAP_TYPE_LRU_HASH, address, sizeof(struct source_active), MAX_SOURCES);
	accounting_open(scene);
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;
	char path[128];

	accounting_close(scene);
	close(scene->maps.sources);
	close(scene->maps.flows);
	close(scene->maps.limits);
	close(scene->maps.actives);
	snprintf(path, sizeof(path), "%s/accounting", scene->directory);
	unlink(path);
	rmdir(scene->directory);
	ev_loop_destroy(scene->loop);
	free(scene);
	return 0;
}

/* ---- the loop ---- */

static void on_check(struct ev_loop *loop, ev_prepare *prepare, int events)
{
	struct scene *scene = prepare->data;

	(void)events;
	if (scene->done(scene))
		ev_break(loop, EVBREAK_ALL);
}

static void on_late(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)timer;
	(void)events;
	fail_msg("it takes too long");
}

static void run_until(struct scene *scene, bool (*done)(struct scene *))
{
	scene->done = done;
	ev_prepare_init(&scene->checking, on_check);
	scene->checking.data = scene;
	ev_timer_init(&scene->patience, on_late, PATIENCE, 0.);
	ev_prepare_start(scene->loop, &scene->checking);
	ev_timer_start(scene->loop, &scene->patience);
	ev_run(scene->loop, 0);
	ev_timer_stop(scene->loop, &scene->patience);
	ev_prepare_stop(scene->loop, &scene->checking);
}

static bool has_looked(struct scene *scene)
{
	return scene->counted[COUNTER_ACCOUNTING_LOOKS] >= scene->wanted;
}

/* Runs so many whole rounds; the one that is under way may have missed what was done just now. */
static void rounds(struct scene *scene, uint64_t n)
{
	scene->wanted = scene->counted[COUNTER_ACCOUNTING_LOOKS] + n + 1;
	run_until(scene, has_looked);
}

static bool has_stopped(struct scene *scene)
{
	return scene->stopped;
}

/* ---- maps ---- */

static struct abi_address numbered(uint32_t number)
{
	struct abi_address address = {.bytes = {[10] = 0xff, [11] = 0xff, [12] = 10}};

	address.bytes[14] = (uint8_t)(number >> 8);
	address.bytes[15] = (uint8_t)number;
	return address;
}

static void source_put(struct scene *scene, uint32_t number, uint64_t packets)
{
	struct source_counters *each = calloc((size_t)scene->cpus, sizeof(*each));
	struct abi_address key = numbered(number);

	each[0].packets = packets;
	each[0].seen_ns = clock_monotonic_ns();
	assert_int_equal(bpf_map_update_elem(scene->maps.sources, &key, each, BPF_ANY), 0);
	free(each);
}

static void flow_put(struct scene *scene, uint32_t source, uint16_t port)
{
	struct flow_key key = {.client = numbered(source), .client_port = port};
	struct flow flow = {.seen_ns = clock_monotonic_ns(), .marks = FLOW_SAW_ACK};

	assert_int_equal(bpf_map_update_elem(scene->maps.flows, &key, &flow, BPF_ANY), 0);
}

/* ---- events ---- */

/* Takes the events of that kind out of the ring: how many; text has the last one's value of field.
 */
static unsigned take(struct scene *scene, const char *kind, const char *field, char text[64])
{
	struct ring_cursor cursor = ring_cursor(scene->ring);
	struct slice record;
	unsigned n = 0;

	while (ring_next(scene->ring, &cursor, &record) > 0) {
		msgpack_unpacked unpacked;
		bool wanted = false;
		size_t offset = 8;

		msgpack_unpacked_init(&unpacked);
		assert_int_equal(msgpack_unpack_next(&unpacked, record.data, record.len, &offset),
			MSGPACK_UNPACK_SUCCESS);
		for (uint32_t i = 0; i < unpacked.data.via.map.size; i++) {
			const msgpack_object_kv *pair = &unpacked.data.via.map.ptr[i];
			struct slice key = slice_of(pair->key.via.str.ptr, pair->key.via.str.size);

			if (slice_equal(key, SLICE("event.kind")))
				wanted = slice_equal(slice_of_string(kind),
					slice_of(pair->val.via.str.ptr, pair->val.via.str.size));
			if (!wanted || !slice_equal(key, slice_of_string(field)))
				continue;
			if (pair->val.type == MSGPACK_OBJECT_STR)
				snprintf(text, 64, "%.*s", (int)pair->val.via.str.size,
					pair->val.via.str.ptr);
			else
				snprintf(text, 64, "%llu", (unsigned long long)pair->val.via.u64);
		}
		n += wanted;
		msgpack_unpacked_destroy(&unpacked);
	}
	ring_release(scene->ring, &cursor);
	return n;
}

static unsigned summaries(struct scene *scene, char packets[64])
{
	return take(scene, "source.summary", "source.packets", packets);
}

static bool shipper_sees_the_end(struct scene *scene)
{
	char byte;

	return read(event_ring_find(&scene->rings, 1)->life, &byte, 1) == 0;
}

/* ---- the tests ---- */

static void totals_are_published_with_what_is_active(void **state)
{
	struct scene *scene = *state;
	struct abi_address key = numbered(1);
	struct source_totals totals;
	struct source_active active;
	struct address address;
	char text[64];

	memcpy(&address, &key, sizeof(address));
	source_put(scene, 1, 5);
	flow_put(scene, 1, 1);
	flow_put(scene, 1, 2);
	rounds(scene, 1);
	assert_int_equal(source_table_find(scene->table, &address, &totals), 0);
	assert_int_equal(totals.counters.packets, 5);
	assert_int_equal(totals.active, 2);
	assert_int_equal(bpf_map_lookup_elem(scene->maps.actives, &key, &active), 0);
	assert_int_equal(active.active, 2);
	source_put(scene, 1, 6);
	rounds(scene, 2);
	assert_int_equal(source_table_find(scene->table, &address, &totals), 0);
	assert_int_equal(totals.counters.packets, 6);
	assert_int_equal(summaries(scene, text), 2);
	assert_string_equal(text, "6");
}

static void the_end_tells_all_and_ends_the_stream(void **state)
{
	struct scene *scene = *state;
	char text[64];

	scene->config.accounting.summary_ns = 1000 * NS_PER_S;
	accounting_close(scene);
	accounting_open(scene);
	rounds(scene, 1);
	for (uint32_t i = 0; i < 1000; i++)
		source_put(scene, i, i + 1);
	assert_int_equal(summaries(scene, text), 0);
	assert_false(shipper_sees_the_end(scene));
	assert_false(accounting_stop(scene->accounting));
	assert_false(accounting_stop(scene->accounting));
	run_until(scene, has_stopped);
	assert_true(accounting_stop(scene->accounting));
	assert_int_equal(summaries(scene, text), 1000);
	assert_true(shipper_sees_the_end(scene));
	assert_int_equal(scene->counted[COUNTER_AUDIT_DROPPED], 0);
}

/* Nobody takes anything out of the ring: the end does not wait for ever. */
static void the_end_comes_also_when_the_ring_is_full(void **state)
{
	struct scene *scene = *state;
	uint64_t begin_ns;
	char text[64];

	scene->config.audit.ring_bytes = 1 << 16;
	scene->config.accounting.summary_ns = 1000 * NS_PER_S;
	accounting_close(scene);
	accounting_open(scene);
	for (uint32_t i = 0; i < 1000; i++)
		source_put(scene, i, i);
	begin_ns = clock_monotonic_ns();
	assert_false(accounting_stop(scene->accounting));
	run_until(scene, has_stopped);
	assert_true(clock_monotonic_ns() - begin_ns < 8 * NS_PER_S);
	assert_int_equal(scene->counted[COUNTER_ACCOUNTING_SUMMARIES_CUT], 1);
	assert_in_range(summaries(scene, text), 10, 999);
	assert_true(shipper_sees_the_end(scene));
}

static void transitions_are_recorded_at_once(void **state)
{
	struct scene *scene = *state;
	char text[64] = "";

	accounting_state(scene->accounting, "worker 1", "hung", "no sign of life for 900 ms");
	assert_int_equal(take(scene, "datapath.state", "datapath.subject", text), 1);
	assert_string_equal(text, "worker 1");
	accounting_state(scene->accounting, "worker 1", "alive", NULL);
	assert_int_equal(take(scene, "datapath.state", "datapath.state", text), 1);
	assert_string_equal(text, "alive");
	assert_int_equal(scene->counted[COUNTER_ACCOUNTING_STATES], 2);
	accounting_state(NULL, "worker 1", "hung", "");
	/* After the end it is lost, and counted. */
	assert_false(accounting_stop(scene->accounting));
	run_until(scene, has_stopped);
	accounting_state(scene->accounting, "worker 1", "hung", "");
	assert_int_equal(scene->counted[COUNTER_AUDIT_DROPPED], 1);
}

/* The next life is as one that was killed leaves it: by its file. */
static void the_next_life_repeats_nothing(void **state)
{
	struct scene *scene = *state;
	char text[64];

	source_put(scene, 1, 5);
	rounds(scene, 1);
	assert_int_equal(summaries(scene, text), 1);
	/* A tick of the slowest clock later the stamp is older than what is known. */
	usleep(500000);
	rounds(scene, 1);
	accounting_close(scene);
	accounting_open(scene);
	source_put(scene, 2, 7);
	rounds(scene, 2);
	assert_int_equal(summaries(scene, text), 1);
	assert_string_equal(text, "7");
	source_put(scene, 1, 6);
	rounds(scene, 2);
	assert_int_equal(summaries(scene, text), 1);
	assert_string_equal(text, "6");
}

static void a_mark_that_cannot_be_is_no_mark(void **state)
{
	static const char *const texts[] = {"", "garbage that is long", "99999999999999999999\n"};
	struct scene *scene = *state;
	char path[128], text[64];

	snprintf(path, sizeof(path), "%s/accounting", scene->directory);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		FILE *file = fopen(path, "w");

		assert_non_null(file);
		fputs(texts[i], file);
		fclose(file);
		source_put(scene, 1, 5);
		accounting_close(scene);
		accounting_open(scene);
		rounds(scene, 1);
		assert_int_equal(summaries(scene, text), 1);
	}
}

static void a_new_configuration_holds(void **state)
{
	struct scene *scene = *state;
	struct config other = scene->config;
	char text[64];

	scene->config.accounting.summary_ns = 1000 * NS_PER_S;
	accounting_close(scene);
	accounting_open(scene);
	source_put(scene, 1, 5);
	rounds(scene, 1);
	assert_int_equal(summaries(scene, text), 0);
	other.appliance.name = "door";
	accounting_reconfigure(scene->accounting, &other);
	rounds(scene, 1);
	assert_int_equal(take(scene, "source.summary", "observer.name", text), 1);
	assert_string_equal(text, "door");
}

static uint64_t cpu_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * NS_PER_S + (uint64_t)used.tv_nsec;
}

/* 5 % is what it paces itself by; what is measured is the machine's as well. */
/* Not a test of speed, which is the machine's: it prints what the design counts with. */
static void what_a_large_table_takes_of_a_processor_is_told(void **state)
{
	struct scene *scene = *state;
	uint64_t begin_ns, begin_cpu_ns, percent;

	for (uint32_t i = 0; i < 200000; i++)
		flow_put(scene, i % MAX_SOURCES, (uint16_t)(i / MAX_SOURCES));
	begin_ns = clock_monotonic_ns();
	begin_cpu_ns = cpu_ns();
	rounds(scene, 1);
	percent = 100 * (cpu_ns() - begin_cpu_ns) / (clock_monotonic_ns() - begin_ns);
	printf("          accounting: %llu %% of a processor\n", (unsigned long long)percent);
}

int main(void)
{
#define SCENE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		SCENE_TEST(totals_are_published_with_what_is_active),
		SCENE_TEST(the_end_tells_all_and_ends_the_stream),
		SCENE_TEST(the_end_comes_also_when_the_ring_is_full),
		SCENE_TEST(transitions_are_recorded_at_once),
		SCENE_TEST(the_next_life_repeats_nothing),
		SCENE_TEST(a_mark_that_cannot_be_is_no_mark),
		SCENE_TEST(a_new_configuration_holds),
		SCENE_TEST(what_a_large_table_takes_of_a_processor_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
