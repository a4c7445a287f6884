// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/review.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/say.h"
#include "collector/filter.h"

static const char review_common[] =
	"  --store DIRECTORY  of the collector; default " REVIEW_STORE "\n"
	"  --since TIME       30m, 1h30m or 7d ago; today, yesterday; 2026-01-31, 2026-01-31T12:00\n"
	"                     (local time), 2026-01-31T12:00:00Z, 2026-01-31T12:00:00+02:00\n"
	"  --until TIME       likewise; up to then, exclusively\n"
	"  --ip ADDRESS       of the client, or a prefix: 10.20.0.0/16\n";

static const char review_filters[] =
	"  --model NAME       asked for, or that answered\n"
	"  --host NAME        the client called\n"
	"  --backend NAME     that answered\n"
	"  --operation NAME   chat, text_completion …\n"
	"  --user NAME        the request's \"user\"\n"
	"  --subject NAME     whom the call is from, as policy found\n"
	"  --attempts NUMBER  sent to an origin so often at least\n"
	"  --failed-over      the same as --attempts 2\n"
	"  --status NUMBER    of the response\n"
	"  --outcome NAME     success, failure or unknown\n"
	"  --action NAME      the verdict: allow, deny, bypass …\n"
	"  --error NAME       why it failed: error.type\n";

static const char review_rest[] = "  --json             one JSON object per line\n"
				  "  -h, --help\n";

/* ---- values ---- */

static int review_store(struct review *review, const char *text)
{
	review->store = text;
	return *text ? 0 : -EINVAL;
}

static int review_json(struct review *review, const char *text)
{
	(void)text;
	review->json = true;
	return 0;
}

static int review_limit(struct review *review, const char *text)
{
	char *end;
	long long number;

	errno = 0;
	number = strtoll(text, &end, 10);
	review->limit = (uint64_t)number;
	return errno || *text < '0' || *text > '9' || *end || number == INT64_MAX ? -EINVAL : 0;
}

static int review_by(struct review *review, const char *text)
{
	review->by = text;
	return *text ? 0 : -EINVAL;
}

static int review_all(struct review *review, const char *text)
{
	(void)text;
	review->all = true;
	return 0;
}

static int review_sources(struct review *review, const char *text)
{
	(void)text;
	review->sources = true;
	return 0;
}

static int review_slowest(struct review *review, const char *text)
{
	(void)text;
	review->slowest = true;
	return 0;
}

static int review_failed_over(struct review *review, const char *text)
{
	(void)text;
	if (review->filter.attempts < 2)
		review->filter.attempts = 2;
	return 0;
}

static int review_format(struct review *review, const char *text)
{
	review->format = text;
	return strcmp(text, "jsonl") == 0 || strcmp(text, "csv") == 0 ||
			       strcmp(text, "azure") == 0
		       ? 0
		       : -EINVAL;
}

/* ---- options ---- */

static const struct review_option {
	const char *name;
	unsigned extra;	      /* commands that have it: of enum review_extra; 0: all */
	const char *expected; /* NULL: it takes no value */
	int (*read)(struct review *review, const char *text);
} review_table[] = {
	{"store", 0, "the directory of a store", review_store},
	{"json", REVIEW_JSON, NULL, review_json},
	{"limit", REVIEW_LIMIT, "a number", review_limit},
	{"by", REVIEW_BY, "names", review_by},
	{"all", REVIEW_ALL, NULL, review_all},
	{"sources", REVIEW_SOURCES, NULL, review_sources},
	{"slowest", REVIEW_SLOWEST, NULL, review_slowest},
	{"failed-over", REVIEW_FILTERS, NULL, review_failed_over},
	{"format", REVIEW_FORMAT, "jsonl, csv or azure", review_format},
};
#define REVIEW_TABLE   (sizeof(review_table) / sizeof(review_table[0]))
#define REVIEW_OPTIONS (FILTER_FIELDS + REVIEW_TABLE) /* those that filter come first */

/* The commands that have what filters by that group. */
static const unsigned review_groups[] = {[FILTER_ALWAYS] = 0,
	[FILTER_CALLS] = REVIEW_FILTERS,
	[FILTER_KIND] = REVIEW_KIND,
	[FILTER_ID] = REVIEW_ID};

static void review_print_usage(const struct review *review, FILE *out, const char *usage)
{
	fprintf(out, "%s\n%s%s%s", usage, review_common,
		review->extras & REVIEW_FILTERS ? review_filters : "",
		review->extras & REVIEW_JSON ? review_rest : "  -h, --help\n");
}

/* 0 or -EINVAL. */
static int review_set(struct review *review, size_t found, const char *value)
{
	const struct filter_field *field;

	if (found >= FILTER_FIELDS)
		return review_table[found - FILTER_FIELDS].read(review, value);
	field = &filter_fields[found];
	review->outcome_given = review->outcome_given || strcmp(field->name, "outcome") == 0;
	review->kind_given = review->kind_given || field->group == FILTER_KIND;
	return field->read(&review->filter, value, review->now_ns);
}

/* 0, 1 (help), or -EINVAL, said. */
static int review_take(struct review *review, int found, const char *value, const char *usage)
{
	const char *name, *expected;
	unsigned extra;

	if (found == 'h') {
		review_print_usage(review, stdout, usage);
		return 1;
	}
	if (found == '?')
		return -EINVAL; /* getopt has said so */
	if (found < FILTER_FIELDS) {
		name = filter_fields[found].name;
		expected = filter_fields[found].expected;
		extra = review_groups[filter_fields[found].group];
	} else {
		name = review_table[found - FILTER_FIELDS].name;
		expected = review_table[found - FILTER_FIELDS].expected;
		extra = review_table[found - FILTER_FIELDS].extra;
	}
	if (extra && !(review->extras & extra)) {
		say("--%s: not an option of this command", name);
		return -EINVAL;
	}
	if (review_set(review, (size_t)found, value) == 0)
		return 0;
	say("--%s %s: expected %s", name, log_quote(slice_of_string(value)).text, expected);
	return -EINVAL;
}

/* What the options mean together. */
static int review_together(struct review *review)
{
	if (!filter_is_possible(&review->filter)) {
		say("--since is not before --until: no event lies between them");
		return -EINVAL;
	}
	/* --all is of what the command leaves out by itself, not of what was asked for. */
	if (review->all) {
		review->filter.completions = false;
		if (!review->outcome_given)
			review->filter.outcome = NULL;
		if (!review->kind_given)
			review->filter.kind = NULL;
	}
	return 0;
}

static int review_words(struct review *review, int argc, char **argv)
{
	review->words = (const char *const *)argv + optind;
	review->nwords = (size_t)(argc - optind);
	if (review->nwords && !(review->extras & REVIEW_WORDS))
		say("%s: unexpected", log_quote(slice_of_string(argv[optind])).text);
	else if (!review->nwords && (review->extras & REVIEW_WORDS))
		say("expected what to look for");
	else
		return 0;
	return -EINVAL;
}

/* The arguments, for the record of who looked; cut where they are endless. */
static void review_say(struct review *review, int argc, char **argv)
{
	size_t len = 0;

	for (int i = 1; i < argc && len < sizeof(review->said); i++)
		len += (size_t)snprintf(review->said + len, sizeof(review->said) - len, "%s%s",
			i > 1 ? " " : "", argv[i]);
}

int review_read(struct review *review, int argc, char **argv, const char *usage)
{
	struct option options[REVIEW_OPTIONS + 2] = {0};
	int found, error = 0;

	for (size_t i = 0; i < FILTER_FIELDS; i++)
		options[i] = (struct option){
			filter_fields[i].name, required_argument, NULL, (int)i};
	for (size_t i = 0; i < REVIEW_TABLE; i++)
		options[FILTER_FIELDS + i] = (struct option){review_table[i].name,
			review_table[i].expected ? required_argument : no_argument, NULL,
			(int)(FILTER_FIELDS + i)};
	options[REVIEW_OPTIONS] = (struct option){"help", no_argument, NULL, 'h'};
	review->now_ns = clock_realtime_ns();
	review_say(review, argc, argv);
	optind = 1;
	while (!error && (found = getopt_long(argc, argv, "h", options, NULL)) != -1)
		error = review_take(review, found, optarg, usage);
	if (!error)
		error = review_together(review);
	if (!error)
		error = review_words(review, argc, argv);
	if (error < 0)
		fprintf(stderr, "sallyport %s --help tells what it takes\n", argv[0]);
	return error;
}
