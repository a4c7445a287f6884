// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/condition.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "openai/request_tool.h"

#define DAY (24 * 60)

/* ---- texts ---- */

static enum fit any_text(char *const *patterns, size_t n, struct slice text)
{
	for (size_t i = 0; i < n; i++)
		if (slice_matches(slice_of_string(patterns[i]), text))
			return FIT_YES;
	return FIT_NO;
}

static enum fit any_number(const int *numbers, size_t n, int number)
{
	for (size_t i = 0; i < n; i++)
		if (numbers[i] == number)
			return FIT_YES;
	return FIT_NO;
}

enum fit condition_body(const struct policy_facts *f)
{
	if (!f->body_final)
		return FIT_PENDING;
	return f->body == RULE_BODY_NONE || f->body == RULE_BODY_READ ? FIT_YES : FIT_NEVER;
}

enum fit condition_model(const struct policy_facts *f, struct slice *model)
{
	enum fit known = condition_body(f);

	*model = f->deployment.len ? f->deployment : f->model;
	if (f->deployment.len)
		return FIT_YES;
	return known == FIT_YES && f->stored_prompt && !f->model.len ? FIT_NEVER : known;
}

static int put_text(struct buf *out, struct slice text)
{
	return buf_append_slice(out, text.len ? text : SLICE("none"));
}

static int put_name(struct buf *out, const char *const *names, unsigned number)
{
	return buf_append_slice(out, slice_of_string(names[number]));
}

/* "not known yet", when it is not. */
static int put_fact(struct buf *out, enum fit known, struct slice text)
{
	if (known == FIT_YES)
		return put_text(out, text);
	return buf_append_slice(
		out, known == FIT_NEVER ? SLICE("never known") : SLICE("not known yet"));
}

/* ---- one by one ---- */

static bool groups_set(const struct rule *r)
{
	return r->ngroups;
}

static enum fit groups_fit(const struct rule *r, const struct policy_facts *f)
{
	for (size_t i = 0; i < f->ngroups; i++)
		if (any_text(r->groups, r->ngroups, f->groups[i]) == FIT_YES)
			return FIT_YES;
	return FIT_NO;
}

static int groups_found(const struct policy_facts *f, struct buf *out)
{
	int error = f->ngroups ? 0 : buf_append_slice(out, SLICE("none"));

	for (size_t i = 0; i < f->ngroups && !error; i++)
		error = buf_printf(out, "%s%.*s", i ? ", " : "", SLICE_ARG(f->groups[i]));
	return error;
}

static bool sources_set(const struct rule *r)
{
	return r->nsources;
}

static enum fit sources_fit(const struct rule *r, const struct policy_facts *f)
{
	for (size_t i = 0; i < r->nsources; i++)
		if (prefix_contains(&r->sources[i], &f->source))
			return FIT_YES;
	return FIT_NO;
}

static int sources_found(const struct policy_facts *f, struct buf *out)
{
	struct address_text text = address_format(&f->source);

	return buf_append_slice(out, slice_of_string(text.text));
}

static bool credentials_set(const struct rule *r)
{
	return r->ncredentials;
}

static enum fit credentials_fit(const struct rule *r, const struct policy_facts *f)
{
	return any_number(r->credentials, r->ncredentials, (int)f->credential);
}

static int credentials_found(const struct policy_facts *f, struct buf *out)
{
	static const char *const names[] = {"none", "issued", "service", "other"};

	return put_name(out, names, f->credential);
}

static bool keys_set(const struct rule *r)
{
	return r->nkeys;
}

static enum fit keys_fit(const struct rule *r, const struct policy_facts *f)
{
	return any_text(r->keys, r->nkeys, f->key_id);
}

static int keys_found(const struct policy_facts *f, struct buf *out)
{
	return put_text(out, f->key_id);
}

static bool operations_set(const struct rule *r)
{
	return r->noperations;
}

static enum fit operations_fit(const struct rule *r, const struct policy_facts *f)
{
	return any_text(r->operations, r->noperations, f->operation);
}

static int operations_found(const struct policy_facts *f, struct buf *out)
{
	return put_text(out, f->operation);
}

static bool models_set(const struct rule *r)
{
	return r->nmodels;
}

static enum fit models_fit(const struct rule *r, const struct policy_facts *f)
{
	struct slice model;
	enum fit known = condition_model(f, &model);

	return known == FIT_YES ? any_text(r->models, r->nmodels, model) : known;
}

static int models_found(const struct policy_facts *f, struct buf *out)
{
	struct slice model;
	enum fit known = condition_model(f, &model);

	return put_fact(out, known, model);
}

static bool hosts_set(const struct rule *r)
{
	return r->nhosts;
}

static enum fit hosts_fit(const struct rule *r, const struct policy_facts *f)
{
	return any_text(r->hosts, r->nhosts, f->host);
}

static int hosts_found(const struct policy_facts *f, struct buf *out)
{
	return put_text(out, f->host);
}

static bool api_versions_set(const struct rule *r)
{
	return r->napi_versions;
}

static enum fit api_versions_fit(const struct rule *r, const struct policy_facts *f)
{
	return any_text(r->api_versions, r->napi_versions, f->api_version);
}

static int api_versions_found(const struct policy_facts *f, struct buf *out)
{
	return put_text(out, f->api_version);
}

static bool dialects_set(const struct rule *r)
{
	return r->ndialects;
}

static enum fit dialects_fit(const struct rule *r, const struct policy_facts *f)
{
	return any_number(r->dialects, r->ndialects, (int)f->dialect);
}

static int dialects_found(const struct policy_facts *f, struct buf *out)
{
	static const char *const names[] = {"azure", "azure-v1", "openai", "anthropic"};

	return put_name(out, names, f->dialect);
}

static bool stream_set(const struct rule *r)
{
	return r->stream != RULE_ANY;
}

static enum fit flag_fit(int wanted, bool found, const struct policy_facts *f)
{
	enum fit known = condition_body(f);

	return known != FIT_YES ? known : (wanted == RULE_TRUE) == found ? FIT_YES : FIT_NO;
}

static enum fit stream_fit(const struct rule *r, const struct policy_facts *f)
{
	return flag_fit(r->stream, f->stream, f);
}

static int stream_found(const struct policy_facts *f, struct buf *out)
{
	return put_fact(out, condition_body(f), f->stream ? SLICE("true") : SLICE("false"));
}

static bool store_set(const struct rule *r)
{
	return r->store != RULE_ANY;
}

static enum fit store_fit(const struct rule *r, const struct policy_facts *f)
{
	return flag_fit(r->store, f->store, f);
}

static int store_found(const struct policy_facts *f, struct buf *out)
{
	return put_fact(out, condition_body(f), f->store ? SLICE("true") : SLICE("false"));
}

static bool background_set(const struct rule *r)
{
	return r->background != RULE_ANY;
}

static enum fit background_fit(const struct rule *r, const struct policy_facts *f)
{
	return flag_fit(r->background, f->background, f);
}

static int background_found(const struct policy_facts *f, struct buf *out)
{
	return put_fact(out, condition_body(f), f->background ? SLICE("true") : SLICE("false"));
}

static bool service_tiers_set(const struct rule *r)
{
	return r->nservice_tiers;
}

static enum fit service_tiers_fit(const struct rule *r, const struct policy_facts *f)
{
	enum fit known = condition_body(f);

	return known == FIT_YES ? any_text(r->service_tiers, r->nservice_tiers, f->service_tier)
				: known;
}

static int service_tiers_found(const struct policy_facts *f, struct buf *out)
{
	return put_fact(out, condition_body(f), f->service_tier);
}

static bool tools_set(const struct rule *r)
{
	return r->ntools;
}

static enum fit tools_fit(const struct rule *r, const struct policy_facts *f)
{
	enum fit known = condition_body(f);

	for (size_t i = 0; known == FIT_YES && i < r->ntools; i++)
		if (f->tools >> r->tools[i] & 1)
			return FIT_YES;
	return known != FIT_YES ? known : f->stored_prompt ? FIT_NEVER : FIT_NO;
}

static int tools_found(const struct policy_facts *f, struct buf *out)
{
	enum fit known = condition_body(f);
	int error = 0;

	if (known != FIT_YES || !f->tools)
		return put_fact(out, known, SLICE_NONE);
	for (unsigned i = 0; i < REQUEST_TOOLS && !error; i++)
		if (f->tools >> i & 1)
			error = buf_printf(out, "%s%s", f->tools & ((1u << i) - 1) ? ", " : "",
				request_tool_name((enum request_tool)i));
	return error;
}

static bool size_set(const struct rule *r)
{
	return r->size_above || r->size_below;
}

static enum fit size_fit(const struct rule *r, const struct policy_facts *f)
{
	if (r->size_below && f->size >= r->size_below)
		return FIT_NO;
	if (f->size_final)
		return f->size > r->size_above || !r->size_above ? FIT_YES : FIT_NO;
	return !r->size_below && f->size > r->size_above ? FIT_YES : FIT_PENDING;
}

static int size_found(const struct policy_facts *f, struct buf *out)
{
	return buf_printf(out, "%s%" PRIu64, f->size_final ? "" : "at least ", f->size);
}

static bool output_set(const struct rule *r)
{
	return r->output_above || r->output_below;
}

static enum fit output_fit(const struct rule *r, const struct policy_facts *f)
{
	uint64_t most = f->output_given ? f->output : UINT64_MAX;
	enum fit known = condition_body(f);

	if (known != FIT_YES)
		return known;
	if (r->output_above && most <= r->output_above)
		return FIT_NO;
	return !r->output_below || most < r->output_below ? FIT_YES : FIT_NO;
}

static int output_found(const struct policy_facts *f, struct buf *out)
{
	char number[32];

	snprintf(number, sizeof(number), "%" PRIu64, f->output);
	return put_fact(out, condition_body(f),
		f->output_given ? slice_of_string(number) : SLICE("no limit"));
}

static bool bodies_set(const struct rule *r)
{
	return r->nbodies;
}

static enum fit bodies_fit(const struct rule *r, const struct policy_facts *f)
{
	if (!f->body_final)
		return FIT_PENDING;
	return any_number(r->bodies, r->nbodies, (int)f->body);
}

static int bodies_found(const struct policy_facts *f, struct buf *out)
{
	static const char *const names[] = {"none", "read", "unreadable", "unread"};

	return f->body_final ? put_name(out, names, f->body)
			     : put_fact(out, FIT_PENDING, SLICE_NONE);
}

static bool time_set(const struct rule *r)
{
	return r->ndays || r->hours.from != r->hours.to;
}

/* After midnight a window that spans it is of the day on which it began. */
static enum fit time_fit(const struct rule *r, const struct policy_facts *f)
{
	unsigned day = f->minute / DAY, minute = f->minute % DAY;
	const struct rule_hours *hours = &r->hours;
	bool all_day = hours->from == hours->to;

	if (!all_day && hours->from < hours->to &&
		(minute < hours->from || minute >= hours->to))
		return FIT_NO;
	if (!all_day && hours->from > hours->to && minute < hours->from) {
		if (minute >= hours->to)
			return FIT_NO;
		day = (day + 6) % 7;
	}
	return r->ndays ? any_number(r->days, r->ndays, (int)day) : FIT_YES;
}

static int time_found(const struct policy_facts *f, struct buf *out)
{
	static const char *const days[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

	return buf_printf(out, "%s %02u:%02u", days[f->minute / DAY % 7], f->minute % DAY / 60,
		f->minute % 60);
}

#define CONDITION(name, indexed) {#name, indexed, name##_set, name##_fit, name##_found}

const struct condition conditions[CONDITION_COUNT] = {
	CONDITION(groups, true),
	CONDITION(sources, true),
	CONDITION(credentials, false),
	CONDITION(keys, true),
	CONDITION(operations, true),
	CONDITION(models, true),
	CONDITION(hosts, true),
	CONDITION(api_versions, true),
	CONDITION(dialects, false),
	CONDITION(stream, false),
	CONDITION(store, false),
	CONDITION(background, false),
	CONDITION(service_tiers, false),
	CONDITION(tools, false),
	CONDITION(size, false),
	CONDITION(output, false),
	CONDITION(bodies, false),
	CONDITION(time, false),
};

enum fit condition_all(const struct rule *rule, const struct policy_facts *facts, bool indexed)
{
	enum fit least = FIT_YES;

	for (size_t i = 0; i < CONDITION_COUNT && least != FIT_NO; i++) {
		enum fit fit;

		if ((conditions[i].indexed && !indexed) || !conditions[i].set(rule))
			continue;
		fit = conditions[i].fit(rule, facts);
		if (fit < least)
			least = fit;
	}
	return least;
}

bool condition_any(const struct rule *rule)
{
	for (size_t i = 0; i < CONDITION_COUNT; i++)
		if (conditions[i].set(rule))
			return true;
	return false;
}
