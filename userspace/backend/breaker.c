// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/breaker.h"

#include "base/clock.h"

/* The window of the ratio: 32 bits of its number (time), 16 of calls, 16 of failures. */
#define WINDOW_NS	 (10 * NS_PER_S)
#define WINDOW_MOST	 0xffffu
/* A pause without a time, doubled each time; and what a limit without a time to its reset means. */
#define THROTTLE_NS	 NS_PER_S
#define LOW_NS		 NS_PER_S
#define LOW_MAX_NS	 (60 * NS_PER_S)
/* So long after an answer the credential that it was given to is good. */
#define CREDENTIAL_NS	 (30 * NS_PER_S)
/* A tenth at first: one call in ten of its part. */
#define SLOW_START_LEAST 100u

static uint64_t load(const _Atomic uint64_t *at)
{
	return atomic_load_explicit(at, memory_order_relaxed);
}

static void store(_Atomic uint64_t *at, uint64_t value)
{
	atomic_store_explicit(at, value, memory_order_relaxed);
}

static uint64_t add(_Atomic uint64_t *at)
{
	return atomic_fetch_add_explicit(at, 1, memory_order_relaxed) + 1;
}

static void raise_to(_Atomic uint64_t *at, uint64_t value)
{
	uint64_t before = load(at);

	while (before < value && !atomic_compare_exchange_weak(at, &before, value))
		;
}

static uint64_t doubled(uint64_t ns, uint64_t times, uint64_t most)
{
	while (times-- && ns < most)
		ns *= 2;
	return ns < most ? ns : most;
}

/* ---- names ---- */

const char *breaker_state_name(enum breaker_state state)
{
	static const char *const names[] = {
		[BREAKER_CLOSED] = "closed",
		[BREAKER_LOW] = "low",
		[BREAKER_PAUSED] = "paused",
		[BREAKER_HALF_OPEN] = "half-open",
		[BREAKER_OPEN] = "open",
	};

	return names[state];
}

static const struct {
	const char *name;
	enum backend_outcome whole;
} outcomes[BACKEND_COUNT] = {
#define BACKEND_OUTCOME_ROW(ID, name, WHOLE) [BACKEND_##ID] = {name, BACKEND_##WHOLE},
	BACKEND_OUTCOMES(BACKEND_OUTCOME_ROW)
#undef BACKEND_OUTCOME_ROW
};

const char *backend_outcome_name(enum backend_outcome outcome)
{
	return outcome < BACKEND_COUNT ? outcomes[outcome].name : "unknown";
}

enum backend_outcome backend_outcome_of_whole(enum backend_outcome outcome)
{
	return outcomes[outcome].whole;
}

/* ---- what it says ---- */

enum breaker_state breaker_state(
	const struct standing_row *row, uint64_t now_ns, uint64_t *until_ns)
{
	uint64_t open, paused, low, probe;

	*until_ns = 0;
	if (!row)
		return BREAKER_CLOSED;
	open = load(&row->open_until_ns);
	paused = load(&row->paused_until_ns);
	low = load(&row->low_until_ns);
	probe = load(&row->probe_ns);
	if (open > now_ns) {
		*until_ns = open > paused ? open : paused;
		return BREAKER_OPEN;
	}
	if (paused > now_ns) {
		*until_ns = paused;
		return BREAKER_PAUSED;
	}
	if (open && probe && now_ns - probe < BREAKER_PROBE_NS) {
		/* The verdict may come at any moment; a second is as honest as another number. */
		*until_ns = now_ns + NS_PER_S;
		return BREAKER_OPEN;
	}
	if (open) {
		*until_ns = open;
		return BREAKER_HALF_OPEN;
	}
	*until_ns = low > now_ns ? low : 0;
	return low > now_ns ? BREAKER_LOW : BREAKER_CLOSED;
}

uint32_t breaker_part(const struct standing_row *row, uint64_t now_ns)
{
	uint64_t closed = row ? load(&row->closed_ns) : 0;

	if (!closed || now_ns - closed >= BREAKER_SLOW_START_NS)
		return 1000;
	return SLOW_START_LEAST +
	       (uint32_t)((now_ns - closed) * (1000 - SLOW_START_LEAST) / BREAKER_SLOW_START_NS);
}

bool breaker_probe(struct standing_row *row, uint64_t now_ns)
{
	uint64_t before = load(&row->probe_ns), open = load(&row->open_until_ns);

	if (!open || open > now_ns || (before && now_ns - before < BREAKER_PROBE_NS))
		return false;
	return atomic_compare_exchange_strong(&row->probe_ns, &before, now_ns ? now_ns : 1);
}

/* ---- what it learns ---- */

/* Counts a call in the window of now. True: too many of its calls have failed. */
static bool window_count(struct standing_row *row, const struct breaker_rules *rules, bool failed,
	uint64_t now_ns)
{
	uint64_t number = (now_ns / WINDOW_NS & 0xffffffffu), before = load(&row->window), after;
	uint64_t calls, failures;

	do {
		bool same = before >> 32 == number;

		calls = (same ? before >> 16 & WINDOW_MOST : 0) + 1;
		failures = (same ? before & WINDOW_MOST : 0) + failed;
		if (calls > WINDOW_MOST) {
			calls /= 2;
			failures /= 2;
		}
		after = number << 32 | calls << 16 | failures;
	} while (!atomic_compare_exchange_weak(&row->window, &before, after));
	return rules->percent && calls >= rules->calls && failures * 100 >= calls * rules->percent;
}

static void open_it(struct standing_row *row, const struct breaker_rules *rules,
	enum backend_outcome outcome, const struct reading *reading, uint64_t before, uint64_t now_ns)
{
	uint64_t ns = doubled(rules->open_ns, load(&row->trips), rules->open_max_ns);

	if (reading && reading->pauses && reading->pause_ns)
		ns = reading->pause_ns < rules->pause_max_ns ? reading->pause_ns
							     : rules->pause_max_ns;
	/* Of two workers that open it at once, one does. */
	if (!atomic_compare_exchange_strong(&row->open_until_ns, &before, now_ns + ns))
		return;
	add(&row->trips);
	add(&row->tripped);
	store(&row->reason, outcome);
	store(&row->closed_ns, 0);
	store(&row->failures, 0);
	store(&row->window, 0);
	store(&row->probe_ns, 0);
}

static void close_it(struct standing_row *row, uint64_t now_ns)
{
	store(&row->trips, 0);
	store(&row->failures, 0);
	store(&row->closed_ns, now_ns);
	store(&row->open_until_ns, 0);
	store(&row->probe_ns, 0);
}

/* Less is left than a hundredth of what there is in a minute. */
static bool is_low(const struct reading_limit *limit)
{
	return limit->has_remaining &&
	       (!limit->remaining || (limit->has_limit && limit->remaining < limit->limit / 100));
}

static uint64_t low_ns(const struct reading_limit *limit)
{
	uint64_t ns = limit->has_reset && limit->reset_ns ? limit->reset_ns : LOW_NS;

	if (!is_low(limit))
		return 0;
	return ns < LOW_MAX_NS ? ns : LOW_MAX_NS;
}

static void take_limits(struct standing_row *row, const struct reading *reading, uint64_t now_ns)
{
	uint64_t requests = low_ns(&reading->requests), tokens = low_ns(&reading->tokens);

	if (reading->requests.has_remaining)
		store(&row->remaining_requests, reading->requests.remaining + 1);
	if (reading->tokens.has_remaining)
		store(&row->remaining_tokens, reading->tokens.remaining + 1);
	if (requests || tokens)
		raise_to(&row->low_until_ns, now_ns + (requests > tokens ? requests : tokens));
	else if (reading->requests.has_remaining || reading->tokens.has_remaining)
		store(&row->low_until_ns, 0);
}

static void take_reading(struct standing_row *row, const struct breaker_rules *rules,
	enum backend_outcome outcome, const struct reading *reading, uint64_t now_ns)
{
	uint64_t ns = reading && reading->pauses ? reading->pause_ns : 0;

	if (reading && outcome == BACKEND_ANSWERED)
		take_limits(row, reading, now_ns);
	if (outcome == BACKEND_THROTTLED && !ns)
		ns = doubled(THROTTLE_NS, add(&row->throttles) - 1, rules->pause_max_ns);
	if ((outcome != BACKEND_THROTTLED && outcome != BACKEND_FAILED) || !ns)
		return;
	raise_to(&row->paused_until_ns,
		now_ns + (ns < rules->pause_max_ns ? ns : rules->pause_max_ns));
}

static bool is_failure(enum backend_outcome outcome)
{
	return outcome == BACKEND_FAILED || outcome == BACKEND_SLOW || outcome == BACKEND_LOST ||
	       outcome == BACKEND_UNREACHED || outcome == BACKEND_CREDENTIAL;
}

/* A credential does not become good by trying it once more. But one that others were answered with is
 * good: then it takes as many in a row as any failure. */
static bool is_final(const struct standing_row *row, enum backend_outcome outcome)
{
	return outcome == BACKEND_QUOTA || outcome == BACKEND_FORBIDDEN ||
	       (outcome == BACKEND_CREDENTIAL && !load(&row->answered_ns));
}

/* Whoever makes a backend refuse calls, for what they ask for, as often as he likes, takes it from nobody
 * who is answered with the same credential. */
static bool says_nothing(
	const struct standing_row *row, enum backend_outcome outcome, uint64_t now_ns)
{
	uint64_t answered = load(&row->answered_ns);

	return outcome == BACKEND_NONE || (outcome == BACKEND_CREDENTIAL && answered &&
						  now_ns < answered + CREDENTIAL_NS);
}

bool breaker_renewed(struct standing_row *row, uint64_t now_ns)
{
	uint64_t open = load(&row->open_until_ns), reason = load(&row->reason);

	if (open <= now_ns || (reason != BACKEND_CREDENTIAL && reason != BACKEND_QUOTA &&
				      reason != BACKEND_FORBIDDEN))
		return false;
	store(&row->trips, 0);
	return atomic_compare_exchange_strong(&row->open_until_ns, &open, now_ns);
}

/* ---- what is used of its capacity ---- */

#define MINUTE_NS   (60 * NS_PER_S)
#define MINUTE_BITS 24
#define TOKENS_MOST ((1ULL << 40) - 1)

static uint64_t minute_of(uint64_t now_ns)
{
	return now_ns / MINUTE_NS & ((1u << MINUTE_BITS) - 1);
}

void breaker_spend(struct standing_row *row, uint64_t tokens, uint64_t now_ns)
{
	uint64_t before = load(&row->minute), spent;

	do {
		spent = breaker_spent(row, now_ns);
		spent = spent + tokens < TOKENS_MOST && tokens < TOKENS_MOST ? spent + tokens
									     : TOKENS_MOST;
	} while (!atomic_compare_exchange_weak(
		&row->minute, &before, minute_of(now_ns) << 40 | spent));
}

uint64_t breaker_spent(const struct standing_row *row, uint64_t now_ns)
{
	uint64_t minute = row ? load(&row->minute) : 0;

	return minute >> 40 == minute_of(now_ns) ? minute & TOKENS_MOST : 0;
}

uint64_t breaker_minute_end(uint64_t now_ns)
{
	return (now_ns / MINUTE_NS + 1) * MINUTE_NS;
}

static void count(struct standing_row *row, enum backend_outcome outcome)
{
	add(&row->calls);
	if (outcome == BACKEND_THROTTLED)
		add(&row->throttled);
	else if (outcome != BACKEND_ANSWERED)
		add(&row->failed);
}

bool breaker_record(struct standing_row *row, const struct breaker_rules *rules,
	enum backend_outcome outcome, const struct reading *reading, bool probe, uint64_t now_ns)
{
	uint64_t open = load(&row->open_until_ns);
	bool failed = is_failure(outcome), tries = probe && open, many, opens;

	if (says_nothing(row, outcome, now_ns)) {
		if (tries)
			store(&row->probe_ns, 0);
		return false;
	}
	count(row, outcome);
	take_reading(row, rules, outcome, reading, now_ns);
	if (outcome == BACKEND_ANSWERED) {
		store(&row->throttles, 0);
		store(&row->answered_ns, now_ns);
	}
	/* What was under way when it was opened says nothing new. */
	if (open && !tries)
		return false;
	if (tries && !failed && !is_final(row, outcome)) {
		close_it(row, now_ns);
		return true;
	}
	many = window_count(row, rules, failed, now_ns);
	if (!failed && !is_final(row, outcome)) {
		store(&row->failures, 0);
		return false;
	}
	opens = tries || many || is_final(row, outcome) || add(&row->failures) >= rules->failures;
	if (opens)
		open_it(row, rules, outcome, reading, open, now_ns);
	return opens;
}
