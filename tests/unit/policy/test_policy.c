// SPDX-License-Identifier: GPL-2.0-or-later
/* Which rule decides: what is looked up for all rules at once is what trying one after the other
 * finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/policy_file.h"
#include "openai/request_tool.h"
#include "policy/condition.h"
#include "policy/policy.h"

#define MONDAY_NOON (12 * 60)

static struct policy_file *parsed(const char *yaml)
{
	struct policy_file *file;
	struct why why = {""};

	if (policy_file_parse("p", slice_of_string(yaml), &file, NULL, NULL, NULL, &why))
		fail_msg("%s", why.text);
	return file;
}

/* A chat completion from 10.1.2.3, all of it read. */
static struct policy_facts call_of(const char *model)
{
	struct policy_facts facts = {
		.operation = SLICE("chat"),
		.host = SLICE("api.openai.com"),
		.dialect = RULE_DIALECT_OPENAI,
		.minute = MONDAY_NOON,
		.body = RULE_BODY_READ,
		.body_final = true,
		.size_final = true,
		.size = 1000,
		.model = slice_of_string(model),
	};

	assert_int_equal(address_parse("10.1.2.3", &facts.source), 0);
	return facts;
}

/* "deny by NAME", "allow by default", "pending", with "+NAME" of a shadow and "?" of what is not
 * known. */
struct said {
	char text[128];
};

static struct said decide(struct policy_file *file, const struct policy_facts *facts)
{
	struct policy_verdict v;
	struct said said;

	if (!policy_decide(file->policy, facts, &v)) {
		snprintf(said.text, sizeof(said.text), "pending");
		return said;
	}
	snprintf(said.text, sizeof(said.text), "%s by %s%s%s%s", v.deny ? "deny" : "allow",
		v.rule ? v.rule->name : "default", v.unknown ? "?" : "", v.shadow ? " +" : "",
		v.shadow ? v.shadow->name : "");
	return said;
}

#define assert_decided(file, facts, expected) \
	assert_string_equal(decide(file, facts).text, expected)

static void the_first_that_fits_decides(void **state)
{
	struct policy_file *file = parsed("rules:\n"
					  "- {name: a, models: [\"o1*\"], action: deny}\n"
					  "- {name: b, models: [o1-mini, \"*-4o\"], action: allow}\n"
					  "- {name: c, models: [\"*\"], action: deny}\n"
					  "default: {action: allow}\n");
	struct policy_facts f = call_of("O1-mini");

	(void)state;
	assert_decided(file, &f, "deny by a");
	f = call_of("gpt-4o");
	assert_decided(file, &f, "allow by b");
	f = call_of("gpt-4");
	assert_decided(file, &f, "deny by c");
	f = call_of("");
	assert_decided(file, &f, "allow by default");
	f.deployment = SLICE("o1");
	assert_decided(file, &f, "deny by a");
	policy_file_free(file);
}

static void names_of_groups_fit_without_case(void **state)
{
	static const char *const groups[] = {"Finance", "finance", "FINANCE"};
	struct policy_file *file =
		parsed("rules:\n- {name: a, groups: [Finance], action: deny}\n");

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct policy_facts f = call_of("gpt-4o");
		struct slice group = slice_of_string(groups[i]);

		f.groups = &group;
		f.ngroups = 1;
		assert_decided(file, &f, "deny by a");
	}
	policy_file_free(file);
}

static void conditions_of_a_rule_all_hold(void **state)
{
	struct policy_file *file = parsed(
		"default: {action: deny}\n"
		"rules:\n"
		"- name: r\n"
		"  action: allow\n"
		"  groups: [dev, ops]\n"
		"  sources: [10.1.0.0/16, \"2001:db8::/32\"]\n"
		"  operations: [chat]\n"
		"  hosts: [\"*.openai.com\"]\n"
		"  stream: false\n"
		"  size_below: 2KiB\n"
		"  output_below: 100\n"
		"  dialects: [openai]\n"
		"  tools: [mcp, shell]\n"
		"  store: false\n"
		"  background: false\n"
		"  service_tiers: [flex]\n"
		"  credentials: [issued]\n"
		"  days: [mon]\n"
		"  hours: \"08:00-18:00\"\n");
	struct slice groups[] = {SLICE("other"), SLICE("ops")};
	struct policy_facts f = call_of("m"), good;

	(void)state;
	f.groups = groups;
	f.ngroups = 2;
	f.credential = RULE_CREDENTIAL_ISSUED;
	f.output_given = true;
	f.output = 99;
	f.tools = 1u << REQUEST_TOOL_MCP | 1u << REQUEST_TOOL_FUNCTION;
	f.service_tier = SLICE("flex");
	good = f;
	assert_decided(file, &f, "allow by r");
	f.tools = 1u << REQUEST_TOOL_FUNCTION;
	assert_decided(file, &f, "deny by default");
	f = good;
	f.store = true;
	assert_decided(file, &f, "deny by default");
	f = good;
	f.background = true;
	assert_decided(file, &f, "deny by default");
	f = good;
	f.service_tier = SLICE("auto");
	assert_decided(file, &f, "deny by default");
	f = good;
	f.ngroups = 1;
	assert_decided(file, &f, "deny by default");
	f = good;
	address_parse("10.2.0.0", &f.source);
	assert_decided(file, &f, "deny by default");
	address_parse("2001:db8:1::1", &f.source);
	assert_decided(file, &f, "allow by r");
	f = good;
	f.operation = SLICE("embeddings");
	assert_decided(file, &f, "deny by default");
	f = good;
	f.host = SLICE("openai.com");
	assert_decided(file, &f, "deny by default");
	f = good;
	f.stream = true;
	assert_decided(file, &f, "deny by default");
	f = good;
	f.size = 2048;
	assert_decided(file, &f, "deny by default");
	f = good;
	f.output = 100;
	assert_decided(file, &f, "deny by default");
	f.output_given = false;
	assert_decided(file, &f, "deny by default");
	f = good;
	f.dialect = RULE_DIALECT_AZURE;
	assert_decided(file, &f, "deny by default");
	f = good;
	f.credential = RULE_CREDENTIAL_OTHER;
	assert_decided(file, &f, "deny by default");
	f = good;
	f.minute = 18 * 60;
	assert_decided(file, &f, "deny by default");
	f.minute = 8 * 60;
	assert_decided(file, &f, "allow by r");
	f.minute = 24 * 60 + 9 * 60;
	assert_decided(file, &f, "deny by default");
	policy_file_free(file);
}

static void a_window_over_midnight_is_of_the_day_it_begins_on(void **state)
{
	struct policy_file *file = parsed(
		"rules: [{name: night, days: [fri], hours: \"22:00-06:00\", action: deny}]\n");
	static const struct {
		unsigned day, hour;
		const char *expected;
	} cases[] = {{4, 21, "allow by default"}, {4, 22, "deny by night"}, {5, 5, "deny by night"},
		{5, 6, "allow by default"}, {4, 5, "allow by default"}, {5, 22, "allow by default"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct policy_facts f = call_of("m");

		f.minute = cases[i].day * 24 * 60 + cases[i].hour * 60;
		assert_decided(file, &f, cases[i].expected);
	}
	policy_file_free(file);
}

/* A call that is not read yet is decided as soon as nothing else can come of it. */
static void the_head_decides_what_it_can(void **state)
{
	struct policy_file *file = parsed("rules:\n"
					  "- {name: s, action: shadow, models: [x]}\n"
					  "- {name: a, operations: [files], action: deny}\n"
					  "- {name: b, models: [o1], action: deny}\n"
					  "- {name: c, hosts: [\"*.azure.com\"], action: deny}\n"
					  "- {name: d, size_above: 5000, action: deny}\n");
	struct policy_facts f = call_of("");

	(void)state;
	f.body_final = f.size_final = false;
	f.size = 0;
	assert_decided(file, &f, "pending");
	f.operation = SLICE("files");
	assert_decided(file, &f, "deny by a");
	f.operation = SLICE("chat");
	f.host = SLICE("x.azure.com");
	assert_decided(file, &f, "pending"); /* it may be b that denies */
	f.deployment = SLICE("gpt");
	assert_decided(file, &f, "deny by c");
	f.host = SLICE("api.openai.com");
	assert_decided(file, &f, "pending");
	f.size = 5001;
	assert_decided(file, &f, "deny by d");
	f.size = 10;
	f.size_final = true;
	assert_decided(file, &f, "allow by default");
	f.deployment = SLICE("x");
	assert_decided(file, &f, "allow by default +s");
	policy_file_free(file);
}

/* Of a body that is never read nobody knows the model: that is held against the call. */
static void what_is_never_known_denies_and_allows_nothing(void **state)
{
	struct policy_file *file = parsed("default: {action: deny}\n"
					  "rules:\n"
					  "- {name: a, models: [gpt], action: allow}\n"
					  "- {name: s, models: [zzz], action: shadow}\n"
					  "- {name: b, models: [o1], groups: [g], action: deny}\n"
					  "- {name: c, bodies: [unread], action: allow}\n");
	struct slice group = SLICE("g");
	struct policy_facts f = call_of("gpt");

	(void)state;
	assert_decided(file, &f, "allow by a");
	f.body = RULE_BODY_UNREAD;
	assert_decided(file, &f, "allow by c +s");
	f.groups = &group;
	f.ngroups = 1;
	assert_decided(file, &f, "deny by b? +s");
	f.body = RULE_BODY_UNREADABLE;
	assert_decided(file, &f, "deny by b? +s");
	f.ngroups = 0;
	assert_decided(file, &f, "deny by default +s");
	policy_file_free(file);
}

static void groups_of_addresses_are_all_that_fit(void **state)
{
	struct policy_file *file = parsed("groups:\n"
					  "- {name: all, sources: [0.0.0.0/0]}\n"
					  "- {name: site, sources: [10.1.0.0/16]}\n"
					  "- {name: host, sources: [10.1.2.3, 10.9.0.0/16]}\n"
					  "- {name: six, sources: [\"2001:db8::/32\"]}\n");
	struct slice groups[4];
	struct address a;

	(void)state;
	address_parse("10.1.2.3", &a);
	assert_int_equal(policy_groups(file->policy, &a, groups, 4), 3);
	assert_true(slice_equal(groups[2], SLICE("host")));
	assert_int_equal(policy_groups(file->policy, &a, groups, 2), 2);
	address_parse("2001:db8::1", &a);
	assert_int_equal(policy_groups(file->policy, &a, groups, 4), 1);
	assert_true(slice_equal(groups[0], SLICE("six")));
	policy_file_free(file);
}

/* ---- the same by another way ---- */

/* As the table of conditions says it, rule by rule. */
static struct said tried(const struct rule_set *set, const struct policy_facts *f)
{
	const struct rule *shadow = NULL;
	bool pending = false;
	struct said said = {"pending"};

	for (size_t i = 0; i <= set->nrules; i++) {
		const struct rule *r = i < set->nrules ? &set->rules[i] : NULL;
		enum fit fit = r ? condition_all(r, f, true) : FIT_YES;
		int action = r ? r->action : set->fallback.action;

		if (fit == FIT_NO || (fit == FIT_NEVER && action == RULE_ALLOW))
			continue;
		if (action == RULE_SHADOW) {
			pending |= fit == FIT_PENDING;
			if (fit != FIT_PENDING && !shadow)
				shadow = r;
			continue;
		}
		if (fit == FIT_PENDING || (pending && action != RULE_DENY))
			return said;
		snprintf(said.text, sizeof(said.text), "%s by %s%s%s%s",
			action == RULE_DENY ? "deny" : "allow", r ? r->name : "default",
			fit == FIT_NEVER ? "?" : "", shadow ? " +" : "",
			shadow ? shadow->name : "");
		return said;
	}
	return said;
}

static unsigned any(unsigned n)
{
	static uint64_t seed = 88172645463325252ULL;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed % n);
}

static const char *const words[] = {"a", "ab", "abc", "b", "bc", "c", "abcabc"};
static const char *const patterns[] = {"a", "ab*", "*bc", "a*", "*c", "abc", "b", "*", "*bcabc"};
static const char *const operations[] = {"chat", "*completion", "image*", "unknown", "*"};
static const char *const networks[] = {"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "10.1.2.0/23",
	"\"2001:db8::/33\"", "0.0.0.0/0"};
static const char *const addresses[] = {"10.1.2.3", "10.1.3.1", "10.2.0.1", "11.0.0.1", "2001:db8::1",
	"2001:db8:ffff::1"};

#define ANY(list) list[any(sizeof(list) / sizeof(list[0]))]

static void write_rules(struct buf *yaml, unsigned n)
{
	static const char *const actions[] = {"allow", "deny", "shadow"};
	static const char *const keys[] = {"groups", "keys", "service_tiers", "models", "hosts",
		"api_versions"};

	buf_printf(yaml, "default: {action: %s}\nrules:\n", any(2) ? "deny" : "allow");
	for (unsigned i = 0; i < n; i++) {
		buf_printf(yaml, "- {name: r%u, action: %s, size_above: %u", i, ANY(actions),
			any(3) + 1);
		for (size_t k = 0; k < 6; k++)
			if (any(4) == 0)
				buf_printf(yaml, ", %s: [\"%s\"]", keys[k],
					k < 2 ? ANY(words) : ANY(patterns));
		if (any(4) == 0)
			buf_printf(yaml, ", operations: [\"%s\"]", ANY(operations));
		if (any(3) == 0)
			buf_printf(yaml, ", sources: [%s]", ANY(networks));
		if (any(6) == 0)
			buf_printf(yaml, ", stream: true");
		buf_printf(yaml, "}\n");
	}
}

static struct policy_facts any_call(struct slice groups[2])
{
	struct policy_facts f = {
		.operation = any(2) ? SLICE("text_completion") : slice_of_string(ANY(operations)),
		.service_tier = slice_of_string(ANY(words)),
		.host = slice_of_string(ANY(words)),
		.api_version = slice_of_string(ANY(words)),
		.key_id = slice_of_string(ANY(words)),
		.deployment = any(2) ? SLICE_NONE : slice_of_string(ANY(words)),
		.model = slice_of_string(ANY(words)),
		.groups = groups,
		.ngroups = any(3),
		.body = (enum rule_body)any(4),
		.body_final = any(3),
		.size = any(5),
		.size_final = any(3),
		.stream = any(2),
	};

	groups[0] = slice_of_string(ANY(words));
	groups[1] = slice_of_string(ANY(words));
	address_parse(ANY(addresses), &f.source);
	return f;
}

static void all_at_once_is_one_by_one(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		struct buf yaml = BUF_EMPTY;
		struct policy_file *file;

		write_rules(&yaml, 1 + any(150));
		buf_append(&yaml, "", 1);
		file = parsed(buf_slice(&yaml).data);
		for (unsigned i = 0; i < 100; i++) {
			struct slice groups[2];
			struct policy_facts f = any_call(groups);

			assert_decided(file, &f, tried(&file->set, &f).text);
		}
		policy_file_free(file);
		buf_free(&yaml);
	}
}

/* Four thousand rules that each name their own model: what it costs to ask is the look-up. */
static void many_rules_are_asked_at_once(void **state)
{
	struct buf yaml = BUF_EMPTY;
	struct policy_file *file;
	struct policy_facts f;

	(void)state;
	buf_printf(&yaml, "rules:\n");
	for (unsigned i = 0; i < 4096; i++)
		buf_printf(&yaml, "- {name: r%u, models: [m%u, \"*-%u\"], action: deny}\n", i, i, i);
	buf_append(&yaml, "", 1);
	file = parsed(buf_slice(&yaml).data);
	f = call_of("m4095");
	assert_decided(file, &f, "deny by r4095");
	f = call_of("x-77");
	assert_decided(file, &f, "deny by r77");
	f = call_of("m4096");
	for (unsigned i = 0; i < 1000; i++)
		assert_decided(file, &f, "allow by default");
	policy_file_free(file);
	buf_free(&yaml);
}

static void texts_of_any_length_are_compared(void **state)
{
	struct policy_file *file = parsed("rules: [{name: a, models: [\"*x\"], action: deny}]");
	char text[600];

	(void)state;
	memset(text, 'a', sizeof(text));
	for (size_t len = 1; len < sizeof(text); len++) {
		struct policy_facts f = call_of("");

		text[len - 1] = 'x';
		f.model = slice_of(text, len);
		assert_decided(file, &f, len <= 512 ? "deny by a" : "allow by default");
		text[len - 1] = 'a';
	}
	policy_file_free(file);
}

/* What the service has stored of a call is as unknown as what is not read. */
static void a_stored_prompt_may_have_any_model_and_tools(void **state)
{
	struct policy_file *file = parsed("default: {action: deny}\n"
					  "rules:\n"
					  "- {name: b, models: [o1], action: deny}\n"
					  "- {name: t, tools: [mcp], action: deny}\n"
					  "- {name: a, models: [gpt], action: allow}\n");
	struct policy_facts f = call_of("gpt");

	(void)state;
	assert_decided(file, &f, "allow by a");
	f.stored_prompt = true;
	assert_decided(file, &f, "deny by t?");
	f.tools = 1u << REQUEST_TOOL_MCP;
	assert_decided(file, &f, "deny by t");
	f.model = SLICE_NONE;
	assert_decided(file, &f, "deny by b?");
	policy_file_free(file);
	file = parsed("default: {action: deny}\nrules: [{name: a, models: [gpt], action: allow}]\n");
	assert_decided(file, &f, "deny by default");
	f.model = SLICE("gpt");
	assert_decided(file, &f, "allow by a");
	f.model = SLICE_NONE;
	f.deployment = SLICE("gpt");
	assert_decided(file, &f, "allow by a");
	policy_file_free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_that_fits_decides),
		cmocka_unit_test(names_of_groups_fit_without_case),
		cmocka_unit_test(a_stored_prompt_may_have_any_model_and_tools),
		cmocka_unit_test(conditions_of_a_rule_all_hold),
		cmocka_unit_test(a_window_over_midnight_is_of_the_day_it_begins_on),
		cmocka_unit_test(the_head_decides_what_it_can),
		cmocka_unit_test(what_is_never_known_denies_and_allows_nothing),
		cmocka_unit_test(groups_of_addresses_are_all_that_fit),
		cmocka_unit_test(all_at_once_is_one_by_one),
		cmocka_unit_test(many_rules_are_asked_at_once),
		cmocka_unit_test(texts_of_any_length_are_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
