// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/receiver.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "collector/forward_server.h"
#include "collector/msgpack_scan.h"

#define RECEIVER_CONNECTIONS 256
#define RECEIVER_READ	     65536
/* Senders that read no acknowledgements are closed when this much waits for them. */
#define RECEIVER_ACKS_MAX 65536
/* Without descriptors, or while the store is full: the pause before the next try. */
#define RECEIVER_PAUSE_S 1.0

struct receiver {
	struct ev_loop *loop;
	struct store *store;
	int listener;
	ev_io accept;
	ev_timer pause;
	ev_prepare turn_end;
	struct list connections;
	unsigned nconnections;
	bool failing;	/* the store refused the last batch: logged once */
	char scratch[RECEIVER_READ];
};

struct connection {
	struct list node;
	struct receiver *receiver;
	int fd;
	ev_io readable, writable;
	struct msgpack_scan scan;
	struct buf input;	/* a message that is not whole yet */
	struct buf acks;	/* of what is stored, but not yet committed */
	struct buf out;
	struct address_port peer;
};

static void connection_close(struct connection *c)
{
	struct receiver *r = c->receiver;

	ev_io_stop(r->loop, &c->readable);
	ev_io_stop(r->loop, &c->writable);
	close(c->fd);
	buf_wipe(&c->input);
	buf_free(&c->acks);
	buf_free(&c->out);
	list_remove(&c->node);
	r->nconnections--;
	free(c);
}

static void connection_flush(struct connection *c)
{
	while (buf_len(&c->out)) {
		struct slice out = buf_slice(&c->out);
		ssize_t gone = send(c->fd, out.data, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (gone < 0 && errno == EAGAIN && out.len <= RECEIVER_ACKS_MAX) {
			ev_io_start(c->receiver->loop, &c->writable);
			return;
		}
		if (gone < 0) {
			connection_close(c);
			return;
		}
		buf_consume(&c->out, (size_t)gone);
	}
	ev_io_stop(c->receiver->loop, &c->writable);
}

static void connection_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void)loop;
	(void)events;
	connection_flush(watcher->data);
}

/* The store failed: nothing that was not committed is acknowledged, and the senders come again. */
static void receiver_fail(struct receiver *r, const struct why *why)
{
	if (!r->failing)
		log_error("%s: nothing is acknowledged until the store takes it", why->text);
	r->failing = true;
	store_rollback(r->store);
	list_for_each_safe (at, &r->connections)
		connection_close(list_entry(at, struct connection, node));
	ev_io_stop(r->loop, &r->accept);
	ev_timer_again(r->loop, &r->pause);
}

/* One commit for all that came in this turn of the loop; then, and only then, the acks. */
static void receiver_commit(struct receiver *r)
{
	struct why why;

	if (!store_in_transaction(r->store))
		return;
	if (store_commit(r->store, &why) < 0) {
		receiver_fail(r, &why);
		return;
	}
	if (r->failing)
		log_info("the store takes events again");
	r->failing = false;
	list_for_each_safe (at, &r->connections) {
		struct connection *c = list_entry(at, struct connection, node);

		if (!buf_len(&c->acks))
			continue;
		if (buf_append_slice(&c->out, buf_slice(&c->acks)) < 0) {
			connection_close(c);
			continue;
		}
		buf_clear(&c->acks);
		connection_flush(c);
	}
}

static void receiver_turn_end(struct ev_loop *loop, ev_prepare *watcher, int events)
{
	(void)loop;
	(void)events;
	receiver_commit(watcher->data);
}

struct receiver_batch {
	struct receiver *receiver;
	struct why why;
	bool failed;
};

static int receiver_entry(void *context, const struct forward_entry *entry)
{
	struct receiver_batch *batch = context;
	int error = store_add(batch->receiver->store, entry, &batch->why);

	batch->failed = error < 0;
	return error;
}

/* False: the connection is gone. */
static bool connection_message(struct connection *c, struct slice message)
{
	struct receiver_batch batch = {.receiver = c->receiver};
	struct slice chunk;

	switch (forward_read(message, receiver_entry, &batch, &chunk)) {
	case FORWARD_HEARTBEAT:
		return true;
	case FORWARD_OK:
		if (chunk.len && forward_write_ack(&c->acks, chunk) < 0) {
			connection_close(c);
			return false;
		}
		return true;
	case FORWARD_REFUSED:
		receiver_fail(c->receiver, &batch.why);
		return false;
	case FORWARD_BAD:
		break;
	}
	log_warning("%s: not a Forward message, connection closed",
		address_port_format(&c->peer).text);
	connection_close(c);
	return false;
}

/* False: the connection is gone. */
static bool connection_input(struct connection *c, struct slice input)
{
	while (input.len) {
		size_t consumed;
		struct slice whole;

		switch (msgpack_scan_feed(&c->scan, input, &consumed)) {
		case MSGPACK_SCAN_BAD:
			log_warning("%s: not msgpack, or too long or deep: connection closed",
				address_port_format(&c->peer).text);
			connection_close(c);
			return false;
		case MSGPACK_SCAN_MORE:
			if (buf_append_slice(&c->input, input) == 0)
				return true;
			connection_close(c);
			return false;
		case MSGPACK_SCAN_DONE:
			break;
		}
		whole = slice_first(input, consumed);
		if (buf_len(&c->input)) {
			if (buf_append_slice(&c->input, whole) < 0) {
				connection_close(c);
				return false;
			}
			whole = buf_slice(&c->input);
		}
		if (!connection_message(c, whole))
			return false;
		buf_clear(&c->input);
		if (c->input.capacity > RECEIVER_READ * 16)
			buf_wipe(&c->input);
		input = slice_after(input, consumed);
	}
	return true;
}

static void connection_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct connection *c = watcher->data;
	struct receiver *r = c->receiver;
	ssize_t got = recv(c->fd, r->scratch, sizeof(r->scratch), MSG_DONTWAIT);

	(void)loop;
	(void)events;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		if (buf_len(&c->input))
			log_info("%s: closed inside a message, which will come again",
				address_port_format(&c->peer).text);
		connection_close(c);
		return;
	}
	connection_input(c, slice_of(r->scratch, (size_t)got));
}

static void connection_new(struct receiver *r, int fd)
{
	struct connection *c = calloc(1, sizeof(*c));
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int on = 1;

	if (!c || r->nconnections == RECEIVER_CONNECTIONS) {
		if (c)
			log_warning("more than %d connections: one was refused",
				RECEIVER_CONNECTIONS);
		close(fd);
		free(c);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0)
		address_port_from_sockaddr(&c->peer, (struct sockaddr *)&peer);
	c->receiver = r;
	c->fd = fd;
	msgpack_scan_init(&c->scan, FORWARD_MESSAGE_MAX);
	ev_io_init(&c->readable, connection_readable, fd, EV_READ);
	ev_io_init(&c->writable, connection_writable, fd, EV_WRITE);
	c->readable.data = c->writable.data = c;
	ev_io_start(r->loop, &c->readable);
	list_append(&r->connections, &c->node);
	r->nconnections++;
}

static void receiver_accept(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct receiver *r = watcher->data;
	int fd = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd >= 0) {
		connection_new(r, fd);
		return;
	}
	if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR)
		return;
	log_error("cannot accept a connection: %s", strerror(errno));
	ev_io_stop(loop, &r->accept);
	ev_timer_again(loop, &r->pause);
}

static void receiver_again(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct receiver *r = timer->data;

	(void)events;
	ev_timer_stop(loop, timer);
	ev_io_start(loop, &r->accept);
}

static int receiver_listen(const struct address_port *listen_on, struct why *why)
{
	struct sockaddr_storage sa;
	socklen_t len = address_port_to_sockaddr(listen_on, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, error;

	if (fd < 0)
		return why_set(why, errno, "socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&sa, len) == 0 && listen(fd, 64) == 0)
		return fd;
	error = errno;
	close(fd);
	return why_set(why, error, "cannot listen on %s: %s%s", address_port_format(listen_on).text,
		strerror(error),
		error == EADDRINUSE ? "; is another collector running? (ss -ltnp)" : "");
}

struct receiver *receiver_new(struct ev_loop *loop, const struct address_port *listen_on,
	struct store *store, struct why *why)
{
	struct receiver *r = calloc(1, sizeof(*r));

	if (!r) {
		why_set(why, ENOMEM, "out of memory");
		return NULL;
	}
	r->loop = loop;
	r->store = store;
	list_init(&r->connections);
	r->listener = receiver_listen(listen_on, why);
	if (r->listener < 0) {
		free(r);
		return NULL;
	}
	ev_io_init(&r->accept, receiver_accept, r->listener, EV_READ);
	ev_timer_init(&r->pause, receiver_again, 0, RECEIVER_PAUSE_S);
	ev_prepare_init(&r->turn_end, receiver_turn_end);
	r->accept.data = r->pause.data = r->turn_end.data = r;
	ev_io_start(loop, &r->accept);
	ev_prepare_start(loop, &r->turn_end);
	return r;
}

void receiver_free(struct receiver *r)
{
	if (!r)
		return;
	receiver_commit(r);
	list_for_each_safe (at, &r->connections)
		connection_close(list_entry(at, struct connection, node));
	ev_io_stop(r->loop, &r->accept);
	ev_timer_stop(r->loop, &r->pause);
	ev_prepare_stop(r->loop, &r->turn_end);
	close(r->listener);
	free(r);
}
