// SPDX-License-Identifier: GPL-2.0-or-later
/* Limits as calls meet them: what they reserve and settle, in which period, from which row of the table;
 * what the table does when it is full or its owner is dead; and what is read again of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "config/policy_file.h"
#include "policy/limit_save.h"
#include "policy/limit_word.h"
#include "policy/limits.h"

#define NOW_S  UINT64_C(1795867200) /* 2026-11-28 12:00:00 UTC, a Saturday */
#define NOW_MS (NOW_S * 1000)
#define ROWS   300

static struct policy_file *parsed(const char *yaml)
{
	struct policy_file *file;
	struct why why = {""};

	if (policy_file_parse("p", slice_of_string(yaml), &file, NULL, NULL, NULL, &why))
		fail_msg("%s", why.text);
	return file;
}

static struct policy_facts facts_of(const char *model, const char *address)
{
	struct policy_facts facts = {
		.operation = SLICE("chat"),
		.host = SLICE("api.openai.com"),
		.body = RULE_BODY_READ,
		.body_final = true,
		.size_final = true,
		.size = 100,
		.model = slice_of_string(model),
		.service_tier = SLICE("auto"),
	};

	assert_int_equal(address_parse(address, &facts.source), 0);
	return facts;
}

struct scene {
	struct policy_file *file;
	struct limit_table *table;
	struct limits *limits;
	struct limit_holds holds;
	struct limit_refusal refusal;
	unsigned alerts, percent;
};

static void begin(struct scene *s, const char *yaml)
{
	*s = (struct scene){.file = parsed(yaml)};
	s->table = limit_table_new(ROWS, 4);
	s->limits = limits_new(&s->file->limits, s->table, 1);
	assert_non_null(s->limits);
}

static void end(struct scene *s)
{
	limits_free(s->limits);
	limit_table_free(s->table);
	policy_file_free(s->file);
}

static int reserve(struct scene *s, const struct policy_facts *facts, uint64_t now_ms)
{
	const struct limit_call call = {
		.facts = facts, .subject = SLICE("k1"), .input = 40, .generates = true};

	return limits_reserve(s->limits, &call, now_ms, &s->holds, &s->refusal);
}

static void on_alert(
	void *context, const struct limit_hold *hold, unsigned percent, uint64_t used)
{
	struct scene *s = context;

	(void)hold;
	(void)used;
	s->alerts++;
	s->percent = percent;
}

static void settle(struct scene *s, uint64_t input, uint64_t output, uint64_t now_ms)
{
	const struct limits_user user = {on_alert, s};
	const struct limit_spent spent = {.made = true, .success = true,
		.tokens = {.input = input, .output = output}, .model = SLICE("m"), .bytes = 300};

	limits_send(s->limits, &s->holds);
	limits_settle(s->limits, &s->holds, &spent, now_ms, &user);
}

/* ---- what is counted ---- */

static void what_was_not_used_is_given_back(void **state)
{
	struct scene s;
	struct policy_facts f = facts_of("m", "10.0.0.1");

	(void)state;
	begin(&s, "limits: [{name: t, tokens: 5000, every: hour}]");
	/* 40 tokens as estimated may be 80, and a margin; 4096 of output. */
	assert_int_equal(reserve(&s, &f, NOW_MS), 0);
	assert_int_equal(s.holds.list[0].amount, (80 + 10 + 16 + 4096) * 1000);
	struct limit_holds first = s.holds;
	assert_int_equal(reserve(&s, &f, NOW_MS), -EDQUOT);
	assert_int_equal(s.refusal.reason, LIMIT_USED_UP);
	/* The first may use less, any moment. */
	assert_int_equal(s.refusal.wait_ms, 1000);
	s.holds = first;
	settle(&s, 41, 9, NOW_MS);
	assert_int_equal(reserve(&s, &f, NOW_MS), 0);
	settle(&s, 900, 4000, NOW_MS);
	assert_int_equal(reserve(&s, &f, NOW_MS), -EDQUOT);
	assert_int_equal(s.refusal.used, 4950 * 1000);
	/* Half an hour is left of … and then all begins anew. */
	assert_int_equal(s.refusal.wait_ms, 3600 * 1000);
	assert_int_equal(reserve(&s, &f, NOW_MS + 3599999), -EDQUOT);
	assert_int_equal(s.refusal.wait_ms, 1);
	assert_int_equal(reserve(&s, &f, NOW_MS + 3600000), 0);
	settle(&s, 1, 1, NOW_MS + 3600000);
	end(&s);
}

static void all_limits_or_none(void **state)
{
	struct scene s;
	struct policy_facts f = facts_of("m", "10.0.0.1");

	(void)state;
	begin(&s, "limits: [{name: r, requests: 5}, {name: c, concurrent: 1}]");
	assert_int_equal(reserve(&s, &f, NOW_MS), 0);
	struct limit_holds first = s.holds;
	for (int i = 0; i < 20; i++)
		assert_int_equal(reserve(&s, &f, NOW_MS), -EDQUOT);
	assert_string_equal(s.refusal.limit->name, "c");
	/* Those that were refused count in none. */
	s.holds = first;
	settle(&s, 1, 1, NOW_MS);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(reserve(&s, &f, NOW_MS), 0);
		settle(&s, 1, 1, NOW_MS);
	}
	assert_int_equal(reserve(&s, &f, NOW_MS), -EDQUOT);
	assert_string_equal(s.refusal.limit->name, "r");
	end(&s);
}

static void each_has_its_own(void **state)
{
	static const struct {
		const char *per, *who;
	} cases[] = {
		{"[subject]", "subject=k1"},
		{"[address, model]", "address=10.0.0.1 model=a%20b%25"},
		{"[operation, host]", "operation=chat host=api.openai.com"},
		{"[group]", "group=second"},
	};
	struct policy_facts f = facts_of("A b%", "10.0.0.1");
	const struct slice groups[] = {SLICE("first"), SLICE("second")};
	const struct limit_call call = {.facts = &f, .subject = SLICE("k1")};

	(void)state;
	f.groups = groups;
	f.ngroups = 2;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char yaml[256];
		struct buf who = BUF_EMPTY;
		struct policy_file *file;

		snprintf(yaml, sizeof(yaml),
			"limits: [{name: l, requests: 1, groups: [second], per: %s}]", cases[i].per);
		file = parsed(yaml);
		assert_true(limit_counts(&file->limits.limits[0], &f));
		assert_int_equal(limit_who(&file->limits.limits[0], &call, &who), 0);
		assert_int_equal(buf_append(&who, "", 1), 0);
		assert_string_equal(buf_slice(&who).data, cases[i].who);
		buf_free(&who);
		policy_file_free(file);
	}
}

static void cost_is_that_of_the_day_and_tier(void **state)
{
	struct policy_file *file = parsed(
		"prices:\n"
		"- {models: [big], tiers: [priority], input: 20, output: 80}\n"
		"- {models: [big], from: 2027-01-01, input: 5, output: 20}\n"
		"- {models: [\"big*\"], input: 10, cached: 0.075, output: 40, reasoning: 60}\n"
		"- {models: [\"*\"], input: 0, output: 0}\n"
		"limits: [{name: c, cost: 1}]");
	const struct limit_tokens t = {.input = 1000, .cached = 400, .output = 100, .reasoning = 50};
	const struct limit_set *set = &file->limits;
	const uint32_t day = (uint32_t)(NOW_S / 86400), later = day + 60;

	(void)state;
	/* 600 × 10 + 400 × 0.075 + 50 × 40 + 50 × 60 for a million. */
	assert_int_equal(limit_amount_cost(set, SLICE("big"), SLICE("default"), day, &t), 1103000);
	assert_int_equal(limit_amount_cost(set, SLICE("BIG"), SLICE("auto"), later, &t), 700000);
	assert_int_equal(limit_amount_cost(set, SLICE("big"), SLICE("priority"), later, &t),
		(600 + 400) * 2000 + 100 * 8000);
	assert_int_equal(limit_amount_cost(set, SLICE("big-2"), SLICE_NONE, later, &t), 1103000);
	assert_int_equal(limit_amount_cost(set, SLICE("small"), SLICE_NONE, day, &t), 0);
	assert_int_equal(limit_amount_cost(set, SLICE_NONE, SLICE_NONE, day, &t), 0);
	/* At most: the dearest class, by any tier that may serve it. */
	assert_int_equal(limit_amount_cost_most(set, SLICE("big"), SLICE("auto"), day, &t),
		1000 * 2000 + 100 * 8000);
	assert_int_equal(limit_amount_cost_most(set, SLICE("big"), SLICE("default"), day, &t),
		1000 * 1000 + 100 * 6000);
	/* Rounded up, never down to nothing. */
	assert_int_equal(limit_amount_cost(set, SLICE("big"), SLICE_NONE, day,
				 &(struct limit_tokens){.input = 1, .cached = 1}), 8);
	policy_file_free(file);
}

static void thresholds_are_told_once(void **state)
{
	struct scene s;
	struct policy_facts f = facts_of("m", "10.0.0.1");

	(void)state;
	begin(&s, "limits: [{name: t, requests: 10, alert: [50, 80, 100]}]");
	for (unsigned i = 1; i <= 10; i++) {
		assert_int_equal(reserve(&s, &f, NOW_MS), 0);
		settle(&s, 1, 1, NOW_MS);
		assert_int_equal(s.alerts, (i >= 5) + (i >= 8) + (i >= 10));
	}
	assert_int_equal(s.percent, 100);
	for (unsigned i = 1; i <= 5; i++) {
		assert_int_equal(reserve(&s, &f, NOW_MS + 60000), 0);
		settle(&s, 1, 1, NOW_MS + 60000);
	}
	assert_int_equal(s.alerts, 4);
	assert_int_equal(s.percent, 50);
	end(&s);
}

static void estimates_learn_from_what_the_provider_counts(void **state)
{
	struct limit_table *table = limit_table_new(ROWS, 4);

	(void)state;
	assert_int_equal(limit_table_ratio(table, SLICE("m")), 2048);
	limit_table_learn(table, SLICE("m"), 100, 350);
	assert_int_equal(limit_table_ratio(table, SLICE("m")), 3584);
	for (int i = 0; i < 300; i++)
		limit_table_learn(table, SLICE("m"), 100, 90);
	assert_in_range(limit_table_ratio(table, SLICE("m")), 921, 1000);
	/* Nothing that a client sends makes it more than the most. */
	limit_table_learn(table, SLICE("m"), 1, 4000000);
	assert_int_equal(limit_table_ratio(table, SLICE("m")), 16 * 1024);
	limit_table_learn(table, SLICE("m"), 0, 5);
	limit_table_free(table);
}

/* ---- periods ---- */

static void periods_begin_when_the_calendar_says(void **state)
{
	static const struct {
		enum limit_period period;
		const char *now, *begins, *ends;
	} cases[] = {
		{LIMIT_DAY, "2026-11-28 12:00:00", "2026-11-28 00:00:00", "2026-11-29 00:00:00"},
		{LIMIT_DAY, "2026-03-29 23:59:59", "2026-03-29 00:00:00", "2026-03-30 00:00:00"},
		{LIMIT_WEEK, "2026-11-29 23:59:59", "2026-11-23 00:00:00", "2026-11-30 00:00:00"},
		{LIMIT_WEEK, "2026-11-30 00:00:00", "2026-11-30 00:00:00", "2026-12-07 00:00:00"},
		{LIMIT_MONTH, "2026-12-31 23:59:59", "2026-12-01 00:00:00", "2027-01-01 00:00:00"},
		{LIMIT_MONTH, "2028-02-29 12:00:00", "2028-02-01 00:00:00", "2028-03-01 00:00:00"},
		{LIMIT_HOUR, "2026-11-28 12:59:59", "2026-11-28 12:00:00", "2026-11-28 13:00:00"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *const texts[3] = {cases[i].now, cases[i].begins, cases[i].ends};
		time_t at[3];
		struct limit_window window, next;

		for (int k = 0; k < 3; k++) {
			struct tm tm = {.tm_isdst = -1};

			assert_non_null(strptime(texts[k], "%Y-%m-%d %H:%M:%S", &tm));
			tm.tm_isdst = -1;
			at[k] = mktime(&tm);
		}
		window = limit_window_at(cases[i].period, (uint64_t)at[0]);
		assert_int_equal(window.begins_s, at[1]);
		assert_int_equal(window.ends_s, at[2]);
		next = limit_window_at(cases[i].period, window.ends_s);
		assert_int_equal((uint16_t)(next.epoch - window.epoch), 1);
		assert_int_equal(next.begins_s, window.ends_s);
	}
}

/* ---- the table ---- */

/* Names that clients invent share a row, and so are in nobody's favour; when their period is over they
 * make room. */
static void a_full_table_is_in_nobodys_favour(void **state)
{
	struct scene s;
	unsigned taken = 0;

	(void)state;
	begin(&s, "limits: [{name: l, requests: 2, per: [model]}]");
	for (int i = 0; i < 4 * ROWS; i++) {
		char name[32];
		struct policy_facts f;

		snprintf(name, sizeof(name), "m%d", i);
		f = facts_of(name, "10.0.0.1");
		if (reserve(&s, &f, NOW_MS) == 0) {
			taken++;
			settle(&s, 1, 1, NOW_MS);
		}
	}
	/* One for each row, and what all others together may. */
	assert_in_range(taken, ROWS - 100, ROWS + 2);
	struct policy_facts f = facts_of("new", "10.0.0.1");
	assert_int_equal(reserve(&s, &f, NOW_MS), -EDQUOT);
	assert_int_equal(reserve(&s, &f, NOW_MS + 120000), 0);
	settle(&s, 1, 1, NOW_MS + 120000);
	end(&s);
}

static void what_the_dead_held_is_taken_back(void **state)
{
	char path[] = "/tmp/test-limits-XXXXXX";
	struct limit_key key = {SLICE("l"), SLICE("w"), LIMIT_REQUESTS, LIMIT_MONTH};
	struct limit_ask ask = {.workers = 4, .amount = 3, .most = 10};
	struct limit_table *table;
	struct limit_row *row;
	struct why why = {""};
	int fd, first, second;
	bool fresh, shared;
	uint16_t epoch;

	(void)state;
	close(mkstemp(path));
	unlink(path);
	assert_int_equal(limit_table_open(path, ROWS, 4, &fd, &fresh, &why), 0);
	assert_true(fresh);
	table = limit_table_map(fd, true, &why);
	first = limit_table_lend(table, fd, &why);
	second = limit_table_lend(table, fd, &why);
	assert_int_equal(limit_table_lent(table, first), 0);
	assert_int_equal(limit_table_lent(table, second), 1);
	ask.epoch = limit_window_at(LIMIT_MONTH, NOW_S).epoch;
	for (ask.worker = 0; ask.worker < 2; ask.worker++) {
		row = limit_table_take(table, ask.worker, &key, NOW_S, NOW_S + 100, &shared);
		ask.key = atomic_load(&row->key);
		assert_int_equal(limit_row_reserve(row, &ask, &epoch), LIMIT_TAKEN);
	}
	limit_row_send(row, 1, epoch, 3);
	/* The first dies before it has sent its call, and the second after. */
	close(first);
	assert_int_equal(limit_table_reap(table, fd), 1);
	assert_int_equal(limit_row_sum(row, 4, epoch).reserved, 3);
	assert_int_equal(limit_row_sum(row, 4, epoch).used, 0);
	close(second);
	assert_int_equal(limit_table_reap(table, fd), 1);
	assert_int_equal(limit_row_sum(row, 4, epoch).reserved, 0);
	assert_int_equal(limit_row_sum(row, 4, epoch).used, 3);
	/* Theirs are free again, and there are no more than there are. */
	for (int i = 0; i < 4; i++)
		assert_true(limit_table_lend(table, fd, &why) >= 0);
	assert_int_equal(limit_table_lend(table, fd, &why), -EAGAIN);
	limit_table_free(table);
	close(fd);
	/* A table of another form has what this one had. */
	assert_int_equal(limit_table_open(path, 2 * ROWS, 4, &fd, &fresh, &why), 0);
	assert_false(fresh);
	close(fd);
	unlink(path);
}

/* ---- what is kept ---- */

static uint64_t used_of(struct limit_table *table, uint64_t now_s, const char *who)
{
	struct limit_reading reading;

	for (uint32_t i = 0; i < limit_table_rows(table); i++)
		if (limit_table_read(table, i, now_s, &reading) && strcmp(reading.who, who) == 0)
			return reading.sum.used;
	return 0;
}

static void half_a_file_is_none(void **state)
{
	struct policy_facts f = facts_of("m", "10.0.0.1");
	struct limit_table *other;
	struct buf saved = BUF_EMPTY;
	struct scene s;

	(void)state;
	begin(&s, "limits: [{name: l, requests: 9, every: month, per: [model]},"
		  "{name: now, requests: 9, every: second}, {name: c, concurrent: 9}]");
	assert_int_equal(reserve(&s, &f, NOW_MS), 0);
	settle(&s, 1, 1, NOW_MS);
	/* One is under way: nobody knows what becomes of it. */
	assert_int_equal(reserve(&s, &f, NOW_MS), 0);
	assert_int_equal(limit_save_write(s.table, 7, NOW_S, &saved), 0);
	assert_int_equal(limit_save_check(buf_slice(&saved)), 7);
	for (size_t len = 0; len < buf_len(&saved); len++) {
		char *bytes = malloc(len + 1);

		memcpy(bytes, buf_slice(&saved).data, len);
		assert_int_equal(limit_save_check(slice_of(bytes, len)), 0);
		free(bytes);
	}
	for (size_t at = 0; at < buf_len(&saved); at++) {
		saved.memory[saved.start + at] ^= 1;
		/* Of the head's last word nobody reads. */
		assert_true(limit_save_check(buf_slice(&saved)) == 0 ||
			    (at >= LIMIT_SAVE_HEAD - 4 && at < LIMIT_SAVE_HEAD));
		saved.memory[saved.start + at] ^= 1;
	}
	/* What an older, longer one had behind it does not count. */
	assert_int_equal(buf_append(&saved, "trash", 5), 0);
	other = limit_table_new(ROWS, 4);
	limit_save_restore(other, buf_slice(&saved), NOW_S + 3);
	assert_int_equal(used_of(other, NOW_S + 3, "model=m"), 2);
	assert_int_equal(used_of(other, NOW_S + 3, ""), 0); /* its second is over */
	limit_table_free(other);
	other = limit_table_new(ROWS, 4);
	limit_save_restore(other, buf_slice(&saved), NOW_S + 40 * 86400);
	assert_int_equal(used_of(other, NOW_S + 40 * 86400, "model=m"), 0);
	limit_table_free(other);
	settle(&s, 1, 1, NOW_MS);
	buf_free(&saved);
	end(&s);
}

/* ---- the file ---- */

static void bad_limits_are_told(void **state)
{
	static const struct {
		const char *yaml, *expected;
	} cases[] = {
		{"limits: [{name: a}]", "p:1: limits[0]: expected one of requests, tokens, cost, bytes "
					"and concurrent, found none"},
		{"limits: [{name: a, requests: 1, tokens: 1}]",
			"p:1: limits[0]: expected one of requests, tokens, cost, bytes and concurrent, "
			"found several: write a limit for each"},
		{"limits: [{name: a, requests: 1},\n {name: a, tokens: 1}]",
			"p:2: limits[1].name: expected each name once, found \"a\" also in line 1"},
		{"limits: [{name: a, cost: 1}]",
			"p:1: limits[0].cost: expected a last entry of prices with models: [\"*\"], and "
			"neither tiers nor from, for the models that no other entry has; found none"},
		{"limits: [{name: a, cost: 1.23456}]",
			"p:1: limits[0].cost: expected an amount such as \"12.50\", up to 1000000, "
			"found \"1.23456\""},
		{"prices: [{models: [a], input: 1, output: 1, from: 2026-02-30}]",
			"p:1: prices[0].from: expected a date such as \"2026-01-31\", found "
			"\"2026-02-30\""},
		{"limits: [{name: a, requests: 1, operations: [chatt]}]",
			"p:1: limits[0].operations[0]: expected the name of an operation such as chat, "
			"responses or files, or unknown, found \"chatt\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct policy_file *file;
		struct why why = {""};

		assert_int_not_equal(policy_file_parse("p", slice_of_string(cases[i].yaml), &file,
					     NULL, NULL, NULL, &why), 0);
		assert_string_equal(why.text, cases[i].expected);
	}
}

/* The one that operators begin with. */
static void the_example_is_one(void **state)
{
	struct buf text = BUF_EMPTY;
	struct policy_file *file;
	struct why why = {""};

	(void)state;
	assert_int_equal(file_read("appliance/operations/policy.yaml", 1 << 20, &text, &why), 0);
	if (policy_file_parse("policy.yaml", buf_slice(&text), &file, NULL, NULL, NULL, &why))
		fail_msg("%s", why.text);
	assert_int_equal(file->limits.nlimits, 6);
	policy_file_free(file);
	buf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_not_used_is_given_back),
		cmocka_unit_test(all_limits_or_none),
		cmocka_unit_test(each_has_its_own),
		cmocka_unit_test(cost_is_that_of_the_day_and_tier),
		cmocka_unit_test(thresholds_are_told_once),
		cmocka_unit_test(estimates_learn_from_what_the_provider_counts),
		cmocka_unit_test(periods_begin_when_the_calendar_says),
		cmocka_unit_test(a_full_table_is_in_nobodys_favour),
		cmocka_unit_test(what_the_dead_held_is_taken_back),
		cmocka_unit_test(half_a_file_is_none),
		cmocka_unit_test(bad_limits_are_told),
		cmocka_unit_test(the_example_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
