// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/receiver.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "collector/forward_server.h"
#include "collector/local_socket.h"
#include "collector/sender.h"

#define RECEIVER_KNOWN	 256 /* senders that are known; the one silent for longest makes room */
#define RECEIVER_UNKNOWN                                                                           \
	64 /* likewise, that have still to prove it; the oldest of the address with most makes     \
	      room */
/* Without descriptors, or while the store is full: the pause before the next try. */
#define RECEIVER_PAUSE_S 1.0
/* A collector that was killed while it started its index: for a moment the child listens, too. */
#define RECEIVER_LOOK_S	 1.0 /* between two looks for senders that are late */

struct receiver {
	struct receiver_options options;
	int socket, tcp; /* -1: none */
	ev_io accept_socket, accept_tcp;
	ev_timer pause, look;
	ev_prepare turn_end;
	struct list known, unknown;
	unsigned nknown, nunknown;
	bool failing;	/* the store refused the last batch: logged once */
	struct why why; /* why it did */
	struct log_limit strangers, crowded, closings;
};

static void receiver_close_all(struct receiver *r)
{
	list_for_each_safe (at, &r->known)
		sender_free(list_entry(at, struct sender, node));
	r->nknown = 0;
}

static void receiver_accepting(struct receiver *r, bool on)
{
	if (r->socket >= 0 && on)
		ev_io_start(r->options.loop, &r->accept_socket);
	else
		ev_io_stop(r->options.loop, &r->accept_socket);
	if (r->tcp >= 0 && on)
		ev_io_start(r->options.loop, &r->accept_tcp);
	else
		ev_io_stop(r->options.loop, &r->accept_tcp);
}

static void receiver_again(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	ev_timer_stop(loop, timer);
	receiver_accepting(timer->data, true);
}

static void receiver_pause(struct receiver *r)
{
	receiver_accepting(r, false);
	ev_timer_again(r->options.loop, &r->pause);
}

/* ---- the store ---- */

/* The store failed: nothing that was not committed is acknowledged, and the senders come again. */
static void receiver_fail(struct receiver *r)
{
	if (!r->failing)
		log_error("%s: nothing is acknowledged until the store takes it", r->why.text);
	r->failing = true;
	store_rollback(r->options.store);
	receiver_close_all(r);
	receiver_pause(r);
}

/* One commit for all that came in this turn of the loop; then, and only then, the acks. */
static void receiver_commit(struct receiver *r)
{
	if (!store_in_transaction(r->options.store))
		return;
	if (store_commit(r->options.store, &r->why) < 0) {
		receiver_fail(r);
		return;
	}
	if (r->failing)
		log_info("the store takes events again");
	r->failing = false;
	list_for_each_safe (at, &r->known)
		sender_acknowledge(list_entry(at, struct sender, node));
}

static void receiver_turn_end(struct ev_loop *loop, ev_prepare *watcher, int events)
{
	(void)loop;
	(void)events;
	receiver_commit(watcher->data);
}

/* ---- senders ---- */

static int receiver_entry(void *context, const struct forward_entry *entry)
{
	struct receiver *r = context;

	return store_add(r->options.store, entry, &r->why);
}

static void receiver_refused(void *context)
{
	receiver_fail(context);
}

static void receiver_gone(void *context, struct sender *sender)
{
	struct receiver *r = context;

	if (sender->proven)
		r->nknown--;
	else
		r->nunknown--;
	sender_free(sender);
}

static unsigned receiver_count_from(const struct list *head, const struct address *from)
{
	unsigned n = 0;

	list_for_each (at, head)
		n += address_equal(&list_entry(at, struct sender, node)->from, from);
	return n;
}

/* Who has to go: of the address that has most places, so that nobody pushes out others. */
static struct sender *receiver_last(const struct list *head)
{
	struct sender *out = NULL;
	unsigned most = 0;

	list_for_each (at, head) {
		struct sender *sender = list_entry(at, struct sender, node);
		unsigned n = receiver_count_from(head, &sender->from);

		if (n > most || (n == most && sender->heard_ns < out->heard_ns)) {
			out = sender;
			most = n;
		}
	}
	return out;
}

static void receiver_make_room(struct receiver *r, bool known)
{
	struct sender *out;
	uint64_t left_out;

	if (known ? r->nknown < RECEIVER_KNOWN : r->nunknown < RECEIVER_UNKNOWN)
		return;
	out = receiver_last(known ? &r->known : &r->unknown);
	if (log_limit(&r->crowded, &left_out))
		log_warning("%s: closed to make room: %u %s (%llu such reports left out)",
			out->name, known ? RECEIVER_KNOWN : RECEIVER_UNKNOWN,
			known ? "senders are there" : "connections have not proven who they are",
			(unsigned long long)left_out);
	receiver_gone(r, out);
}

static void receiver_proven(void *context, struct sender *sender)
{
	struct receiver *r = context;

	r->nunknown--;
	list_remove(&sender->node);
	receiver_make_room(r, true);
	list_append(&r->known, &sender->node);
	r->nknown++;
}

/* Whoever reaches the address may be refused as often as he likes: the log takes a little of it. */
static void receiver_closing(void *context, const struct sender *sender, const char *why)
{
	struct receiver *r = context;
	uint64_t left_out;

	if (log_limit(&r->closings, &left_out))
		log_warning("%s: %s: connection closed (%llu such reports left out)", sender->name,
			why, (unsigned long long)left_out);
}

static void receiver_look(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct receiver *r = timer->data;
	uint64_t now = clock_monotonic_ns();

	(void)loop;
	(void)events;
	list_for_each_safe (at, &r->unknown) {
		struct sender *sender = list_entry(at, struct sender, node);

		if (now - sender->begun_ns >= r->options.hello_ns)
			receiver_gone(r, sender);
	}
	list_for_each_safe (at, &r->known) {
		struct sender *sender = list_entry(at, struct sender, node);

		if (!sender_in_message(sender) || now - sender->heard_ns < r->options.stall_ns)
			continue;
		receiver_closing(r, sender, "stopped inside a message");
		receiver_gone(r, sender);
	}
}

static const struct sender_ops receiver_ops = {
	.entry = receiver_entry,
	.refused = receiver_refused,
	.proven = receiver_proven,
	.closing = receiver_closing,
	.gone = receiver_gone,
};

static void receiver_add(struct receiver *r, int fd, SSL *ssl, const char *name, struct slice key,
	const struct address *from)
{
	bool known = !ssl && !key.len;
	struct sender *sender;

	receiver_make_room(r, known);
	sender = sender_new(r->options.loop, fd, ssl, name, key, &receiver_ops, r);
	if (!sender)
		return;
	sender->from = *from;
	list_append(known ? &r->known : &r->unknown, &sender->node);
	if (known)
		r->nknown++;
	else
		r->nunknown++;
}

/* ---- connections ---- */

/* A connection, or -1 when there is none just now. */
static int receiver_accept(struct receiver *r, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0 || errno == EAGAIN || errno == ECONNABORTED || errno == EINTR)
		return fd;
	log_error("cannot accept a connection: %s", strerror(errno));
	receiver_pause(r);
	return -1;
}

static bool receiver_admits(const struct receiver *r, uid_t user)
{
	for (size_t i = 0; i < r->options.nusers; i++)
		if (r->options.users[i] == user)
			return true;
	return user == 0 || user == geteuid();
}

static void receiver_on_socket(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct receiver *r = watcher->data;
	int fd = receiver_accept(r, r->socket);
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t len = sizeof(peer);
	uint64_t left_out;
	char name[64];

	(void)loop;
	(void)events;
	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
		receiver_admits(r, peer.uid)) {
		snprintf(name, sizeof(name), "user %u, process %d", peer.uid, (int)peer.pid);
		receiver_add(r, fd, NULL, name, SLICE_NONE, &(struct address){{0}});
		return;
	}
	close(fd);
	if (log_limit(&r->strangers, &left_out))
		log_warning(
			"user %u (process %d) may not send events: see --user (%llu such reports "
			"left out)",
			peer.uid, (int)peer.pid, (unsigned long long)left_out);
}

static void receiver_on_tcp(struct ev_loop *loop, ev_io *watcher, int events)
{
	static const int on = 1, idle_s = 60, interval_s = 15, probes = 4;
	struct receiver *r = watcher->data;
	int fd = receiver_accept(r, r->tcp);
	struct address_port peer = {0};
	struct address from;
	SSL *ssl = NULL;
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	(void)loop;
	(void)events;
	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	if (getpeername(fd, (struct sockaddr *)&sa, &len) == 0)
		address_port_from_sockaddr(&peer, (struct sockaddr *)&sa);
	from = peer.address;
	if (!address_is_ipv4(&from)) /* a machine has all of its network */
		memset(from.bytes + 8, 0, sizeof(from.bytes) - 8);
	if (r->options.tls) {
		ssl = SSL_new(r->options.tls);
		if (!ssl) {
			close(fd);
			return;
		}
		SSL_set_accept_state(ssl);
	}
	receiver_add(r, fd, ssl, address_port_format(&peer).text, r->options.key, &from);
}

/* ---- listening ---- */

static int receiver_listen_tcp(const struct address_port *listen_on, struct why *why)
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

static int receiver_listen(struct receiver *r, struct why *why)
{
	if (r->options.socket) {
		r->socket = local_socket_listen(r->options.socket, why);
		if (r->socket < 0)
			return r->socket;
	}
	if (r->options.listen) {
		r->tcp = receiver_listen_tcp(r->options.listen, why);
		if (r->tcp < 0)
			return r->tcp;
	}
	return 0;
}

struct receiver *receiver_new(const struct receiver_options *options, struct why *why)
{
	struct receiver *r = calloc(1, sizeof(*r));
	struct ev_loop *loop = options->loop;

	if (!r) {
		why_set(why, ENOMEM, "out of memory");
		return NULL;
	}
	r->options = *options;
	r->socket = r->tcp = -1;
	list_init(&r->known);
	list_init(&r->unknown);
	ev_init(&r->accept_socket, receiver_on_socket);
	ev_init(&r->accept_tcp, receiver_on_tcp);
	ev_timer_init(&r->pause, receiver_again, 0, RECEIVER_PAUSE_S);
	ev_timer_init(&r->look, receiver_look, RECEIVER_LOOK_S, RECEIVER_LOOK_S);
	ev_prepare_init(&r->turn_end, receiver_turn_end);
	r->accept_socket.data = r->accept_tcp.data = r->pause.data = r->look.data =
		r->turn_end.data = r;
	if (receiver_listen(r, why) < 0) {
		receiver_free(r);
		return NULL;
	}
	ev_io_set(&r->accept_socket, r->socket, EV_READ);
	ev_io_set(&r->accept_tcp, r->tcp, EV_READ);
	receiver_accepting(r, true);
	ev_timer_start(loop, &r->look);
	ev_prepare_start(loop, &r->turn_end);
	return r;
}

void receiver_free(struct receiver *r)
{
	struct ev_loop *loop;

	if (!r)
		return;
	loop = r->options.loop;
	receiver_commit(r);
	receiver_close_all(r);
	list_for_each_safe (at, &r->unknown)
		sender_free(list_entry(at, struct sender, node));
	receiver_accepting(r, false);
	ev_timer_stop(loop, &r->pause);
	ev_timer_stop(loop, &r->look);
	ev_prepare_stop(loop, &r->turn_end);
	if (r->socket >= 0) {
		close(r->socket);
		unlink(r->options.socket);
	}
	if (r->tcp >= 0)
		close(r->tcp);
	free(r);
}
