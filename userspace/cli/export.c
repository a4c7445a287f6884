// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/visible.h"
#include "cli/command.h"
#include "cli/export_azure.h"
#include "cli/review.h"
#include "cli/say.h"

static const char usage[] =
	"usage: sallyport export [--format jsonl|csv|azure] [OPTIONS]\n"
	"\n"
	"Writes events, newest first: as JSON lines with all of them, or as CSV with what a table\n"
	"needs (RFC 4180, one line each), or as JSON lines in the columns of Azure's logs of a\n"
	"gateway. In CSV nothing is taken for a formula.\n"
	"\n"
	"  --format FORMAT    jsonl (the default), csv or azure\n"
	"  --limit NUMBER     of events; default 0: all\n"
	"  --kind KIND        exchange (the default), handshake (failed ones), bypass,\n"
	"                     source.summary, source.drop, datapath.state,\n"
	"                     datapath.open, or all\n"
	"  --all              the same as --kind all";

/* A cell of text: in quotes, hostile characters drawn, and with an apostrophe before what a
 * spreadsheet would work out. */
static int export_text(FILE *out, struct slice text, bool last)
{
	struct buf drawn = BUF_EMPTY;
	int error = visible_draw(text, text.len, &drawn, NULL);
	struct slice cell = buf_slice(&drawn);

	fputc('"', out);
	if (cell.len && strchr("=+-@", cell.data[0]))
		fputc('\'', out);
	for (size_t i = 0; i < cell.len; i++) {
		if (cell.data[i] == '"')
			fputc('"', out);
		fputc(cell.data[i], out);
	}
	fputs(last ? "\"\r\n" : "\",", out);
	buf_free(&drawn);
	return error;
}

static void export_heading(FILE *out)
{
	fputs("time,event_id,kind,source_ip,host,operation,model,outcome,error,usage_source,conflict,"
	      "status,input_tokens,output_tokens,prompt,completion\r\n",
		out);
}

static int export_csv(FILE *out, const struct query_event *event)
{
	const struct slice texts[] = {event->event_id, event->kind, event->source_ip, event->host,
		event->operation, event->model, event->outcome, event->error_type,
		event->usage_source};
	time_t seconds = (time_t)(event->time_ns / NS_PER_S);
	char when[40];
	struct tm tm;
	int error = 0;

	gmtime_r(&seconds, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(out, "%s.%03lluZ,", when,
		(unsigned long long)(event->time_ns % NS_PER_S / NS_PER_MS));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && !error; i++)
		error = export_text(out, texts[i], false);
	fprintf(out, "%d,%lld,%llu,%llu,", event->conflict, (long long)event->status,
		(unsigned long long)event->input_tokens, (unsigned long long)event->output_tokens);
	if (!error)
		error = export_text(out, event->content[CONTENT_INPUT], false);
	return error ? error : export_text(out, event->content[CONTENT_OUTPUT], true);
}

static int export_row(void *context, const struct query_event *event)
{
	const struct review *review = context;
	int error;

	if (strcmp(review->format, "csv") == 0)
		error = export_csv(stdout, event);
	else if (strcmp(review->format, "azure") == 0)
		error = export_azure(stdout, event);
	else
		error = review_print_json(stdout, event);

	/* Who reads it may have gone: a pipe to head(1). */
	return error || ferror(stdout) ? -EPIPE : 0;
}

int cmd_export(int argc, char **argv)
{
	struct review review = {
		.extras = REVIEW_LIMIT | REVIEW_FORMAT | REVIEW_ALL | REVIEW_KIND | REVIEW_FILTERS,
		.store = REVIEW_STORE,
		.format = "jsonl",
		.filter = {.kind = "exchange"}};
	struct query *query = NULL;
	struct why why = {""};
	int error = review_read(&review, argc, argv, usage);

	if (error)
		return error < 0 ? 2 : 0;
	query = review_open(&review, "export", &why);
	if (!query) {
		error = -EIO;
	} else {
		/* As long as it takes: pages of it do not hold the store. */
		query_patience(query, 0);
		if (strcmp(review.format, "csv") == 0)
			export_heading(stdout);
		error = query_events(
			query, &review.filter, review.limit, export_row, &review, &why);
	}
	query_close(query);
	if (error)
		say("%s", why.text[0] ? why.text : "a record in the store cannot be read");
	return error ? 1 : 0;
}
