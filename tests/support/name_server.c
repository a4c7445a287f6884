// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/name_server.h"

void name_server_answer(const struct name_server *server, struct name_question *question,
	unsigned code, unsigned records, size_t len)
{
	uint8_t *packet = question->packet;

	packet[2] = 0x84; /* response, authoritative */
	packet[3] = (uint8_t)code;
	memset(packet + 6, 0, 6);
	packet[7] = (uint8_t)records;
	sendto(server->fd, packet, len, 0, (struct sockaddr *)&question->from, question->from_len);
}

static void on_question(struct ev_loop *loop, ev_io *io, int events)
{
	struct name_server *server = io->data;
	struct name_question question = {.from_len = sizeof(question.from)};
	const uint8_t *packet = question.packet;
	ssize_t len = recvfrom(server->fd, question.packet, 512, 0,
		(struct sockaddr *)&question.from, &question.from_len);
	size_t at = 12, named = 0;

	(void)loop;
	(void)events;
	while (len > 0 && at < (size_t)len && packet[at]) {
		if (at + 1u + packet[at] > (size_t)len || named + packet[at] + 1u >= 256)
			return;
		memcpy(question.name + named, packet + at + 1, packet[at]);
		named += packet[at];
		question.name[named++] = '.';
		at += packet[at] + 1u;
	}
	at += 5;
	if (len < 17 || at > (size_t)len)
		return;
	question.end = at;
	question.type = (unsigned)packet[at - 4] << 8 | packet[at - 3];
	server->asked(server->context, &question);
}

void name_server_open(struct name_server *server, struct ev_loop *loop,
	void (*asked)(void *context, struct name_question *question), void *context)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);

	*server = (struct name_server){.loop = loop,
		.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
		.asked = asked,
		.context = context};
	assert_int_equal(bind(server->fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &len), 0);
	address_port_from_sockaddr(&server->address, (struct sockaddr *)&address);
	ev_io_init(&server->io, on_question, server->fd, EV_READ);
	server->io.data = server;
	ev_io_start(loop, &server->io);
}

void name_server_close(struct name_server *server)
{
	ev_io_stop(server->loop, &server->io);
	close(server->fd);
}
