// SPDX-License-Identifier: GPL-2.0-or-later
/* DNS over TCP (RFC 1035 section 4.2.2): messages one after the other, each with its length in
 * front, cut into segments as it comes. What a client gets of a message for a listed name are whole
 * records, edited: segments wait until theirs are. */
#include <stdlib.h>

#include "scout/dns.h"
#include "scout/learn_internal.h"

#define MESSAGE_MAX  (2 + 65535)
#define QUESTION_MAX (12 + 255 + 4)

/* The bytes that the packet brings, as an offset in the stream. */
static size_t start_of(const struct peek *peek, const struct seen *seen)
{
	return (uint32_t)(seen->packet.sequence - peek->base);
}

static size_t end_of(const struct peek *peek, const struct seen *seen)
{
	return start_of(peek, seen) + (seen->packet.end - seen->packet.payload);
}

/* What was read of the stream is what the client gets: edited, and of what was sent twice the
 * first. */
static void patch(struct peek *peek, struct seen *seen)
{
	const char *bytes = peek->segments.memory + start_of(peek, seen);
	size_t len = seen->packet.end - seen->packet.payload;

	if (memcmp(seen->bytes + seen->packet.payload, bytes, len) == 0)
		return;
	memcpy(seen->bytes + seen->packet.payload, bytes, len);
	ip_packet_checksum((uint8_t *)seen->bytes, &seen->packet);
	seen->changed = true;
}

static void passes(struct peek *peek, const struct seen *seen)
{
	size_t end = end_of(peek, seen);

	if (peek->stream.passed < end)
		peek->stream.passed = end;
}

/* --- what waits for the rest of its message --- */

struct releasing {
	struct peek *peek;
	size_t until;
	size_t n;
	size_t least; /* where what goes on waiting begins */
};

static bool releasable(void *context, struct seen *seen)
{
	struct releasing *releasing = context;
	size_t start = start_of(releasing->peek, seen);

	if (end_of(releasing->peek, seen) > releasing->until) {
		if (releasing->least > start)
			releasing->least = start;
		return false;
	}
	patch(releasing->peek, seen);
	passes(releasing->peek, seen);
	releasing->n++;
	return true;
}

static bool count_only(void *context, struct seen *seen)
{
	(void)seen;
	++*(size_t *)context;
	return true;
}

void learn_stream_give_up(struct learn *learn, const struct peek_key *key, struct peek *peek)
{
	struct releasing releasing = {.peek = peek, .until = SIZE_MAX};

	if (peek && peek->segments.memory)
		learn_rest(learn, key, releasable, &releasing);
	else
		learn_rest(learn, key, count_only, &releasing.n);
	if (releasing.n)
		counter_add(learn->counters, COUNTER_LEARN_DNS_SPREAD, 1);
}

/* --- messages --- */

/* Edits what there is of a message for a listed name at an offset of the stream (behind its
 * length). Returns how far it may pass. */
static size_t edit(struct learn *learn, struct peek *peek, size_t at, size_t len)
{
	size_t passed = peek->stream.passed > at ? peek->stream.passed - at : 0, final;
	size_t found = dns_disarm(peek->segments.memory + at, len, passed, &final);

	counter_add(learn->counters, COUNTER_LEARN_DNS_DISARMED, found);
	peek->stream.edited |= found > 0;
	return at + final;
}

/* Whether records are left that were let go before they were whole. */
static void count_armed(struct learn *learn, struct slice message)
{
	char *copy = malloc(message.len);
	size_t final;

	if (!copy)
		return;
	memcpy(copy, message.data, message.len);
	if (dns_disarm(copy, message.len, 0, &final))
		counter_add(learn->counters, COUNTER_LEARN_DNS_ARMED, 1);
	free(copy);
}

static void read_message(
	struct learn *learn, struct peek *peek, size_t at, size_t len, struct learn_asking *asking)
{
	struct slice message = slice_of(peek->segments.memory + at, len);
	struct dns_reply reply;
	bool listed;

	if (!learn_dns_wanted(learn, asking->seen->now_ns, message, &reply, &listed))
		return;
	learn_dns_read(asking, message, &reply, listed);
	if (!listed)
		return;
	(void)edit(learn, peek, at, len);
	if (peek->stream.passed > at + reply.records)
		count_armed(learn, message);
}

static void read_messages(struct learn *learn, struct peek *peek, struct learn_asking *asking)
{
	struct slice front = segments_front(&peek->segments);
	size_t at = peek->stream.whole;

	while (front.len > at && front.len - at >= 2) {
		const uint8_t *head = (const uint8_t *)front.data + at;
		size_t len = (size_t)head[0] << 8 | head[1];

		if (front.len - at - 2 < len)
			break;
		read_message(learn, peek, at + 2, len, asking);
		at += 2 + len;
	}
	peek->stream.whole = at;
}

/* How far the stream may pass while its last message is not whole. */
static size_t may_pass(struct learn *learn, struct peek *peek, uint64_t now_ns)
{
	struct slice front = segments_front(&peek->segments), message;
	size_t at = peek->stream.whole, end, until;
	struct dns_reply reply;

	/* Before its length is known nothing is. */
	if (front.len < at + 2)
		return front.len;
	message = slice_after(front, at + 2);
	end = at + 2 + ((size_t)(uint8_t)front.data[at] << 8 | (uint8_t)front.data[at + 1]);
	switch (dns_read(message, &reply)) {
	case DNS_OK:
		if (!learn_dns_listed(learn, now_ns, &reply))
			return end;
		until = edit(learn, peek, at + 2, message.len);
		/* A record of which some was let go as it was is to pass as it is. */
		return peek->stream.passed > until ? end : until;
	case DNS_MALFORMED:
		return message.len < QUESTION_MAX ? front.len : end;
	default:
		return end;
	}
}

/* Lets go of what was read, up to least, but for what might be sent again and was edited. */
static void forget(struct peek *peek, size_t least)
{
	struct peek_stream *stream = &peek->stream;
	size_t n = stream->whole < least ? stream->whole : least;

	if (stream->edited && stream->whole <= MESSAGE_MAX)
		return;
	stream->forgot |= stream->edited;
	stream->edited = false;
	stream->passed -= n < stream->passed ? n : stream->passed;
	stream->whole -= n;
	peek->base += (uint32_t)n;
	segments_consume(&peek->segments, n);
}

/* --- segments --- */

/* The bytes are in the stream; the packet gets its verdict, or waits. */
static void segment_read(struct learn *learn, struct seen *seen, struct peek *peek)
{
	struct peek_key key = learn_peek_key(&seen->packet);
	struct learn_asking asking = {.learn = learn, .seen = seen};
	struct releasing releasing = {.peek = peek, .least = SIZE_MAX};
	uint32_t ticket = 0;
	bool held = false, rest;

	/* Sent again while it waits: it is not to be had sooner in that way. */
	if (end_of(peek, seen) <= peek->stream.whole)
		ticket = learn_ticket_of(learn, &key);
	read_messages(learn, peek, &asking);
	releasing.until = may_pass(learn, peek, seen->now_ns);
	rest = end_of(peek, seen) > releasing.until;
	learn_rest(learn, &key, releasable, &releasing);
	if (!rest) {
		patch(peek, seen);
		passes(peek, seen);
	}
	if (asking.news) {
		counter_add(learn->counters, COUNTER_LEARN_DNS_HELD, 1);
		ticket = asking.ticket = asking.ticket ? asking.ticket : learn_ticket(learn);
	}
	if (ticket || rest) {
		held = learn_hold(learn, seen, learn_dns_then(learn), ticket, rest);
		if (held && rest && releasing.least > start_of(peek, seen))
			releasing.least = start_of(peek, seen);
		if (!held && rest) {
			passes(peek, seen);
			learn_stream_give_up(learn, &key, peek);
		}
	}
	learn_asking_send(&asking, held && asking.news ? ticket : 0);
	if (!ticket && !rest)
		learn_pass(learn, seen);
	forget(peek, releasing.least);
	peek_charge(learn->peeks, peek);
}

/* Only from its beginning on can a stream be read. */
static void begin(struct learn *learn, const struct seen *seen, const struct peek_key *key)
{
	struct peek *peek = peek_add(learn->peeks, key, seen->now_ns);

	if (peek)
		peek->base = seen->packet.sequence + 1;
	else
		counter_add(learn->counters, COUNTER_LEARN_FULL, 1);
}

/* Cuts off what is older than what is kept. false: it is nothing else. */
static bool cut(struct learn *learn, struct seen *seen, const struct peek *peek)
{
	int64_t before = -(int64_t)(int32_t)(seen->packet.sequence - peek->base);
	size_t len = seen->packet.end - seen->packet.payload;

	if (before <= 0)
		return true;
	/* Sent again, and what it was edited to is no longer known. */
	counter_add(learn->counters, COUNTER_LEARN_DNS_ARMED, peek->stream.forgot);
	if ((size_t)before >= len)
		return false;
	seen->packet.payload += (size_t)before;
	seen->packet.sequence += (uint32_t)before;
	return true;
}

void learn_stream(struct learn *learn, struct seen *seen)
{
	struct peek_key key = learn_peek_key(&seen->packet);
	struct peek *peek = peek_find(learn->peeks, &key, seen->now_ns);
	uint32_t ticket;

	if (seen->packet.flags & (IP_PACKET_SYN | IP_PACKET_RST)) {
		learn_stream_give_up(learn, &key, peek);
		if (peek)
			peek_remove(learn->peeks, peek);
		peek = NULL;
	}
	if (seen->packet.flags & IP_PACKET_SYN)
		begin(learn, seen, &key);
	if (!peek || peek->done || seen->packet.end == seen->packet.payload) {
		learn_pass(learn, seen);
		return;
	}
	if (!cut(learn, seen, peek)) {
		ticket = learn_ticket_of(learn, &key);
		if (!ticket)
			learn_pass(learn, seen);
		else
			(void)learn_hold(learn, seen, learn_dns_then(learn), ticket, false);
		return;
	}
	if (segments_add(&peek->segments, start_of(peek, seen),
		    ip_packet_payload(&seen->packet, slice_of(seen->bytes, seen->len)),
		    peek->stream.whole + 2 * MESSAGE_MAX)) {
		counter_add(learn->counters, COUNTER_LEARN_FULL, 1);
		learn_stream_give_up(learn, &key, peek);
		peek_done(learn->peeks, peek);
		learn_pass(learn, seen);
		return;
	}
	segment_read(learn, seen, peek);
}
