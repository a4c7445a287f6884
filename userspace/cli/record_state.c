// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/record_state.h"

#include "base/clock.h"

static uint64_t gauge(const struct counters *counters, enum counter which)
{
	uint64_t value;

	return counter_gauge(counters, which, &value) ? value : 0;
}

struct record_state record_state_read(const struct counters *counters, uint64_t now_ns)
{
	struct record_state state = {0};
	uint64_t told = counters ? gauge(counters, COUNTER_RECORD_TOLD) : 0;

	if (!told)
		return state;
	state.told = true;
	state.age_ns = now_ns > told ? now_ns - told : 0;
	state.connected = gauge(counters, COUNTER_RECORD_CONNECTED);
	state.blocked = gauge(counters, COUNTER_RECORD_BLOCKED);
	state.events = gauge(counters, COUNTER_RECORD_EVENTS);
	state.counting = gauge(counters, COUNTER_RECORD_UNCOUNTED);
	state.bytes = gauge(counters, COUNTER_RECORD_BYTES);
	state.oldest_ns = gauge(counters, COUNTER_RECORD_OLDEST);
	state.spool = gauge(counters, COUNTER_RECORD_SPOOL);
	state.limit = gauge(counters, COUNTER_RECORD_LIMIT);
	return state;
}

bool record_state_good(const struct record_state *state)
{
	return !state->told || (!state->blocked && state->age_ns < RECORD_SILENT_NS);
}

uint64_t record_state_waiting_ns(const struct record_state *state, uint64_t realtime_ns)
{
	return state->oldest_ns && state->oldest_ns < realtime_ns ? realtime_ns - state->oldest_ns
								  : 0;
}

const char *record_state_word(const struct record_state *state)
{
	if (!state->told)
		return "unknown";
	if (state->blocked)
		return "BLOCKED";
	if (state->age_ns >= RECORD_SILENT_NS)
		return "STOPPED";
	return state->connected ? "arrives" : "waits";
}
