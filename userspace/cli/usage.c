// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "cli/cell.h"
#include "cli/command.h"
#include "cli/json_print.h"
#include "cli/review.h"
#include "cli/usage_sources.h"

#define USAGE_BY "ip,model"

static const char usage[] =
	"usage: sallyport usage [--by NAME[,NAME…]] [OPTIONS]\n"
	"       sallyport usage --sources [--limit NUMBER] [OPTIONS]\n"
	"\n"
	"Sums the tokens of successful completions and chat completions, most tokens first.\n"
	"With --sources: what each source address had sent and received in all when it was told\n"
	"last, also of those that never called, most bytes first.\n"
	"\n"
	"  --by NAMES         default " USAGE_BY
	"; of: ip model family operation outcome action error\n"
	"                     provider host backend user observer source status day hour minute\n"
	"  --all              every call, also of other operations and failed ones\n"
	"  --limit NUMBER     of rows; default 0: all";

struct usage {
	struct review *review;
	const char *by[QUERY_BY_MAX];
	size_t nby;
	char names[256];
};

/* Splits "ip,model" in place. */
static int usage_split(struct usage *u, const char *text)
{
	char *rest = u->names, *name;

	if (snprintf(u->names, sizeof(u->names), "%s", text) >= (int)sizeof(u->names))
		return -EINVAL;
	while ((name = strsep(&rest, ","))) {
		if (u->nby == QUERY_BY_MAX || !query_by_known(name)) {
			fprintf(stderr, "sallyport usage: --by %s: expected up to %d of%s\n", name,
				QUERY_BY_MAX, query_by_names);
			return -EINVAL;
		}
		u->by[u->nby++] = name;
	}
	return 0;
}

static int usage_json(const struct usage *u, const struct query_usage *row)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = yyjson_mut_obj(doc);

	yyjson_mut_doc_set_root(doc, root);
	for (size_t i = 0; i < row->nby; i++)
		yyjson_mut_obj_add_strncpy(doc, root, u->by[i],
			row->by[i].data ? row->by[i].data : "", row->by[i].len);
	yyjson_mut_obj_add_uint(doc, root, "calls", row->calls);
	yyjson_mut_obj_add_uint(doc, root, "input_tokens", row->input_tokens);
	yyjson_mut_obj_add_uint(doc, root, "output_tokens", row->output_tokens);
	yyjson_mut_obj_add_uint(doc, root, "total_tokens", row->total_tokens);
	yyjson_mut_obj_add_real(doc, root, "average_total_tokens", row->average_total);
	return json_print(doc, 0, stdout);
}

static void usage_counts(const struct query_usage *row)
{
	printf("%8llu %12llu %12llu %12llu %12.1f\n", (unsigned long long)row->calls,
		(unsigned long long)row->input_tokens, (unsigned long long)row->output_tokens,
		(unsigned long long)row->total_tokens, row->average_total);
}

static int usage_row(void *context, const struct query_usage *row)
{
	const struct usage *u = context;

	if (u->review->json)
		return usage_json(u, row);
	for (size_t i = 0; i < row->nby; i++) {
		cell_print(stdout, 24, row->by[i]);
	}
	usage_counts(row);
	return 0;
}

/* Of all rows, also of those that --limit leaves out. */
static void usage_totals(const struct usage *u, const struct query_usage *total, uint64_t rows)
{
	uint64_t limit = u->review->limit;
	char name[64];

	if (limit && limit < rows)
		snprintf(name, sizeof(name), "all %llu rows", (unsigned long long)rows);
	else
		snprintf(name, sizeof(name), "all");
	for (size_t i = 0; i < u->nby; i++)
		cell_print(stdout, 24, i ? SLICE(" ") : slice_of_string(name));
	usage_counts(total);
}

static void usage_heading(const struct usage *u)
{
	for (size_t i = 0; i < u->nby; i++)
		printf("%-24s ", u->by[i]);
	printf("%8s %12s %12s %12s %12s\n", "calls", "input", "output", "total", "average");
}

/* An option that was given and has a meaning for calls only; NULL: none. */
static const char *usage_option_of_calls(const struct review *review)
{
	const struct query_filter *filter = &review->filter;

	if (strcmp(review->by, USAGE_BY) != 0)
		return "--by";
	if (review->all)
		return "--all";
	if (review->outcome_given)
		return "--outcome";
	return filter->model	    ? "--model"
	       : filter->host	    ? "--host"
	       : filter->backend    ? "--backend"
	       : filter->operation  ? "--operation"
	       : filter->action	    ? "--action"
	       : filter->error	    ? "--error"
	       : filter->user	    ? "--user"
	       : filter->status > 0 ? "--status"
				    : NULL;
}

int cmd_usage(int argc, char **argv)
{
	struct review review = {.extras = REVIEW_BY | REVIEW_ALL | REVIEW_SOURCES | REVIEW_LIMIT |
					  REVIEW_FILTERS | REVIEW_JSON,
		.store = REVIEW_STORE,
		.by = USAGE_BY,
		.filter = {.kind = "exchange", .outcome = "success", .completions = true}};
	struct usage u = {.review = &review};
	struct query_usage total;
	struct query *query = NULL;
	struct why why = {"out of memory"};
	uint64_t rows;
	int error = review_read(&review, argc, argv, usage);

	if (error)
		return error < 0 ? 2 : 0;
	if (review.sources)
		return usage_sources(&review, usage_option_of_calls(&review));
	/* --all is of calls still. An operation that is asked for need not be a completion. */
	review.filter.kind = "exchange";
	if (review.filter.operation || review.filter.action || review.filter.error)
		review.filter.completions = false;
	/* What was denied, or failed for a reason, did not succeed. */
	if ((review.filter.action || review.filter.error) && !review.outcome_given)
		review.filter.outcome = NULL;
	if (usage_split(&u, review.by) < 0)
		return 2;
	query = review_open(&review, NULL, &why);
	if (!query) {
		error = -EIO;
	} else {
		if (!review.json)
			usage_heading(&u);
		error = query_usage(query, u.by, u.nby, &review.filter, review.limit, usage_row, &u,
			&total, &rows, &why);
		if (!error && !review.json)
			usage_totals(&u, &total, rows);
	}
	query_close(query);
	if (error)
		fprintf(stderr, "sallyport usage: %s\n", why.text);
	return error ? 1 : 0;
}
