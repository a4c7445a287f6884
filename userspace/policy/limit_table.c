// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/limit_table.h"

#include <sched.h>
#include <string.h>

#include "policy/limit_memory.h"
#include "policy/limit_word.h"

#define PROBES	    64	  /* places of one row */
#define MAKER_TRIES 20000 /* until whoever makes a row is taken for stopped */
#define MAKER_LOOKS 256	  /* until the processor is left to it */
#define GRACE_S	    5	  /* so much later than its period's end a row is given away */
/* Nobody is called so: those whom a limit counts have a kind and a name. */
#define FOR_MANY    SLICE("*")
#define RATIO_ONE   1024u
#define RATIO_FIRST (2 * RATIO_ONE)
#define RATIO_MOST  (16 * RATIO_ONE)
#define RATIO_DECAY 32 /* calls, about, after which a prompt of an odd kind is forgotten */

const char *limit_measure_name(enum limit_measure measure)
{
	static const char *const names[LIMIT_MEASURES] = {
		"requests", "tokens", "cost", "bytes", "concurrent"};

	return names[measure];
}

uint64_t limit_measure_unit(enum limit_measure measure)
{
	static const uint64_t units[LIMIT_MEASURES] = {1, 1000, 100000000, 1, 1};

	return units[measure];
}

/* ---- names ---- */

/* FNV-1a, with an end. Whoever makes two names collide gains nothing: the names are compared. */
static uint64_t hash_on(uint64_t hash, struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (unsigned char)text.data[i]) * 0x100000001b3ULL;
	return (hash ^ 0xff) * 0x100000001b3ULL;
}

static uint64_t hash_of_text(struct slice text)
{
	uint64_t hash = hash_on(0xcbf29ce484222325ULL, text);

	return hash && hash != LIMIT_ROW_FILLED ? hash : 1;
}

static uint64_t shape_of(const struct limit_key *key)
{
	return (uint64_t)key->measure | (uint64_t)key->period << 8;
}

static uint64_t hash_of(const struct limit_key *key)
{
	uint64_t hash = hash_on(hash_of_text(key->limit), key->who), shape = shape_of(key);

	hash = hash_on(hash, slice_of((const char *)&shape, sizeof(shape)));
	return hash && hash != LIMIT_ROW_FILLED ? hash : 1;
}

static void name_set(char *to, size_t room, struct slice name)
{
	size_t len = name.len < room - 1 ? name.len : room - 1;

	if (len)
		memcpy(to, name.data, len);
	to[len] = '\0';
}

static bool name_is(const char *have, size_t room, struct slice name)
{
	size_t len = name.len < room - 1 ? name.len : room - 1;

	return (len == 0 || memcmp(have, name.data, len) == 0) && have[len] == '\0';
}

/* ---- finding ---- */

/* A part of the table: that of the names, or that of the rows for many. */
struct part {
	uint64_t from, n;
};

static struct limit_row *place(
	const struct limit_table *table, struct part part, uint64_t hash, uint64_t probe)
{
	return limit_memory_row(table, part.from + (hash + probe) % part.n);
}

static struct limit_row *find(const struct limit_table *table, struct part part, uint64_t hash,
	const struct limit_key *key)
{
	for (uint64_t probe = 0; probe < PROBES && probe < part.n; probe++) {
		struct limit_row *row = place(table, part, hash, probe);

		if (atomic_load(&row->key) == hash && atomic_load(&row->shape) == shape_of(key) &&
			name_is(row->limit, LIMIT_NAME, key->limit) &&
			name_is(row->who, LIMIT_WHO, key->who))
			return row;
	}
	return NULL;
}

/* ---- making: by one worker at a time ---- */

static bool begin_making(struct limit_memory *memory, uint32_t worker)
{
	for (unsigned i = 1; i <= MAKER_TRIES; i++) {
		uint32_t nobody = 0;

		if (atomic_compare_exchange_strong(&memory->maker, &nobody, worker + 1))
			return true;
		if (i % MAKER_LOOKS == 0)
			(void)sched_yield();
	}
	return false;
}

static bool is_over(const struct limit_table *table, const struct limit_row *row, uint64_t now_s)
{
	uint64_t until_s = atomic_load(&row->until_s);

	return until_s < UINT64_MAX - GRACE_S && until_s + GRACE_S <= now_s &&
	       limit_row_is_idle(row, table->memory->workers);
}

/* Takes the row for filling, if it is nobody's by now. */
static bool seize(const struct limit_table *table, struct limit_row *row, uint64_t now_s)
{
	uint64_t key = atomic_load(&row->key);

	if (key && !is_over(table, row, now_s))
		return false;
	atomic_store(&row->key, LIMIT_ROW_FILLED);
	/* Who asked before that is seen now, and who asks after it sees that. */
	if (!key || is_over(table, row, now_s))
		return true;
	atomic_store(&row->key, key);
	return false;
}

static void fill(const struct limit_table *table, struct limit_row *row,
	const struct limit_key *key, uint64_t hash, uint64_t now_s)
{
	for (uint32_t i = 0; i < table->memory->workers; i++) {
		atomic_store(&row->cells[i].held, 0);
		atomic_store(&row->cells[i].sent, 0);
	}
	atomic_store(&row->used, limit_word(limit_window_at(key->period, now_s).epoch, 0));
	atomic_store(&row->alerted, 0);
	atomic_store(&row->until_s, now_s);
	atomic_store(&row->shape, shape_of(key));
	name_set(row->limit, LIMIT_NAME, key->limit);
	name_set(row->who, LIMIT_WHO, key->who);
	atomic_store(&row->key, hash);
}

static struct limit_row *make(const struct limit_table *table, struct part part, uint64_t hash,
	const struct limit_key *key, uint64_t now_s)
{
	for (uint64_t probe = 0; probe < PROBES && probe < part.n; probe++) {
		struct limit_row *row = place(table, part, hash, probe);

		if (seize(table, row, now_s)) {
			fill(table, row, key, hash, now_s);
			return row;
		}
	}
	return NULL;
}

static struct limit_row *find_or_make(struct limit_table *table, struct part part,
	uint32_t worker, const struct limit_key *key, uint64_t now_s)
{
	uint64_t hash = hash_of(key);
	struct limit_row *row = find(table, part, hash, key);

	if (row || !begin_making(table->memory, worker))
		return row;
	row = find(table, part, hash, key);
	if (!row)
		row = make(table, part, hash, key, now_s);
	atomic_store(&table->memory->maker, 0);
	return row;
}

struct limit_row *limit_table_take(struct limit_table *table, uint32_t worker,
	const struct limit_key *key, uint64_t now_s, uint64_t until_s, bool *shared)
{
	const struct part names = {0, table->memory->rows};
	const struct part for_many = {table->memory->rows, LIMIT_SHARED};
	struct limit_key many = *key;
	struct limit_row *row = slice_equal(key->who, FOR_MANY)
					? NULL
					: find_or_make(table, names, worker, key, now_s);

	*shared = !row;
	if (!row) {
		many.who = FOR_MANY;
		row = find_or_make(table, for_many, worker, &many, now_s);
	}
	/* Of two that are here at once the later period's end may be overwritten: for a moment, and
	 * GRACE_S is longer. */
	if (row && atomic_load(&row->until_s) != until_s)
		atomic_store(&row->until_s, until_s);
	return row;
}

/* ---- telling ---- */

uint32_t limit_table_workers(const struct limit_table *table)
{
	return table->memory->workers;
}

uint32_t limit_table_rows(const struct limit_table *table)
{
	return table->memory->rows + LIMIT_SHARED;
}

bool limit_table_read(
	const struct limit_table *table, uint32_t i, uint64_t now_s, struct limit_reading *reading)
{
	const struct limit_row *row = limit_memory_row(table, i);
	uint64_t key = atomic_load(&row->key), shape = atomic_load(&row->shape);

	if (!key || key == LIMIT_ROW_FILLED || (shape & 0xff) >= LIMIT_MEASURES ||
		shape >> 8 >= LIMIT_PERIODS)
		return false;
	reading->measure = (enum limit_measure)(shape & 0xff);
	reading->period = (enum limit_period)(shape >> 8);
	memcpy(reading->limit, row->limit, LIMIT_NAME);
	memcpy(reading->who, row->who, LIMIT_WHO);
	reading->limit[LIMIT_NAME - 1] = reading->who[LIMIT_WHO - 1] = '\0';
	reading->window = limit_window_at(reading->period, now_s);
	reading->sum = limit_row_sum(row, table->memory->workers, reading->window.epoch);
	return atomic_load(&row->key) == key;
}

void limit_table_restore(
	struct limit_table *table, const struct limit_reading *reading, uint64_t now_s)
{
	const struct limit_key key = {slice_of_string(reading->limit), slice_of_string(reading->who),
		reading->measure, reading->period};
	struct limit_window now = limit_window_at(reading->period, now_s);
	uint64_t used, amount = reading->sum.used;
	struct limit_row *row;
	bool shared;

	if (reading->period == LIMIT_AT_ONCE || reading->window.begins_s != now.begins_s)
		return;
	row = limit_table_take(
		table, LIMIT_PARENT(table->memory), &key, now_s, now.ends_s, &shared);
	if (!row)
		return;
	used = atomic_load(&row->used);
	while (!atomic_compare_exchange_strong(&row->used, &used,
		limit_word(now.epoch, limit_word_in(used, now.epoch) + amount)))
		;
}

/* ---- what tokens of a model are ---- */

static struct limit_ratio *ratio_of(const struct limit_table *table, uint64_t hash)
{
	return &table->memory->ratios[hash % LIMIT_RATIOS];
}

uint32_t limit_table_ratio(const struct limit_table *table, struct slice model)
{
	uint64_t hash = hash_of_text(model);
	const struct limit_ratio *ratio = ratio_of(table, hash);

	return atomic_load(&ratio->model) == hash ? (uint32_t)atomic_load(&ratio->value)
						  : RATIO_FIRST;
}

void limit_table_learn(
	struct limit_table *table, struct slice model, uint64_t estimated, uint64_t were)
{
	uint64_t hash = hash_of_text(model), value = limit_table_ratio(table, model), now;
	struct limit_ratio *ratio = ratio_of(table, hash);

	if (!estimated || estimated > UINT32_MAX || were > UINT32_MAX)
		return;
	now = (were * RATIO_ONE + estimated - 1) / estimated;
	if (now >= value)
		value = now < RATIO_MOST ? now : RATIO_MOST;
	else
		value -= (value - now) / RATIO_DECAY;
	/* Two at once: the one or the other is learned. */
	atomic_store(&ratio->value, value);
	atomic_store(&ratio->model, hash);
}
