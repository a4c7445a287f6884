/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands that show events share: options that filter, and how an event is shown. */
#ifndef CLI_REVIEW_H
#define CLI_REVIEW_H

#include <stdbool.h>
#include <stdio.h>

#include "collector/query.h"

#define REVIEW_STORE "/var/lib/sallyport/events"

/* Options that not every subcommand has. */
enum review_extra {
	REVIEW_LIMIT = 1,
	REVIEW_ID = 2,
	REVIEW_BY = 4,
	REVIEW_ALL = 8,
	REVIEW_KIND = 16,
	REVIEW_SOURCES = 32,
	REVIEW_FILTERS = 64, /* model, host, backend, operation, user, status, outcome */
	REVIEW_JSON = 128,
	REVIEW_WORDS = 256, /* arguments that are no options, one at least */
	REVIEW_FORMAT = 512,
	REVIEW_SLOWEST = 1024,
};

struct review {
	unsigned extras; /* of enum review_extra: those the subcommand has; others are refused */
	const char *store;
	struct query_filter filter;
	uint64_t limit;
	bool json, all, slowest;
	const char *by; /* these two: usage only */
	bool sources;
	const char *format; /* export */
	const char *const *words;
	size_t nwords;
	uint64_t now_ns;    /* when the options were read */
	bool outcome_given, kind_given;
	char said[1024]; /* the arguments, as they were given */
};

/* Reads the arguments after the subcommand's name. 0; 1: --help was printed; -EINVAL: what is
 * wrong was said on standard error. defaults are what review holds before. */
int review_read(struct review *review, int argc, char **argv, const char *usage);

/* Opens the store. what is the look at what was said ("show", "search" …), which is recorded first;
 * NULL: numbers alone are shown. NULL with why. */
struct query *review_open(const struct review *review, const char *what, struct why *why);

/* Prints the heading of review_print_event's lines; kind as in the filter. */
void review_print_heading(FILE *out, const char *kind);
/* One line: time, source, model, tokens, outcome, and the first 100 characters of the answer; or what
 * an event of another kind has to tell. */
void review_print_event(FILE *out, const struct query_event *event);
/* A time as 2026-01-31T12:00:00Z. */
struct review_time_text {
	char text[32];
};
struct review_time_text review_time_format(uint64_t time_ns);
/* The whole record as one line of JSON; the messages, which are JSON themselves, as values. 0, or
 * -EBADMSG for a record that is none. */
int review_print_json(FILE *out, const struct query_event *event);

#endif
