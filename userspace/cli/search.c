// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/review.h"
#include "cli/say.h"

static const char usage[] =
	"usage: sallyport search [OPTIONS] WORD…\n"
	"\n"
	"Shows the calls in which a message, an answer or a tool has all the words, newest first.\n"
	"A WORD may be a phrase, \"as it was said\", or end in * after three letters or more. What\n"
	"is sent again with every call is found where an address sent it first on each day.\n"
	"\n"
	"  --limit NUMBER     of events; default 50, 0: all";

struct search {
	const struct review *review;
	bool headed;
};

/* Not before it is known that the question was one. */
static void search_heading(struct search *search)
{
	if (!search->headed && !search->review->json)
		review_print_heading(stdout, NULL);
	search->headed = true;
}

static int search_row(void *context, const struct query_event *event)
{
	struct search *search = context;

	search_heading(search);
	if (search->review->json)
		return review_print_json(stdout, event);
	review_print_event(stdout, event);
	return 0;
}

static void search_tell_lag(const struct query_lag *lag)
{
	if (!lag->events)
		return;
	fflush(stdout);
	if (lag->until_ns)
		say("%llu events cannot be found yet; searchable up to %s",
			(unsigned long long)lag->events, review_time_format(lag->until_ns).text);
	else
		say("%llu events cannot be found yet", (unsigned long long)lag->events);
}

int cmd_search(int argc, char **argv)
{
	struct review review = {.extras = REVIEW_LIMIT | REVIEW_WORDS | REVIEW_JSON,
		.store = REVIEW_STORE,
		.limit = 50};
	struct search search = {.review = &review};
	struct query *query = NULL;
	struct query_lag lag;
	struct why why = {""};
	int error = review_read(&review, argc, argv, usage);

	if (error)
		return error < 0 ? 2 : 0;
	query = review_open(&review, "search", &why);
	if (!query) {
		error = -EIO;
	} else {
		error = query_search(query, review.words, review.nwords, &review.filter,
			review.limit, search_row, &search, &lag, &why);
		if (!error) {
			search_heading(&search);
			search_tell_lag(&lag);
		}
	}
	query_close(query);
	if (error)
		say("%s", why.text[0] ? why.text : "a record in the store cannot be read");
	return error == -EINVAL ? 2 : error ? 1 : 0;
}
