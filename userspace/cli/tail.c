// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/review.h"

/* Between two looks into the store. */
#define TAIL_PAUSE_US 250000
#define TAIL_BEFORE   10

static const char usage[] =
	"usage: sallyport tail [OPTIONS]\n"
	"\n"
	"Shows events as they are stored, until interrupted.\n"
	"\n"
	"  --limit NUMBER     ends after that many events; default 0: never\n"
	"  --kind KIND        exchange (the default), handshake (failed ones), source.summary,\n"
	"                     source.drop, datapath.state,\n"
	"                     datapath.open, or all\n"
	"  --all              the same as --kind all";

struct tail {
	struct review *review;
	uint64_t shown;
};

static int tail_row(void *context, const struct query_event *event)
{
	struct tail *tail = context;
	int error = 0;

	tail->shown++;
	if (tail->review->json)
		error = review_print_json(stdout, event);
	else
		review_print_event(stdout, event);
	return error;
}

int cmd_tail(int argc, char **argv)
{
	struct review review = {.extras = REVIEW_LIMIT | REVIEW_ALL | REVIEW_KIND | REVIEW_FILTERS | REVIEW_JSON,
		.store = REVIEW_STORE,
		.filter = {.kind = "exchange"}};
	struct tail tail = {.review = &review};
	struct query *query = NULL;
	struct why why = {""};
	int error = review_read(&review, argc, argv, usage);

	if (error)
		return error < 0 ? 2 : 0;
	query = review_open(&review, "tail", &why);
	error = query ? query_follow_begin(query, TAIL_BEFORE, &why) : -EIO;
	if (!error && !review.json)
		review_print_heading(stdout, review.filter.kind);
	while (!error && (!review.limit || tail.shown < review.limit)) {
		error = query_follow(query, &review.filter,
			review.limit ? review.limit - tail.shown : 0, tail_row, &tail, &why);
		/* A reader that is gone ends us: a pipe to head(1). */
		if (fflush(stdout) < 0 || ferror(stdout))
			break;
		if (!review.limit || tail.shown < review.limit)
			usleep(TAIL_PAUSE_US);
	}
	query_close(query);
	if (error)
		fprintf(stderr, "sallyport tail: %s\n",
			why.text[0] ? why.text : "a record in the store cannot be read");
	return error ? 1 : 0;
}
