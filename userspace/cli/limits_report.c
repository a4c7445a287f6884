// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/limits_report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cell.h"
#include "cli/json_print.h"

/* ---- reading ---- */

/* Names in the table may be cut. */
static bool is_of(const struct limit *limit, const struct limit_reading *reading)
{
	return reading->measure == limit_measure_of(limit) &&
	       reading->period == limit_period_of(limit) &&
	       strncmp(reading->limit, limit->name, LIMIT_NAME - 1) == 0;
}

static int compare(const void *a, const void *b)
{
	const struct limits_row *x = a, *y = b;
	uint64_t used_x = x->reading.sum.used + x->reading.sum.reserved;
	uint64_t used_y = y->reading.sum.used + y->reading.sum.reserved;

	if (x->limit != y->limit)
		return x->limit < y->limit ? -1 : 1;
	if (used_x != used_y)
		return used_x > used_y ? -1 : 1;
	return strcmp(x->reading.who, y->reading.who);
}

int limits_report_read(struct limits_report *report, const struct limit_set *set,
	const struct limit_table *table, uint64_t now_s)
{
	size_t room = table ? limit_table_rows(table) : 0;
	struct limit_reading reading;

	*report = (struct limits_report){.set = set, .now_s = now_s};
	report->rows = calloc(room + 1, sizeof(*report->rows));
	if (!report->rows)
		return -ENOMEM;
	for (uint32_t i = 0; i < room; i++) {
		if (!limit_table_read(table, i, now_s, &reading) ||
			!(reading.sum.used + reading.sum.reserved))
			continue;
		for (size_t k = 0; k < set->nlimits; k++)
			if (is_of(&set->limits[k], &reading)) {
				report->rows[report->nrows++] = (struct limits_row){k, reading};
				break;
			}
	}
	qsort(report->rows, report->nrows, sizeof(*report->rows), compare);
	return 0;
}

void limits_report_free(struct limits_report *report)
{
	free(report->rows);
	report->rows = NULL;
}

/* ---- for people ---- */

static void print_amount(FILE *out, enum limit_measure measure, uint64_t amount)
{
	double value = (double)amount / (double)limit_measure_unit(measure);

	fprintf(out, measure == LIMIT_COST ? "%14.4f" : "%14.0f", value);
}

static void print_left(FILE *out, uint64_t seconds)
{
	if (seconds < 60)
		fprintf(out, "%" PRIu64 "s", seconds);
	else if (seconds < 3600)
		fprintf(out, "%" PRIu64 "m%02" PRIu64 "s", seconds / 60, seconds % 60);
	else if (seconds < 86400)
		fprintf(out, "%" PRIu64 "h%02" PRIu64 "m", seconds / 3600, seconds / 60 % 60);
	else
		fprintf(out, "%" PRIu64 "d%02" PRIu64 "h", seconds / 86400, seconds / 3600 % 24);
}

static void print_limit(FILE *out, const struct limit *limit)
{
	static const char *const actions[] = {"throttle", "cut off", "shadow"};
	enum limit_measure measure = limit_measure_of(limit);
	enum limit_period period = limit_period_of(limit);
	double most = (double)limit_most(limit) / (double)limit_measure_unit(measure);

	fprintf(out, "%s: ", limit->name);
	fprintf(out, measure == LIMIT_COST ? "%.2f" : "%.0f", most);
	fprintf(out, " %s%s%s, %s\n", limit_measure_name(measure),
		period == LIMIT_AT_ONCE ? "" : " per ",
		period == LIMIT_AT_ONCE ? "" : limit_period_name(period), actions[limit->action]);
}

static void print_row(FILE *out, const struct limits_report *report, const struct limits_row *row)
{
	const struct limit *limit = &report->set->limits[row->limit];
	const struct limit_reading *r = &row->reading;
	uint64_t most = limit_most(limit);

	fputs("  ", out);
	cell_print(out, 48, r->who[0] ? slice_of_string(r->who) : SLICE("all"));
	print_amount(out, r->measure, r->sum.used);
	print_amount(out, r->measure, r->sum.reserved);
	fprintf(out, "%7.1f%%  ", 100. * (double)(r->sum.used + r->sum.reserved) / (double)most);
	if (r->period == LIMIT_AT_ONCE)
		fputs("-", out);
	else
		print_left(out, r->window.ends_s - report->now_s);
	fputc('\n', out);
}

void limits_report_text(const struct limits_report *report, FILE *out)
{
	size_t at = 0;

	for (size_t i = 0; i < report->set->nlimits; i++) {
		if (i)
			fputc('\n', out);
		print_limit(out, &report->set->limits[i]);
		if (at == report->nrows || report->rows[at].limit != i) {
			fputs("  nothing is used\n", out);
			continue;
		}
		fprintf(out, "  %-48s %13s%14s%8s  %s\n", "of whom", "used", "reserved", "", "begins anew in");
		for (; at < report->nrows && report->rows[at].limit == i; at++)
			print_row(out, report, &report->rows[at]);
	}
}

/* ---- for programs ---- */

static void add_amount(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *name,
	enum limit_measure measure, uint64_t amount)
{
	uint64_t unit = limit_measure_unit(measure);

	if (amount % unit)
		yyjson_mut_obj_add_real(doc, o, name, (double)amount / (double)unit);
	else
		yyjson_mut_obj_add_uint(doc, o, name, amount / unit);
}

static yyjson_mut_val *json_row(yyjson_mut_doc *doc, const struct limits_row *row, uint64_t most)
{
	const struct limit_reading *r = &row->reading;
	yyjson_mut_val *o = yyjson_mut_obj(doc);
	uint64_t taken = r->sum.used + r->sum.reserved;

	yyjson_mut_obj_add_strcpy(doc, o, "who", r->who);
	add_amount(doc, o, "used", r->measure, r->sum.used);
	add_amount(doc, o, "reserved", r->measure, r->sum.reserved);
	add_amount(doc, o, "remaining", r->measure, taken < most ? most - taken : 0);
	if (r->period != LIMIT_AT_ONCE)
		yyjson_mut_obj_add_uint(doc, o, "resets", r->window.ends_s);
	return o;
}

int limits_report_json(const struct limits_report *report, FILE *out)
{
	static const char *const actions[] = {"throttle", "cut-off", "shadow"};
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = yyjson_mut_obj(doc), *list = yyjson_mut_arr(doc);
	size_t at = 0;

	yyjson_mut_doc_set_root(doc, root);
	yyjson_mut_obj_add_val(doc, root, "limits", list);
	for (size_t i = 0; i < report->set->nlimits; i++) {
		const struct limit *limit = &report->set->limits[i];
		yyjson_mut_val *o = yyjson_mut_obj(doc), *counted = yyjson_mut_arr(doc);
		uint64_t most = limit_most(limit);

		yyjson_mut_obj_add_strcpy(doc, o, "name", limit->name);
		yyjson_mut_obj_add_str(
			doc, o, "measure", limit_measure_name(limit_measure_of(limit)));
		if (limit_period_of(limit) != LIMIT_AT_ONCE)
			yyjson_mut_obj_add_str(
				doc, o, "every", limit_period_name(limit_period_of(limit)));
		add_amount(doc, o, "most", limit_measure_of(limit), most);
		yyjson_mut_obj_add_str(doc, o, "action", actions[limit->action]);
		for (; at < report->nrows && report->rows[at].limit == i; at++)
			yyjson_mut_arr_append(counted, json_row(doc, &report->rows[at], most));
		yyjson_mut_obj_add_val(doc, o, "counted", counted);
		yyjson_mut_arr_append(list, o);
	}
	return json_print(doc, YYJSON_WRITE_PRETTY, out);
}
