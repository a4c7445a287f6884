// SPDX-License-Identifier: GPL-2.0-or-later
#include "shipper/collector_link.h"

#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "audit/forward_client.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "io/secure_socket.h"
#include "shipper/handshake.h"
#include "tls/forward_leg.h"

#define LINK_WINDOW	   4		 /* chunks on their way */
#define LINK_CHUNK_BYTES   (1u << 20)	 /* of records; one record may be longer */
#define LINK_BACKOFF_FIRST (100 * NS_PER_MS)
#define LINK_BACKOFF_MOST  (10 * NS_PER_S)
#define LINK_READ_RETRY	   NS_PER_S	 /* after the spool could not be read */
#define LINK_SETTLE	   NS_PER_S	 /* between two writes of the cursor */

struct chunk {
	struct buf bytes;
	size_t sent;
	struct forward_id id;
	struct spool_position end;
	uint32_t records;
	bool acknowledged;
	uint64_t begun_ns; /* when its first byte was sent on this connection; 0: not yet */
};

enum link_state { LINK_DOWN, LINK_CONNECTING, LINK_SECURING, LINK_GREETING, LINK_UP };

struct collector_link {
	struct collector_link_options options;
	enum link_state state;
	size_t which; /* of the collectors: 0 is the first */
	struct secure_socket socket;
	ev_io io;
	ev_timer again; /* to connect again, or to read the spool again */
	ev_timer flush;
	ev_timer settle;   /* the cursor is to be written */
	ev_timer deadline; /* of connecting, sending, acknowledging */
	uint64_t backoff_ns;
	bool told_down, hurry, backlog, reading_failed;
	struct chunk chunks[LINK_WINDOW]; /* oldest first */
	size_t nchunks;
	struct buf spare; /* of a chunk that was let go, for the next one */
	struct spool_position settled; /* acknowledged up to here … */
	bool unsettled;		       /* … which the spool was not told yet */
	uint64_t settled_ns;	       /* when it was told last */
	struct spool_position at; /* what comes next out of the spool */
	uint64_t unsent;	  /* records behind it, as far as they are known */
	uint64_t last_ack_ns;
	struct buf input;
	struct handshake handshake;
	struct log_limit unknown, unreadable;
};

static void link_pump(struct collector_link *link);

static void timer_set(struct collector_link *link, ev_timer *timer, uint64_t in_ns)
{
	ev_timer_stop(link->options.loop, timer);
	ev_timer_set(timer, (double)in_ns / (double)NS_PER_S, 0.);
	ev_timer_start(link->options.loop, timer);
}

static void link_events(struct collector_link *link, int events)
{
	if (ev_is_active(&link->io) && link->io.events == events)
		return;
	ev_io_stop(link->options.loop, &link->io);
	ev_io_set(&link->io, link->socket.fd, events);
	ev_io_start(link->options.loop, &link->io);
}

/* Tells the spool what was acknowledged, and not each time: to replace the cursor's file costs as
 * much as to ship a hundred events, and one that a crash leaves behind costs repetitions, which
 * collectors store once. */
static void link_settled(struct collector_link *link, bool now)
{
	uint64_t now_ns = clock_monotonic_ns();

	if (!link->unsettled)
		return;
	if (!now && now_ns - link->settled_ns < LINK_SETTLE) {
		if (!ev_is_active(&link->settle))
			timer_set(link, &link->settle, link->settled_ns + LINK_SETTLE - now_ns);
		return;
	}
	ev_timer_stop(link->options.loop, &link->settle);
	link->unsettled = false;
	link->settled_ns = now_ns;
	spool_acknowledge(link->options.spool, &link->settled);
}

static void on_settle(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	link_settled(timer->data, true);
}

void collector_link_settle(struct collector_link *link)
{
	link_settled(link, true);
}

/* Keeps the memory for the next chunk, unless it is unusually large. */
static void chunk_release(struct collector_link *link, struct chunk *chunk)
{
	if (link->spare.memory || chunk->bytes.capacity > 4 * LINK_CHUNK_BYTES) {
		buf_free(&chunk->bytes);
		return;
	}
	buf_clear(&chunk->bytes);
	link->spare = chunk->bytes;
	chunk->bytes = BUF_EMPTY;
}

/* The next of the collectors is tried at once; when none takes events, all of them after a while. */
static void link_turn(struct collector_link *link)
{
	uint64_t in_ns = 0;

	link->which = (link->which + 1) % (1 + link->options.config->ncollector_others);
	if (!link->which) {
		in_ns = link->backoff_ns;
		link->backoff_ns = link->backoff_ns * 2 < LINK_BACKOFF_MOST ? link->backoff_ns * 2
									    : LINK_BACKOFF_MOST;
	}
	timer_set(link, &link->again, in_ns);
}

/* Ends the connection; what was not acknowledged is sent again on the next, as it is. */
static void link_down(struct collector_link *link, const char *what, int error)
{
	ev_io_stop(link->options.loop, &link->io);
	secure_close(&link->socket);
	ev_timer_stop(link->options.loop, &link->deadline);
	link->state = LINK_DOWN;
	link_settled(link, true);
	buf_clear(&link->input);
	for (size_t i = 0; i < link->nchunks; i++) {
		if (!link->chunks[i].acknowledged && link->chunks[i].begun_ns)
			counter_add(link->options.counters, COUNTER_FORWARD_RESENT, 1);
		link->chunks[i].sent = 0;
		link->chunks[i].begun_ns = 0;
	}
	counter_add(link->options.counters, COUNTER_FORWARD_CONNECT_FAILED, 1);
	if (!link->told_down)
		log_warning("collector %s: %s%s%s; events wait in the spool",
			config_collector_name_of(link->options.config, link->which).text, what,
			error ? ": " : "", error ? strerror(error) : "");
	link->told_down = true;
	link_turn(link);
}

/* The collector has this long for its next sign, counted from its last or our first byte. */
static void link_deadline(struct collector_link *link)
{
	uint64_t now = clock_monotonic_ns(), from = link->chunks[0].begun_ns, until;

	if (!link->nchunks || !from) {
		ev_timer_stop(link->options.loop, &link->deadline);
		return;
	}
	if (from < link->last_ack_ns)
		from = link->last_ack_ns;
	until = from + link->options.config->ack_ns;
	timer_set(link, &link->deadline, until > now ? until - now : 1);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct collector_link *link = timer->data;

	(void)loop;
	(void)events;
	if (link->state == LINK_UP)
		counter_add(link->options.counters, COUNTER_FORWARD_ACK_TIMEOUT, 1);
	link_down(link, link->state == LINK_UP ? "no acknowledgement in time" : "no connection in time",
		0);
}

/* ---- out of the spool ---- */

static int chunk_add(void *context, struct slice record)
{
	return forward_chunk_add(context, record);
}

/* Takes the next records out of the spool. 1: there is one chunk more; 0: no records; or negative
 * errno. */
static int link_take(struct collector_link *link)
{
	const struct config_audit *config = link->options.config;
	struct chunk *chunk = &link->chunks[link->nchunks];
	struct spool_position end = link->at;
	struct forward_chunk making;
	uint64_t begin;
	int n;

	*chunk = (struct chunk){.bytes = link->spare};
	link->spare = BUF_EMPTY;
	n = forward_chunk_begin(&making, slice_of_string(config->tag), &chunk->bytes);
	if (!n)
		n = spool_read(link->options.spool, &end, config->batch, LINK_CHUNK_BYTES, chunk_add,
			&making);
	if (n > 0) {
		begin = end.segment == link->at.segment ? link->at.offset : 0;
		chunk->id = forward_id(spool_number(link->options.spool), end.segment, begin,
			end.offset);
		chunk->end = end;
		chunk->records = making.count;
		if (forward_chunk_end(&making, &chunk->id) < 0)
			n = -ENOMEM;
	}
	if (n <= 0) {
		chunk_release(link, chunk);
		if (n < 0)
			return n;
	}
	link->at = end;
	link->nchunks += n > 0;
	/* Passed over without a record, and nothing on its way: no acknowledgement will say so. */
	if (n == 0 && !link->nchunks)
		spool_acknowledge(link->options.spool, &end);
	return n > 0;
}

static void link_unreadable(struct collector_link *link, int error)
{
	uint64_t left_out;

	counter_add(link->options.counters, COUNTER_SPOOL_ERROR, 1);
	if (log_limit(&link->unreadable, &left_out))
		log_error("cannot read the spool: %s (%llu such reports left out)", strerror(error),
			(unsigned long long)left_out);
	link->reading_failed = true;
	timer_set(link, &link->again, LINK_READ_RETRY);
}

/* Fills the window, as far as there are whole batches or the time of the rest has come. */
static void link_fill(struct collector_link *link)
{
	while (link->nchunks < LINK_WINDOW && !link->reading_failed) {
		bool due = link->hurry || link->backlog ||
			link->unsent >= link->options.config->batch;
		int n;

		if (!spool_has_after(link->options.spool, &link->at)) {
			link->unsent = 0;
			link->backlog = false;
			break;
		}
		if (!due) {
			if (!ev_is_active(&link->flush))
				timer_set(link, &link->flush, link->options.config->flush_ns);
			break;
		}
		n = link_take(link);
		if (n < 0) {
			link_unreadable(link, -n);
		} else if (n > 0) {
			uint64_t records = link->chunks[link->nchunks - 1].records;

			link->unsent -= link->unsent < records ? link->unsent : records;
		}
	}
}

static void on_flush(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct collector_link *link = timer->data;

	(void)loop;
	(void)events;
	/* Everything that is there now has waited long enough. */
	link->backlog = true;
	link_pump(link);
}

/* ---- to the collector ---- */

/* 1: all of it is sent; 0: the socket is full; or negative errno. */
static int chunk_send(struct chunk *chunk, struct secure_socket *socket)
{
	struct slice rest = slice_after(buf_slice(&chunk->bytes), chunk->sent);

	while (rest.len) {
		ssize_t n = secure_write(socket, rest);

		if (n < 0)
			return n == -EAGAIN ? 0 : (int)n;
		chunk->sent += (size_t)n;
		rest = slice_after(rest, (size_t)n);
	}
	return 1;
}

/* Sends what there is to send and sees to the timers. */
static void link_pump(struct collector_link *link)
{
	int result = 1;

	if (link->state != LINK_UP)
		return;
	link_fill(link);
	for (size_t i = 0; i < link->nchunks && result > 0; i++) {
		struct chunk *chunk = &link->chunks[i];

		if (chunk->acknowledged || chunk->sent == buf_len(&chunk->bytes))
			continue;
		if (!chunk->begun_ns)
			chunk->begun_ns = clock_monotonic_ns();
		result = chunk_send(chunk, &link->socket);
	}
	if (result < 0) {
		link_down(link, "cannot send", -result);
		return;
	}
	link_events(link, result ? EV_READ : EV_READ | EV_WRITE);
	link_deadline(link);
}

/* Lets go of the chunks in front that are acknowledged. */
static void link_settle(struct collector_link *link)
{
	uint64_t records = 0;
	size_t n = 0;

	while (n < link->nchunks && link->chunks[n].acknowledged) {
		records += link->chunks[n].records;
		counter_add(link->options.counters, COUNTER_FORWARD_ACKNOWLEDGED,
			link->chunks[n].records);
		link->settled = link->chunks[n].end;
		link->unsettled = true;
		chunk_release(link, &link->chunks[n]);
		n++;
	}
	if (!n)
		return;
	link->nchunks -= n;
	memmove(link->chunks, link->chunks + n, link->nchunks * sizeof(*link->chunks));
	link->last_ack_ns = clock_monotonic_ns();
	link->backoff_ns = LINK_BACKOFF_FIRST;
	if (link->told_down)
		log_info("collector %s takes events again",
			config_collector_name_of(link->options.config, link->which).text);
	link->told_down = false;
	link_settled(link, link->hurry && !link->nchunks);
	link->options.acknowledged(link->options.context, records, &link->settled);
}

static void link_acknowledge(struct collector_link *link, struct slice id)
{
	uint64_t left_out;

	for (size_t i = 0; i < link->nchunks; i++) {
		struct chunk *chunk = &link->chunks[i];

		if (!chunk->acknowledged && chunk->begun_ns &&
			chunk->sent == buf_len(&chunk->bytes) &&
			slice_equal(id, slice_of_string(chunk->id.text))) {
			chunk->acknowledged = true;
			return;
		}
	}
	counter_add(link->options.counters, COUNTER_FORWARD_ACK_UNKNOWN, 1);
	if (log_limit(&link->unknown, &left_out))
		log_warning("the collector acknowledges what it was not sent: %s (%llu such reports left out)",
			log_quote(id).text, (unsigned long long)left_out);
}

static void link_up(struct collector_link *link)
{
	link->state = LINK_UP;
	link->last_ack_ns = 0;
	ev_timer_stop(link->options.loop, &link->deadline);
}

/* What came before the shared key was proven. False: it ended the connection. */
static bool link_greet(struct collector_link *link)
{
	enum handshake_result result = HANDSHAKE_MORE;
	const char *problem = NULL;
	struct buf out = BUF_EMPTY;
	size_t consumed;
	ssize_t sent = 0;

	while (buf_len(&link->input) && result == HANDSHAKE_MORE) {
		result = handshake_read(&link->handshake, buf_slice(&link->input), &consumed, &out,
			&problem);
		buf_consume(&link->input, consumed);
	}
	/* A socket that has sent nothing yet takes some hundred bytes at once. */
	if (result != HANDSHAKE_FAILED && buf_len(&out))
		sent = secure_write(&link->socket, buf_slice(&out));
	if (result == HANDSHAKE_FAILED)
		link_down(link, problem, 0);
	else if (sent != (ssize_t)buf_len(&out))
		link_down(link, "cannot send", sent < 0 ? (int)-sent : 0);
	else if (result == HANDSHAKE_DONE)
		link_up(link);
	buf_free(&out);
	return link->state != LINK_DOWN;
}

/* The messages that are whole. 0, or -EPROTO. */
static int link_messages(struct collector_link *link)
{
	size_t consumed;
	struct slice id;

	while (buf_len(&link->input)) {
		switch (forward_ack_read(buf_slice(&link->input), &consumed, &id)) {
		case FORWARD_ACK_MORE:
			return 0;
		case FORWARD_ACK_BAD:
			counter_add(link->options.counters, COUNTER_FORWARD_ACK_UNKNOWN, 1);
			return -EPROTO;
		case FORWARD_ACK_OK:
			if (id.len)
				link_acknowledge(link, id);
			buf_consume(&link->input, consumed);
		}
	}
	return 0;
}

static void link_receive(struct collector_link *link)
{
	char *room = buf_reserve(&link->input, FORWARD_ACK_MAX);
	ssize_t n = room ? secure_read(&link->socket, room, FORWARD_ACK_MAX) : -ENOMEM;
	int error = 0;

	if (n == -EAGAIN) {
		link_events(link, link->io.events | (link->socket.wants_write ? EV_WRITE : 0));
		return;
	}
	/* The rest of a record comes without the socket being readable. */
	if (n > 0 && secure_pending(&link->socket))
		ev_feed_event(link->options.loop, &link->io, EV_READ);
	if (n > 0) {
		buf_commit(&link->input, (size_t)n);
		if (link->state == LINK_GREETING && !link_greet(link))
			return;
		if (link->state == LINK_UP)
			error = link_messages(link);
	}
	link_settle(link);
	if (n < 0)
		link_down(link, "cannot receive", (int)-n);
	else if (n == 0)
		link_down(link, "it closed the connection", 0);
	else if (error)
		link_down(link, "its answer is no acknowledgement", 0);
	else
		link_pump(link);
}

/* ---- the connection ---- */

/* TLS, where there is one; the deadline of connecting goes on. */
static void link_secure(struct collector_link *link)
{
	struct why why = {""};
	int done = secure_handshake(&link->socket, &why);

	if (done < 0) {
		link_down(link, why.text, 0);
		return;
	}
	if (!done) {
		link_events(link, link->socket.wants_write ? EV_WRITE : EV_READ);
		return;
	}
	if (link->options.key.len) {
		/* The deadline of connecting goes on. */
		handshake_begin(&link->handshake, link->options.host, link->options.key);
		link->state = LINK_GREETING;
		link_events(link, EV_READ);
		return;
	}
	link_up(link);
	link_pump(link);
}

static void link_connected(struct collector_link *link)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(link->socket.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error) {
		link_down(link, "cannot connect", error);
		return;
	}
	link->state = LINK_SECURING;
	link_secure(link);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
	struct collector_link *link = io->data;

	(void)loop;
	if (link->state == LINK_CONNECTING) {
		link_connected(link);
		return;
	}
	if (link->state == LINK_SECURING) {
		link_secure(link);
		return;
	}
	if (events & EV_READ || link->socket.wants_write)
		link_receive(link);
	if (link->state == LINK_UP && events & EV_WRITE)
		link_pump(link);
}

/* Over TCP. */
static const struct address_port *link_collector(const struct collector_link *link)
{
	const struct config_audit *config = link->options.config;

	return link->which ? &config->collector_others[link->which - 1] : &config->collector;
}

/* 0: the path of the socket is too long. */
static socklen_t link_address(const struct collector_link *link, struct sockaddr_storage *address)
{
	const struct config_audit *config = link->options.config;
	struct sockaddr_un *local = (struct sockaddr_un *)address;

	if (config->collector.port)
		return address_port_to_sockaddr(link_collector(link), address);
	memset(address, 0, sizeof(*address));
	local->sun_family = AF_UNIX;
	if (!config->collector_socket || snprintf(local->sun_path, sizeof(local->sun_path), "%s",
						 config->collector_socket) >=
						 (int)sizeof(local->sun_path))
		return 0;
	return sizeof(*local);
}

/* Of the name that the certificate must have: the collector's address, when none is given. */
static SSL *link_tls(const struct collector_link *link)
{
	const struct config_audit *config = link->options.config;

	return forward_leg_connect(link->options.tls,
		config->collector_name ? config->collector_name
				       : address_format(&link_collector(link)->address).text);
}

static void link_connect(struct collector_link *link)
{
	static const int on = 1;
	struct sockaddr_storage address;
	socklen_t len = link_address(link, &address);

	int fd = !len ? -1 : socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0) {
		link_down(link, "no socket", len ? errno : ENAMETOOLONG);
		return;
	}
	if (secure_open(&link->socket, fd, link->options.tls ? link_tls(link) : NULL) < 0 ||
		(link->options.tls && !link->socket.ssl)) {
		link_down(link, "no TLS", ENOMEM);
		return;
	}
	/* Neither changes what is delivered: without them it is only slower. */
	if (address.ss_family != AF_UNIX) {
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	}
	if (connect(fd, (struct sockaddr *)&address, len) < 0 && errno != EINPROGRESS) {
		link_down(link, "cannot connect", errno);
		return;
	}
	link->state = LINK_CONNECTING;
	link_events(link, EV_WRITE);
	timer_set(link, &link->deadline, link->options.config->ack_ns);
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct collector_link *link = timer->data;

	(void)loop;
	(void)events;
	link->reading_failed = false;
	if (link->state == LINK_DOWN)
		link_connect(link);
	else
		link_pump(link);
}

/* ---- what others call ---- */

int collector_link_new(const struct collector_link_options *options, struct collector_link **made,
	struct why *why)
{
	struct collector_link *link = calloc(1, sizeof(*link));

	*made = link;
	if (!link)
		return why_set(why, ENOMEM, "out of memory");
	link->options = *options;
	link->socket.fd = -1;
	link->backoff_ns = LINK_BACKOFF_FIRST;
	link->at = spool_cursor(options->spool);
	link->backlog = true;
	ev_init(&link->io, on_io);
	ev_init(&link->again, on_again);
	ev_init(&link->flush, on_flush);
	ev_init(&link->settle, on_settle);
	ev_init(&link->deadline, on_deadline);
	link->io.data = link->again.data = link->flush.data = link->settle.data = link;
	link->deadline.data = link;
	timer_set(link, &link->again, 0);
	return 0;
}

void collector_link_free(struct collector_link *link)
{
	if (!link)
		return;
	ev_io_stop(link->options.loop, &link->io);
	ev_timer_stop(link->options.loop, &link->again);
	ev_timer_stop(link->options.loop, &link->flush);
	ev_timer_stop(link->options.loop, &link->deadline);
	link_settled(link, true);
	ev_timer_stop(link->options.loop, &link->settle);
	secure_close(&link->socket);
	for (size_t i = 0; i < link->nchunks; i++)
		buf_free(&link->chunks[i].bytes);
	buf_free(&link->spare);
	buf_free(&link->input);
	handshake_free(&link->handshake);
	free(link);
}

void collector_link_more(struct collector_link *link, uint64_t records)
{
	link->unsent += records;
	link_pump(link);
}

void collector_link_hurry(struct collector_link *link)
{
	link->hurry = true;
	link_pump(link);
}

bool collector_link_busy(const struct collector_link *link)
{
	return link->state == LINK_UP &&
		(link->nchunks || spool_has_after(link->options.spool, &link->at));
}

bool collector_link_up(const struct collector_link *link)
{
	return link->state == LINK_UP;
}
