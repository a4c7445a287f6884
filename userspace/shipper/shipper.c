// SPDX-License-Identifier: GPL-2.0-or-later
/* The shipper: takes events out of the workers' rings, spools them, sends them on. A record leaves
 * its ring only after it is as safe in the spool as the policy wants it; whatever dies in between,
 * the next shipper finds it in the ring, in the spool, or in both, and then spools it once. */
#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/spool.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "base/ring.h"
#include "config/key_file.h"
#include "shipper/collector_link.h"
#include "shipper/limit_saver.h"
#include "shipper/record_gauges.h"
#include "supervise/role.h"
#include "tls/forward_leg.h"
#include "tls/pem.h"

#define INTAKE_BYTES  (4u << 20)	   /* spooled in one turn of the loop */
#define INTAKE_WAIT	(5 * NS_PER_MS)	     /* so that one write takes several events … */
#define INTAKE_PATIENCE (50 * NS_PER_MS)     /* … and this long while they are few: … */
#define INTAKE_WORTH	(128u << 10)	     /* … fewer bytes than this */
#define BLOCKED_RETRY (500 * NS_PER_MS)	   /* after the spool was full */
#define FINISH_WAIT   (1500 * NS_PER_MS)   /* for the last acknowledgements */
#define SHIPPER_PEM_MAX (1u << 20)	   /* bytes of a certificate's file */
#define TELL_EVERY    NS_PER_S		   /* the gauges of the record */
#define TELL_SOON     (20 * NS_PER_MS)	   /* while what an earlier life left is counted */

/* A worker, as seen from here: a ring. */
struct peer {
	struct list node;
	struct shipper *shipper;
	uint32_t number;
	struct ring *ring; /* NULL: it could not be mapped */
	int wake_shipper, wake_worker;
	ev_io wake;
	struct ring_cursor taken;   /* appended to the spool */
	struct ring_cursor written; /* … and written by it */
	bool broken, gone;
};

struct shipper {
	struct role_context *context;
	struct spool *spool;
	struct collector_link *link;
	struct buf collector_key; /* empty: there is none */
	SSL_CTX *tls;		  /* to the collector; NULL: plain */
	struct list peers;
	ev_timer intake; /* the next look into the rings */
	uint64_t patient_until_ns; /* few events may wait until then for others; 0: none may */
	ev_timer sync;
	ev_timer finish;
	ev_timer tell;
	struct record_gauges gauges;
	struct limit_saver *limits; /* NULL: there is no table of them */
	uint64_t appended; /* since the last write */
	bool blocked;	  /* nothing can be spooled: found out in this turn … */
	bool was_blocked; /* … or in the last */
	bool draining, at_once, finishing;
	struct log_limit full, invalid;
};

static void shipper_timer(struct shipper *s, ev_timer *timer, uint64_t in_ns)
{
	if (ev_is_active(timer))
		return;
	ev_timer_set(timer, (double)in_ns / (double)NS_PER_S, 0.);
	ev_timer_start(s->context->loop, timer);
}

static void shipper_timer_now(struct shipper *s, ev_timer *timer)
{
	s->patient_until_ns = 0;
	ev_timer_stop(s->context->loop, timer);
	shipper_timer(s, timer, 0);
}

/* ---- rings to spool ---- */

static bool drops_when_full(const struct shipper *s)
{
	return s->context->config->audit.when_full == CONFIG_FULL_DROP;
}

/* The spool takes nothing for now. Without anybody who waits for it, events go. */
static void shipper_full(struct shipper *s, int error, uint64_t dropped)
{
	uint64_t left_out;

	counter_add(s->context->counters, COUNTER_SPOOL_DROPPED, dropped);
	if (!drops_when_full(s) && !s->was_blocked && !s->blocked)
		counter_add(s->context->counters, COUNTER_SPOOL_BLOCKED, 1);
	s->blocked = !drops_when_full(s);
	if (log_limit(&s->full, &left_out))
		log_error("cannot spool events: %s (%llu MiB are spooled); %s (%llu such reports left out)",
			error == ENOSPC ? "the spool or its disk is full" : strerror(error),
			(unsigned long long)(spool_size(s->spool) >> 20),
			s->blocked ? "they wait in memory, and calls will wait when that is full" :
				     "they are dropped",
			(unsigned long long)left_out);
}

static void peer_invalid(struct peer *peer, int error)
{
	struct shipper *s = peer->shipper;
	uint64_t left_out;

	counter_add(s->context->counters, COUNTER_SPOOL_INVALID, 1);
	if (log_limit(&s->invalid, &left_out))
		log_error("worker process %u wrote an event that is %s: refused (%llu such reports left out)",
			peer->number, error == EMSGSIZE ? "too long" : "malformed",
			(unsigned long long)left_out);
}

/* Writes what was appended. false: nothing can be written for now, and the rings keep it. */
static bool shipper_write(struct shipper *s)
{
	uint64_t appended = s->appended;
	int error = spool_write(s->spool);

	s->appended = 0;
	if (error)
		shipper_full(s, -error, drops_when_full(s) ? appended : 0);
	list_for_each (node, &s->peers) {
		struct peer *peer = list_entry(node, struct peer, node);

		if (error && s->blocked)
			peer->taken = peer->written;
		else
			peer->written = peer->taken;
	}
	if (!error && appended) {
		record_gauges_written(&s->gauges, appended);
		collector_link_more(s->link, appended);
	}
	return !error || !s->blocked;
}

/* 0: the record is dealt with, one way or another; -ENOSPC: it has to stay in the ring. */
static int peer_append(struct peer *peer, struct slice record)
{
	struct shipper *s = peer->shipper;
	int error = spool_append(s->spool, peer->number, record);

	if (error == -EAGAIN) {
		if (!shipper_write(s))
			return -ENOSPC; /* and peer->taken is where the last write had come to */
		error = spool_append(s->spool, peer->number, record);
	}
	if (error == -ENOSPC) {
		/* Some of what is spooled may have been acknowledged. */
		collector_link_settle(s->link);
		error = spool_append(s->spool, peer->number, record);
	}
	switch (error) {
	case 0:
		s->appended++;
		return 0;
	case -EEXIST:
		counter_add(s->context->counters, COUNTER_SPOOL_REPEATED, 1);
		return 0;
	case -EBADMSG:
	case -EMSGSIZE:
		peer_invalid(peer, -error);
		return 0;
	default:
		shipper_full(s, -error, drops_when_full(s));
		return s->blocked ? -ENOSPC : 0;
	}
}

static void peer_broken(struct peer *peer)
{
	peer->broken = true;
	counter_add(peer->shipper->context->counters, COUNTER_RING_BROKEN, 1);
	log_error("the ring of worker process %u is damaged: its events are lost from here on",
		peer->number);
}

/* Appends what is in the ring. true: there may be more for the next turn. */
static bool peer_take(struct peer *peer, size_t *room)
{
	struct ring_cursor next = peer->taken;
	struct slice record;
	int result;

	if (!peer->ring || peer->broken)
		return false;
	while (*room && (result = ring_next(peer->ring, &next, &record)) != 0) {
		if (result < 0) {
			peer_broken(peer);
			return false;
		}
		if (peer_append(peer, record) < 0)
			return false;
		peer->taken = next;
		*room -= record.len < *room ? record.len : *room;
	}
	return *room == 0;
}

/* Gives the ring's room back, and tells the worker when it may have found the ring full. */
static void peer_release(struct peer *peer)
{
	struct ring_cursor before;
	uint64_t used, one = 1;

	if (!peer->ring || peer->broken)
		return;
	before = ring_cursor(peer->ring);
	if (before.at == peer->written.at)
		return;
	ring_release(peer->ring, &peer->written);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	/* A record of at most half the ring finds no room only when more than half is in use; a
	 * quarter leaves a margin for what the worker wrote in this very moment. */
	used = peer->written.at - before.at + ring_used(peer->ring);
	if (used > ring_record_max(peer->ring) / 2 &&
		write(peer->wake_worker, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_warning("cannot wake worker process %u: %s", peer->number, strerror(errno));
}

static void shipper_sync(struct shipper *s)
{
	int error = spool_sync(s->spool);

	ev_timer_stop(s->context->loop, &s->sync);
	if (error)
		log_error("cannot make the spool durable: %s; a power cut would lose events",
			strerror(-error));
}

/* A worker that is gone is forgotten when nothing of it is left in its ring. */
static void peer_check_gone(struct peer *peer)
{
	struct shipper *s = peer->shipper;
	struct control_peer body = {.number = peer->number};
	int error;

	if (!peer->gone || (peer->ring && !peer->broken && !ring_empty(peer->ring)))
		return;
	error = role_send(s->context, CONTROL_PEER_GONE, &body, sizeof(body), NULL, 0);
	if (error && error != -EPIPE)
		log_warning("cannot tell the parent of a ring that is empty: %s", strerror(-error));
	spool_forget(s->spool, peer->number);
	ev_io_stop(s->context->loop, &peer->wake);
	if (peer->ring)
		ring_unmap(peer->ring);
	close(peer->wake_shipper);
	close(peer->wake_worker);
	list_remove(&peer->node);
	free(peer);
}

/* Listens again to a ring that has woken us. */
static void peer_listen(struct peer *peer)
{
	uint64_t count;

	if (ev_is_active(&peer->wake) || peer->broken || !peer->ring || peer->gone)
		return;
	if (read(peer->wake_shipper, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_warning("cannot read a wake-up: %s", strerror(errno));
	ev_io_start(peer->shipper->context->loop, &peer->wake);
}

/* Only a spool that takes nothing leaves something in the rings. */
static void shipper_tell_left(struct shipper *s)
{
	uint64_t left = 0;

	list_for_each (node, &s->peers) {
		struct peer *peer = list_entry(node, struct peer, node);

		if (peer->ring && !peer->broken)
			left += ring_used(peer->ring);
	}
	if (s->blocked && left)
		log_error("ends with %llu KiB of events that could not be spooled: they are lost"
			  " unless another shipper takes the rings over",
			(unsigned long long)(left + 1023) >> 10);
}

static void shipper_check_end(struct shipper *s)
{
	if (!s->draining || s->finishing || (!s->at_once && !list_empty(&s->peers)))
		return;
	s->finishing = true;
	shipper_tell_left(s);
	shipper_sync(s);
	collector_link_hurry(s->link);
	shipper_timer(s, &s->finish, FINISH_WAIT);
	if (!collector_link_busy(s->link))
		role_exit(s->context);
}

static void shipper_tell(struct shipper *s)
{
	bool more = record_gauges_tell(&s->gauges, collector_link_up(s->link), s->blocked);

	ev_timer_stop(s->context->loop, &s->tell);
	shipper_timer(s, &s->tell, more ? TELL_SOON : TELL_EVERY);
}

static void on_tell(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	shipper_tell(timer->data);
}

/* One turn: out of the rings, into the spool, and the rings' room back. */
static void shipper_intake(struct shipper *s)
{
	size_t room = INTAKE_BYTES;
	bool more = false;

	s->was_blocked = s->blocked;
	s->blocked = false;
	/* First what wakes us, then what there is: a wake-up in between is not lost. */
	list_for_each (node, &s->peers)
		peer_listen(list_entry(node, struct peer, node));
	list_for_each (node, &s->peers) {
		if (s->blocked)
			break;
		more = peer_take(list_entry(node, struct peer, node), &room) || more;
	}
	/* Also when it is full: what fitted before is kept. */
	shipper_write(s);
	if (s->was_blocked && !s->blocked)
		log_info("events are spooled again");
	if (s->was_blocked != s->blocked)
		shipper_tell(s);
	switch (s->context->config->audit.fsync) {
	case CONFIG_FSYNC_ALWAYS:
		shipper_sync(s);
		break;
	case CONFIG_FSYNC_INTERVAL:
		if (spool_dirty(s->spool))
			shipper_timer(s, &s->sync, s->context->config->audit.fsync_ns);
		break;
	case CONFIG_FSYNC_NEVER:
		break;
	}
	list_for_each_safe (node, &s->peers) {
		struct peer *peer = list_entry(node, struct peer, node);

		peer_release(peer);
		peer_check_gone(peer);
	}
	if (s->blocked)
		shipper_timer(s, &s->intake, BLOCKED_RETRY);
	else if (more)
		shipper_timer(s, &s->intake, 0);
	if (!more || s->blocked)
		shipper_check_end(s);
}

/* Whether what is in the rings is worth a turn now. To spool costs as much for one event as for
 * fifty, and fifty of them still fit the caches. */
static bool intake_is_due(const struct shipper *s)
{
	size_t waiting = 0;

	if (clock_monotonic_ns() >= s->patient_until_ns)
		return true;
	list_for_each (node, &s->peers) {
		const struct peer *peer = list_entry(node, struct peer, node);
		size_t used;

		if (!peer->ring || peer->broken)
			continue;
		used = ring_used(peer->ring);
		if (used > ring_record_max(peer->ring) / 4)
			return true;
		waiting += used;
	}
	return waiting >= INTAKE_WORTH;
}

static void on_intake(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct shipper *s = timer->data;

	(void)loop;
	(void)events;
	if (s->patient_until_ns && !intake_is_due(s)) {
		shipper_timer(s, timer, INTAKE_PATIENCE / 4);
		return;
	}
	s->patient_until_ns = 0;
	shipper_intake(s);
}

static void on_sync(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	shipper_sync(timer->data);
}

static void on_finish(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct shipper *s = timer->data;

	(void)loop;
	(void)events;
	log_info("ends with events in the spool, which the next start sends");
	role_exit(s->context);
}

/* A wake-up: the ring is looked at a little later, together with the others. */
static void on_wake(struct ev_loop *loop, ev_io *io, int events)
{
	struct peer *peer = io->data;
	struct shipper *s = peer->shipper;

	(void)events;
	ev_io_stop(loop, io);
	if (s->context->config->audit.fsync == CONFIG_FSYNC_ALWAYS) {
		shipper_timer_now(s, &s->intake);
		return;
	}
	if (!ev_is_active(&s->intake))
		s->patient_until_ns = clock_monotonic_ns() + INTAKE_PATIENCE;
	shipper_timer(s, &s->intake, INTAKE_WAIT);
}

static void on_acknowledged(void *context, uint64_t records, const struct spool_position *end)
{
	struct shipper *s = context;

	record_gauges_acknowledged(&s->gauges, records, end);
	if (s->blocked) {
		collector_link_settle(s->link);
		shipper_timer_now(s, &s->intake);
	}
	if (s->finishing && !collector_link_busy(s->link))
		role_exit(s->context);
}

/* ---- the role ---- */

static struct peer *shipper_peer(struct shipper *s, uint32_t number)
{
	list_for_each (node, &s->peers)
		if (list_entry(node, struct peer, node)->number == number)
			return list_entry(node, struct peer, node);
	return NULL;
}

static void shipper_add_peer(struct shipper *s, uint32_t number, struct ipc_message *message)
{
	struct peer *peer = message->nfds == 3 ? calloc(1, sizeof(*peer)) : NULL;
	struct why why = {""};

	if (!peer) {
		log_error("cannot take the ring of worker process %u", number);
		counter_add(s->context->counters, COUNTER_RING_BROKEN, 1);
		return;
	}
	peer->shipper = s;
	peer->number = number;
	peer->wake_shipper = message->fds[1];
	peer->wake_worker = message->fds[2];
	message->fds[1] = message->fds[2] = -1;
	peer->ring = ring_map(message->fds[0], false, &why);
	ev_io_init(&peer->wake, on_wake, peer->wake_shipper, EV_READ);
	peer->wake.data = peer;
	list_append(&s->peers, &peer->node);
	if (!peer->ring) {
		log_error("cannot take the ring of worker process %u: %s", number, why.text);
		counter_add(s->context->counters, COUNTER_RING_BROKEN, 1);
		return;
	}
	peer->taken = peer->written = ring_cursor(peer->ring);
	/* An earlier shipper may have been woken for what is in it. */
	shipper_timer_now(s, &s->intake);
}

static void shipper_message(void *state, struct ipc_message *message)
{
	struct shipper *s = state;
	struct control_peer body;
	struct peer *peer;

	if (message->len != sizeof(body) ||
		(message->type != CONTROL_PEER && message->type != CONTROL_PEER_GONE)) {
		log_warning("a message of the parent is not understood: type %u", message->type);
		counter_add(s->context->counters, COUNTER_PROCESS_MESSAGE_DROPPED, 1);
		return;
	}
	memcpy(&body, message->body, sizeof(body));
	peer = shipper_peer(s, body.number);
	if (message->type == CONTROL_PEER && !peer) {
		shipper_add_peer(s, body.number, message);
	} else if (message->type == CONTROL_PEER_GONE && peer) {
		peer->gone = true;
		shipper_timer_now(s, &s->intake);
	} else if (message->type == CONTROL_PEER_GONE) {
		/* The parent has not heard that its ring is empty. */
		(void)role_send(
			s->context, CONTROL_PEER_GONE, &body, sizeof(body), NULL, 0);
	}
}

static void shipper_drain(void *state, bool patient)
{
	struct shipper *s = state;

	s->draining = true;
	s->at_once = s->at_once || !patient;
	shipper_timer_now(s, &s->intake);
}

static void shipper_close(void *state)
{
	struct shipper *s = state;
	struct ev_loop *loop = s->context->loop;

	ev_timer_stop(loop, &s->intake);
	ev_timer_stop(loop, &s->sync);
	ev_timer_stop(loop, &s->finish);
	ev_timer_stop(loop, &s->tell);
	if (s->spool)
		shipper_sync(s);
	list_for_each_safe (node, &s->peers) {
		struct peer *peer = list_entry(node, struct peer, node);

		ev_io_stop(loop, &peer->wake);
		if (peer->ring)
			ring_unmap(peer->ring);
		close(peer->wake_shipper);
		close(peer->wake_worker);
		free(peer);
	}
	collector_link_free(s->link);
	limit_saver_free(s->limits);
	buf_wipe(&s->collector_key);
	SSL_CTX_free(s->tls);
	spool_close(s->spool);
	free(s);
}

static int shipper_spool(struct shipper *s, struct why *why)
{
	const struct config_audit *config = &s->context->config->audit;
	struct spool_options options = {
		.directory = role_fd(s->context, "spool"),
		.epoch = s->context->epoch,
		.bytes = config->spool_bytes,
		.segment_bytes = config->segment_bytes,
		.sync = config->fsync != CONFIG_FSYNC_NEVER,
		.counters = s->context->counters,
	};
	int error;

	if (options.directory < 0)
		return why_set(why, EBADF, "no spool directory was handed over");
	error = spool_open(&options, &s->spool, why);
	if (error)
		close(options.directory);
	return error;
}

static int shipper_key(struct shipper *s, struct why *why)
{
	int fd = role_fd(s->context, "collector_key");
	int error;

	if (fd < 0)
		return why_set(why, EBADF, "no key of the collector was handed over");
	error = key_file_read(
		fd, s->context->config->audit.collector_key_file, &s->collector_key, why);
	close(fd);
	return error;
}

/* Appends a file that was handed over; one that is not configured is left out. */
static int shipper_pem(
	struct shipper *s, const char *name, const char *path, struct buf *pem, struct why *why)
{
	struct why inner = {""};
	int fd = path ? role_fd(s->context, name) : -1, error;

	if (!path)
		return 0;
	if (fd < 0)
		return why_set(why, EBADF, "%s was not handed over", path);
	error = pem_read_fd(fd, SHIPPER_PEM_MAX, pem, &inner);
	close(fd);
	return error ? why_set(why, -error, "%s: %s", path, inner.text) : 0;
}

static int shipper_tls(struct shipper *s, struct why *why)
{
	const struct config_audit *audit = &s->context->config->audit;
	struct buf authority = BUF_EMPTY, certificate = BUF_EMPTY, key = BUF_EMPTY;
	int error = shipper_pem(s, "collector_ca", audit->collector_ca_file, &authority, why);

	if (!error)
		error = shipper_pem(s, "collector_certificate", audit->collector_certificate_file,
			&certificate, why);
	if (!error)
		error = shipper_pem(s, "collector_certificate_key",
			audit->collector_certificate_key_file, &key, why);
	if (!error) {
		const struct forward_leg_pem pem = {buf_slice(&authority), buf_slice(&certificate),
			buf_slice(&key), audit->collector_ca_file,
			audit->collector_certificate_file, audit->collector_certificate_key_file};

		s->tls = forward_leg_new(false, &pem, why);
		error = s->tls ? 0 : -EINVAL;
	}
	buf_free(&authority);
	buf_free(&certificate);
	buf_wipe(&key);
	return error;
}

static int shipper_limits(struct shipper *s, struct why *why)
{
	const struct limit_saver_options options = {
		.loop = s->context->loop,
		.counters = s->context->counters,
		.table = role_fd(s->context, "limits"),
		.directory = spool_directory(s->spool),
	};

	return options.table < 0 ? 0 : limit_saver_new(&options, &s->limits, why);
}

static int shipper_init(struct role_context *context, void **state, struct why *why)
{
	struct shipper *s = calloc(1, sizeof(*s));
	struct collector_link_options options = {
		.loop = context->loop,
		.config = &context->config->audit,
		.counters = context->counters,
		.host = slice_of_string(context->config->appliance.name),
		.acknowledged = on_acknowledged,
		.context = s,
	};
	int error;

	if (!s)
		return why_set(why, ENOMEM, "out of memory");
	s->context = context;
	list_init(&s->peers);
	ev_init(&s->intake, on_intake);
	ev_init(&s->sync, on_sync);
	ev_init(&s->finish, on_finish);
	ev_init(&s->tell, on_tell);
	s->intake.data = s->sync.data = s->finish.data = s->tell.data = s;
	error = shipper_spool(s, why);
	if (!error)
		error = shipper_limits(s, why);
	if (!error && context->config->audit.collector_key_file)
		error = shipper_key(s, why);
	if (!error && context->config->audit.collector_ca_file)
		error = shipper_tls(s, why);
	if (!error) {
		options.spool = s->spool;
		options.tls = s->tls;
		options.key = buf_slice(&s->collector_key);
		error = collector_link_new(&options, &s->link, why);
	}
	if (!error) {
		record_gauges_open(&s->gauges, s->spool, context->counters,
			context->config->audit.spool_bytes);
		shipper_tell(s);
	}
	if (error) {
		shipper_close(s);
		return error;
	}
	*state = s;
	return 0;
}

const struct role shipper_role = {
	.title = "shipper",
	.init = shipper_init,
	.message = shipper_message,
	.drain = shipper_drain,
	.close = shipper_close,
};
