// SPDX-License-Identifier: GPL-2.0-or-later
/* Whether the tokens that an answer tells of are this call's: of what the service does later (a
 * batch, a response in the background, a run) they are told to everybody who asks, any number of
 * times. */
#include "proxy/exchange.h"

#include "backend/job.h"
#include "base/clock.h"

static const struct response_facts *response_of(const struct exchange *ex)
{
	const struct reader *reader = ex->attempt.response.reader;

	return reader && ex->status >= 200 && ex->status <= 299
		       ? response_reader_facts(reader_response(reader))
		       : NULL;
}

/* Whether the answer is that of a call that begins something that goes on without it. */
static bool begins(const struct exchange *ex, const struct response_facts *facts)
{
	const struct operation *operation = ex->match.operation;

	if (!slice_equal(ex->method, SLICE("POST")) || !facts->id.len)
		return false;
	switch (operation->id) {
	case OPERATION_RESPONSES:
		return ex->request.reader &&
		       reader_request_facts(ex->request.reader)->background == REQUEST_TRUE;
	case OPERATION_BATCHES:
		return slice_equal(facts->object, SLICE("batch"));
	case OPERATION_THREADS:
		return slice_equal(facts->object, SLICE("thread.run"));
	default:
		return false;
	}
}

/* What the job made is a part of it, whoever tells of it first. */
static void adopt(const struct exchange *ex, const struct response_facts *facts, uint64_t now_s)
{
	struct slice made = facts->made;

	while (made.len) {
		struct slice line = slice_first(made, slice_index(made, '\n'));
		size_t id = slice_index(line, ' ');

		job_adopt(ex->worker->standing, slice_first(line, id), slice_after(line, id + 1),
			now_s);
		made = slice_after(made, line.len + 1);
	}
}

/* Whether what is told was counted when it was made: a response that nobody waits for is not. */
static bool was_counted(const struct exchange *ex, const struct response_facts *facts)
{
	return ex->match.operation->id == OPERATION_STORED_CHAT ||
	       (ex->match.operation->id == OPERATION_STORED_RESPONSE && !facts->background);
}

static enum exchange_spend spend_of(struct exchange *ex, const struct response_facts *facts)
{
	uint64_t now_s = clock_monotonic_ns() / NS_PER_S;
	bool file = ex->match.operation->family == FAMILY_FILES;
	struct slice id = file ? ex->match.name : facts->id;
	bool begun = begins(ex, facts);
	char owner[STANDING_JOB_OWNER];

	if (begun) {
		exchange_policy_owner(ex, owner);
		job_begin(ex->worker->standing, id, slice_of_string(owner), now_s);
	}
	adopt(ex, facts, now_s);
	if (!begun && !ex->match.operation->tells_again)
		return SPEND_NOW;
	/* A part of a file tells a part of its usage. */
	if (!facts->has_usage || (file && ex->status != 200))
		return begun ? SPEND_LATER : SPEND_NONE;
	if (was_counted(ex, facts))
		return SPEND_AGAIN;
	return job_tell(ex->worker->standing, id, now_s, ex->job_owner) == JOB_AGAIN ? SPEND_AGAIN
										     : SPEND_NOW;
}

enum exchange_spend exchange_spend(struct exchange *ex)
{
	const struct response_facts *facts = response_of(ex);

	if (ex->spend != SPEND_UNKNOWN)
		return ex->spend;
	ex->spend = SPEND_NOW;
	if (ex->match.operation && facts)
		ex->spend = spend_of(ex, facts);
	else if (ex->match.operation && ex->match.operation->tells_again)
		ex->spend = SPEND_NONE;
	return ex->spend;
}
