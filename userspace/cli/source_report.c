// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/source_report.h"

#include <stdlib.h>
#include <string.h>

#include "cli/json_print.h"

static size_t rows_shown(const struct source_report *report)
{
	size_t n = report->traffic->nrows;

	return report->most && report->most < n ? report->most : n;
}

static const char *name_of(const struct source_report *report, size_t row)
{
	return report->name_of ? report->name_of(report->context,
					 &report->traffic->rows[row].source.address)
			       : NULL;
}

/* Of the heading and the rows that are shown. */
static int column_width(const struct source_report *report, const struct column *column)
{
	size_t width = strlen(column->name);

	for (size_t row = 0; row < rows_shown(report); row++) {
		size_t len = strlen(
			column_format(report->traffic, &report->traffic->rows[row], column, true)
				.text);

		if (len > width)
			width = len;
	}
	return (int)width;
}

static void text_names(const struct source_report *report, size_t row, FILE *out)
{
	const struct source_counters *counters = &report->traffic->rows[row].source.counters;
	const char *name = name_of(report, row);

	for (enum drop drop = 0; drop < DROP_COUNT; drop++)
		if (counters->drops[drop])
			fprintf(out, "  %llu %s", (unsigned long long)counters->drops[drop],
				drop_name(drop));
	if (name)
		fprintf(out, "  %s", name);
	fputc('\n', out);
}

void source_report_text(const struct source_report *report, FILE *out)
{
	const struct traffic *traffic = report->traffic;
	size_t shown = rows_shown(report);
	int *widths = calloc(ncolumns, sizeof(*widths));

	if (!widths) {
		fprintf(out, "no memory\n");
		return;
	}
	for (size_t i = 0; i < ncolumns; i++)
		if (column_is_total(&columns[i])) {
			widths[i] = column_width(report, &columns[i]);
			fprintf(out, i ? "  %*s" : "%-*s", widths[i], columns[i].name);
		}
	fputc('\n', out);
	for (size_t row = 0; row < shown; row++) {
		for (size_t i = 0; i < ncolumns; i++)
			if (column_is_total(&columns[i]))
				fprintf(out, i ? "  %*s" : "%-*s", widths[i],
					column_format(
						traffic, &traffic->rows[row], &columns[i], true)
						.text);
		text_names(report, row, out);
	}
	free(widths);
	if (shown < traffic->nrows)
		fprintf(out, "and %zu more\n", traffic->nrows - shown);
	if (report->kernel->swept_ns)
		fprintf(out, "active: as counted %s ago by sallyportd\n",
			age_format(report->kernel->read_ns - report->kernel->swept_ns).text);
	else
		fprintf(out, "active: counted now, in the flow table\n");
}

void source_json(yyjson_mut_doc *doc, yyjson_mut_val *object, const struct datapath_source *source)
{
	const struct source_counters *counters = &source->counters;
	yyjson_mut_val *drops;

	yyjson_mut_obj_add_strcpy(doc, object, "address", address_format(&source->address).text);
	for (enum source_count i = 0; i < SOURCE_COUNT_MAX; i++)
		yyjson_mut_obj_add_uint(
			doc, object, source_count_name(i), source_count_of(counters, i));
	yyjson_mut_obj_add_uint(doc, object, "active", source->active);
	yyjson_mut_obj_add_uint(doc, object, "seen_ns", counters->seen_ns);
	drops = yyjson_mut_obj_add_obj(doc, object, "drops");
	for (enum drop drop = 0; drop < DROP_COUNT; drop++)
		yyjson_mut_obj_add_uint(doc, drops, drop_name(drop), counters->drops[drop]);
}

static void json_rows(
	const struct source_report *report, yyjson_mut_doc *doc, yyjson_mut_val *sources)
{
	const struct traffic *traffic = report->traffic;

	for (size_t row = 0; row < rows_shown(report); row++) {
		const struct datapath_source *source = &traffic->rows[row].source;
		uint64_t seen_ns = source->counters.seen_ns;
		yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, sources);
		const char *name = name_of(report, row);

		source_json(doc, o, source);
		yyjson_mut_obj_add_uint(doc, o, "seen_age_ns",
			traffic->now_ns > seen_ns ? traffic->now_ns - seen_ns : 0);
		if (name)
			yyjson_mut_obj_add_strcpy(doc, o, "name", name);
	}
}

int source_report_json(const struct source_report *report, FILE *out)
{
	const struct datapath_status *kernel = report->kernel;
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = doc ? yyjson_mut_obj(doc) : NULL;

	if (root) {
		yyjson_mut_doc_set_root(doc, root);
		yyjson_mut_obj_add_str(doc, root, "name", report->appliance);
		yyjson_mut_obj_add_uint(doc, root, "read_ns", kernel->read_ns);
		/* The age of what "active" says; none: it was counted now. */
		if (kernel->swept_ns)
			yyjson_mut_obj_add_uint(
				doc, root, "swept_age_ns", kernel->read_ns - kernel->swept_ns);
		yyjson_mut_obj_add_uint(doc, root, "total", report->traffic->nrows);
		json_rows(report, doc, yyjson_mut_obj_add_arr(doc, root, "sources"));
	}
	return json_print(doc, YYJSON_WRITE_PRETTY_TWO_SPACES, out);
}
