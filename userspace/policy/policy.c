// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/condition.h"
#include "policy/matcher.h"

/* What is looked up for all rules at once. */
enum index {
	INDEX_GROUP,
	INDEX_SOURCE,
	INDEX_KEY,
	INDEX_OPERATION,
	INDEX_MODEL,
	INDEX_HOST,
	INDEX_API_VERSION,
	INDEX_COUNT
};

struct policy {
	const struct rule_set *set;
	bool hides;
	struct matcher index[INDEX_COUNT];
	struct matcher groups; /* which groups an address is in */
	struct bits in_groups; /* likewise: scratch */
	/* Of the call that is looked at: which rules may fit yet; which do as far as is indexed. */
	struct bits maybe, sure, found;
	struct bits all;
};

/* ---- making it ---- */

static int add_texts(struct matcher *index, char *const *texts, size_t n, uint32_t rule)
{
	int error = 0;

	for (size_t i = 0; i < n && !error; i++)
		error = matcher_add(index, slice_of_string(texts[i]), rule);
	return error;
}

static int add_rule(struct policy *p, const struct rule *r, uint32_t number)
{
	int error = add_texts(&p->index[INDEX_GROUP], r->groups, r->ngroups, number);

	for (size_t i = 0; i < r->nsources && !error; i++)
		error = matcher_add_prefix(&p->index[INDEX_SOURCE], &r->sources[i], number);
	if (!error)
		error = add_texts(&p->index[INDEX_KEY], r->keys, r->nkeys, number);
	if (!error)
		error = add_texts(
			&p->index[INDEX_OPERATION], r->operations, r->noperations, number);
	if (!error)
		error = add_texts(&p->index[INDEX_MODEL], r->models, r->nmodels, number);
	if (!error)
		error = add_texts(&p->index[INDEX_HOST], r->hosts, r->nhosts, number);
	if (!error)
		error = add_texts(&p->index[INDEX_API_VERSION], r->api_versions,
			r->napi_versions, number);
	return error;
}

static int add_group(struct policy *p, const struct rule_group *group, uint32_t number)
{
	int error = 0;

	for (size_t i = 0; i < group->nsources && !error; i++)
		error = matcher_add_prefix(&p->groups, &group->sources[i], number);
	return error;
}

static int fill(struct policy *p)
{
	const struct rule_set *set = p->set;
	struct bits *const all[] = {&p->maybe, &p->sure, &p->found, &p->all};
	int error = matcher_init(&p->groups, set->ngroups);

	for (size_t i = 0; i < INDEX_COUNT && !error; i++)
		error = matcher_init(&p->index[i], set->nrules);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && !error; i++)
		error = bits_make(all[i], set->nrules);
	if (!error)
		error = bits_make(&p->in_groups, set->ngroups);
	for (size_t i = 0; i < set->nrules && !error; i++) {
		bits_set(&p->all, i);
		error = add_rule(p, &set->rules[i], (uint32_t)i);
	}
	for (size_t i = 0; i < set->ngroups && !error; i++)
		error = add_group(p, &set->groups[i], (uint32_t)i);
	return error;
}

struct policy *policy_new(const struct rule_set *set)
{
	struct policy *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->set = set;
	p->hides = set->fallback.log != RULE_LOG_CONTENT;
	for (size_t i = 0; i < set->nrules; i++)
		p->hides |= set->rules[i].log != RULE_LOG_CONTENT;
	if (!fill(p))
		return p;
	policy_free(p);
	return NULL;
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < INDEX_COUNT; i++)
		matcher_free(&p->index[i]);
	matcher_free(&p->groups);
	bits_free(&p->in_groups);
	bits_free(&p->maybe);
	bits_free(&p->sure);
	bits_free(&p->found);
	bits_free(&p->all);
	free(p);
}

/* ---- sets of rules ---- */

static void clear(struct bits *bits)
{
	memset(bits->words, 0, bits->n * sizeof(*bits->words));
}

/* The next that is in the set, from i on; SIZE_MAX: none. */
static size_t next_of(const struct bits *bits, size_t i)
{
	for (size_t word = i / 64; word < bits->n; word++, i = word * 64) {
		uint64_t left = bits->words[word] >> (i % 64);

		if (left)
			return i + (size_t)__builtin_ctzll(left);
	}
	return SIZE_MAX;
}

/* Leaves those that fit: by what was found, or because they say nothing of it. With a fact that is
 * not known, any that says something may fit, and none surely does. */
static void narrow(struct policy *p, const struct matcher *index, bool known)
{
	for (size_t i = 0; i < p->maybe.n; i++) {
		uint64_t fits = index->silent.words[i] | p->found.words[i];

		p->sure.words[i] &= fits;
		if (known)
			p->maybe.words[i] &= fits;
	}
}

static void narrow_text(struct policy *p, enum index which, struct slice text, bool known)
{
	const struct matcher *index = &p->index[which];

	if (!index->used)
		return;
	clear(&p->found);
	if (known)
		matcher_find(index, text, &p->found);
	narrow(p, index, known);
}

static void narrow_groups(struct policy *p, const struct policy_facts *f)
{
	const struct matcher *index = &p->index[INDEX_GROUP];

	if (!index->used)
		return;
	clear(&p->found);
	for (size_t i = 0; i < f->ngroups; i++)
		matcher_find(index, f->groups[i], &p->found);
	narrow(p, index, true);
}

static void narrow_source(struct policy *p, const struct policy_facts *f)
{
	const struct matcher *index = &p->index[INDEX_SOURCE];

	if (!index->used)
		return;
	clear(&p->found);
	matcher_find_address(index, &f->source, &p->found);
	narrow(p, index, true);
}

static void narrow_all(struct policy *p, const struct policy_facts *f)
{
	struct slice model;
	bool model_known = condition_model(f, &model) == FIT_YES;

	memcpy(p->maybe.words, p->all.words, p->all.n * sizeof(*p->all.words));
	memcpy(p->sure.words, p->all.words, p->all.n * sizeof(*p->all.words));
	narrow_groups(p, f);
	narrow_source(p, f);
	narrow_text(p, INDEX_KEY, f->key_id, true);
	narrow_text(p, INDEX_OPERATION, f->operation, true);
	narrow_text(p, INDEX_HOST, f->host, true);
	narrow_text(p, INDEX_API_VERSION, f->api_version, true);
	narrow_text(p, INDEX_MODEL, model, model_known);
}

/* ---- the questions ---- */

size_t policy_groups(
	struct policy *p, const struct address *address, struct slice *groups, size_t max)
{
	size_t n = 0;

	clear(&p->in_groups);
	matcher_find_address(&p->groups, address, &p->in_groups);
	for (size_t i = next_of(&p->in_groups, 0); i != SIZE_MAX && n < max;
		i = next_of(&p->in_groups, i + 1))
		groups[n++] = slice_of_string(p->set->groups[i].name);
	return n;
}

bool policy_hides(const struct policy *p)
{
	return p->hides;
}

/* Of a rule that may fit. */
static enum fit fit_of(const struct policy *p, size_t i, const struct policy_facts *f)
{
	bool sure = p->sure.words[i / 64] >> (i % 64) & 1;
	struct slice model;
	/* Of what is indexed the model alone may not be known. */
	enum fit indexed = sure ? FIT_YES : condition_model(f, &model);
	enum fit rest = condition_all(&p->set->rules[i], f, false);

	return rest < indexed ? rest : indexed;
}

static bool decided(const struct rule *rule, enum fit fit, struct policy_verdict *verdict)
{
	verdict->rule = rule;
	verdict->deny = rule->action == RULE_DENY;
	verdict->unknown = fit == FIT_NEVER;
	verdict->log = (enum rule_log)rule->log;
	return true;
}

bool policy_decide(
	struct policy *p, const struct policy_facts *f, struct policy_verdict *verdict)
{
	bool shadow_pending = false;

	*verdict = (struct policy_verdict){.log = (enum rule_log)p->set->fallback.log};
	narrow_all(p, f);
	for (size_t i = next_of(&p->maybe, 0); i != SIZE_MAX; i = next_of(&p->maybe, i + 1)) {
		const struct rule *rule = &p->set->rules[i];
		enum fit fit = fit_of(p, i, f);

		if (fit == FIT_NO)
			continue;
		if (rule->action == RULE_SHADOW) {
			shadow_pending |= fit == FIT_PENDING;
			if (fit >= FIT_NEVER && !verdict->shadow)
				verdict->shadow = rule;
			continue;
		}
		if (fit == FIT_PENDING)
			return false;
		/* What can never be known is held against the call. */
		if (fit == FIT_NEVER && rule->action == RULE_ALLOW)
			continue;
		return decided(rule, fit, verdict) && (verdict->deny || !shadow_pending);
	}
	verdict->deny = p->set->fallback.action == RULE_DENY;
	return verdict->deny || !shadow_pending;
}
