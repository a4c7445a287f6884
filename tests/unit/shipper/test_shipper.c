// SPDX-License-Identifier: GPL-2.0-or-later
/* The shipper role between a ring, as a worker fills it, and a collector on loopback, which
 * acknowledges or misbehaves. Everything in one loop and one process. */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/ring.h"
#include "supervise/role.h"
#include "tests/support/rogue_collector.h"
#include "tests/support/spool_box.h"

#define EPOCH	 "0123456789abcdef"
#define PATIENCE 10. /* s: only a hang takes as long */

struct scene {
	struct ev_loop *loop;
	struct spool_box *box;
	struct config config;
	struct role_context context;
	void *state;
	_Atomic uint64_t counted[COUNTER_ROWS];
	struct counters counters;
	/* of the worker */
	int ring_fd, wake_shipper, wake_worker;
	struct ring *ring;
	uint64_t sequence;
	/* of the parent */
	unsigned gone;
	bool exited;
	struct rogue_collector collector;
	/* when to stop the loop */
	bool (*done)(struct scene *);
	size_t wanted;
	ev_prepare checking;
	ev_timer patience;
	bool late;
};

/* ---- the process around the role ---- */

static struct scene *scene_of(struct role_context *context)
{
	return (struct scene *)((char *)context - offsetof(struct scene, context));
}

int role_fd(struct role_context *context, const char *name)
{
	if (strcmp(name, "spool") != 0)
		return -1; /* what it goes without */
	return dup(scene_of(context)->box->directory);
}

int role_send(struct role_context *context, uint32_t type, const void *body, size_t len,
	const int *fds, size_t nfds)
{
	(void)body;
	(void)fds;
	assert_int_equal(type, CONTROL_PEER_GONE);
	assert_int_equal(len, sizeof(struct control_peer));
	assert_int_equal(nfds, 0);
	scene_of(context)->gone++;
	return 0;
}

void role_exit(struct role_context *context)
{
	scene_of(context)->exited = true;
	ev_break(context->loop, EVBREAK_ALL);
}

/* ---- the scene ---- */

static void on_check(struct ev_loop *loop, ev_prepare *check, int events)
{
	struct scene *scene = check->data;

	(void)events;
	if (scene->done && scene->done(scene))
		ev_break(loop, EVBREAK_ALL);
}

static void on_patience(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct scene *scene = timer->data;

	(void)events;
	scene->late = true;
	ev_break(loop, EVBREAK_ALL);
}

static void run_until(struct scene *scene, bool (*done)(struct scene *), size_t wanted)
{
	scene->done = done;
	scene->wanted = wanted;
	ev_timer_set(&scene->patience, PATIENCE, 0.);
	ev_timer_start(scene->loop, &scene->patience);
	ev_run(scene->loop, 0);
	ev_timer_stop(scene->loop, &scene->patience);
	assert_false(scene->late);
}

static void shipper_start(struct scene *scene)
{
	struct control_peer peer = {7};
	struct ipc_message message = {.type = CONTROL_PEER,
		.body = &peer,
		.len = sizeof(peer),
		.fds = {dup(scene->ring_fd), dup(scene->wake_shipper), dup(scene->wake_worker)},
		.nfds = 3};
	struct why why;

	scene->exited = false;
	if (shipper_role.init(&scene->context, &scene->state, &why) < 0)
		fail_msg("%s", why.text);
	shipper_role.message(scene->state, &message);
	for (size_t i = 0; i < 3; i++)
		if (message.fds[i] >= 0)
			close(message.fds[i]);
}

static void shipper_stop(struct scene *scene)
{
	shipper_role.close(scene->state);
	scene->state = NULL;
}

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	struct why why;

	assert_non_null(scene);
	spool_box_setup((void **)&scene->box);
	scene->loop = ev_loop_new(EVFLAG_AUTO);
	scene->config.audit.tag = (char *)(uintptr_t) "sallyport.exchange";
	scene->config.audit.spool_bytes = 1 << 30;
	scene->config.audit.segment_bytes = 1 << 20;
	scene->config.audit.fsync = CONFIG_FSYNC_INTERVAL;
	scene->config.audit.fsync_ns = 10 * NS_PER_MS;
	scene->config.audit.ack_ns = 300 * NS_PER_MS;
	scene->config.audit.flush_ns = 20 * NS_PER_MS;
	scene->config.audit.batch = 100;
	rogue_collector_bind(&scene->collector, scene->loop, &scene->config.audit.collector);
	scene->counters.own = scene->counted;
	scene->context = (struct role_context){.loop = scene->loop,
		.config = &scene->config,
		.counters = &scene->counters,
		.epoch = EPOCH,
		.control = -1};
	scene->ring_fd = ring_create(1 << 16, &why);
	scene->ring = ring_map(scene->ring_fd, true, &why);
	assert_non_null(scene->ring);
	scene->wake_shipper = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	scene->wake_worker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ev_prepare_init(&scene->checking, on_check);
	ev_init(&scene->patience, on_patience);
	scene->checking.data = scene->patience.data = scene;
	ev_prepare_start(scene->loop, &scene->checking);
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	if (scene->state)
		shipper_stop(scene);
	rogue_collector_close(&scene->collector);
	ring_unmap(scene->ring);
	close(scene->ring_fd);
	close(scene->wake_shipper);
	close(scene->wake_worker);
	ev_loop_destroy(scene->loop);
	spool_box_teardown((void **)&scene->box);
	free(scene);
	return 0;
}

/* The worker's side: as many as fit, at most n. */
static unsigned put(struct scene *scene, unsigned n, size_t padding)
{
	struct buf record = BUF_EMPTY;
	uint64_t one = 1;
	unsigned i;

	for (i = 0; i < n; i++) {
		void *room;

		buf_clear(&record);
		spool_box_record(&record, EPOCH, 7, scene->sequence + 1, padding);
		room = ring_reserve(scene->ring, buf_len(&record));
		if (!room)
			break;
		memcpy(room, buf_slice(&record).data, buf_len(&record));
		ring_commit(scene->ring, buf_len(&record));
		scene->sequence++;
	}
	buf_free(&record);
	assert_int_equal(write(scene->wake_shipper, &one, sizeof(one)), sizeof(one));
	return i;
}

static void assert_received_all(struct scene *scene)
{
	assert_int_equal(scene->collector.nreceived, scene->sequence);
	for (size_t i = 0; i < scene->collector.nreceived; i++)
		assert_int_equal(scene->collector.received[i], i + 1);
}

static bool all_received(struct scene *scene)
{
	return scene->collector.nreceived >= scene->wanted &&
	       scene->counted[COUNTER_FORWARD_ACKNOWLEDGED] >= scene->wanted;
}

static bool ring_is_empty(struct scene *scene)
{
	return ring_empty(scene->ring);
}

static bool peer_is_gone(struct scene *scene)
{
	return scene->gone > 0;
}

static bool worker_is_woken(struct scene *scene)
{
	uint64_t count;

	return read(scene->wake_worker, &count, sizeof(count)) > 0;
}

static bool has_exited(struct scene *scene)
{
	return scene->exited;
}

static bool is_blocked(struct scene *scene)
{
	return scene->counted[COUNTER_SPOOL_BLOCKED] > 0;
}

static bool is_empty_or_blocked(struct scene *scene)
{
	return ring_is_empty(scene) || is_blocked(scene);
}

static bool has_dropped(struct scene *scene)
{
	return scene->counted[COUNTER_SPOOL_DROPPED] >= scene->wanted;
}

/* ---- the tests ---- */

static void test_ships(void **state)
{
	struct scene *scene = *state;

	rogue_collector_listen(&scene->collector);
	shipper_start(scene);
	assert_int_equal(put(scene, 250, 10), 250);
	run_until(scene, all_received, 250);
	assert_received_all(scene);
	assert_true(ring_empty(scene->ring));
	assert_int_equal(put(scene, 1, 10), 1);
	run_until(scene, all_received, 251);
	assert_received_all(scene);
	assert_int_equal(scene->counted[COUNTER_SPOOL_WRITTEN], 251);
}

static void test_every_fsync_policy(void **state)
{
	static const enum config_fsync policies[] = {
		CONFIG_FSYNC_ALWAYS, CONFIG_FSYNC_INTERVAL, CONFIG_FSYNC_NEVER};
	struct scene *scene = *state;

	rogue_collector_listen(&scene->collector);
	for (size_t i = 0; i < 3; i++) {
		scene->config.audit.fsync = policies[i];
		shipper_start(scene);
		put(scene, 20, 10);
		run_until(scene, all_received, 20 * (i + 1));
		shipper_stop(scene);
	}
	assert_received_all(scene);
}

static void test_collector_comes_later(void **state)
{
	struct scene *scene = *state;

	shipper_start(scene);
	put(scene, 50, 10);
	run_until(scene, ring_is_empty, 0);
	assert_int_equal(scene->collector.nreceived, 0);
	rogue_collector_listen(&scene->collector);
	put(scene, 50, 10);
	run_until(scene, all_received, 100);
	assert_received_all(scene);
	assert_true(scene->counted[COUNTER_FORWARD_CONNECT_FAILED] > 0);
}

static void misbehave(struct scene *scene, enum rogue_manner manner)
{
	scene->collector.manner = manner;
	scene->collector.misbehave = 2;
	rogue_collector_listen(&scene->collector);
	shipper_start(scene);
	put(scene, 30, 10);
	run_until(scene, all_received, 30);
	assert_received_all(scene);
	/* the same bytes under the same name */
	assert_true(scene->collector.nchunks >= 3);
	for (size_t i = 1; i < scene->collector.nchunks; i++)
		assert_string_equal(scene->collector.chunks[0], scene->collector.chunks[i]);
	assert_true(scene->counted[COUNTER_FORWARD_RESENT] >= 2);
}

static void test_no_acknowledgement(void **state)
{
	struct scene *scene = *state;

	misbehave(scene, ROGUE_SILENT);
	assert_int_equal(scene->counted[COUNTER_FORWARD_ACK_TIMEOUT], 2);
}

static void test_collector_closes(void **state)
{
	misbehave(*state, ROGUE_CLOSE);
}

static void test_rubbish_for_an_answer(void **state)
{
	struct scene *scene = *state;

	misbehave(scene, ROGUE_RUBBISH);
	assert_int_equal(scene->counted[COUNTER_FORWARD_ACK_UNKNOWN], 2);
}

static void test_acknowledgement_of_something_else(void **state)
{
	struct scene *scene = *state;

	misbehave(scene, ROGUE_WRONG_ID);
	assert_int_equal(scene->counted[COUNTER_FORWARD_ACK_UNKNOWN], 2);
}

static void test_restart_sends_what_is_left(void **state)
{
	struct scene *scene = *state;

	shipper_start(scene);
	put(scene, 100, 10);
	run_until(scene, ring_is_empty, 0);
	shipper_stop(scene);
	put(scene, 20, 10);
	rogue_collector_listen(&scene->collector);
	shipper_start(scene);
	run_until(scene, all_received, 120);
	assert_received_all(scene);
}

static void test_full_blocks(void **state)
{
	struct scene *scene = *state;

	scene->config.audit.spool_bytes = 100000;
	scene->config.audit.segment_bytes = 20000;
	scene->config.audit.when_full = CONFIG_FULL_BLOCK;
	shipper_start(scene);
	/* the spool fills, then the ring */
	while (!is_blocked(scene)) {
		put(scene, 20, 1000);
		run_until(scene, is_empty_or_blocked, 0);
	}
	while (put(scene, 1, 1000))
		;
	assert_int_equal(scene->counted[COUNTER_SPOOL_BLOCKED], 1);
	worker_is_woken(scene);
	rogue_collector_listen(&scene->collector);
	run_until(scene, worker_is_woken, 0);
	put(scene, 10, 1000);
	run_until(scene, all_received, scene->sequence);
	assert_received_all(scene);
	assert_int_equal(scene->counted[COUNTER_SPOOL_DROPPED], 0);
}

static void test_full_drops_and_counts(void **state)
{
	struct scene *scene = *state;

	scene->config.audit.spool_bytes = 50000;
	scene->config.audit.segment_bytes = 20000;
	scene->config.audit.when_full = CONFIG_FULL_DROP;
	shipper_start(scene);
	for (int i = 0; i < 4; i++) {
		put(scene, 20, 1000);
		run_until(scene, ring_is_empty, 0);
	}
	run_until(scene, has_dropped, 10);
	assert_int_equal(
		scene->counted[COUNTER_SPOOL_DROPPED] + scene->counted[COUNTER_SPOOL_WRITTEN], 80);
	rogue_collector_listen(&scene->collector);
	run_until(scene, all_received, scene->counted[COUNTER_SPOOL_WRITTEN]);
	for (size_t i = 0; i < scene->collector.nreceived; i++)
		assert_int_equal(scene->collector.received[i], i + 1);
}

static void test_worker_that_lies(void **state)
{
	struct scene *scene = *state;
	struct buf record = BUF_EMPTY;

	rogue_collector_listen(&scene->collector);
	shipper_start(scene);
	put(scene, 5, 10);
	memcpy(ring_reserve(scene->ring, 7), "rubbish", 7);
	ring_commit(scene->ring, 7);
	spool_box_record(&record, EPOCH, 8, 1000, 10); /* another's stream */
	memcpy(ring_reserve(scene->ring, buf_len(&record)), record.memory, buf_len(&record));
	ring_commit(scene->ring, buf_len(&record));
	put(scene, 5, 10);
	run_until(scene, all_received, 10);
	assert_received_all(scene);
	assert_int_equal(scene->counted[COUNTER_SPOOL_INVALID], 2);
	buf_free(&record);
}

static void test_worker_ends(void **state)
{
	struct scene *scene = *state;
	struct control_peer peer = {7};
	struct ipc_message message = {
		.type = CONTROL_PEER_GONE, .body = &peer, .len = sizeof(peer)};

	rogue_collector_listen(&scene->collector);
	shipper_start(scene);
	put(scene, 10, 10);
	shipper_role.message(scene->state, &message);
	run_until(scene, peer_is_gone, 0);
	assert_true(ring_empty(scene->ring));
	run_until(scene, all_received, 10);
	assert_int_equal(scene->gone, 1);
	/* told again, by a parent that has not heard */
	shipper_role.message(scene->state, &message);
	assert_int_equal(scene->gone, 2);
}

static void test_drains_patiently(void **state)
{
	struct scene *scene = *state;
	struct control_peer peer = {7};
	struct ipc_message message = {
		.type = CONTROL_PEER_GONE, .body = &peer, .len = sizeof(peer)};

	rogue_collector_listen(&scene->collector);
	shipper_start(scene);
	put(scene, 10, 10);
	run_until(scene, all_received, 10);
	shipper_role.drain(scene->state, true);
	put(scene, 10, 10);
	run_until(scene, all_received, 20);
	assert_false(scene->exited);
	put(scene, 10, 10);
	shipper_role.message(scene->state, &message);
	run_until(scene, has_exited, 0);
	assert_received_all(scene);
}

static void test_drains_at_once(void **state)
{
	struct scene *scene = *state;

	/* no collector: spooled, and left for the next start */
	shipper_start(scene);
	put(scene, 100, 10);
	shipper_role.drain(scene->state, false);
	run_until(scene, has_exited, 0);
	assert_true(ring_empty(scene->ring));
	shipper_stop(scene);
	rogue_collector_listen(&scene->collector);
	shipper_start(scene);
	run_until(scene, all_received, 100);
	assert_received_all(scene);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ships),
		TEST(test_every_fsync_policy),
		TEST(test_collector_comes_later),
		TEST(test_no_acknowledgement),
		TEST(test_collector_closes),
		TEST(test_rubbish_for_an_answer),
		TEST(test_acknowledgement_of_something_else),
		TEST(test_restart_sends_what_is_left),
		TEST(test_full_blocks),
		TEST(test_full_drops_and_counts),
		TEST(test_worker_that_lies),
		TEST(test_worker_ends),
		TEST(test_drains_patiently),
		TEST(test_drains_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
