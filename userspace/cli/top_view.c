// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/top_view.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/inspecting.h"

#define NAME_WIDTH_MAX 40
#define NAME_WIDTH_MIN 12
#define GAP	       1

static const char *const top_keys[] = {
	"left right < >  the column by which the sources are sorted",
	"r               the other way round",
	"n               names of the sources, from the DNS",
	"space           read now",
	"?  h            these keys",
	"q               end",
};

/* A line of the width of the terminal at most. */
__attribute__((format(printf, 3, 4))) static void line_print(
	const struct top_view *view, FILE *out, const char *format, ...)
{
	char line[512];
	va_list arguments;
	int len;

	va_start(arguments, format);
	len = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (len < 0)
		return;
	if ((size_t)len >= sizeof(line))
		len = (int)sizeof(line) - 1;
	if (view->width && (size_t)len > view->width)
		len = (int)view->width;
	fprintf(out, "%.*s\n", len, line);
}

/* --- totals --- */

static void print_state(const struct top_view *view, FILE *out)
{
	const struct datapath_status *k = view->kernel;
	char clock[16];
	struct tm tm;
	time_t now = time(NULL);

	localtime_r(&now, &tm);
	strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	/* What matters most stands first: narrow terminals cut the end. */
	line_print(view, out, "%s; record: %s; workers: %u of %u alive; fail: %s; %s on %s, %s",
		inspecting(k) ? "inspected" : "NOT INSPECTED", record_state_word(&view->record),
		k->alive, k->workers,
		view->config->datapath.fail == CONFIG_FAIL_OPEN ? "open" : "closed",
		view->config->appliance.name, k->inside, clock);
}

static double share(double part, double whole)
{
	return whole > 0 ? 100 * part / whole : 0;
}

static void print_rates(const struct top_view *view, FILE *out)
{
	const struct traffic *t = view->traffic;
	const double *rates = t->all.counts;

	if (t->seconds <= 0) {
		line_print(view, out, "rates come with the second reading");
		return;
	}
	line_print(view, out,
		"from: %s packets/s %s bits/s  to: %s packets/s %s bits/s  steered: %.1f %%  "
		"drops: %s/s",
		quantity_format(rates[SOURCE_COUNT_packets]).text,
		quantity_format(8 * rates[SOURCE_COUNT_bytes]).text,
		quantity_format(rates[SOURCE_COUNT_packets_to]).text,
		quantity_format(8 * rates[SOURCE_COUNT_bytes_to]).text,
		share(rates[SOURCE_COUNT_steered_packets], rates[SOURCE_COUNT_packets]),
		quantity_format(t->all.drops).text);
}

static void print_connections(const struct top_view *view, FILE *out)
{
	const struct datapath_status *k = view->kernel;
	const struct traffic *t = view->traffic;
	char counted[64] = "now";

	if (k->swept_ns)
		snprintf(counted, sizeof(counted), "%s ago",
			age_format(k->read_ns - k->swept_ns).text);
	line_print(view, out, "connections: %llu active (counted %s), %s new/s  sources: %zu",
		(unsigned long long)t->active, counted,
		t->seconds > 0 ? quantity_format(t->all.counts[SOURCE_COUNT_syns]).text : "-",
		t->nrows);
}

/* --- the table --- */

struct table {
	size_t rows;	   /* shown */
	size_t first, end; /* columns after the address that are shown */
	size_t *widths;
	size_t name_width; /* 0: no names */
};

static size_t cell_width(const struct top_view *view, const struct table *table, size_t column)
{
	/* Brackets stand around the heading that is sorted. */
	size_t width = strlen(columns[column].name) + 2;

	for (size_t row = 0; row < table->rows; row++) {
		size_t len = strlen(column_format(
			view->traffic, &view->traffic->rows[row], &columns[column], false)
					    .text);

		if (len > width)
			width = len;
	}
	return width;
}

static size_t names_width(const struct top_view *view, const struct table *table)
{
	size_t width = NAME_WIDTH_MIN, most = NAME_WIDTH_MAX;

	if (!view->name_of)
		return 0;
	if (view->width && view->width / 4 < most)
		most = view->width / 4 > NAME_WIDTH_MIN ? view->width / 4 : NAME_WIDTH_MIN;
	for (size_t row = 0; row < table->rows; row++) {
		const char *name =
			view->name_of(view->context, &view->traffic->rows[row].source.address);
		size_t len = name ? strlen(name) : 0;

		if (len > width)
			width = len < most ? len : most;
	}
	return width;
}

/* The first column from which on everything up to the sorted one fits, and what fits after it. */
static void table_fit(const struct top_view *view, struct table *table)
{
	size_t sorted = (size_t)(view->sorted - columns), left, used;

	table->first = 1;
	table->end = ncolumns;
	if (!view->width)
		return;
	used = table->widths[0] + (table->name_width ? GAP + table->name_width : 0);
	left = view->width > used ? view->width - used : 0;
	for (table->first = sorted, used = 0; table->first > 1; table->first--) {
		used += GAP + table->widths[table->first];
		if (used + GAP + table->widths[table->first - 1] > left)
			break;
	}
	if (table->first == 0)
		table->first = 1;
	for (table->end = table->first, used = 0; table->end < ncolumns; table->end++) {
		used += GAP + table->widths[table->end];
		if (used > left)
			break;
	}
	/* One that is too wide for the terminal is cut. */
	if (table->end == table->first)
		table->end++;
}

static void heading_print(const struct top_view *view, const struct table *table, FILE *out)
{
	char line[2048], cell[64];
	size_t len = 0;

	for (size_t i = 0; i < table->end; i = i ? i + 1 : table->first) {
		const char *mark = &columns[i] == view->sorted ? "[]" : "\0\0";

		snprintf(cell, sizeof(cell), "%.1s%s%.1s", mark, columns[i].name, mark + 1);
		len += (size_t)snprintf(line + len, sizeof(line) - len, i ? "%*s%*s" : "%*s%-*s",
			i ? GAP : 0, "", (int)table->widths[i], cell);
		if (i == 0 && table->name_width)
			len += (size_t)snprintf(line + len, sizeof(line) - len, "%*s%-*s", GAP, "",
				(int)table->name_width, "name");
	}
	if (view->width && len > view->width)
		line[view->width] = '\0';
	fprintf(out, "%s\n", line);
}

static void row_print(const struct top_view *view, const struct table *table,
	const struct traffic_row *row, FILE *out)
{
	char line[2048];
	size_t len = 0;

	for (size_t i = 0; i < table->end; i = i ? i + 1 : table->first) {
		const char *name;

		len += (size_t)snprintf(line + len, sizeof(line) - len, i ? "%*s%*s" : "%*s%-*s",
			i ? GAP : 0, "", (int)table->widths[i],
			column_format(view->traffic, row, &columns[i], false).text);
		if (i || !table->name_width)
			continue;
		name = view->name_of(view->context, &row->source.address);
		len += (size_t)snprintf(line + len, sizeof(line) - len, "%*s%-*.*s", GAP, "",
			(int)table->name_width, (int)table->name_width, name ? name : "");
	}
	if (view->width && len > view->width)
		line[view->width] = '\0';
	fprintf(out, "%s\n", line);
}

static void print_sources(const struct top_view *view, FILE *out)
{
	struct table table = {.rows = view->traffic->nrows};

	if (view->most && view->most < table.rows)
		table.rows = view->most;
	if (view->height && table.rows > view->height - TOP_VIEW_HEADING - 1)
		table.rows = view->height - TOP_VIEW_HEADING - 1;
	table.widths = calloc(ncolumns, sizeof(*table.widths));
	if (!table.widths) {
		line_print(view, out, "no memory");
		return;
	}
	for (size_t i = 0; i < ncolumns; i++)
		table.widths[i] = cell_width(view, &table, i);
	table.name_width = names_width(view, &table);
	table_fit(view, &table);
	heading_print(view, &table, out);
	for (size_t row = 0; row < table.rows; row++)
		row_print(view, &table, &view->traffic->rows[row], out);
	free(table.widths);
}

void top_view_print(const struct top_view *view, FILE *out)
{
	void (*const heads[TOP_VIEW_HEADING - 1])(const struct top_view *, FILE *) = {
		print_state, print_rates, print_connections};
	size_t most = view->height ? view->height : SIZE_MAX;

	for (size_t i = 0; i < TOP_VIEW_HEADING - 1 && i < most; i++)
		heads[i](view, out);
	if (most < TOP_VIEW_HEADING)
		return;
	line_print(view, out, "%s", "");
	most -= TOP_VIEW_HEADING;
	if (most && !view->help)
		print_sources(view, out);
	for (size_t i = 0; view->help && i < sizeof(top_keys) / sizeof(top_keys[0]) && i < most;
		i++)
		line_print(view, out, "%s", top_keys[i]);
}
