// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/attempt.h"

#include <errno.h>

#include "base/clock.h"

void attempt_start(struct attempt *attempt, struct attempt_record *record,
	const struct origin_target *target, struct origins *origins, bool fresh,
	const struct upstream_user *handler, origin_done *done, void *user)
{
	*attempt = (struct attempt){
		.record = record,
		.target = *target,
		.started_ns = clock_monotonic_ns(),
	};
	origin_acquire(
		origins, &attempt->target, fresh, handler, done, user, &attempt->opening);
}

void attempt_connected(struct attempt *attempt, struct upstream_slot *slot)
{
	attempt->slot = slot;
	attempt->record->address = slot->address;
	attempt->record->connect_ns = slot->connect_ns;
}

static int attempt_write(void *to, struct slice piece)
{
	struct upstream_slot *slot = to;

	return piece.len ? slot->ops->request.body(slot, piece, false) : 0;
}

int attempt_send(struct attempt *attempt, const struct replay *replay, uint64_t to, bool last,
	const struct fields *trailers)
{
	const struct message_ops *request = &attempt->slot->ops->request;
	bool all;
	int error;

	do {
		struct slice span = slice_first(
			replay_from(replay, attempt->sent), (size_t)(to - attempt->sent));

		all = attempt->sent + span.len == to;
		error = edits_apply(&attempt->edits, attempt->sent, span, last && all,
			attempt_write, attempt->slot);
		if (error)
			return error;
		attempt->sent += span.len;
	} while (!all);
	if (!last)
		return 0;
	attempt->request_whole = true;
	return trailers->count ? request->trailers(attempt->slot, trailers->list, trailers->count)
			       : request->body(attempt->slot, SLICE_NONE, true);
}

enum stream_fate attempt_fate(const struct attempt *attempt, int error)
{
	return attempt->slot->ops->fate(attempt->slot, error);
}

void attempt_release(struct attempt *attempt)
{
	const struct message_fault fault = {.kind = MESSAGE_LOST, .error = ECANCELED};
	struct upstream_slot *slot = attempt->slot;

	if (attempt->opening)
		origin_cancel(attempt->opening);
	attempt->slot = NULL;
	attempt->head = NULL;
	if (slot && attempt->request_whole)
		slot->ops->release(slot);
	else if (slot)
		slot->ops->request.abort(slot, &fault);
}

void attempt_close(struct attempt *attempt)
{
	attempt_release(attempt);
	intake_close(&attempt->response);
	fields_wipe(&attempt->trailers);
	hold_wipe(&attempt->hold);
}
