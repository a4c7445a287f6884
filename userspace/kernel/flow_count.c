// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/flow_count.h"

#include <string.h>

#include "base/clock.h"
#include "kernel/map_batch.h"

#define FLOWS_AT_ONCE 4096

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

bool flow_is_expired(const struct flow *flow, uint64_t now_ns)
{
	return flow->seen_ns < now_ns &&
	       now_ns - flow->seen_ns >= state_seconds[flow_state(flow->marks)] * NS_PER_S;
}

bool flow_active(const struct flow *flow, uint64_t now_ns)
{
	enum flow_state state = flow_state(flow->marks);

	return (state == FLOW_OPEN || state == FLOW_CLOSING) && !flow_is_expired(flow, now_ns);
}

static void flow_add(struct flow_count *count, const struct flow *flow, bool active)
{
	bool steered = flow->decision == FLOW_STEER;

	count->all++;
	count->steered += steered;
	count->active += active;
	count->steered_active += steered && active;
	count->unanswered += active && flow_unanswered(flow->marks);
	count->states[flow_state(flow->marks)]++;
}

int flow_count_read(int map, uint64_t now_ns, struct flow_count *count,
	void (*each)(void *context, const struct flow_key *key), void *context)
{
	struct map_batch batch;
	int n = map_batch_open(&batch, map, FLOWS_AT_ONCE);

	memset(count, 0, sizeof(*count));
	while (n >= 0 && !batch.done) {
		n = map_batch_next(&batch);
		for (uint32_t i = 0; n > 0 && i < (uint32_t)n; i++) {
			const struct flow *flow = map_batch_value(&batch, i);
			bool active = flow_active(flow, now_ns);

			flow_add(count, flow, active);
			if (active && each)
				each(context, map_batch_key(&batch, i));
		}
	}
	map_batch_close(&batch);
	return n < 0 ? n : 0;
}
