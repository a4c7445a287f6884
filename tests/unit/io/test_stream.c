// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/stream.h"
#include "tests/support/forge.h"

#define WINDOW 4096

/* A stream on the loop, and its peer: OpenSSL in the hands of the test. */
struct scene {
	struct ev_loop *loop;
	struct turn turn;
	struct stream stream;
	struct forged certificate;
	SSL_CTX *server, *client;
	SSL *peer; /* NULL: plain */
	int peer_fd;
	bool open;
	/* what the stream told */
	unsigned ready, readable, flushed, rested;
	int failed;
	/* what its owner read */
	size_t reads_of_a_turn; /* calls of stream_read at each readable */
	size_t got;
	ssize_t last;
};

static void told_ready(void *owner)
{
	struct scene *scene = owner;

	scene->ready++;
}

static void told_readable(void *owner)
{
	struct scene *scene = owner;
	char memory[32768];

	scene->readable++;
	for (size_t i = 0; i < scene->reads_of_a_turn; i++) {
		scene->last = stream_read(&scene->stream, memory, sizeof(memory));
		if (scene->last <= 0)
			break;
		scene->got += (size_t)scene->last;
	}
	if (scene->last == 0 || (scene->last < 0 && scene->last != -EAGAIN))
		stream_watch(&scene->stream, false);
}

static void told_flushed(void *owner)
{
	struct scene *scene = owner;

	scene->flushed++;
}

static void told_failed(void *owner, int error)
{
	struct scene *scene = owner;

	scene->failed = error;
}

static void told_rests(void *owner)
{
	struct scene *scene = owner;

	scene->rested++;
}

static const struct stream_handler handler = {
	told_ready, told_readable, told_flushed, told_failed, told_rests};

static int set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	const struct forge wanted = {.name = "peer", .alternative = "DNS:peer.example"};

	scene->loop = ev_loop_new(0);
	turn_open(&scene->turn, scene->loop);
	scene->certificate = forge(&wanted, NULL);
	scene->server = SSL_CTX_new(TLS_server_method());
	scene->client = SSL_CTX_new(TLS_client_method());
	assert_int_equal(SSL_CTX_use_certificate(scene->server, scene->certificate.certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(scene->server, scene->certificate.key), 1);
	scene->reads_of_a_turn = 1000;
	scene->peer_fd = -1;
	*state = scene;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *scene = *state;

	if (scene->open)
		stream_abort(&scene->stream);
	SSL_free(scene->peer);
	if (scene->peer_fd >= 0)
		close(scene->peer_fd);
	turn_close(&scene->turn);
	ev_loop_destroy(scene->loop);
	SSL_CTX_free(scene->server);
	SSL_CTX_free(scene->client);
	forged_free(&scene->certificate);
	free(scene);
	return 0;
}

static void turns(struct scene *scene, unsigned n)
{
	while (n--)
		ev_run(scene->loop, EVRUN_NOWAIT);
}

static int pair(struct scene *scene)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	scene->peer_fd = fds[1];
	return fds[0];
}

static void open_plain(struct scene *scene)
{
	int fd = pair(scene);

	assert_int_equal(stream_open(&scene->stream, &scene->turn, fd, NULL, WINDOW, &handler, scene),
		0);
	scene->open = true;
	stream_watch(&scene->stream, true);
}

/* With the modes of both legs (tls/). */
static void open_tls_of(struct scene *scene, bool is_server)
{
	SSL_CTX *ours = is_server ? scene->server : scene->client;
	int fd = pair(scene);
	SSL *ssl;

	SSL_CTX_set_mode(ours, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_clear_mode(ours, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_read_ahead(ours, 1);
	ssl = SSL_new(ours);
	scene->peer = SSL_new(is_server ? scene->client : scene->server);
	SSL_set_fd(scene->peer, scene->peer_fd);
	if (is_server) {
		SSL_set_accept_state(ssl);
		SSL_set_connect_state(scene->peer);
	} else {
		SSL_set_connect_state(ssl);
		SSL_set_accept_state(scene->peer);
	}
	assert_int_equal(
		stream_open(&scene->stream, &scene->turn, fd, ssl, WINDOW, &handler, scene), 0);
	scene->open = true;
	stream_handshake(&scene->stream);
	for (int i = 0; i < 10; i++) {
		SSL_do_handshake(scene->peer);
		turns(scene, 1);
	}
	assert_int_equal(scene->ready, 1);
	/* Tickets are read before the test begins. */
	SSL_read(scene->peer, (char[1]){0}, 1);
	scene->readable = 0;
}

static void open_tls(struct scene *scene)
{
	open_tls_of(scene, true);
}

/* What the peer would send, taken from it instead: up to size bytes. */
static size_t peer_records(struct scene *scene, char *memory, size_t size, const void *payload,
	size_t len)
{
	BIO *pipe = BIO_new(BIO_s_mem());
	int n;

	SSL_set0_wbio(scene->peer, pipe);
	assert_int_equal(SSL_write(scene->peer, payload, (int)len), len);
	n = BIO_read(pipe, memory, (int)size);
	assert_true(n > 0);
	BIO_up_ref(SSL_get_rbio(scene->peer));
	SSL_set0_wbio(scene->peer, SSL_get_rbio(scene->peer));
	return (size_t)n;
}

/* ---- reading ---- */

static void test_a_turn_reads_a_share(void **state)
{
	struct scene *scene = *state;
	char piece[8192] = "";
	size_t sent = 0;

	open_tls(scene);
	while (SSL_write(scene->peer, piece, sizeof(piece)) > 0)
		sent += sizeof(piece);
	assert_true(sent > SOCKET_BIO_SHARE + 2 * sizeof(piece));
	turns(scene, 1);
	assert_in_range(scene->got, 1, SOCKET_BIO_SHARE);
	turns(scene, 100);
	assert_int_equal(scene->got, sent);
}

/* Records that TLS has taken from the socket: no event tells of them. */
static void test_records_inside_tls_are_read_turn_by_turn(void **state)
{
	struct scene *scene = *state;

	open_tls(scene);
	for (int i = 0; i < 10; i++)
		assert_int_equal(SSL_write(scene->peer, "x", 1), 1);
	scene->reads_of_a_turn = 1;
	for (unsigned i = 1; i <= 10; i++) {
		turns(scene, 1);
		assert_int_equal(scene->got, i);
	}
	turns(scene, 5);
	assert_in_range(scene->readable, 10, 11);
}

static void test_input_that_is_not_watched_waits_inside_tls(void **state)
{
	struct scene *scene = *state;

	open_tls(scene);
	for (int i = 0; i < 3; i++)
		assert_int_equal(SSL_write(scene->peer, "x", 1), 1);
	scene->reads_of_a_turn = 1;
	turns(scene, 1);
	stream_watch(&scene->stream, false);
	turns(scene, 5);
	assert_int_equal(scene->got, 1);
	stream_watch(&scene->stream, true);
	assert_int_equal(scene->got, 1);
	turns(scene, 5);
	assert_int_equal(scene->got, 3);
}

/* There is nothing to do until the rest comes: the loop sleeps. */
static void test_half_a_record_keeps_nobody_busy(void **state)
{
	struct scene *scene = *state;
	char record[256];
	size_t len;

	open_tls(scene);
	len = peer_records(scene, record, sizeof(record), "0123456789", 10);
	assert_int_equal(send(scene->peer_fd, record, len / 2, 0), len / 2);
	turns(scene, 1);
	assert_int_equal(scene->readable, 1);
	assert_int_equal(scene->last, -EAGAIN);
	assert_true(stream_has_pending(&scene->stream));
	turns(scene, 20);
	assert_int_equal(scene->readable, 1);
	assert_int_equal(send(scene->peer_fd, record + len / 2, len - len / 2, 0), len - len / 2);
	turns(scene, 1);
	assert_int_equal(scene->got, 10);
}

/* ---- floods ---- */

/* OpenSSL 3.0 handles many messages within one call, 3.5 one. */
#define FLOOD_TURNS (2 * STREAM_MESSAGES_MAX)

/* KeyUpdates as long as the socket takes them; returns how many those were. */
static unsigned flood(struct scene *scene, unsigned most, int kind)
{
	unsigned n = 0;

	while (n < most && SSL_key_update(scene->peer, kind) == 1 &&
		SSL_do_handshake(scene->peer) == 1)
		n++;
	return n;
}

static void flood_ends_the_stream(struct scene *scene, bool is_server)
{
	open_tls_of(scene, is_server);
	assert_true(flood(scene, 1000, SSL_KEY_UPDATE_NOT_REQUESTED) > STREAM_MESSAGES_MAX);
	turns(scene, FLOOD_TURNS);
	assert_true(scene->stream.flooded);
	assert_int_equal(scene->last, -EPROTO);
	assert_int_equal(stream_read(&scene->stream, (char[1]){0}, 1), -EPROTO);
}

static void test_a_client_that_floods_with_key_updates(void **state)
{
	flood_ends_the_stream(*state, true);
}

static void test_an_origin_that_floods_with_key_updates(void **state)
{
	flood_ends_the_stream(*state, false);
}

static void test_a_flood_that_wants_answers(void **state)
{
	struct scene *scene = *state;

	open_tls(scene);
	flood(scene, 1000, SSL_KEY_UPDATE_REQUESTED);
	turns(scene, FLOOD_TURNS);
	assert_true(scene->stream.flooded);
	assert_int_equal(scene->last, -EPROTO);
}

/* What honest peers do in the life of a connection. */
static void test_some_key_updates_are_welcome(void **state)
{
	struct scene *scene = *state;

	open_tls(scene);
	for (unsigned i = 1; i <= 20; i++) {
		assert_int_equal(flood(scene, 1, SSL_KEY_UPDATE_REQUESTED), 1);
		assert_int_equal(SSL_write(scene->peer, "x", 1), 1);
		turns(scene, 3);
		assert_int_equal(scene->got, i);
	}
	assert_false(scene->stream.flooded);
}

/* Time gives a peer back what it used. */
static void test_messages_are_counted_per_time(void **state)
{
	struct scene *scene = *state;

	open_tls(scene);
	for (unsigned i = 1; i <= STREAM_MESSAGES_MAX; i++) {
		scene->stream.messages_ns -= 2 * 1000000000ULL / STREAM_MESSAGES_PER_SECOND;
		assert_int_equal(flood(scene, 1, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		turns(scene, 2);
	}
	assert_false(scene->stream.flooded);
	assert_int_equal(SSL_write(scene->peer, "x", 1), 1);
	turns(scene, 1);
	assert_int_equal(scene->got, 1);
}

/* The answer to a KeyUpdate does not fit into the socket: the peer, which reads nothing, keeps the
 * stream from reading; nothing turns round and round. */
static void test_a_read_that_wants_to_write_sleeps(void **state)
{
	struct scene *scene = *state;
	char junk[4096] = "", memory[4096];

	open_tls(scene);
	while (send(scene->stream.fd, junk, sizeof(junk), 0) > 0)
		;
	assert_int_equal(flood(scene, 2, SSL_KEY_UPDATE_REQUESTED), 2);
	turns(scene, 3);
	assert_true(scene->stream.read_wants_write);
	scene->readable = 0;
	turns(scene, 20);
	assert_int_equal(scene->readable, 0);
	/* It goes on once there is room. */
	while (recv(scene->peer_fd, memory, sizeof(memory), 0) > 0)
		;
	turns(scene, 3);
	assert_false(scene->stream.read_wants_write);
	assert_true(scene->readable > 0);
}

/* ---- room ---- */

static void compose(struct scene *scene, size_t len)
{
	char *bytes = calloc(1, len);

	assert_int_equal(buf_append(stream_out(&scene->stream), bytes, len), 0);
	free(bytes);
}

static void peer_takes_all(struct scene *scene)
{
	char memory[65536];

	while (recv(scene->peer_fd, memory, sizeof(memory), 0) > 0)
		;
}

static void test_room_is_what_is_left_of_the_window(void **state)
{
	struct scene *scene = *state;

	open_plain(scene);
	assert_int_equal(stream_room(&scene->stream), WINDOW);
	compose(scene, WINDOW - 1);
	assert_int_equal(stream_room(&scene->stream), 1);
	compose(scene, 1);
	assert_int_equal(stream_room(&scene->stream), 0);
	compose(scene, 1);
	assert_int_equal(stream_room(&scene->stream), 0);
	assert_int_equal(stream_flush(&scene->stream), 0);
	assert_int_equal(stream_room(&scene->stream), WINDOW);
}

static void test_flushed_is_told_when_the_socket_takes_more(void **state)
{
	struct scene *scene = *state;

	open_plain(scene);
	compose(scene, 1 << 20);
	assert_int_equal(stream_flush(&scene->stream), 0);
	assert_int_equal(stream_room(&scene->stream), 0);
	turns(scene, 3);
	assert_int_equal(scene->flushed, 0);
	for (int i = 0; i < 1000 && !scene->flushed; i++) {
		peer_takes_all(scene);
		turns(scene, 1);
	}
	assert_int_equal(scene->flushed, 1);
	assert_true(stream_room(&scene->stream) >= WINDOW / 2);
}

/* A flush of the owner's takes the last of it away: whoever stopped for want of room is told all
 * the same, and not inside of the flush. */
static void test_flushed_is_told_after_a_direct_flush(void **state)
{
	struct scene *scene = *state;

	open_plain(scene);
	compose(scene, 1 << 20);
	assert_int_equal(stream_flush(&scene->stream), 0);
	assert_int_equal(stream_room(&scene->stream), 0);
	while (buf_len(stream_out(&scene->stream))) {
		peer_takes_all(scene);
		assert_int_equal(stream_flush(&scene->stream), 0);
	}
	assert_int_equal(scene->flushed, 0);
	turns(scene, 1);
	assert_int_equal(scene->flushed, 1);
	turns(scene, 3);
	assert_int_equal(scene->flushed, 1);
}

static void test_held_bytes_wait(void **state)
{
	struct scene *scene = *state;
	char memory[8];

	open_plain(scene);
	compose(scene, 4);
	assert_int_equal(stream_cork(&scene->stream, true), 0);
	assert_int_equal(stream_flush(&scene->stream), 0);
	turns(scene, 2);
	assert_int_equal(recv(scene->peer_fd, memory, sizeof(memory), 0), -1);
	assert_int_equal(stream_cork(&scene->stream, false), 0);
	assert_int_equal(recv(scene->peer_fd, memory, sizeof(memory), 0), 4);
}

static void test_who_rests_is_told_once(void **state)
{
	struct scene *scene = *state;

	open_plain(scene);
	compose(scene, 4);
	assert_int_equal(stream_flush(&scene->stream), 0);
	while (!scene->rested)
		ev_run(scene->loop, EVRUN_NOWAIT);
	assert_null(scene->stream.out.memory);
	turns(scene, 2);
	assert_int_equal(scene->rested, 1);
	/* Without use there is nothing to give back. */
	compose(scene, 4);
	assert_int_equal(stream_flush(&scene->stream), 0);
	assert_non_null(scene->stream.out.memory);
	assert_int_equal(scene->rested, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_turn_reads_a_share),
		TEST(records_inside_tls_are_read_turn_by_turn),
		TEST(input_that_is_not_watched_waits_inside_tls),
		TEST(half_a_record_keeps_nobody_busy),
		TEST(a_client_that_floods_with_key_updates),
		TEST(an_origin_that_floods_with_key_updates),
		TEST(a_flood_that_wants_answers),
		TEST(some_key_updates_are_welcome),
		TEST(messages_are_counted_per_time),
		TEST(a_read_that_wants_to_write_sleeps),
		TEST(room_is_what_is_left_of_the_window),
		TEST(flushed_is_told_when_the_socket_takes_more),
		TEST(flushed_is_told_after_a_direct_flush),
		TEST(held_bytes_wait),
		TEST(who_rests_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
