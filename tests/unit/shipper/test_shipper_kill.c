// SPDX-License-Identifier: GPL-2.0-or-later
/* kill -9 of the shipper and of the real collector, in turn and in the middle of work, while events
 * keep coming: in the end each is in the collector's store, once. */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "audit/event.h"
#include "base/clock.h"
#include "base/ring.h"
#include "base/uuid.h"
#include "collector/query.h"
#include "supervise/role.h"
#include "tests/support/spool_box.h"

#define EPOCH  "0123456789abcdef"
#define ROUNDS 30
#define BURST  120

struct scene {
	struct spool_box *box;
	struct config config;
	char program[512], store[128], socket[128];
	int ring_fd, wake_shipper, wake_worker;
	struct ring *ring;
	uint64_t sequence;
	pid_t shipper, collector;
	uint32_t seed;
};

static uint32_t random_next(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void pause_ms(uint32_t ms)
{
	struct timespec wait = {ms / 1000, (long)(ms % 1000) * 1000000};

	nanosleep(&wait, NULL);
}

/* ---- the process of the shipper ---- */

int role_fd(struct role_context *context, const char *name)
{
	/* the test's own use of a field that the role does not look at */
	return strcmp(name, "spool") == 0 ? dup(context->control) : -1;
}

int role_send(struct role_context *context, uint32_t type, const void *body, size_t len,
	const int *fds, size_t nfds)
{
	(void)context;
	(void)type;
	(void)body;
	(void)len;
	(void)fds;
	(void)nfds;
	return 0;
}

void role_exit(struct role_context *context)
{
	ev_break(context->loop, EVBREAK_ALL);
}

static void shipper_live(struct scene *scene)
{
	struct role_context context = {.loop = ev_loop_new(EVFLAG_AUTO), .config = &scene->config,
		.epoch = EPOCH, .control = scene->box->directory};
	struct control_peer peer = {1};
	struct ipc_message message = {.type = CONTROL_PEER, .body = &peer, .len = sizeof(peer),
		.fds = {scene->ring_fd, scene->wake_shipper, scene->wake_worker}, .nfds = 3};
	void *state;
	struct why why;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (shipper_role.init(&context, &state, &why) < 0) {
		fprintf(stderr, "%s\n", why.text);
		_exit(1);
	}
	shipper_role.message(state, &message);
	ev_run(context.loop, 0);
	_exit(0);
}

static void shipper_start(struct scene *scene)
{
	scene->shipper = fork();
	if (!scene->shipper)
		shipper_live(scene);
}

/* ---- the collector ---- */

static void collector_start(struct scene *scene)
{
	scene->collector = fork();
	if (scene->collector)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!freopen("/dev/null", "w", stderr))
		_exit(1);
	execl(scene->program, scene->program, "--socket", scene->socket, "--store", scene->store,
		NULL);
	_exit(1);
}

static void kill_and_wait(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* by our hand, not its own */
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static int highest_seen(void *context, const struct query_event *event)
{
	uint64_t *seen = context;

	seen[0]++;
	if (event->input_tokens > seen[1])
		seen[1] = event->input_tokens;
	return 0;
}

/* Two numbers out of the store; false: it is not to be read just now. */
static bool store_count(struct scene *scene, uint64_t *events, uint64_t *highest)
{
	static const struct query_filter all;
	uint64_t seen[2] = {0};
	struct why why;
	struct query *query = query_open(scene->store, &why);
	bool there = query && query_events(query, &all, 0, highest_seen, seen, &why) == 0;

	query_close(query);
	*events = seen[0];
	*highest = seen[1];
	return there;
}

/* ---- the worker ---- */

static void put(struct scene *scene, unsigned n)
{
	static char text[3000];
	struct buf record = BUF_EMPTY;
	uint64_t one = 1;

	memset(text, 'x', sizeof(text));
	for (unsigned i = 0; i < n; i++) {
		uint8_t random[10] = {0};
		struct uuid_text id;
		struct event event = {
			.time_ns = clock_realtime_ns(),
			.epoch = SLICE(EPOCH),
			.stream = event_number(1),
			.sequence = event_number(scene->sequence + 1),
			.kind = SLICE("exchange"),
			.observer = SLICE("test"),
			.input_tokens = event_number(scene->sequence + 1),
			.input_messages = slice_of(text, random_next(&scene->seed) % sizeof(text)),
		};
		void *room;

		memcpy(random, &scene->sequence, sizeof(scene->sequence));
		id = uuid_v7(event.time_ns, random);
		event.id = slice_of_string(id.text);
		buf_clear(&record);
		assert_int_equal(event_encode(&event, &record), 0);
		room = ring_reserve(scene->ring, buf_len(&record));
		if (!room)
			break;
		memcpy(room, buf_slice(&record).data, buf_len(&record));
		ring_commit(scene->ring, buf_len(&record));
		scene->sequence++;
	}
	buf_free(&record);
	if (write(scene->wake_shipper, &one, sizeof(one)) < 0)
		assert_int_equal(errno, EAGAIN);
}

/* ---- the test ---- */

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	const char *build = getenv("SALLYPORT_BUILD");
	struct why why;

	assert_non_null(scene);
	spool_box_setup((void **)&scene->box);
	snprintf(scene->program, sizeof(scene->program), "%s/sallyport-collector",
		build ? build : "build");
	snprintf(scene->store, sizeof(scene->store), "%s/store", scene->box->path);
	snprintf(scene->socket, sizeof(scene->socket), "%s/collector", scene->box->path);
	scene->config.audit.collector_socket = scene->socket;
	scene->config.audit.tag = (char *)(uintptr_t) "sallyport.exchange";
	scene->config.audit.spool_bytes = 1 << 30;
	scene->config.audit.segment_bytes = 200000;
	scene->config.audit.fsync = CONFIG_FSYNC_ALWAYS;
	scene->config.audit.ack_ns = 2 * NS_PER_S;
	scene->config.audit.flush_ns = 10 * NS_PER_MS;
	scene->config.audit.batch = 50;
	scene->ring_fd = ring_create(1 << 18, &why);
	scene->ring = ring_map(scene->ring_fd, true, &why);
	assert_non_null(scene->ring);
	scene->wake_shipper = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	scene->wake_worker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	scene->seed = 3;
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	ring_unmap(scene->ring);
	close(scene->ring_fd);
	close(scene->wake_shipper);
	close(scene->wake_worker);
	spool_box_teardown((void **)&scene->box);
	free(scene);
	return 0;
}

static void test_nothing_lost_nothing_doubled(void **state)
{
	struct scene *scene = *state;
	uint64_t events = 0, highest = 0;

	if (access(scene->program, X_OK) < 0)
		skip();
	collector_start(scene);
	shipper_start(scene);
	for (int i = 0; i < ROUNDS; i++) {
		put(scene, BURST);
		pause_ms(random_next(&scene->seed) % 80);
		if (random_next(&scene->seed) % 3) {
			kill_and_wait(scene->shipper);
			put(scene, BURST / 4);
			shipper_start(scene);
		} else {
			kill_and_wait(scene->collector);
			put(scene, BURST / 4);
			collector_start(scene);
		}
	}
	for (int i = 0; i < 300 && events < scene->sequence; i++) {
		pause_ms(100);
		store_count(scene, &events, &highest);
	}
	kill_and_wait(scene->shipper);
	kill_and_wait(scene->collector);
	assert_true(store_count(scene, &events, &highest));
	print_message("%llu events\n", (unsigned long long)scene->sequence);
	assert_int_equal(events, scene->sequence);
	assert_int_equal(highest, scene->sequence);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_nothing_lost_nothing_doubled, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
