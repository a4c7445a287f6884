// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/policy_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config/fill.h"
#include "config/policy_keys.h"
#include "config/policy_limits.h"
#include "openai/operation.h"
#include "policy/condition.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- the tables --- */

struct raw_default {
	KEYS_DEFAULT(RAW_SCALAR, RAW_LIST)
};
struct raw_group {
	KEYS_GROUP(RAW_SCALAR, RAW_LIST)
};
struct raw_rule {
	KEYS_RULE(RAW_SCALAR, RAW_LIST)
	KEYS_WHEN(RAW_SCALAR, RAW_LIST)
};
struct raw_limit {
	KEYS_LIMIT(RAW_SCALAR, RAW_LIST)
	KEYS_WHEN(RAW_SCALAR, RAW_LIST)
};
struct raw_price {
	KEYS_PRICE(RAW_SCALAR, RAW_LIST)
};
struct raw_test {
	KEYS_TEST(RAW_SCALAR, RAW_LIST)
};
struct raw_policy {
	struct raw_default fallback;
	struct raw_group *groups;
	unsigned groups_count;
	struct raw_rule *rules;
	unsigned rules_count;
	struct raw_limit *limits;
	unsigned limits_count;
	struct raw_price *prices;
	unsigned prices_count;
	struct raw_test *tests;
	unsigned tests_count;
};

#define RAW raw_default
#define OUT rule_default
static const cyaml_schema_field_t default_fields[] = {
	KEYS_DEFAULT(FIELD_SCALAR, FIELD_LIST) CYAML_FIELD_END};
static const struct key default_keys[] = {KEYS_DEFAULT(ROW_SCALAR, ROW_LIST)};
#undef RAW
#undef OUT
#define RAW raw_group
#define OUT rule_group
static const cyaml_schema_field_t group_fields[] = {
	KEYS_GROUP(FIELD_SCALAR, FIELD_LIST) CYAML_FIELD_END};
static const struct key group_keys[] = {KEYS_GROUP(ROW_SCALAR, ROW_LIST)};
#undef RAW
#undef OUT
#define RAW raw_rule
#define OUT rule
static const cyaml_schema_field_t rule_fields[] = {
	KEYS_RULE(FIELD_SCALAR, FIELD_LIST) KEYS_WHEN(FIELD_SCALAR, FIELD_LIST) CYAML_FIELD_END};
static const struct key rule_keys[] = {
	KEYS_RULE(ROW_SCALAR, ROW_LIST) KEYS_WHEN(ROW_SCALAR, ROW_LIST)};
#undef RAW
#undef OUT
#define RAW raw_limit
#define OUT limit
static const cyaml_schema_field_t limit_fields[] = {
	KEYS_LIMIT(FIELD_SCALAR, FIELD_LIST) KEYS_WHEN(FIELD_SCALAR, FIELD_LIST) CYAML_FIELD_END};
static const struct key limit_keys[] = {KEYS_LIMIT(ROW_SCALAR, ROW_LIST)};
#undef OUT
/* The conditions of a limit are those of a rule, which lies in it. */
#define OUT rule
static const struct key limit_when_keys[] = {KEYS_WHEN(ROW_SCALAR, ROW_LIST)};
#undef RAW
#undef OUT
#define RAW raw_price
#define OUT price
static const cyaml_schema_field_t price_fields[] = {
	KEYS_PRICE(FIELD_SCALAR, FIELD_LIST) CYAML_FIELD_END};
static const struct key price_keys[] = {KEYS_PRICE(ROW_SCALAR, ROW_LIST)};
#undef RAW
#undef OUT
#define RAW raw_test
#define OUT policy_test
static const cyaml_schema_field_t test_fields[] = {
	KEYS_TEST(FIELD_SCALAR, FIELD_LIST) CYAML_FIELD_END};
static const struct key test_keys[] = {KEYS_TEST(ROW_SCALAR, ROW_LIST)};
#undef RAW
#undef OUT

static const struct section section_default = {"default", default_keys, COUNT(default_keys), 0, 0};
static const struct section section_group = {"groups", group_keys, COUNT(group_keys), 0, 0};
static const struct section section_rule = {"rules", rule_keys, COUNT(rule_keys), 0, 0};
static const struct section section_limit = {"limits", limit_keys, COUNT(limit_keys), 0, 0};
static const struct section section_limit_when = {
	"limits", limit_when_keys, COUNT(limit_when_keys), 0, 0};
static const struct section section_price = {"prices", price_keys, COUNT(price_keys), 0, 0};
static const struct section section_test = {"tests", test_keys, COUNT(test_keys), 0, 0};

static const cyaml_schema_value_t group_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_group, group_fields),
};
static const cyaml_schema_value_t rule_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_rule, rule_fields),
};
static const cyaml_schema_value_t limit_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_limit, limit_fields),
};
static const cyaml_schema_value_t price_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_price, price_fields),
};
static const cyaml_schema_value_t test_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_test, test_fields),
};
static const cyaml_schema_field_t policy_fields[] = {
	CYAML_FIELD_MAPPING("default", CYAML_FLAG_OPTIONAL, struct raw_policy, fallback,
		default_fields),
	CYAML_FIELD_SEQUENCE("groups", FIELD_FLAGS, struct raw_policy, groups, &group_entry, 0,
		CYAML_UNLIMITED),
	CYAML_FIELD_SEQUENCE("rules", FIELD_FLAGS, struct raw_policy, rules, &rule_entry, 0,
		CYAML_UNLIMITED),
	CYAML_FIELD_SEQUENCE("limits", FIELD_FLAGS, struct raw_policy, limits, &limit_entry, 0,
		CYAML_UNLIMITED),
	CYAML_FIELD_SEQUENCE("prices", FIELD_FLAGS, struct raw_policy, prices, &price_entry, 0,
		CYAML_UNLIMITED),
	CYAML_FIELD_SEQUENCE("tests", FIELD_FLAGS, struct raw_policy, tests, &test_entry, 0,
		CYAML_UNLIMITED),
	CYAML_FIELD_END};
static const cyaml_schema_value_t policy_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw_policy, policy_fields),
};

/* --- what one key cannot know about another --- */

static unsigned entry_line(const struct node *entry, const char *key)
{
	const struct node *value = node_find(entry, key);

	return value ? value->line : entry ? entry->line : 1;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp((*(const struct rule *const *)a)->name, (*(const struct rule *const *)b)->name);
}

/* An event names a rule by its name. */
static int check_names(const struct fill *f, const struct rule_set *set)
{
	const struct rule **sorted = calloc(set->nrules + 1, sizeof(struct rule *));

	if (!sorted)
		return fill_memory(f);
	for (size_t i = 0; i < set->nrules; i++)
		sorted[i] = &set->rules[i];
	qsort(sorted, set->nrules, sizeof(*sorted), compare_names);
	for (size_t i = 1; i < set->nrules; i++)
		if (strcmp(sorted[i]->name, sorted[i - 1]->name) == 0)
			problem_set(f->problems, EINVAL,
				"%s:%u: rules[%zu].name: expected each name once, found \"%s\" also "
				"in line %u",
				f->name, sorted[i]->line, (size_t)(sorted[i] - set->rules),
				sorted[i]->name, sorted[i - 1]->line);
	free(sorted);
	return 0;
}

/* Of the last, it stands in the file; of others, what follows is never asked. */
static void check_reach(const struct fill *f, const struct rule_set *set)
{
	for (size_t i = 0; i + 1 < set->nrules; i++)
		if (set->rules[i].action != RULE_SHADOW && !condition_any(&set->rules[i])) {
			problem_set(f->problems, EINVAL,
				"%s:%u: rules[%zu]: expected conditions, or no rule after it, found "
				"a rule that fits every call and %zu more that are never asked",
				f->name, set->rules[i].line, i, set->nrules - i - 1);
			return;
		}
}

static void check_ranges(
	const struct fill *f, const char *list, size_t i, unsigned line, const struct rule *r)
{
	if (r->size_below && r->size_below <= r->size_above)
		problem_set(f->problems, EINVAL,
			"%s:%u: %s[%zu].size_below: expected more than size_above, found a range "
			"that nothing is in",
			f->name, line, list, i);
	if (r->output_below && r->output_below <= r->output_above)
		problem_set(f->problems, EINVAL,
			"%s:%u: %s[%zu].output_below: expected more than output_above, found a "
			"range that nothing is in",
			f->name, line, list, i);
}

/* A name that is none would make a rule that never fits. */
static void check_operations(
	const struct fill *f, const char *list, size_t i, unsigned line, const struct rule *rule)
{
	for (size_t k = 0; k < rule->noperations; k++) {
		struct slice name = slice_of_string(rule->operations[k]);

		if (!operation_is_named(name) && !slice_matches(name, SLICE("unknown")))
			problem_set(f->problems, EINVAL,
				"%s:%u: %s[%zu].operations[%zu]: expected the name of an operation "
				"such as chat, responses or files, or unknown, found \"%s\"",
				f->name, line, list, i, k, log_quote(name).text);
	}
}

static bool has_rule(const struct rule_set *set, const char *name)
{
	for (size_t i = 0; i < set->nrules; i++)
		if (strcmp(set->rules[i].name, name) == 0)
			return true;
	return strcmp(name, RULE_DEFAULT_NAME) == 0;
}

static void check_tests(const struct fill *f, const struct policy_file *p)
{
	const struct node *entry = node_element(node_find(f->root, "tests"), 0);

	for (size_t i = 0; i < p->ntests; i++, entry = entry->next) {
		const char *const named[] = {p->tests[i].rule, p->tests[i].shadow};
		const char *const keys[] = {"rule", "shadow"};

		if (p->tests[i].source.bits != 128)
			problem_set(f->problems, EINVAL,
				"%s:%u: tests[%zu].source: expected one address, found a network",
				f->name, entry_line(entry, "source"), i);
		for (size_t k = 0; k < COUNT(named); k++)
			if (named[k] && !has_rule(&p->set, named[k]))
				problem_set(f->problems, EINVAL,
					"%s:%u: tests[%zu].%s: expected the name of a rule, or "
					"\"" RULE_DEFAULT_NAME "\", found \"%s\"",
					f->name, entry_line(entry, keys[k]), i, keys[k], named[k]);
	}
}

static int check_all(const struct fill *f, const struct policy_file *p)
{
	for (size_t i = 0; i < p->set.nrules; i++)
		if (strcmp(p->set.rules[i].name, RULE_DEFAULT_NAME) == 0)
			problem_set(f->problems, EINVAL,
				"%s:%u: rules[%zu].name: expected another name, found \"%s\", which "
				"is what holds without a rule",
				f->name, p->set.rules[i].line, i, RULE_DEFAULT_NAME);
	check_reach(f, &p->set);
	for (size_t i = 0; i < p->set.nrules; i++) {
		check_ranges(f, "rules", i, p->set.rules[i].line, &p->set.rules[i]);
		check_operations(f, "rules", i, p->set.rules[i].line, &p->set.rules[i]);
	}
	for (size_t i = 0; i < p->limits.nlimits; i++) {
		const struct limit *limit = &p->limits.limits[i];

		check_ranges(f, "limits", i, limit->line, &limit->when);
		check_operations(f, "limits", i, limit->line, &limit->when);
	}
	policy_limits_check(f->name, &p->limits, f->problems);
	check_tests(f, p);
	return check_names(f, &p->set);
}

/* --- the whole --- */

static void note_lines(const struct fill *f, struct policy_file *p)
{
	const struct node *rule = node_element(node_find(f->root, "rules"), 0);
	const struct node *test = node_element(node_find(f->root, "tests"), 0);
	const struct node *limit = node_element(node_find(f->root, "limits"), 0);
	const struct node *price = node_element(node_find(f->root, "prices"), 0);

	for (size_t i = 0; i < p->limits.nlimits && limit; i++, limit = limit->next)
		p->limits.limits[i].line = limit->line;
	for (size_t i = 0; i < p->limits.nprices && price; i++, price = price->next)
		p->limits.prices[i].line = price->line;
	for (size_t i = 0; i < p->set.nrules && rule; i++, rule = rule->next)
		p->set.rules[i].line = rule->line;
	for (size_t i = 0; i < p->ntests && test; i++, test = test->next)
		p->tests[i].line = test->line;
}

/* Memory for a list, with one more than it has: calloc(0) may be NULL. */
static int make_lists(const struct fill *f, const struct raw_policy *raw, struct policy_file *p)
{
	p->set.groups = calloc(raw->groups_count + 1, sizeof(*p->set.groups));
	p->set.rules = calloc(raw->rules_count + 1, sizeof(*p->set.rules));
	p->limits.limits = calloc(raw->limits_count + 1, sizeof(*p->limits.limits));
	p->limits.prices = calloc(raw->prices_count + 1, sizeof(*p->limits.prices));
	p->tests = calloc(raw->tests_count + 1, sizeof(*p->tests));
	return p->set.groups && p->set.rules && p->limits.limits && p->limits.prices && p->tests
		       ? 0
		       : fill_memory(f);
}

static int read_limits(
	const struct fill *f, const struct raw_policy *raw, struct limit_set *limits)
{
	size_t again;
	int error = fill_entries(f, &section_limit, (const char *)raw->limits,
		sizeof(*raw->limits), raw->limits_count, (char *)limits->limits,
		sizeof(*limits->limits), &limits->nlimits);

	if (!error)
		error = fill_entries(f, &section_limit_when, (const char *)raw->limits,
			sizeof(*raw->limits), raw->limits_count,
			(char *)limits->limits + offsetof(struct limit, when),
			sizeof(*limits->limits), &again);
	if (!error)
		error = fill_entries(f, &section_price, (const char *)raw->prices,
			sizeof(*raw->prices), raw->prices_count, (char *)limits->prices,
			sizeof(*limits->prices), &limits->nprices);
	return error;
}

static int read_all(const struct fill *f, const struct raw_policy *raw, struct policy_file *p)
{
	const struct node *node = node_find(f->root, "default");
	int error = make_lists(f, raw, p);

	if (!error && !(node && node->refused))
		error = fill_section(
			f, &section_default, "default", node, &raw->fallback, &p->set.fallback);
	if (!error)
		error = fill_entries(f, &section_group, (const char *)raw->groups,
			sizeof(*raw->groups), raw->groups_count, (char *)p->set.groups,
			sizeof(*p->set.groups), &p->set.ngroups);
	if (!error)
		error = fill_entries(f, &section_rule, (const char *)raw->rules,
			sizeof(*raw->rules), raw->rules_count, (char *)p->set.rules,
			sizeof(*p->set.rules), &p->set.nrules);
	if (!error)
		error = read_limits(f, raw, &p->limits);
	if (!error)
		error = fill_entries(f, &section_test, (const char *)raw->tests,
			sizeof(*raw->tests), raw->tests_count, (char *)p->tests, sizeof(*p->tests),
			&p->ntests);
	return error;
}

static int read_tree(const struct fill *f, struct node *root, struct slice yaml,
	struct policy_file *p)
{
	static const struct raw_policy nothing;
	void *raw = NULL;
	int error;

	fill_verify(f, policy_fields, root);
	error = fill_raw(f, &policy_schema, yaml, &raw);
	if (!error)
		error = read_all(f, raw ? raw : &nothing, p);
	fill_raw_free(&policy_schema, raw);
	note_lines(f, p);
	/* What contradicts each other must make sense by itself. */
	if (!error && !f->problems->count)
		error = check_all(f, p);
	return !error && f->problems->count ? -EINVAL : error;
}

int policy_file_parse(const char *name, struct slice yaml, struct policy_file **file,
	void (*told)(void *context, const char *problem), void *context, size_t *count,
	struct why *why)
{
	struct problems problems = {.told = told, .context = context, .why = why};
	struct why first;
	struct node *root = tree_parse(name, yaml, &first);
	struct fill f = {.name = name, .root = root, .problems = &problems};
	struct policy_file *p = root ? calloc(1, sizeof(*p)) : NULL;
	int error = !root ? problem_set(&problems, EINVAL, "%s", first.text)
		    : !p  ? fill_memory(&f)
			  : read_tree(&f, root, yaml, p);

	if (!error) {
		p->policy = policy_new(&p->set);
		error = p->policy ? 0 : fill_memory(&f);
	}
	node_free(root);
	if (error) {
		policy_file_free(p);
		p = NULL;
	}
	*file = p;
	if (count)
		*count = problems.count;
	return error;
}

struct policy_file *policy_file_none(void)
{
	struct policy_file *file;

	return policy_file_parse("policy", SLICE_NONE, &file, NULL, NULL, NULL, NULL) ? NULL : file;
}

static void free_list(const struct section *section, void *list, size_t n, size_t size)
{
	for (size_t i = 0; i < n; i++)
		fill_free(section, (char *)list + i * size);
	free(list);
}

void policy_file_free(struct policy_file *p)
{
	if (!p)
		return;
	policy_free(p->policy);
	free_list(&section_group, p->set.groups, p->set.ngroups, sizeof(*p->set.groups));
	free_list(&section_rule, p->set.rules, p->set.nrules, sizeof(*p->set.rules));
	for (size_t i = 0; i < p->limits.nlimits; i++)
		fill_free(&section_limit_when, &p->limits.limits[i].when);
	free_list(&section_limit, p->limits.limits, p->limits.nlimits, sizeof(*p->limits.limits));
	free_list(&section_price, p->limits.prices, p->limits.nprices, sizeof(*p->limits.prices));
	free_list(&section_test, p->tests, p->ntests, sizeof(*p->tests));
	free(p);
}
