// SPDX-License-Identifier: GPL-2.0-or-later
/* Who may send to the collector, and that nobody keeps them from it. Senders are processes and
 * connections of their own; the receiver runs in the loop of the test. */
#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "collector/receiver.h"
#include "shipper/handshake.h"

#define STRANGER 64999
#define MESSAGE	 "\x93\xa1t\x91\x92\x05\x81\xa8" "event.id\xa1x\x81\xa5" "chunk\xa2id"
#define ACK	 "\x81\xa3" "ack\xa2id"

struct scene {
	char directory[64], socket[80], store_path[80];
	struct ev_loop *loop;
	struct store *store;
	struct address_port tcp;
	struct receiver_options options;
	struct receiver *receiver;
};

static int set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(any);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct why why;

	snprintf(scene->directory, sizeof(scene->directory), "/tmp/sallyport-receiver-XXXXXX");
	assert_non_null(mkdtemp(scene->directory));
	assert_int_equal(chmod(scene->directory, 0755), 0);
	snprintf(scene->socket, sizeof(scene->socket), "%s/socket", scene->directory);
	snprintf(scene->store_path, sizeof(scene->store_path), "%s/store", scene->directory);
	assert_int_equal(store_open(scene->store_path, &scene->store, &why), 0);
	/* a free port */
	assert_int_equal(bind(fd, (struct sockaddr *)&any, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &len), 0);
	assert_int_equal(address_port_from_sockaddr(&scene->tcp, (struct sockaddr *)&any), 0);
	close(fd);
	scene->loop = ev_loop_new(EVFLAG_AUTO);
	scene->options = (struct receiver_options){.loop = scene->loop,
		.store = scene->store,
		.socket = scene->socket,
		.listen = &scene->tcp,
		.key = SLICE("the key"),
		.hello_ns = 3600 * NS_PER_S,
		.stall_ns = 3600 * NS_PER_S};
	*state = scene;
	return 0;
}

static void start(struct scene *scene)
{
	struct why why = {""};

	scene->receiver = receiver_new(&scene->options, &why);
	if (!scene->receiver)
		fail_msg("%s", why.text);
}

static int tear_down(void **state)
{
	struct scene *scene = *state;
	char command[128];

	receiver_free(scene->receiver);
	store_close(scene->store);
	ev_loop_destroy(scene->loop);
	snprintf(command, sizeof(command), "rm -r %s", scene->directory);
	assert_int_equal(system(command), 0);
	free(scene);
	return 0;
}

/* Turns of the loop until nothing is left to be done at once. */
static void settle(struct scene *scene)
{
	for (int i = 0; i < 20; i++)
		ev_run(scene->loop, EVRUN_NOWAIT);
}

static int connect_socket(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static int connect_tcp(struct scene *scene)
{
	struct sockaddr_storage sa;
	socklen_t len = address_port_to_sockaddr(&scene->tcp, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	return fd;
}

/* From another address of this machine, 127.0.0.2. */
static int connect_from_another(struct scene *scene)
{
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002)};
	struct sockaddr_storage sa;
	socklen_t len = address_port_to_sockaddr(&scene->tcp, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	return fd;
}

/* Bytes that are there for the sender: their number, 0 after the end, -EAGAIN for none yet. */
static ssize_t answer(struct scene *scene, int fd, char *bytes, size_t room)
{
	ssize_t n = -1;

	/* TCP over loopback may be late on a busy machine. */
	for (int i = 0; i < 2000; i++) {
		settle(scene);
		n = recv(fd, bytes, room, MSG_DONTWAIT);
		if (n >= 0 || errno != EAGAIN)
			return n < 0 ? 0 : n;
		usleep(1000);
	}
	return -EAGAIN;
}

static void assert_acknowledged(struct scene *scene, int fd)
{
	char bytes[64];

	assert_int_equal(send(fd, MESSAGE, sizeof(MESSAGE) - 1, 0), sizeof(MESSAGE) - 1);
	assert_int_equal(answer(scene, fd, bytes, sizeof(bytes)), sizeof(ACK) - 1);
	assert_memory_equal(bytes, ACK, sizeof(ACK) - 1);
}

/* A process of that user that connects to the socket and sends: whether it is acknowledged. */
static bool acknowledged_as(struct scene *scene, uid_t user)
{
	int status;
	pid_t child = fork();

	if (!child) {
		char bytes[64];
		int fd;

		if (setgid(user) < 0 || setuid(user) < 0)
			_exit(3);
		fd = connect_socket(scene->socket);
		if (send(fd, MESSAGE, sizeof(MESSAGE) - 1, MSG_NOSIGNAL) < 0)
			_exit(1);
		_exit(recv(fd, bytes, sizeof(bytes), 0) > 0 ? 0 : 1);
	}
	while (waitpid(child, &status, WNOHANG) == 0) {
		ev_run(scene->loop, EVRUN_NOWAIT);
		usleep(1000);
	}
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
	return WEXITSTATUS(status) == 0;
}

static void users_are_told_apart_on_the_socket(void **state)
{
	static const uid_t users[] = {STRANGER + 1};
	struct scene *scene = *state;

	if (geteuid() != 0)
		skip();
	scene->options.users = users;
	scene->options.nusers = 1;
	start(scene);
	assert_true(acknowledged_as(scene, STRANGER + 1));
	assert_false(acknowledged_as(scene, STRANGER));
	assert_int_equal(store_added(scene->store), 1);
}

static void a_sender_over_tcp_proves_the_key_first(void **state)
{
	struct scene *scene = *state;
	char bytes[512];
	int fd;

	start(scene);
	fd = connect_tcp(scene);
	assert_true(answer(scene, fd, bytes, sizeof(bytes)) > 0); /* HELO */
	assert_int_equal(send(fd, MESSAGE, sizeof(MESSAGE) - 1, 0), sizeof(MESSAGE) - 1);
	assert_int_equal(answer(scene, fd, bytes, sizeof(bytes)), 0);
	close(fd);
	assert_int_equal(store_added(scene->store), 0);
}

/* The handshake over a connection, as the shipper makes it. */
static enum handshake_result greet(struct scene *scene, int fd, struct slice key)
{
	enum handshake_result result = HANDSHAKE_MORE;
	struct handshake handshake = {0};
	const char *problem;

	handshake_begin(&handshake, SLICE("gate"), key);
	while (result == HANDSHAKE_MORE) {
		struct buf out = BUF_EMPTY;
		char bytes[512];
		size_t consumed;
		ssize_t n = answer(scene, fd, bytes, sizeof(bytes));

		assert_true(n > 0);
		result = handshake_read(
			&handshake, slice_of(bytes, (size_t)n), &consumed, &out, &problem);
		assert_int_equal(consumed, n);
		if (buf_len(&out))
			assert_int_equal(send(fd, buf_slice(&out).data, buf_len(&out), 0),
				buf_len(&out));
		buf_free(&out);
	}
	handshake_free(&handshake);
	return result;
}

static void the_key_opens_and_another_does_not(void **state)
{
	struct scene *scene = *state;
	char bytes[8];
	int fd;

	start(scene);
	fd = connect_tcp(scene);
	assert_int_equal(greet(scene, fd, SLICE("the key")), HANDSHAKE_DONE);
	assert_acknowledged(scene, fd);
	close(fd);
	fd = connect_tcp(scene);
	assert_int_equal(greet(scene, fd, SLICE("a key")), HANDSHAKE_FAILED);
	assert_int_equal(answer(scene, fd, bytes, sizeof(bytes)), 0);
	close(fd);
}

/* As many as were enough to lock the shipper out. */
static void idle_connections_keep_nobody_out(void **state)
{
	struct scene *scene = *state;
	int idle[2][300], fd;

	start(scene);
	for (int i = 0; i < 300; i++) {
		idle[0][i] = connect_tcp(scene);
		idle[1][i] = connect_socket(scene->socket);
		settle(scene);
	}
	fd = connect_tcp(scene);
	assert_int_equal(greet(scene, fd, SLICE("the key")), HANDSHAKE_DONE);
	assert_acknowledged(scene, fd);
	close(fd);
	fd = connect_socket(scene->socket);
	assert_acknowledged(scene, fd);
	close(fd);
	for (int i = 0; i < 300; i++) {
		close(idle[0][i]);
		close(idle[1][i]);
	}
}

/* However many there are from one address: the handshake of another goes on. */
static void a_flood_pushes_out_its_own(void **state)
{
	struct scene *scene = *state;
	int idle[300], fd;

	start(scene);
	fd = connect_tcp(scene);
	settle(scene);
	for (int i = 0; i < 300; i++) {
		idle[i] = connect_from_another(scene);
		settle(scene);
	}
	assert_int_equal(greet(scene, fd, SLICE("the key")), HANDSHAKE_DONE);
	assert_acknowledged(scene, fd);
	close(fd);
	for (int i = 0; i < 300; i++)
		close(idle[i]);
}

/* Waits for the end of the connection, which the receiver looks for each second. */
static void assert_closed(struct scene *scene, int fd)
{
	char bytes[256];
	ssize_t n;

	do
		n = answer(scene, fd, bytes, sizeof(bytes));
	while (n > 0 || n == -EAGAIN);
	assert_int_equal(n, 0);
	close(fd);
}

static void who_is_late_is_closed(void **state)
{
	struct scene *scene = *state;
	int silent, stalled, idle;

	scene->options.hello_ns = scene->options.stall_ns = 1;
	start(scene);
	idle = connect_socket(scene->socket);
	assert_acknowledged(scene, idle);
	silent = connect_tcp(scene);
	stalled = connect_socket(scene->socket);
	assert_int_equal(send(stalled, MESSAGE, 5, 0), 5);
	assert_closed(scene, silent);
	assert_closed(scene, stalled);
	/* Between two messages a sender may be silent. */
	assert_acknowledged(scene, idle);
	close(idle);
}

static void a_socket_left_behind_is_replaced(void **state)
{
	struct scene *scene = *state;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct why why;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", scene->socket);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	start(scene);
	/* One that is alive is not. */
	scene->options.listen = NULL;
	assert_null(receiver_new(&scene->options, &why));
	assert_non_null(strstr(why.text, "another collector"));
	fd = connect_socket(scene->socket);
	assert_acknowledged(scene, fd);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(users_are_told_apart_on_the_socket),
		TEST(a_sender_over_tcp_proves_the_key_first),
		TEST(the_key_opens_and_another_does_not),
		TEST(idle_connections_keep_nobody_out),
		TEST(a_flood_pushes_out_its_own),
		TEST(who_is_late_is_closed),
		TEST(a_socket_left_behind_is_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
