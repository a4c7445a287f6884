// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "collector/api_internal.h"

#define FACETS_SAMPLE 5000

/* ---- usage ---- */

struct usage_asked {
	struct api_question *q;
	char names[256];
	const char *by[QUERY_BY_MAX];
	size_t n;
};

/* "ip,model", as the command takes it. */
static int usage_split(struct usage_asked *asked, const char *text)
{
	char *rest = asked->names, *name;

	if (snprintf(asked->names, sizeof(asked->names), "%s", text) >= (int)sizeof(asked->names))
		return why_set(&asked->q->why, EINVAL, "by: too long");
	while ((name = strsep(&rest, ","))) {
		if (asked->n == QUERY_BY_MAX || !query_by_known(name))
			return why_set(&asked->q->why, EINVAL, "by %s: expected up to %d of%s",
				log_quote(slice_of_string(name)).text, QUERY_BY_MAX,
				query_by_names);
		asked->by[asked->n++] = name;
	}
	return 0;
}

static void usage_put(struct api_question *q, yyjson_mut_val *row, const struct query_usage *usage)
{
	yyjson_mut_obj_add_uint(q->doc, row, "calls", usage->calls);
	yyjson_mut_obj_add_uint(q->doc, row, "input_tokens", usage->input_tokens);
	yyjson_mut_obj_add_uint(q->doc, row, "output_tokens", usage->output_tokens);
	yyjson_mut_obj_add_uint(q->doc, row, "total_tokens", usage->total_tokens);
	yyjson_mut_obj_add_real(q->doc, row, "average_total_tokens", usage->average_total);
}

static int usage_row(void *context, const struct query_usage *usage)
{
	struct usage_asked *asked = context;
	yyjson_mut_val *row = api_row(asked->q);

	for (size_t i = 0; i < usage->nby; i++)
		yyjson_mut_obj_add(row, yyjson_mut_strcpy(asked->q->doc, asked->by[i]),
			yyjson_mut_strncpy(asked->q->doc,
				usage->by[i].len ? usage->by[i].data : "", usage->by[i].len));
	usage_put(asked->q, row, usage);
	return 0;
}

int api_usage(struct api_question *q)
{
	struct usage_asked asked = {.q = q};
	yyjson_mut_val *row;
	struct query_usage total;
	uint64_t rows;
	int error = usage_split(&asked, q->by ? q->by : "ip,model");

	if (q->completions) {
		q->filter.completions = true;
		if (!q->filter.outcome)
			q->filter.outcome = "success";
	}
	api_rows(q, "rows");
	if (!error)
		error = query_usage(q->api->query, asked.by, asked.n, &q->filter, q->limit,
			usage_row, &asked, &total, &rows, &q->why);
	if (error)
		return error;
	row = yyjson_mut_obj_add_obj(q->doc, q->root, "total");
	usage_put(q, row, &total);
	yyjson_mut_obj_add_uint(q->doc, row, "rows", rows);
	return 0;
}

/* ---- facets ---- */

static int facets_row(void *context, const struct query_facet *facet)
{
	struct api_question *q = context;
	yyjson_mut_val *row = api_row(q);

	api_put(q, row, "field", slice_of_string(facet->field));
	api_put(q, row, "value", facet->value);
	yyjson_mut_obj_add_uint(q->doc, row, "events", facet->events);
	return 0;
}

int api_facets(struct api_question *q)
{
	uint64_t sampled;
	int error;

	api_rows(q, "facets");
	error = query_facets(q->api->query, &q->filter, FACETS_SAMPLE, (unsigned)q->limit,
		facets_row, q, &sampled, &q->why);
	yyjson_mut_obj_add_uint(q->doc, q->root, "sampled", sampled);
	yyjson_mut_obj_add_bool(q->doc, q->root, "all", sampled < FACETS_SAMPLE);
	return error;
}

/* ---- sources ---- */

static int sources_row(void *context, const struct query_source *source)
{
	const struct {
		const char *name;
		uint64_t number;
	} numbers[] = {{"packets", source->packets}, {"bytes", source->bytes},
		{"packets_received", source->packets_received},
		{"bytes_received", source->bytes_received}, {"syns", source->syns},
		{"opened", source->opened}, {"active", source->active},
		{"steered", source->steered}, {"passed", source->passed}};
	struct api_question *q = context;
	yyjson_mut_val *row = api_row(q);

	api_time(q, row, "time", source->time_ns);
	api_put(q, row, "observer", source->observer);
	api_put(q, row, "ip", source->source_ip);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		yyjson_mut_obj_add_uint(q->doc, row, numbers[i].name, numbers[i].number);
	api_put(q, row, "drops", source->drops);
	return 0;
}

int api_sources(struct api_question *q)
{
	api_rows(q, "sources");
	return query_sources(
		q->api->query, &q->filter, q->limit, sources_row, q, &q->why);
}
