// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/review.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/say.h"
#include "cli/when.h"

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
	"  --status NUMBER    of the response\n"
	"  --outcome NAME     success, failure or unknown\n"
	"  --action NAME      the verdict: allow, deny, bypass …\n"
	"  --error NAME       why it failed: error.type\n";

static const char review_rest[] = "  --json             one JSON object per line\n"
				  "  -h, --help\n";

/* ---- values ---- */

static int review_number(const char *text, int64_t most, int64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoll(text, &end, 10);
	return errno || *text < '0' || *text > '9' || *end || *number > most ? -EINVAL : 0;
}

/* One of a list that ends with NULL; *member is the value itself. */
static int review_choice(const char *const *choices, const char *text, const char **member)
{
	*member = NULL;
	for (; *choices; choices++)
		if (strcmp(text, *choices) == 0)
			*member = *choices;
	return *member ? 0 : -EINVAL;
}

static int review_text(const char *text, const char **member)
{
	*member = text;
	return *text ? 0 : -EINVAL;
}

static int review_store(struct review *review, const char *text)
{
	return review_text(text, &review->store);
}

static int review_since(struct review *review, const char *text)
{
	return when_read(text, review->now_ns, &review->filter.since_ns);
}

static int review_until(struct review *review, const char *text)
{
	return when_read(text, review->now_ns, &review->filter.until_ns);
}

static int review_ip(struct review *review, const char *text)
{
	review->filter.has_source = true;
	return prefix_parse(text, &review->filter.source);
}

static int review_model(struct review *review, const char *text)
{
	return review_text(text, &review->filter.model);
}

static int review_host(struct review *review, const char *text)
{
	return review_text(text, &review->filter.host);
}

static int review_backend(struct review *review, const char *text)
{
	return review_text(text, &review->filter.backend);
}

static int review_operation(struct review *review, const char *text)
{
	return review_text(text, &review->filter.operation);
}

static int review_user(struct review *review, const char *text)
{
	return review_text(text, &review->filter.user);
}

static int review_status(struct review *review, const char *text)
{
	int error = review_number(text, 999, &review->filter.status);

	return error || review->filter.status >= 100 ? error : -EINVAL;
}

static int review_outcome(struct review *review, const char *text)
{
	static const char *const outcomes[] = {"success", "failure", "unknown", NULL};

	review->outcome_given = true;
	return review_choice(outcomes, text, &review->filter.outcome);
}

static int review_action(struct review *review, const char *text)
{
	return review_text(text, &review->filter.action);
}

static int review_error(struct review *review, const char *text)
{
	return review_text(text, &review->filter.error);
}

static int review_json(struct review *review, const char *text)
{
	(void)text;
	review->json = true;
	return 0;
}

static int review_limit(struct review *review, const char *text)
{
	int64_t number;
	int error = review_number(text, INT64_MAX - 1, &number);

	review->limit = (uint64_t)number;
	return error;
}

static int review_id(struct review *review, const char *text)
{
	return review_text(text, &review->filter.event_id);
}

static int review_by(struct review *review, const char *text)
{
	return review_text(text, &review->by);
}

static int review_all(struct review *review, const char *text)
{
	(void)text;
	review->all = true;
	return 0;
}

#define REVIEW_KINDS                                                                               \
	"exchange", "handshake", "bypass", "source.summary", "source.drop", "datapath.state", \
		"datapath.open"

static int review_kind(struct review *review, const char *text)
{
	static const char *const kinds[] = {REVIEW_KINDS, NULL};

	review->kind_given = true;
	review->filter.kind = NULL;
	return strcmp(text, "all") == 0 ? 0 : review_choice(kinds, text, &review->filter.kind);
}

static int review_sources(struct review *review, const char *text)
{
	(void)text;
	review->sources = true;
	return 0;
}

static int review_format(struct review *review, const char *text)
{
	static const char *const formats[] = {"jsonl", "csv", NULL};

	return review_choice(formats, text, &review->format);
}

/* ---- options ---- */

static const struct review_option {
	const char *name;
	unsigned extra;	      /* commands that have it: of enum review_extra; 0: all */
	const char *expected; /* NULL: it takes no value */
	int (*read)(struct review *review, const char *text);
} review_table[] = {
	{"store", 0, "the directory of a store", review_store},
	{"since", 0, WHEN_EXPECTED, review_since},
	{"until", 0, WHEN_EXPECTED, review_until},
	{"ip", 0, "an address or a prefix such as 10.20.0.0/16, no bit set beyond its length",
		review_ip},
	{"model", REVIEW_FILTERS, "a name", review_model},
	{"host", REVIEW_FILTERS, "a name", review_host},
	{"backend", REVIEW_FILTERS, "a name", review_backend},
	{"operation", REVIEW_FILTERS, "a name", review_operation},
	{"user", REVIEW_FILTERS, "a name", review_user},
	{"status", REVIEW_FILTERS, "a status code, 100 to 999", review_status},
	{"outcome", REVIEW_FILTERS, "success, failure or unknown", review_outcome},
	{"action", REVIEW_FILTERS, "a verdict, such as allow or deny", review_action},
	{"error", REVIEW_FILTERS, "a name", review_error},
	{"json", REVIEW_JSON, NULL, review_json},
	{"limit", REVIEW_LIMIT, "a number", review_limit},
	{"id", REVIEW_ID, "an event.id", review_id},
	{"by", REVIEW_BY, "names", review_by},
	{"all", REVIEW_ALL, NULL, review_all},
	{"kind", REVIEW_KIND,
		"exchange, handshake, bypass, source.summary, source.drop, datapath.state, "
		"datapath.open or all",
		review_kind},
	{"sources", REVIEW_SOURCES, NULL, review_sources},
	{"format", REVIEW_FORMAT, "jsonl or csv", review_format},
};
#define REVIEW_OPTIONS (sizeof(review_table) / sizeof(review_table[0]))

static bool review_has(const struct review *review, const struct review_option *option)
{
	return !option->extra || (review->extras & option->extra);
}

static void review_print_usage(const struct review *review, FILE *out, const char *usage)
{
	fprintf(out, "%s\n%s%s%s", usage, review_common,
		review->extras & REVIEW_FILTERS ? review_filters : "",
		review->extras & REVIEW_JSON ? review_rest : "  -h, --help\n");
}

/* 0, 1 (help), or -EINVAL, said. */
static int review_take(struct review *review, int found, const char *value, const char *usage)
{
	const struct review_option *option = &review_table[found];

	if (found == 'h') {
		review_print_usage(review, stdout, usage);
		return 1;
	}
	if (found == '?')
		return -EINVAL; /* getopt has said so */
	if (!review_has(review, option)) {
		say("--%s: not an option of this command", option->name);
		return -EINVAL;
	}
	if (option->read(review, value) == 0)
		return 0;
	say("--%s %s: expected %s", option->name, log_quote(slice_of_string(value)).text,
		option->expected);
	return -EINVAL;
}

/* What the options mean together. */
static int review_together(struct review *review)
{
	if (review->filter.until_ns && review->filter.since_ns >= review->filter.until_ns) {
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

int review_read(struct review *review, int argc, char **argv, const char *usage)
{
	struct option options[REVIEW_OPTIONS + 2] = {0};
	int found, error = 0;

	for (size_t i = 0; i < REVIEW_OPTIONS; i++)
		options[i] = (struct option){review_table[i].name,
			review_table[i].expected ? required_argument : no_argument, NULL,
			(int)i};
	options[REVIEW_OPTIONS] = (struct option){"help", no_argument, NULL, 'h'};
	review->now_ns = clock_realtime_ns();
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
