/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/flow_sweep.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/address_table.h"
#include "kernel/flow_count.h"
#include "kernel/map_batch.h"

#define STEP_ENTRIES 4096u
#define STEP_WRITES  1024u

/* One source of a round. */
struct counted {
	struct address address;
	uint32_t active, opening;
	uint32_t attempts, ended; /* of struct source_limit when the round began */
	uint32_t limited;	  /* it has such an entry */
};

enum phase { PHASE_BEGIN, PHASE_LIMITS, PHASE_FLOWS, PHASE_WRITE, PHASE_PRUNE };

struct flow_sweep {
	int flows_map, limits_map, actives_map;
	struct counters *counters;
	enum phase phase;
	struct map_batch flows, limits, actives;
	struct address_table now, last; /* struct counted */
	struct flow_round round, last_round;
	size_t written; /* of now, into actives */
	struct abi_address *write_keys;
	struct source_active *write_values;
};

enum flow_end flow_end(
	int flows, const struct flow_key *key, struct flow *flow, struct counters *counters)
{
	struct flow now;

	if (bpf_map_lookup_elem(flows, key, &now) < 0)
		return FLOW_END_GONE;
	if (memcmp(&now, flow, sizeof(now)) != 0) {
		*flow = now;
		return FLOW_END_CHANGED;
	}
	/* Taken out and looked at in one: what came between the look and this call is put back, if
	 * the kernel has not done that by itself. A connection is never forgotten while it lives.
	 */
	if (bpf_map_lookup_and_delete_elem(flows, key, &now) < 0)
		return FLOW_END_GONE;
	if (memcmp(&now, flow, sizeof(now)) == 0)
		return FLOW_END_FORGOTTEN;
	if (bpf_map_update_elem(flows, key, &now, BPF_NOEXIST) == 0)
		counter_add(counters, COUNTER_ACCOUNTING_FLOWS_RESTORED, 1);
	*flow = now;
	return FLOW_END_CHANGED;
}

static struct counted *counted_put(struct flow_sweep *sweep, const struct abi_address *source)
{
	struct address address;

	memcpy(&address, source, sizeof(address));
	return address_table_put(&sweep->now, &address);
}

/* ---- the phases: 1: there is more; 0: this one is done; or negative errno ---- */

static int step_limits(struct flow_sweep *sweep)
{
	struct map_batch *batch = &sweep->limits;
	int n = map_batch_next(batch);

	for (int i = 0; i < n; i++) {
		const struct source_limit *limit = map_batch_value(batch, (uint32_t)i);
		struct counted *counted = counted_put(sweep, map_batch_key(batch, (uint32_t)i));

		if (!counted)
			return -errno;
		counted->attempts = limit->attempts;
		counted->ended = limit->ended;
		counted->limited = 1;
	}
	return n < 0 ? n : !batch->done;
}

static int flow_count(struct flow_sweep *sweep, const struct flow_key *key, const struct flow *flow)
{
	enum flow_state state = flow_state(flow->marks);
	struct counted *counted;

	sweep->round.states[state]++;
	if (state == FLOW_CLOSED)
		return 0;
	if (flow_unanswered(flow->marks)) {
		sweep->round.unanswered++;
		sweep->round.example = *key;
	}
	counted = counted_put(sweep, &key->client);
	if (!counted)
		return -errno;
	if (!counted->active && !counted->opening)
		sweep->round.sources++;
	if (state == FLOW_OPENING)
		counted->opening++;
	else
		counted->active++;
	return 0;
}

static int flow_look(
	struct flow_sweep *sweep, const struct flow_key *key, struct flow *flow, uint64_t now_ns)
{
	if (flow_is_expired(flow, now_ns)) {
		switch (flow_end(sweep->flows_map, key, flow, sweep->counters)) {
		case FLOW_END_FORGOTTEN:
			sweep->round.forgotten++;
			return 0;
		case FLOW_END_GONE:
			return 0;
		case FLOW_END_CHANGED:
			counter_add(sweep->counters, COUNTER_ACCOUNTING_FLOWS_CHANGED, 1);
		}
	}
	return flow_count(sweep, key, flow);
}

static int step_flows(struct flow_sweep *sweep, uint64_t now_ns)
{
	struct map_batch *batch = &sweep->flows;
	int n = map_batch_next(batch), error = 0;

	/* Without batches a flow could be met twice. No kernel that the programs run on does that.
	 */
	if (batch->by_keys)
		return -EOPNOTSUPP;
	for (int i = 0; i < n && !error; i++) {
		struct flow flow;

		memcpy(&flow, map_batch_value(batch, (uint32_t)i), sizeof(flow));
		error = flow_look(sweep, map_batch_key(batch, (uint32_t)i), &flow, now_ns);
	}
	if (error)
		return error;
	return n < 0 ? n : !batch->done;
}

static int step_write(struct flow_sweep *sweep)
{
	uint32_t n = 0, count;
	int error;

	for (; n < STEP_WRITES && sweep->written < sweep->now.n; sweep->written++) {
		const struct counted *counted = address_table_at(&sweep->now, sweep->written);

		/* What was attempted and ended by now must not count as new, also of a source
		 * without connections. */
		if (!counted->active && !counted->opening && !counted->limited)
			continue;
		memcpy(&sweep->write_keys[n], &counted->address, sizeof(sweep->write_keys[n]));
		sweep->write_values[n] = (struct source_active){
			.swept_ns = sweep->round.started_ns,
			.active = counted->active,
			.opening = counted->opening,
			.attempts = counted->attempts,
			.ended = counted->ended,
		};
		n++;
	}
	count = n;
	error = n ? bpf_map_update_batch(sweep->actives_map, sweep->write_keys, sweep->write_values,
			    &count, NULL)
		  : 0;
	if (error)
		return error;
	return sweep->written < sweep->now.n;
}

/* What this round did not write is of a source that has nothing any more. */
static int step_prune(struct flow_sweep *sweep)
{
	struct map_batch *batch = &sweep->actives;
	int n = map_batch_next(batch);

	for (int i = 0; i < n; i++) {
		const struct source_active *active = map_batch_value(batch, (uint32_t)i);

		if (active->swept_ns != sweep->round.started_ns)
			bpf_map_delete_elem(sweep->actives_map, map_batch_key(batch, (uint32_t)i));
	}
	return n < 0 ? n : !batch->done;
}

/* ---- rounds ---- */

static int round_begin(struct flow_sweep *sweep, uint64_t now_ns)
{
	address_table_clear(&sweep->now);
	sweep->round = (struct flow_round){.started_ns = now_ns};
	sweep->written = 0;
	map_batch_rewind(&sweep->limits);
	map_batch_rewind(&sweep->flows);
	map_batch_rewind(&sweep->actives);
	return 0;
}

static void round_end(struct flow_sweep *sweep)
{
	struct address_table last = sweep->last;

	sweep->last = sweep->now;
	sweep->now = last;
	sweep->last_round = sweep->round;
	counter_add(sweep->counters, COUNTER_ACCOUNTING_ROUNDS, 1);
	counter_add(sweep->counters, COUNTER_ACCOUNTING_FLOWS_FORGOTTEN, sweep->round.forgotten);
}

static uint64_t retried(const struct flow_sweep *sweep)
{
	return sweep->flows.retried + sweep->limits.retried + sweep->actives.retried;
}

int flow_sweep_step(struct flow_sweep *sweep, uint64_t now_ns)
{
	uint64_t retried_before = retried(sweep);
	int more = 0;

	switch (sweep->phase) {
	case PHASE_BEGIN:
		more = round_begin(sweep, now_ns);
		break;
	case PHASE_LIMITS:
		more = step_limits(sweep);
		break;
	case PHASE_FLOWS:
		more = step_flows(sweep, now_ns);
		break;
	case PHASE_WRITE:
		more = step_write(sweep);
		break;
	case PHASE_PRUNE:
		more = step_prune(sweep);
		break;
	}
	counter_add(sweep->counters, COUNTER_ACCOUNTING_BATCHES_RETRIED,
		retried(sweep) - retried_before);
	if (more < 0) {
		sweep->phase = PHASE_BEGIN;
		counter_add(sweep->counters, COUNTER_ACCOUNTING_ROUNDS_FAILED, 1);
		return more;
	}
	if (more)
		return 1;
	if (sweep->phase == PHASE_PRUNE) {
		round_end(sweep);
		sweep->phase = PHASE_BEGIN;
		return 0;
	}
	sweep->phase++;
	return 1;
}

struct flow_counts flow_sweep_counts(const struct flow_sweep *sweep, const struct address *source)
{
	const struct counted *counted = address_table_find(&sweep->last, source);

	return counted ? (struct flow_counts){counted->active, counted->opening}
		       : (struct flow_counts){0};
}

const struct flow_round *flow_sweep_round(const struct flow_sweep *sweep)
{
	return &sweep->last_round;
}

size_t flow_sweep_memory(const struct flow_sweep *sweep)
{
	const struct map_batch *batches[] = {&sweep->flows, &sweep->limits, &sweep->actives};
	size_t bytes = address_table_memory(&sweep->now) + address_table_memory(&sweep->last) +
		       STEP_WRITES * (sizeof(*sweep->write_keys) + sizeof(*sweep->write_values));

	for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++)
		bytes += batches[i]->room * (batches[i]->key_size + batches[i]->value_size);
	return bytes;
}

struct flow_sweep *flow_sweep_new(
	int flows, int limits, int actives, struct counters *counters, struct why *why)
{
	struct flow_sweep *sweep = calloc(1, sizeof(*sweep));
	int error;

	if (!sweep) {
		why_set(why, ENOMEM, "out of memory");
		return NULL;
	}
	sweep->flows_map = flows;
	sweep->limits_map = limits;
	sweep->actives_map = actives;
	sweep->counters = counters;
	address_table_init(&sweep->now, sizeof(struct counted), UINT32_MAX / 4);
	address_table_init(&sweep->last, sizeof(struct counted), UINT32_MAX / 4);
	sweep->write_keys = calloc(STEP_WRITES, sizeof(*sweep->write_keys));
	sweep->write_values = calloc(STEP_WRITES, sizeof(*sweep->write_values));
	error = sweep->write_keys && sweep->write_values ? 0 : -ENOMEM;
	if (!error)
		error = map_batch_open(&sweep->flows, flows, STEP_ENTRIES);
	if (!error)
		error = map_batch_open(&sweep->limits, limits, STEP_ENTRIES);
	if (!error)
		error = map_batch_open(&sweep->actives, actives, STEP_ENTRIES);
	if (!error && (sweep->flows.key_size != sizeof(struct flow_key) ||
			      sweep->flows.value_size != sizeof(struct flow) ||
			      sweep->limits.value_size != sizeof(struct source_limit) ||
			      sweep->actives.value_size != sizeof(struct source_active)))
		error = -EPROTO;
	if (!error)
		return sweep;
	why_set(why, -error, "the flow table cannot be swept: %s", strerror(-error));
	flow_sweep_free(sweep);
	return NULL;
}

void flow_sweep_free(struct flow_sweep *sweep)
{
	if (!sweep)
		return;
	map_batch_close(&sweep->flows);
	map_batch_close(&sweep->limits);
	map_batch_close(&sweep->actives);
	address_table_free(&sweep->now);
	address_table_free(&sweep->last);
	free(sweep->write_keys);
	free(sweep->write_values);
	free(sweep);
}
