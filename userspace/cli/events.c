// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/review.h"
#include "cli/say.h"

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
	"  --all              the same as --kind all\n"
	"  --slowest          those that took longest, in that order, with how long; limit not 0";

static int events_row(void *context, const struct query_event *event)
{
	const struct review *review = context;

	if (review->json)
		return review_print_json(stdout, event);
	if (review->slowest)
		printf("%9.3f s  ", (double)event->duration_ns / 1e9);
	review_print_event(stdout, event);
	return 0;
}

int cmd_events(int argc, char **argv)
{
	struct review review = {.extras = REVIEW_LIMIT | REVIEW_ID | REVIEW_ALL | REVIEW_KIND | REVIEW_FILTERS |
				  REVIEW_JSON | REVIEW_SLOWEST,
		.store = REVIEW_STORE,
		.limit = 50,
		.filter = {.kind = "exchange"}};
	struct query *query = NULL;
	struct why why = {""};
	int error = review_read(&review, argc, argv, usage);

	if (error)
		return error < 0 ? 2 : 0;
	if (review.slowest && !review.limit) {
		say("--slowest: with a --limit other than 0");
		return 2;
	}
	query = review_open(&review, "list", &why);
	if (!query) {
		error = -EIO;
	} else {
		if (!review.json) {
			fputs(review.slowest ? "       TOOK  " : "", stdout);
			review_print_heading(stdout, review.filter.kind);
		}
		error = (review.slowest ? query_slowest : query_events)(
			query, &review.filter, review.limit, events_row, &review, &why);
	}
	query_close(query);
	if (error)
		fprintf(stderr, "sallyport events: %s\n",
			why.text[0] ? why.text : "a record in the store cannot be read");
	return error ? 1 : 0;
}
