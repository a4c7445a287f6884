// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/review.h"

static const char usage[] =
	"usage: sallyport events [OPTIONS]\n"
	"\n"
	"Shows what was asked and answered, newest first.\n"
	"\n"
	"  --limit NUMBER     of events; default 50, 0: all\n"
	"  --id ID            one event, by its event.id\n"
	"  --kind KIND        exchange (the default), handshake (failed ones), bypass (not\n"
	"                     inspected), source.summary, source.drop, datapath.state,\n"
	"                     datapath.open, or all\n"
	"  --all              the same as --kind all";

static int events_row(void *context, const struct query_event *event)
{
	const struct review *review = context;

	if (review->json)
		return review_print_json(stdout, event);
	review_print_event(stdout, event);
	return 0;
}

int cmd_events(int argc, char **argv)
{
	struct review review = {.extras = REVIEW_LIMIT | REVIEW_ID | REVIEW_ALL | REVIEW_KIND | REVIEW_FILTERS |
				  REVIEW_JSON,
		.store = REVIEW_STORE,
		.limit = 50,
		.filter = {.kind = "exchange"}};
	struct query *query = NULL;
	struct why why = {""};
	int error = review_read(&review, argc, argv, usage);

	if (error)
		return error < 0 ? 2 : 0;
	query = review_open(&review, "list", &why);
	if (!query) {
		error = -EIO;
	} else {
		if (!review.json)
			review_print_heading(stdout, review.filter.kind);
		error = query_events(
			query, &review.filter, review.limit, events_row, &review, &why);
	}
	query_close(query);
	if (error)
		fprintf(stderr, "sallyport events: %s\n",
			why.text[0] ? why.text : "a record in the store cannot be read");
	return error ? 1 : 0;
}
