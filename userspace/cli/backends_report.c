// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/backends_report.h"

#include <inttypes.h>

#include "backend/breaker.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/json_print.h"

/* ---- what there is ---- */

static bool is_of(const struct standing_row *row, const char *backend)
{
	return strncmp(row->backend, backend, STANDING_NAME - 1) == 0;
}

static void each_backend(const struct backends_report *report, const struct config_pool *pool,
	const struct config_backend *backend, backends_take *take, void *context)
{
	take(context, pool, backend,
		standing_find(report->standing, slice_of_string(backend->name), SLICE_NONE));
	for (size_t i = 0; i < STANDING_ROWS; i++) {
		const struct standing_row *row = standing_at(report->standing, i);

		if (row && row->deployment[0] && is_of(row, backend->name))
			take(context, pool, backend, row);
	}
}

void backends_report_each(const struct backends_report *report, backends_take *take, void *context)
{
	const struct config *config = report->config;

	for (size_t i = 0; i < config->npools; i++)
		for (size_t j = 0; j < config->pools[i].nbackends; j++)
			each_backend(report, &config->pools[i], config->pools[i].backends[j], take,
				context);
	for (size_t i = 0; i < config->nbackends; i++) {
		bool named = false;

		for (size_t j = 0; j < config->nhosts; j++)
			named |= config->hosts[j].backend == &config->backends[i];
		if (named)
			each_backend(report, NULL, &config->backends[i], take, context);
	}
}

static uint64_t value(const _Atomic uint64_t *at)
{
	return atomic_load_explicit(at, memory_order_relaxed);
}

/* Who asks of a row that does not exist sees one without anything. */
static const struct standing_row nothing;

/* ---- for people ---- */

struct text {
	const struct backends_report *report;
	FILE *out;
	const struct config_pool *pool; /* told last */
	bool begun;
};

/* Of a backend as a whole what is used of its capacity counts as well. */
static enum breaker_state state_of(const struct config_backend *backend,
	const struct standing_row *row, uint64_t now_ns, uint64_t *until_ns)
{
	enum breaker_state state = breaker_state(row, now_ns, until_ns);

	if (state != BREAKER_CLOSED || row->deployment[0] || !backend->capacity ||
		breaker_spent(row, now_ns) < backend->capacity)
		return state;
	*until_ns = breaker_minute_end(now_ns);
	return BREAKER_LOW;
}

static void text_state(const struct text *t, const struct config_backend *backend,
	const struct standing_row *row)
{
	uint64_t until_ns, now_ns = t->report->now_ns;
	enum breaker_state state = state_of(backend, row, now_ns, &until_ns);
	char left[32] = "";

	if (until_ns > now_ns)
		snprintf(left, sizeof(left), " %" PRIu64 "s",
			(uint64_t)((until_ns - now_ns) / NS_PER_S + 1));
	fprintf(t->out, "%s%s", breaker_state_name(state), left);
	if (value(&row->open_until_ns))
		fprintf(t->out, " (%s)",
			backend_outcome_name((enum backend_outcome)value(&row->reason)));
}

static void text_row(void *context, const struct config_pool *pool,
	const struct config_backend *backend, const struct standing_row *row)
{
	struct text *t = context;
	uint64_t input;
	char name[80];

	if (!t->begun || pool != t->pool)
		fprintf(t->out, "%s%s%s\n%-34s %4s %6s %8s %8s %8s %6s  %s\n", t->begun ? "\n" : "",
			pool ? "pool " : "backends of hosts", pool ? pool->name : "", "backend",
			"prio", "weight", "calls", "failed", "limited", "cached", "state");
	t->begun = true;
	t->pool = pool;
	if (!row)
		row = &nothing;
	if (row->deployment[0])
		snprintf(name, sizeof(name), "  %.*s",
			(int)strnlen(log_quote(slice_of_string(row->deployment)).text, 60),
			log_quote(slice_of_string(row->deployment)).text);
	else
		snprintf(name, sizeof(name), "%s%s%s", backend->name, backend->region ? " " : "",
			backend->region ? backend->region : "");
	fprintf(t->out, "%-34s ", name);
	if (row->deployment[0])
		fprintf(t->out, "%4s %6s ", "", "");
	else
		fprintf(t->out, "%4u %6u ", backend->priority, backend->weight);
	fprintf(t->out, "%8" PRIu64 " %8" PRIu64 " %8" PRIu64 " ", value(&row->calls),
		value(&row->failed), value(&row->throttled));
	input = value(&row->input_tokens);
	if (input)
		fprintf(t->out, "%5.1f%%  ", 100.0 * (double)value(&row->cached_tokens) / (double)input);
	else
		fprintf(t->out, "%6s  ", "-");
	text_state(t, backend, row);
	fputc('\n', t->out);
}

void backends_report_text(const struct backends_report *report, FILE *out)
{
	struct text text = {.report = report, .out = out};

	backends_report_each(report, text_row, &text);
}

/* ---- for programs ---- */

struct json {
	const struct backends_report *report;
	yyjson_mut_doc *doc;
	yyjson_mut_val *list;
};

static void json_left(struct json *j, yyjson_mut_val *o, const char *name, uint64_t kept)
{
	if (kept)
		yyjson_mut_obj_add_uint(j->doc, o, name, kept - 1);
}

static void json_row(void *context, const struct config_pool *pool,
	const struct config_backend *backend, const struct standing_row *row)
{
	struct json *j = context;
	yyjson_mut_val *o = yyjson_mut_arr_add_obj(j->doc, j->list);
	const struct standing_row *r = row ? row : &nothing;
	uint64_t until_ns, now_ns = j->report->now_ns;
	enum breaker_state state = state_of(backend, r, now_ns, &until_ns);

	if (pool)
		yyjson_mut_obj_add_str(j->doc, o, "pool", pool->name);
	yyjson_mut_obj_add_str(j->doc, o, "backend", backend->name);
	if (backend->region)
		yyjson_mut_obj_add_str(j->doc, o, "region", backend->region);
	if (backend->kind)
		yyjson_mut_obj_add_str(j->doc, o, "kind", config_kind_name(backend->kind));
	if (backend->capacity && !r->deployment[0]) {
		yyjson_mut_obj_add_uint(j->doc, o, "capacity", backend->capacity);
		yyjson_mut_obj_add_uint(j->doc, o, "tokens_this_minute", breaker_spent(r, now_ns));
	}
	if (r->deployment[0])
		yyjson_mut_obj_add_strncpy(
			j->doc, o, "deployment", r->deployment, strnlen(r->deployment, STANDING_NAME));
	yyjson_mut_obj_add_uint(j->doc, o, "priority", backend->priority);
	yyjson_mut_obj_add_uint(j->doc, o, "weight", backend->weight);
	yyjson_mut_obj_add_str(j->doc, o, "state", breaker_state_name(state));
	if (until_ns > now_ns)
		yyjson_mut_obj_add_uint(j->doc, o, "for_ms", (until_ns - now_ns) / NS_PER_MS);
	if (value(&r->open_until_ns))
		yyjson_mut_obj_add_str(j->doc, o, "reason",
			backend_outcome_name((enum backend_outcome)value(&r->reason)));
	yyjson_mut_obj_add_uint(j->doc, o, "calls", value(&r->calls));
	yyjson_mut_obj_add_uint(j->doc, o, "failed", value(&r->failed));
	yyjson_mut_obj_add_uint(j->doc, o, "throttled", value(&r->throttled));
	yyjson_mut_obj_add_uint(j->doc, o, "opened", value(&r->tripped));
	yyjson_mut_obj_add_uint(j->doc, o, "input_tokens", value(&r->input_tokens));
	yyjson_mut_obj_add_uint(j->doc, o, "cached_tokens", value(&r->cached_tokens));
	json_left(j, o, "remaining_requests", value(&r->remaining_requests));
	json_left(j, o, "remaining_tokens", value(&r->remaining_tokens));
}

int backends_report_json(const struct backends_report *report, FILE *out)
{
	struct json json = {.report = report, .doc = yyjson_mut_doc_new(NULL)};
	yyjson_mut_val *root = json.doc ? yyjson_mut_obj(json.doc) : NULL;

	if (root) {
		yyjson_mut_doc_set_root(json.doc, root);
		yyjson_mut_obj_add_str(
			json.doc, root, "appliance", report->config->appliance.name);
		json.list = yyjson_mut_obj_add_arr(json.doc, root, "backends");
		backends_report_each(report, json_row, &json);
	}
	return json_print(json.doc, YYJSON_WRITE_PRETTY, out);
}
