// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/choice.h"

#include <math.h>

#include "base/clock.h"

/* Who must not find out finds out all the same when nobody else has for so long. */
#define CAREFUL_NS (30 * NS_PER_S)

/* ---- one member ---- */

struct choice_view pool_view(const struct standing *standing, struct slice backend,
	struct slice deployment, uint64_t now_ns)
{
	const struct standing_row *whole = standing_find(standing, backend, SLICE_NONE);
	const struct standing_row *part =
		deployment.len ? standing_find(standing, backend, deployment) : NULL;
	struct choice_view view, other;

	view.state = breaker_state(whole, now_ns, &view.until_ns);
	view.part = breaker_part(whole, now_ns);
	other.state = breaker_state(part, now_ns, &other.until_ns);
	other.part = breaker_part(part, now_ns);
	if (other.part < view.part)
		view.part = other.part;
	if (other.state > view.state) {
		view.state = other.state;
		view.until_ns = other.until_ns;
	} else if (other.state == view.state && other.until_ns > view.until_ns) {
		view.until_ns = other.until_ns;
	}
	return view;
}

/* What is known of a member of a pool, whose capacity may be used up before it says so itself. */
static struct choice_view member_view(const struct standing *standing,
	const struct pool_member *member, struct slice deployment, uint64_t now_ns)
{
	struct choice_view view = pool_view(standing, member->name, deployment, now_ns);

	if (view.state == BREAKER_CLOSED && member->capacity &&
		breaker_spent(standing_find(standing, member->name, SLICE_NONE), now_ns) >=
			member->capacity) {
		view.state = BREAKER_LOW;
		view.until_ns = breaker_minute_end(now_ns);
	}
	return view;
}

/* ---- the choice ---- */

/* splitmix64's: each bit of the number moves half of those of the result. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

/* The lowest wins: for a random number each member does as often as its weight says, and for one
 * number it is always the same one, and another one for few when the members change (weighted
 * rendezvous hashing). */
static double score(
	const struct pool_member *member, const struct choice_view *view, uint64_t number)
{
	uint64_t bits = mix(mix(number) ^ standing_hash(member->name)) >> 11;
	double weight = (double)member->weight * view->part;

	return -log(((double)bits + 1) / 9007199254740993.0) / weight;
}

/* Nearly empty ones only when nobody else is left: they have not refused anybody yet. */
static bool is_asked(const struct choice_view *view, const struct choice_query *query, bool low,
	uint64_t now_ns)
{
	switch (view->state) {
	case BREAKER_CLOSED:
		return true;
	case BREAKER_LOW:
		return low;
	case BREAKER_HALF_OPEN:
		return !query->careful || now_ns - view->until_ns >= CAREFUL_NS;
	default:
		return false;
	}
}

static int best_of(const struct pool *pool, const struct choice_view *views,
	const struct choice_query *query, bool low, uint64_t now_ns)
{
	uint64_t number = query->affinity ? query->affinity : query->random;
	double least = 0;
	int best = -1;

	for (unsigned i = 0; i < pool->n; i++) {
		const struct pool_member *member = &pool->members[i];
		double mine;

		if (query->tried >> i & 1 || !is_asked(&views[i], query, low, now_ns))
			continue;
		if (best >= 0 && member->priority > pool->members[best].priority)
			continue;
		mine = score(member, &views[i], number);
		if (best >= 0 && member->priority == pool->members[best].priority && mine >= least)
			continue;
		best = (int)i;
		least = mine;
	}
	return best;
}

struct choice choice_of(const struct pool *pool, const struct choice_view *views,
	const struct choice_query *query, uint64_t now_ns)
{
	struct choice choice = {.member = best_of(pool, views, query, false, now_ns)};

	if (choice.member < 0)
		choice.member = best_of(pool, views, query, true, now_ns);
	if (choice.member >= 0) {
		choice.probe = views[choice.member].state == BREAKER_HALF_OPEN;
		return choice;
	}
	/* Also those that were tried: they may be asked again by then. */
	for (unsigned i = 0; i < pool->n; i++) {
		uint64_t ns = views[i].until_ns > now_ns ? views[i].until_ns - now_ns : 0;

		choice.paused |= views[i].state == BREAKER_PAUSED;
		if (ns && (!choice.wait_ns || ns < choice.wait_ns))
			choice.wait_ns = ns;
	}
	return choice;
}

/* The rows that know of calls of that deployment at that backend. */
struct rows {
	struct standing_row *row[2]; /* NULL: nothing is known there */
};

static struct rows rows_of(
	const struct standing *standing, struct slice backend, struct slice deployment)
{
	return (struct rows){{standing_find(standing, backend, SLICE_NONE),
		deployment.len ? standing_find(standing, backend, deployment) : NULL}};
}

/* Claims each of the rows that is to be tried. False: somebody else tries one of them. */
static bool claim(const struct rows *rows, uint64_t now_ns)
{
	bool claimed[2] = {false, false};

	for (int i = 0; i < 2; i++) {
		uint64_t until_ns;

		if (breaker_state(rows->row[i], now_ns, &until_ns) < BREAKER_HALF_OPEN)
			continue;
		claimed[i] = breaker_probe(rows->row[i], now_ns);
		if (claimed[i])
			continue;
		if (i && claimed[0])
			breaker_record(rows->row[0], NULL, BACKEND_NONE, NULL, true, now_ns);
		return false;
	}
	return claimed[0] || claimed[1];
}

/* A member that is out for its credential; -1: none. Where nobody else is to be asked, a client that is
 * let through loses nothing: whoever makes a backend refuse calls takes it from nobody. */
static int refuser(
	const struct standing *standing, const struct pool *pool, uint64_t tried, uint64_t now_ns)
{
	for (unsigned i = 0; i < pool->n; i++) {
		const struct standing_row *row =
			standing_find(standing, pool->members[i].name, SLICE_NONE);
		uint64_t until_ns;

		if (row && !(tried & 1ULL << i) &&
			atomic_load_explicit(&row->reason, memory_order_relaxed) == BACKEND_CREDENTIAL &&
			breaker_state(row, now_ns, &until_ns) == BREAKER_OPEN)
			return (int)i;
	}
	return -1;
}

struct choice pool_choose(struct standing *standing, const struct pool *pool,
	const struct choice_query *query, uint64_t now_ns)
{
	struct choice_view views[POOL_MEMBERS];
	struct choice choice;
	struct rows rows;

	/* Without another one to turn to, a client that is let through loses nothing. */
	if (pool->n == 1)
		return (struct choice){.member = query->tried & 1 ? -1 : 0};
	for (unsigned i = 0; i < pool->n; i++)
		views[i] = member_view(standing, &pool->members[i], query->deployment, now_ns);
	for (;;) {
		choice = choice_of(pool, views, query, now_ns);
		if (choice.member < 0 && !choice.paused)
			choice.member = refuser(standing, pool, query->tried, now_ns);
		if (choice.member < 0 || !choice.probe)
			return choice;
		rows = rows_of(standing, pool->members[choice.member].name, query->deployment);
		if (claim(&rows, now_ns))
			return choice;
		/* Another worker was faster. */
		views[choice.member].state = BREAKER_OPEN;
		views[choice.member].until_ns = now_ns + NS_PER_S;
	}
}

/* An answer that says nothing of limits is no reason to remember the name of a deployment, which
 * the client may have invented. */
static struct standing_row *part_row(struct standing *standing, struct slice backend,
	struct slice deployment, enum backend_outcome outcome, const struct reading *reading,
	uint64_t now_ns)
{
	bool known_whole = backend_outcome_of_whole(outcome) == outcome;

	if (known_whole && (outcome != BACKEND_ANSWERED || !reading))
		return standing_find(standing, backend, deployment);
	return standing_take(standing, backend, deployment, now_ns);
}

bool pool_record(struct standing *standing, const struct pool *pool, const struct choice *choice,
	struct slice deployment, enum backend_outcome outcome, const struct reading *reading,
	uint64_t now_ns)
{
	struct slice name = pool->members[choice->member].name;
	bool parts = deployment.len > 0;
	struct standing_row *part =
		parts ? part_row(standing, name, deployment, outcome, reading, now_ns) : NULL;
	bool changed = breaker_record(standing_take(standing, name, SLICE_NONE, now_ns), &pool->rules,
		parts ? backend_outcome_of_whole(outcome) : outcome, parts ? NULL : reading, choice->probe,
		now_ns);

	/* What has no connection, or no credential, is the same for every deployment. */
	if (part && (outcome == BACKEND_UNREACHED || outcome == BACKEND_CREDENTIAL ||
			    outcome == BACKEND_QUOTA))
		outcome = BACKEND_NONE;
	if (part)
		changed |= breaker_record(
			part, &pool->rules, outcome, reading, choice->probe, now_ns);
	return changed;
}

bool pool_renewed(struct standing *standing, struct slice backend, uint64_t now_ns)
{
	bool any = false;

	for (size_t i = 0; i < STANDING_ROWS; i++) {
		struct standing_row *row = standing_of_backend(standing, i, backend);

		any |= row && breaker_renewed(row, now_ns);
	}
	return any;
}

void pool_usage(struct standing *standing, const struct pool *pool, const struct choice *choice,
	struct slice deployment, const struct pool_used *used, uint64_t now_ns)
{
	const struct pool_member *member = &pool->members[choice->member];
	const struct rows rows = rows_of(standing, member->name, deployment);

	if (rows.row[0] && member->capacity)
		breaker_spend(rows.row[0], used->input_tokens + used->output_tokens, now_ns);

	for (int i = 0; i < 2; i++) {
		if (!rows.row[i])
			continue;
		atomic_fetch_add_explicit(
			&rows.row[i]->input_tokens, used->input_tokens, memory_order_relaxed);
		atomic_fetch_add_explicit(
			&rows.row[i]->cached_tokens, used->cached_tokens, memory_order_relaxed);
	}
}
