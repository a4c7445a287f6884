// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/flow_count.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* Entries at a time. A bucket of the kernel's table is read whole: one that holds more than this
 * asks for more room, up to the bound. */
#define FLOWS_AT_ONCE	  4096u
#define FLOWS_AT_ONCE_MAX (1u << 20)

struct flow_batch {
	struct flow_key *keys;
	struct flow *flows;
	uint32_t room;
};

#define STATE_NAME(NAME, name, seconds, help)	 name,
#define STATE_HELP(NAME, name, seconds, help)	 help,
#define STATE_SECONDS(NAME, name, seconds, help) seconds,

static const char *const state_names[] = {FLOW_STATES(STATE_NAME)};
static const char *const state_helps[] = {FLOW_STATES(STATE_HELP)};
static const unsigned state_seconds[] = {FLOW_STATES(STATE_SECONDS)};

const char *flow_state_name(enum flow_state state)
{
	return state < FLOW_STATE_COUNT ? state_names[state] : "unknown";
}

const char *flow_state_help(enum flow_state state)
{
	return state < FLOW_STATE_COUNT ? state_helps[state] : "";
}

unsigned flow_state_seconds(enum flow_state state)
{
	return state < FLOW_STATE_COUNT ? state_seconds[state] : 0;
}

bool flow_active(const struct flow *flow, uint64_t now_ns)
{
	uint64_t age = now_ns > flow->seen_ns ? now_ns - flow->seen_ns : 0;
	enum flow_state state = flow_state(flow->marks);

	return (state == FLOW_OPEN || state == FLOW_CLOSING) &&
	       age < state_seconds[state] * NS_PER_S;
}

static int batch_grow(struct flow_batch *batch, uint32_t room)
{
	struct flow_key *keys = reallocarray(batch->keys, room, sizeof(*keys));
	struct flow *flows;

	if (!keys)
		return -ENOMEM;
	batch->keys = keys;
	flows = reallocarray(batch->flows, room, sizeof(*flows));
	if (!flows)
		return -ENOMEM;
	batch->flows = flows;
	batch->room = room;
	return 0;
}

static void batch_count(const struct flow_batch *batch, uint32_t n, uint64_t now_ns,
	struct flow_count *count, void (*each)(void *context, const struct flow_key *key),
	void *context)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct flow *flow = &batch->flows[i];
		bool steered = flow->decision == FLOW_STEER, active = flow_active(flow, now_ns);

		count->all++;
		count->steered += steered;
		count->active += active;
		count->steered_active += steered && active;
		count->states[flow_state(flow->marks)]++;
		if (active && each)
			each(context, &batch->keys[i]);
	}
}

int flow_count_read(int map, uint64_t now_ns, struct flow_count *count,
	void (*each)(void *context, const struct flow_key *key), void *context)
{
	struct flow_batch batch = {NULL, NULL, 0};
	uint32_t at = 0, next = 0, n;
	bool started = false;
	int error = batch_grow(&batch, FLOWS_AT_ONCE), status = 0;

	memset(count, 0, sizeof(*count));
	while (!error && status == 0) {
		n = batch.room;
		status = bpf_map_lookup_batch(
			map, started ? &at : NULL, &next, batch.keys, batch.flows, &n, NULL);
		if (status == -ENOSPC && batch.room < FLOWS_AT_ONCE_MAX) {
			/* The same bucket again. */
			error = batch_grow(&batch, 4 * batch.room);
			status = 0;
			continue;
		}
		if (status < 0 && status != -ENOENT) {
			error = status;
			break;
		}
		batch_count(&batch, n, now_ns, count, each, context);
		at = next;
		started = true;
	}
	free(batch.keys);
	free(batch.flows);
	return error;
}
