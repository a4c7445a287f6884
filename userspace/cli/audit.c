// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/command.h"
#include "cli/review.h"
#include "cli/say.h"
#include "collector/access.h"

static const char usage[] =
	"usage: sallyport audit [OPTIONS] verify\n"
	"       sallyport audit [--store DIRECTORY] backup DIRECTORY\n"
	"\n"
	"Checks that the store is as it was written and whole: every event against its digest, which\n"
	"is made with the store's key, and the numbers of each process of an appliance, which follow\n"
	"each other. Says what is damaged, missing, there twice or in conflict; ends with 1 then.\n"
	"backup copies the store to a directory that it makes, while the collector works.\n";

#define AUDIT_LINES 100 /* of each kind: what comes after is counted only */

struct audit {
	unsigned damaged, gaps;
};

static int audit_damaged(void *context, const char *what)
{
	struct audit *audit = context;

	if (audit->damaged++ < AUDIT_LINES)
		printf("damaged    %s\n", what);
	return ferror(stdout) ? -EPIPE : 0;
}

static int audit_gap(void *context, const struct query_gap *gap)
{
	struct audit *audit = context;

	if (audit->gaps++ < AUDIT_LINES) {
		printf("%-10s %s", gap->twice ? "twice" : "missing", log_quote(gap->observer).text);
		printf(", life %s, process %" PRId64 ": event %" PRId64, log_quote(gap->epoch).text,
			gap->stream, gap->first);
		if (gap->last != gap->first)
			printf(" to %" PRId64, gap->last);
		putchar('\n');
	}
	return ferror(stdout) ? -EPIPE : 0;
}

static int audit_verify(const struct review *review)
{
	static const struct query_integrity_ops ops = {.damaged = audit_damaged, .gap = audit_gap};
	struct query_integrity found;
	struct audit audit = {0};
	struct why why = {""};
	struct query *query = review_open(review, NULL, &why);
	int error = query ? 0 : -EIO;

	if (!error) {
		/* Every byte is read. */
		query_patience(query, 0);
		error = query_verify(query, &review->filter, &ops, &audit, &found, &why);
	}
	query_close(query);
	if (error) {
		say("%s", why.text[0] ? why.text : "the output cannot be written");
		return 1;
	}
	printf("events     %" PRIu64 " read, %" PRIu64 " damaged, %" PRIu64 " in conflict\n",
		found.events, found.damaged, found.conflicts);
	printf("streams    %" PRIu64 ", in which %" PRIu64 " events are missing and %" PRIu64
	       " numbers are there twice\n",
		found.streams, found.missing, found.twice);
	if (found.removed)
		printf("before     %" PRIu64 " events came before the first that are there\n",
			found.removed);
	return found.damaged || found.conflicts || found.missing || found.twice;
}

static int audit_backup(const struct review *review)
{
	struct why why = {""};
	struct query *query = review_open(review, "backup", &why);
	struct access *looks = query ? access_open(review->store, &why) : NULL;
	int error = looks ? 0 : -EIO;
	uint64_t days;

	if (!error) {
		query_patience(query, 0);
		error = query_backup(query, review->words[1], &days, &why);
	}
	if (!error)
		error = access_copy(looks, review->words[1], &why);
	access_close(looks);
	query_close(query);
	if (error)
		say("%s", why.text);
	else
		printf("%" PRIu64 " days are copied to %s; keep the directory as secret as the store\n",
			days, review->words[1]);
	return error ? 1 : 0;
}

int cmd_audit(int argc, char **argv)
{
	struct review review = {.extras = REVIEW_WORDS, .store = REVIEW_STORE};
	int error = review_read(&review, argc, argv, usage);

	if (error)
		return error < 0 ? 2 : 0;
	if (review.nwords == 2 && strcmp(review.words[0], "backup") == 0) {
		if (review.filter.has_source || review.filter.since_ns || review.filter.until_ns) {
			say("backup: it is of all that is in the store: without --ip, --since and --until");
			return 2;
		}
		return audit_backup(&review);
	}
	if (review.nwords != 1 || strcmp(review.words[0], "verify") != 0) {
		say("expected verify, or backup and a directory");
		return 2;
	}
	if (review.filter.has_source) {
		say("--ip: the numbers of a process are not those of one address");
		return 2;
	}
	return audit_verify(&review);
}
