// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <msgpack.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/rogue_collector.h"

static void hang_up(struct rogue_collector *collector)
{
	ev_io_stop(collector->loop, &collector->reading);
	close(collector->connection);
	collector->connection = -1;
	buf_clear(&collector->input);
}

static void answer_chunk(struct rogue_collector *collector, const msgpack_object *id)
{
	enum rogue_manner manner = collector->misbehave ? collector->manner : ROGUE_ACKNOWLEDGE;
	msgpack_sbuffer answer;
	msgpack_packer packer;

	collector->misbehave -= collector->misbehave > 0;
	if (manner == ROGUE_SILENT)
		return;
	if (manner == ROGUE_CLOSE) {
		hang_up(collector);
		return;
	}
	msgpack_sbuffer_init(&answer);
	msgpack_packer_init(&packer, &answer, msgpack_sbuffer_write);
	msgpack_pack_map(&packer, manner == ROGUE_RUBBISH ? 200 : 1);
	msgpack_pack_str_with_body(&packer, "ack", 3);
	if (manner == ROGUE_RUBBISH)
		msgpack_pack_int(&packer, 1);
	else
		msgpack_pack_str_with_body(
			&packer, id->via.str.ptr, id->via.str.size - (manner == ROGUE_WRONG_ID));
	assert_int_equal(
		send(collector->connection, answer.data, answer.size, MSG_NOSIGNAL), answer.size);
	msgpack_sbuffer_destroy(&answer);
}

static void take_chunk(struct rogue_collector *collector, const msgpack_object *message)
{
	const msgpack_object *entries = &message->via.array.ptr[1];
	const msgpack_object *option = &message->via.array.ptr[2];
	const msgpack_object *id = &option->via.map.ptr[1].val;

	assert_true(collector->nchunks < 64);
	assert_int_equal(option->via.map.ptr[0].val.via.u64, entries->via.array.size);
	snprintf(collector->chunks[collector->nchunks++], 32, "%.*s", (int)id->via.str.size,
		id->via.str.ptr);
	/* As a collector does: stored first, then acknowledged; and stored once. */
	if (!collector->misbehave) {
		for (uint32_t i = 0; i < entries->via.array.size; i++) {
			const msgpack_object *record = &entries->via.array.ptr[i].via.array.ptr[1];

			assert_true(collector->nreceived < 5000);
			collector->received[collector->nreceived++] =
				record->via.map.ptr[3].val.via.u64;
		}
	}
	answer_chunk(collector, id);
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
	struct rogue_collector *collector = io->data;
	char *room = buf_reserve(&collector->input, 1 << 16);
	ssize_t n = recv(collector->connection, room, 1 << 16, MSG_DONTWAIT);
	msgpack_unpacked unpacked;
	size_t used = 0;

	(void)loop;
	(void)events;
	if (n <= 0) {
		hang_up(collector);
		return;
	}
	buf_commit(&collector->input, (size_t)n);
	msgpack_unpacked_init(&unpacked);
	while (collector->connection >= 0 &&
		msgpack_unpack_next(&unpacked, buf_slice(&collector->input).data,
			buf_len(&collector->input), &used) == MSGPACK_UNPACK_SUCCESS) {
		take_chunk(collector, &unpacked.data);
		buf_consume(&collector->input, used);
		used = 0;
	}
	msgpack_unpacked_destroy(&unpacked);
}

static void on_connect(struct ev_loop *loop, ev_io *io, int events)
{
	struct rogue_collector *collector = io->data;

	(void)events;
	if (collector->connection >= 0)
		hang_up(collector);
	collector->connection = accept(collector->listener, NULL, NULL);
	assert_true(collector->connection >= 0);
	ev_io_set(&collector->reading, collector->connection, EV_READ);
	ev_io_start(loop, &collector->reading);
}

void rogue_collector_bind(
	struct rogue_collector *collector, struct ev_loop *loop, struct address_port *at)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);

	collector->loop = loop;
	collector->connection = -1;
	collector->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(collector->listener, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(collector->listener, (struct sockaddr *)&address, &len), 0);
	assert_int_equal(address_port_from_sockaddr(at, (struct sockaddr *)&address), 0);
	ev_io_init(&collector->accepting, on_connect, collector->listener, EV_READ);
	ev_init(&collector->reading, on_readable);
	collector->accepting.data = collector->reading.data = collector;
}

void rogue_collector_listen(struct rogue_collector *collector)
{
	assert_int_equal(listen(collector->listener, 10), 0);
	ev_io_start(collector->loop, &collector->accepting);
}

void rogue_collector_close(struct rogue_collector *collector)
{
	if (collector->connection >= 0)
		hang_up(collector);
	ev_io_stop(collector->loop, &collector->accepting);
	close(collector->listener);
	buf_free(&collector->input);
}
