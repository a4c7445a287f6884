// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/deadline.h"

#include "base/clock.h"

/* The last bytes of a stream usually come with its end mark. A client waits for the mark. */
#define DEADLINE_END_NS NS_PER_S

static struct deadline origin_owes(enum deadline_kind kind, uint64_t ns)
{
	return (struct deadline){
		kind, ENDING_BY_ORIGIN, ns, ENDING_ORIGIN_TIMEOUT, SINCE_SIDE_MOVED};
}

static struct deadline client_owes(const struct config *config, enum deadline_since since)
{
	return (struct deadline){DEADLINE_CLIENT_BODY, ENDING_BY_CLIENT, config->http.body_ns,
		ENDING_BODY_TIMEOUT, since};
}

/* A client that is slow to read is alive, or its kernel finds out (keepalive); one that does not read
 * at all holds what others need. */
static struct deadline client_takes(const struct config *config)
{
	return (struct deadline){DEADLINE_CLIENT_ROOM, ENDING_BY_CLIENT, config->http.unread_ns,
		ENDING_CLIENT_STALLED, SINCE_SIDE_MOVED};
}

/* What comes before the output, a byte at a time, does not put it off. */
static struct deadline origin_owes_output(uint64_t ns)
{
	struct deadline owed = origin_owes(DEADLINE_ORIGIN_OUTPUT, ns);

	owed.since = SINCE_BEGUN;
	return owed;
}

struct deadline deadline_of(const struct deadline_view *view, const struct config *config)
{
	const struct config_origin *origin = &config->origin;
	const struct deadline none = {.kind = DEADLINE_NONE, .side = ENDING_BY_US};
	struct deadline end;

	if (view->reading && view->phase != EXCHANGE_DRAINING)
		return none;
	switch (view->phase) {
	case EXCHANGE_HOLDING:
	case EXCHANGE_SENDING:
		if (view->session)
			return origin_owes(DEADLINE_ORIGIN_HEAD, origin->first_byte_ns);
		if (view->origin_full)
			return origin_owes(DEADLINE_ORIGIN_ROOM, origin->idle_ns);
		return client_owes(config, SINCE_SIDE_MOVED);
	case EXCHANGE_AWAITING:
		if (view->origin_unsent)
			return origin_owes(DEADLINE_ORIGIN_ROOM, origin->idle_ns);
		if (view->client_full)
			return client_takes(config);
		if (view->first_output_ns && view->first_output_ns < origin->first_byte_ns)
			return origin_owes_output(view->first_output_ns);
		return origin_owes(DEADLINE_ORIGIN_HEAD, origin->first_byte_ns);
	case EXCHANGE_JUDGING:
		if (view->client_full)
			return client_takes(config);
		if (view->first_output_ns && view->first_output_ns < origin->idle_ns)
			return origin_owes_output(view->first_output_ns);
		return origin_owes(DEADLINE_ORIGIN_BODY, origin->idle_ns);
	case EXCHANGE_ANSWERING:
		if (view->client_full)
			return client_takes(config);
		if (view->end_mark) {
			/* What trickles in behind the mark does not put the end off. */
			end = origin_owes(DEADLINE_ORIGIN_END, DEADLINE_END_NS);
			end.since = SINCE_BEGUN;
			return end;
		}
		if (view->session)
			return view->origin_full ? origin_owes(DEADLINE_ORIGIN_ROOM, origin->idle_ns)
						 : none;
		/* The origin that answers early may be waiting for the rest of the request. */
		if (view->request_open && !view->origin_full)
			return client_owes(config, SINCE_ANYONE_MOVED);
		return origin_owes(DEADLINE_ORIGIN_BODY, origin->idle_ns);
	case EXCHANGE_DRAINING:
		return (struct deadline){DEADLINE_DRAIN, ENDING_BY_US, origin->drain_ns,
			ENDING_NONE, SINCE_BEGUN};
	case EXCHANGE_CONNECTING: /* dialling has a deadline of its own */
	case EXCHANGE_RECORDING:
	case EXCHANGE_OVER:
		return none;
	}
	return none;
}
