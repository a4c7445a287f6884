// SPDX-License-Identifier: GPL-2.0-or-later
/* What is told of a policy that cannot be used: all of it, by file, line and key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "config/policy_file.h"
#include "config/policy_keys.h"

#define PAGE "appliance/man/sallyport-policy.5"

static void note(void *context, const char *problem)
{
	buf_printf(context, "%s\n", problem);
}

/* Refused, and all of these are told, and as many problems. */
static void refused(const char *yaml, size_t count, const char *const *told)
{
	struct buf all = BUF_EMPTY;
	struct policy_file *file;
	size_t found;

	assert_int_equal(policy_file_parse(
				 "p", slice_of_string(yaml), &file, note, &all, &found, NULL),
		-EINVAL);
	assert_null(file);
	buf_append(&all, "", 1);
	for (size_t i = 0; i < count; i++)
		if (!strstr(buf_slice(&all).data, told[i]))
			fail_msg("expected \"%s\" in:\n%s", told[i], buf_slice(&all).data);
	if (found != count)
		fail_msg("expected %zu problems, found %zu:\n%s", count, found, buf_slice(&all).data);
	buf_free(&all);
}

#define REFUSED(yaml, ...)                                                                         \
	do {                                                                                       \
		static const char *const told[] = {__VA_ARGS__};                                   \
		refused(yaml, sizeof(told) / sizeof(told[0]), told);                               \
	} while (0)

static void all_that_is_wrong_is_told_at_once(void **state)
{
	(void)state;
	REFUSED("default: {action: perhaps}\n"
		"rules:\n"
		"- {name: a, action: refuse}\n"
		"- {name: \"b c\", action: deny, models: [\"*x*\"]}\n"
		"- {action: deny, hours: \"8-18\", days: [monday], output_above: 0}\n"
		"- {name: d, action: deny, modles: [x]}\n"
		"groups: [{name: g}]\n",
		"p:1: default.action: expected allow or deny, found \"perhaps\"",
		"p:3: rules[0].action: expected allow, deny or shadow, found \"refuse\"",
		"p:4: rules[1].name: expected a name", "p:4: rules[1].models[0]: expected a name, or the beginning",
		"p:5: rules[2].name: expected a name of letters, digits, '.', '_', '-' and '@', found nothing",
		"p:5: rules[2].hours: expected hours such as", "p:5: rules[2].days[0]: expected mon",
		"p:5: rules[2].output_above: expected a number from 1", "p:6: rules[3].modles: expected one of the keys",
		"p:7: groups[0].sources: expected a prefix");
	REFUSED("rules: {a: b}\n", "p:1: rules: expected a list");
	REFUSED("- a\n", "p:1: expected the sections");
}

static void rules_that_contradict_each_other(void **state)
{
	(void)state;
	REFUSED("rules:\n"
		"- {name: a, action: deny, models: [x]}\n"
		"- {name: b, action: deny, size_above: 10, size_below: 10}\n"
		"- {name: a, action: allow, output_above: 5, output_below: 4}\n"
		"- {name: all, action: allow}\n"
		"- {name: default, action: deny, operations: [chats]}\n"
		"tests:\n"
		"- {name: t, source: 10.0.0.0/8, url: u, expect: deny, rule: none, shadow: a}\n",
		"p:3: rules[1].size_below: expected more", "p:4: rules[2].output_below: expected more",
		"p:4: rules[2].name: expected each name once, found \"a\" also in line 2",
		"p:5: rules[3]: expected conditions, or no rule after it",
		"p:6: rules[4].name: expected another name",
		"p:6: rules[4].operations[0]: expected the name of an operation",
		"p:8: tests[0].source: expected one address", "p:8: tests[0].rule: expected the name of a rule");
}

static void too_much_is_refused(void **state)
{
	struct buf yaml = BUF_EMPTY;
	struct policy_file *file;
	struct why why = {""};

	(void)state;
	buf_printf(&yaml, "rules:\n");
	for (unsigned i = 0; i < 4097; i++)
		buf_printf(&yaml, "- {name: r%u, action: deny, models: [a]}\n", i);
	assert_int_equal(policy_file_parse("p", buf_slice(&yaml), &file, NULL, NULL, NULL, &why), -EINVAL);
	assert_string_equal(why.text, "p:1: rules: expected at most 4096, found 4097");
	while (buf_len(&yaml) <= POLICY_FILE_MAX)
		buf_printf(&yaml, "# nothing\n");
	assert_int_equal(policy_file_parse("p", buf_slice(&yaml), &file, NULL, NULL, NULL, &why), -EINVAL);
	buf_free(&yaml);
}

static void nothing_at_all_allows_all(void **state)
{
	struct policy_file *file;

	(void)state;
	assert_int_equal(policy_file_parse("p", SLICE_NONE, &file, NULL, NULL, NULL, NULL), 0);
	assert_int_equal(file->set.nrules, 0);
	assert_int_equal(file->set.fallback.action, RULE_ALLOW);
	assert_int_equal(file->set.fallback.log, RULE_LOG_CONTENT);
	policy_file_free(file);
}

static void the_manual_has_every_key(void **state)
{
#define NAME(key, ...) #key,
	static const char *const keys[] = {KEYS_DEFAULT(NAME, NAME) KEYS_GROUP(NAME, NAME)
			KEYS_RULE(NAME, NAME) KEYS_TEST(NAME, NAME)};
	struct buf text = BUF_EMPTY;

	(void)state;
	assert_int_equal(file_read(PAGE, 1 << 20, &text, NULL), 0);
	buf_append(&text, "", 1);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		char item[64], second[64];

		snprintf(item, sizeof(item), "\n.It Ic %s", keys[i]);
		snprintf(second, sizeof(second), " , %s\n", keys[i]);
		if (!strstr(buf_slice(&text).data, item) && !strstr(buf_slice(&text).data, second))
			fail_msg("%s is not in " PAGE, keys[i]);
	}
	buf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_is_wrong_is_told_at_once),
		cmocka_unit_test(rules_that_contradict_each_other),
		cmocka_unit_test(too_much_is_refused),
		cmocka_unit_test(nothing_at_all_allows_all),
		cmocka_unit_test(the_manual_has_every_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
