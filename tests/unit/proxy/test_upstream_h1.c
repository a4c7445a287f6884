// SPDX-License-Identifier: GPL-2.0-or-later
/* A slot on a connection of HTTP/1: what it tells of responses, whatever room they have, and whether
 * the connection can be used again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "proxy/upstream_h1.h"

struct scene {
	struct ev_loop *loop;
	struct turn turn;
	int origin; /* the other end */
	struct stream stream;
	struct upstream_h1 wire;
	struct upstream_slot *slot;
	char scratch[UPSTREAM_READ_SIZE];
	struct buf told; /* what the slot has told, in words */
	size_t room;
	bool keeps;	/* the slot is not released at the end of a response */
	int reusable;	/* -1: not released */
};

/* ---- the user ---- */

static int release(struct scene *scene)
{
	scene->slot->ops->release(scene->slot);
	return -ECANCELED;
}

static int end(struct scene *scene, bool fin)
{
	if (!fin)
		return 0;
	buf_printf(&scene->told, " fin");
	return scene->keeps ? 0 : release(scene);
}

static int take_head(void *user, const struct head *head, bool fin)
{
	struct scene *scene = user;

	buf_printf(&scene->told, " %d", head->status);
	return end(scene, fin);
}

static int take_body(void *user, struct slice span, bool fin)
{
	struct scene *scene = user;

	if (span.len)
		buf_printf(&scene->told, " '%.*s'", (int)span.len, span.data);
	if (scene->room)
		scene->room--;
	return end(scene, fin);
}

static int take_trailers(void *user, const struct header *fields, size_t n)
{
	struct scene *scene = user;

	for (size_t i = 0; i < n; i++)
		buf_printf(&scene->told, " %.*s", (int)fields[i].name.len, fields[i].name.data);
	return end(scene, true);
}

static size_t room(const void *user)
{
	return ((const struct scene *)user)->room;
}

static void take_abort(void *user, const struct message_fault *fault)
{
	static const char *const kinds[] = {"closed", "lost", "malformed"};
	struct scene *scene = user;

	buf_printf(&scene->told, " %s", kinds[fault->kind]);
	release(scene);
}

static int take_turn(void *user)
{
	(void)user;
	return 0;
}

static void take_flushed(void *user)
{
	(void)user;
}

static const struct upstream_user user_ops = {
	.response = {take_head, take_body, take_trailers, room, take_abort},
	.turn = take_turn,
	.flushed = take_flushed,
};

/* ---- the owner of the connection ---- */

static void released(struct upstream_h1 *wire, bool reusable)
{
	list_entry(wire, struct scene, wire)->reusable = reusable;
}

static void readable(void *owner)
{
	struct scene *scene = owner;

	if (scene->wire.slot.handler)
		upstream_h1_readable(&scene->wire);
	else
		stream_watch(&scene->stream, false);
}

static void flushed(void *owner)
{
	(void)owner;
}

static void failed(void *owner, int error)
{
	upstream_h1_failed(&((struct scene *)owner)->wire, error);
}

static const struct stream_handler handler = {
	.readable = readable, .flushed = flushed, .failed = failed};

static int set_up(void **state)
{
	const struct h1_limits limits = {4096, 32, 0};
	struct scene *scene = calloc(1, sizeof(*scene));
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	scene->loop = ev_loop_new(0);
	turn_open(&scene->turn, scene->loop);
	scene->origin = pair[1];
	scene->room = SIZE_MAX;
	scene->reusable = -1;
	assert_int_equal(
		stream_open(&scene->stream, &scene->turn, pair[0], NULL, 65536, &handler, scene),
		0);
	assert_int_equal(upstream_h1_open(&scene->wire, &scene->stream, scene->scratch, &limits,
				 released),
		0);
	*state = scene;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *scene = *state;

	stream_close(&scene->stream);
	upstream_h1_close(&scene->wire);
	if (scene->origin >= 0)
		close(scene->origin);
	turn_close(&scene->turn);
	ev_loop_destroy(scene->loop);
	buf_free(&scene->told);
	free(scene);
	return 0;
}

/* ---- steps ---- */

static void ask(struct scene *scene, bool whole)
{
	const struct head head = {.kind = HEAD_REQUEST,
		.method = SLICE("POST"),
		.path = SLICE("/"),
		.framing = HEAD_STREAMED};

	scene->reusable = -1;
	scene->slot = upstream_h1_take(&scene->wire, &user_ops, scene);
	assert_int_equal(scene->slot->ops->request.head(scene->slot, &head, false), 0);
	assert_int_equal(scene->slot->ops->request.body(scene->slot, SLICE("hi"), whole), 0);
	assert_int_equal(scene->slot->ops->flush(scene->slot), 0);
}

static void settle(struct scene *scene)
{
	for (int i = 0; i < 4; i++)
		ev_run(scene->loop, EVRUN_NOWAIT);
}

static void answer(struct scene *scene, struct slice bytes)
{
	assert_int_equal(write(scene->origin, bytes.data, bytes.len), bytes.len);
	settle(scene);
}

/* In order: it has read what was sent. */
static void origin_closes(struct scene *scene)
{
	char sent[256];

	assert_true(read(scene->origin, sent, sizeof(sent)) > 0);
	close(scene->origin);
	scene->origin = -1;
	settle(scene);
}

static void assert_told(struct scene *scene, const char *wanted)
{
	buf_append(&scene->told, "", 1);
	assert_string_equal(scene->told.memory, wanted);
	buf_clear(&scene->told);
}

#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

/* ---- cases ---- */

static void test_one_request_after_the_other(void **state)
{
	struct scene *scene = *state;
	const struct slice wanted = SLICE("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
					  "2\r\nhi\r\n0\r\n\r\n");
	char sent[256];

	for (int i = 0; i < 2; i++) {
		ask(scene, true);
		answer(scene, SLICE("HTTP/1.1 102 Processing\r\n\r\n" CHUNKED "1\r\na\r\n"));
		answer(scene, SLICE("1\r\nb\r\n0\r\nX: y\r\n\r\n"));
		assert_told(scene, " 200 'a' 'b' X fin");
		assert_int_equal(scene->reusable, true);
	}
	assert_int_equal(read(scene->origin, sent, sizeof(sent)), 2 * wanted.len);
	assert_memory_equal(sent, wanted.data, wanted.len);
	assert_memory_equal(sent + wanted.len, wanted.data, wanted.len);
}

/* Given room for one piece at a time, nothing is lost, told twice, or told too early. */
static void test_a_response_without_room_waits(void **state)
{
	struct scene *scene = *state;

	scene->room = 1;
	ask(scene, true);
	answer(scene, SLICE(CHUNKED "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n"));
	assert_told(scene, " 200 'a'");
	scene->slot->ops->resume(scene->slot);
	settle(scene);
	assert_told(scene, "");
	scene->room = 1;
	scene->slot->ops->resume(scene->slot);
	assert_told(scene, " 'b'");
	scene->room = 2;
	scene->slot->ops->resume(scene->slot);
	assert_told(scene, " 'c' fin");
	assert_int_equal(scene->reusable, true);
}

/* What has come whole is whole, though the origin goes away before all of it is read. */
static void test_the_origin_goes_while_its_answer_waits(void **state)
{
	struct scene *scene = *state;

	scene->keeps = true;
	ask(scene, true);
	answer(scene, SLICE("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"));
	origin_closes(scene);
	upstream_h1_failed(&scene->wire, ECONNRESET);
	assert_told(scene, " 200 'a' fin");
	release(scene);
	assert_int_equal(scene->reusable, false);
}

static void test_what_is_not_used_again(void **state)
{
	static const struct {
		struct slice bytes;
		bool request_whole;
		const char *told;
	} cases[] = {
		{SLICE("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naX"), true, " 200 'a' fin"},
		{SLICE("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), true,
			" 200 fin"},
		{SLICE("HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n"), false, " 413 fin"},
		{SLICE("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), true, " malformed"},
	};
	struct scene *scene;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		void *fresh;

		set_up(&fresh);
		scene = fresh;
		ask(scene, cases[i].request_whole);
		answer(scene, cases[i].bytes);
		assert_told(scene, cases[i].told);
		assert_int_equal(scene->reusable, false);
		tear_down(&fresh);
	}
	(void)state;
}

static void test_an_origin_that_closes(void **state)
{
	static const struct {
		struct slice bytes;
		const char *told;
	} cases[] = {
		{SLICE("HTTP/1.1 200 OK\r\n\r\nabc"), " 200 'abc' fin"},
		{SLICE("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc"), " 200 'abc' closed"},
		{SLICE(CHUNKED "1\r\na\r\n"), " 200 'a' closed"},
		{SLICE("HTTP/1.1 200"), " closed"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scene *scene;
		void *fresh;

		set_up(&fresh);
		scene = fresh;
		ask(scene, true);
		answer(scene, cases[i].bytes);
		origin_closes(scene);
		assert_told(scene, cases[i].told);
		assert_int_equal(scene->reusable, false);
		tear_down(&fresh);
	}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_request_after_the_other, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_response_without_room_waits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_the_origin_goes_while_its_answer_waits, set_up, tear_down),
		cmocka_unit_test(test_what_is_not_used_again),
		cmocka_unit_test(test_an_origin_that_closes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
