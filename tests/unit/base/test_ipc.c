// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/ipc.h"

struct fixture {
	int ends[2];
	_Alignas(max_align_t) char memory[IPC_MESSAGE_MAX];
	struct ipc_message m;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	return f ? ipc_pair(f->ends) : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 2; i++) {
		if (f->ends[i] >= 0)
			close(f->ends[i]);
	}
	free(f);
	return 0;
}

static int receive(struct fixture *f)
{
	return ipc_receive(f->ends[1], f->memory, sizeof(f->memory), &f->m);
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			n++;
	}
	return n;
}

static void a_message_comes_whole_and_in_order(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(receive(f), -EAGAIN);
	assert_int_equal(ipc_send(f->ends[0], 7, "first", 5, NULL, 0), 0);
	assert_int_equal(ipc_send(f->ends[0], 8, NULL, 0, NULL, 0), 0);
	assert_int_equal(receive(f), 1);
	assert_int_equal(f->m.type, 7);
	assert_int_equal(f->m.len, 5);
	assert_memory_equal(f->m.body, "first", 5);
	assert_int_equal(receive(f), 1);
	assert_int_equal(f->m.type, 8);
	assert_int_equal(f->m.len, 0);
	assert_int_equal(f->m.nfds, 0);
	assert_int_equal(receive(f), -EAGAIN);
}

static void the_longest_body_passes_and_a_longer_one_is_refused(void **state)
{
	struct fixture *f = *state;
	char *body = calloc(1, IPC_MESSAGE_MAX + 1);

	memset(body, 'x', IPC_MESSAGE_MAX + 1);
	assert_int_equal(ipc_send(f->ends[0], 1, body, IPC_MESSAGE_MAX + 1, NULL, 0), -EMSGSIZE);
	assert_int_equal(ipc_send(f->ends[0], 1, body, IPC_MESSAGE_MAX, NULL, 0), 0);
	assert_int_equal(receive(f), 1);
	assert_int_equal(f->m.len, IPC_MESSAGE_MAX);
	assert_memory_equal(f->m.body, body, IPC_MESSAGE_MAX);
	free(body);
}

static void descriptors_arrive_as_others_of_the_same_file(void **state)
{
	struct fixture *f = *state;
	int fds[IPC_FDS_MAX + 1], pipe_ends[2];
	char byte = 0;

	assert_int_equal(pipe(pipe_ends), 0);
	for (int i = 0; i <= IPC_FDS_MAX; i++)
		fds[i] = pipe_ends[1];
	assert_int_equal(ipc_send(f->ends[0], 1, NULL, 0, fds, IPC_FDS_MAX + 1), -EMSGSIZE);
	assert_int_equal(ipc_send(f->ends[0], 1, "b", 1, fds, IPC_FDS_MAX), 0);
	close(pipe_ends[1]);
	assert_int_equal(receive(f), 1);
	assert_int_equal(f->m.nfds, IPC_FDS_MAX);
	for (size_t i = 0; i < f->m.nfds; i++)
		assert_int_equal(fcntl(f->m.fds[i], F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(f->m.fds[IPC_FDS_MAX - 1], "!", 1), 1);
	assert_int_equal(read(pipe_ends[0], &byte, 1), 1);
	assert_int_equal(byte, '!');
	ipc_close_fds(&f->m);
	/* All writers are closed: the end of the file. */
	assert_int_equal(read(pipe_ends[0], &byte, 1), 0);
	close(pipe_ends[0]);
}

static void a_taken_descriptor_is_not_closed(void **state)
{
	struct fixture *f = *state;
	int fds[2] = {f->ends[0], f->ends[0]}, taken;

	assert_int_equal(ipc_send(f->ends[0], 1, NULL, 0, fds, 2), 0);
	assert_int_equal(receive(f), 1);
	taken = f->m.fds[0];
	f->m.fds[0] = -1;
	ipc_close_fds(&f->m);
	assert_true(fcntl(taken, F_GETFD) >= 0);
	close(taken);
}

static void a_message_that_does_not_fit_is_dropped_with_its_descriptors(void **state)
{
	struct fixture *f = *state;
	int before = open_fds();

	assert_int_equal(ipc_send(f->ends[0], 1, "12345678", 8, &f->ends[0], 1), 0);
	assert_int_equal(ipc_send(f->ends[0], 2, "ok", 2, NULL, 0), 0);
	assert_int_equal(ipc_receive(f->ends[1], f->memory, 7, &f->m), -EBADMSG);
	assert_int_equal(f->m.nfds, 0);
	assert_int_equal(open_fds(), before);
	assert_int_equal(receive(f), 1);
	assert_int_equal(f->m.type, 2);
}

static void what_is_not_a_message_is_dropped(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(send(f->ends[0], "abc", 3, 0), 3);
	assert_int_equal(receive(f), -EBADMSG);
	assert_int_equal(send(f->ends[0], "a long text without the magic", 29, 0), 29);
	assert_int_equal(receive(f), -EBADMSG);
	assert_int_equal(receive(f), -EAGAIN);
}

static void a_full_socket_says_again_and_loses_nothing(void **state)
{
	struct fixture *f = *state;
	int sent = 0, got = 0;

	while (ipc_send(f->ends[0], (uint32_t)sent, "body", 4, NULL, 0) == 0)
		assert_true(++sent < 1000000);
	assert_true(sent > 100);
	assert_int_equal(ipc_send(f->ends[0], 0, "body", 4, NULL, 0), -EAGAIN);
	while (receive(f) == 1)
		assert_int_equal(f->m.type, got++);
	assert_int_equal(got, sent);
	assert_int_equal(ipc_send(f->ends[0], 0, "body", 4, NULL, 0), 0);
}

static void the_end_is_seen_by_both_sides(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ipc_send(f->ends[0], 1, "last words", 10, NULL, 0), 0);
	/* Unread by the one that goes: that resets the socket, and must not cost what it sent. */
	assert_int_equal(ipc_send(f->ends[1], 1, "unread", 6, NULL, 0), 0);
	close(f->ends[0]);
	f->ends[0] = -1;
	assert_int_equal(receive(f), 1);
	assert_memory_equal(f->m.body, "last words", 10);
	assert_int_equal(receive(f), 0);
	assert_int_equal(ipc_send(f->ends[1], 1, NULL, 0, NULL, 0), -EPIPE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_message_comes_whole_and_in_order),
		TEST(the_longest_body_passes_and_a_longer_one_is_refused),
		TEST(descriptors_arrive_as_others_of_the_same_file),
		TEST(a_taken_descriptor_is_not_closed),
		TEST(a_message_that_does_not_fit_is_dropped_with_its_descriptors),
		TEST(what_is_not_a_message_is_dropped),
		TEST(a_full_socket_says_again_and_loses_nothing),
		TEST(the_end_is_seen_by_both_sides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
