// SPDX-License-Identifier: GPL-2.0-or-later
#include "keeper/peers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/credential_message.h"
#include "base/buf.h"
#include "base/ipc.h"
#include "base/log.h"

struct peer {
	struct list node;
	struct peers *peers;
	ev_io io;
	bool all_told;
	uint32_t editions[]; /* of each credential, what it was told last */
};

static void peer_close(struct peer *peer)
{
	ev_io_stop(peer->peers->loop, &peer->io);
	close(peer->io.fd);
	list_remove(&peer->node);
	free(peer);
}

static int peer_send(struct peer *peer, size_t i)
{
	const struct held *held = peer->peers->news[i].held;
	struct credential_head head = {.index = (uint32_t)i};
	struct buf message = BUF_EMPTY;
	struct slice text = slice_of_string(held->error[0] ? held->error : "it has not come yet");
	int error;

	if (held->value) {
		head.version = held->version;
		head.expires_ns = held->expires_ns;
		text = secret_text(held->value);
	}
	error = buf_append(&message, &head, sizeof(head));
	if (!error)
		error = buf_append_slice(&message, text);
	if (!error)
		error = ipc_send(peer->io.fd, CREDENTIAL_TELL, buf_slice(&message).data,
			buf_len(&message), NULL, 0);
	buf_wipe(&message);
	return error;
}

/* 0: it knows all. */
static int peer_tell(struct peer *peer)
{
	struct peers *peers = peer->peers;
	int error = 0;

	for (size_t i = 0; i < peers->n && !error; i++) {
		if (peer->editions[i] == peers->news[i].edition)
			continue;
		error = peer_send(peer, i);
		if (!error)
			peer->editions[i] = peers->news[i].edition;
	}
	if (!error && peers->all_known && !peer->all_told) {
		error = ipc_send(peer->io.fd, CREDENTIAL_ALL_TOLD, NULL, 0, NULL, 0);
		peer->all_told = !error;
	}
	return error;
}

static void peer_update(struct peer *peer)
{
	int error = peer_tell(peer), events = EV_READ;

	if (error && error != -EAGAIN && error != -ENOMEM) {
		struct peers *peers = peer->peers;

		if (error != -EPIPE)
			log_error("a worker cannot be told of its credentials: %s",
				strerror(-error));
		peer_close(peer);
		peers->gone(peers);
		return;
	}
	if (error)
		events |= EV_WRITE;
	if (peer->io.events == events && ev_is_active(&peer->io))
		return;
	ev_io_stop(peer->peers->loop, &peer->io);
	ev_io_set(&peer->io, peer->io.fd, events);
	ev_io_start(peer->peers->loop, &peer->io);
}

static void peer_hear(struct peer *peer, const struct ipc_message *message)
{
	struct peers *peers = peer->peers;
	struct credential_refusal refusal;

	if (message->type != CREDENTIAL_REFUSED || message->len != sizeof(refusal))
		return;
	memcpy(&refusal, message->body, sizeof(refusal));
	if (refusal.index < peers->n)
		peers->refused(peers, refusal.index, refusal.version);
}

static void peer_ready(struct ev_loop *loop, ev_io *io, int events)
{
	struct peer *peer = io->data;
	struct peers *peers = peer->peers;
	_Alignas(max_align_t) char memory[64];
	struct ipc_message message;
	int result = -EAGAIN;

	(void)loop;
	if (events & EV_READ)
		result = ipc_receive(io->fd, memory, sizeof(memory), &message);
	if (result > 0) {
		ipc_close_fds(&message);
		peer_hear(peer, &message);
	}
	if (result == 0 || (result < 0 && result != -EAGAIN && result != -EBADMSG)) {
		peer_close(peer);
		peers->gone(peers);
		return;
	}
	if (events & EV_WRITE)
		peer_update(peer);
}

void peers_open(struct peers *peers, struct ev_loop *loop, const struct peer_news *news, size_t n,
	void (*gone)(struct peers *peers),
	void (*refused)(struct peers *peers, size_t index, uint32_t version))
{
	*peers = (struct peers){
		.loop = loop, .news = news, .n = n, .gone = gone, .refused = refused};
	list_init(&peers->all);
}

int peers_add(struct peers *peers, int fd)
{
	struct peer *peer = calloc(1, sizeof(*peer) + peers->n * sizeof(peer->editions[0]));

	if (!peer) {
		close(fd);
		return -ENOMEM;
	}
	peer->peers = peers;
	ev_io_init(&peer->io, peer_ready, fd, EV_READ);
	peer->io.data = peer;
	list_append(&peers->all, &peer->node);
	ev_io_start(peers->loop, &peer->io);
	peer_update(peer);
	return 0;
}

void peers_tell(struct peers *peers)
{
	list_for_each_safe (node, &peers->all)
		peer_update(list_entry(node, struct peer, node));
}

void peers_close(struct peers *peers)
{
	list_for_each_safe (node, &peers->all)
		peer_close(list_entry(node, struct peer, node));
}
