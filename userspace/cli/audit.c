// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/command.h"
#include "cli/review.h"
#include "cli/say.h"
#include "collector/access.h"
#include "collector/layout.h"

static const char usage[] =
	"usage: sallyport audit [OPTIONS] verify [HEAD …]\n"
	"       sallyport audit [--store DIRECTORY] backup DIRECTORY\n"
	"\n"
	"Checks that the store is as it was written and whole: every event against its digest and its\n"
	"link to the one before, which are made with the store's key, the ends of the chains of all\n"
	"days, and the numbers of each process of an appliance, which follow each other. --since and\n"
	"--until choose whole days. Says what is damaged, missing, there twice or in conflict, and what\n"
	"broke a chain; ends with 1 then. It prints where each chain ends, its head: keep heads where\n"
	"the machine of the store cannot change them; verify HEAD tells whether the store still has it.\n"
	"backup copies the store to a directory that it makes, while the collector works.\n";

#define AUDIT_LINES 100 /* of each kind: what comes after is counted only */

struct audit {
	unsigned damaged, broken, gaps;
};

static int audit_damaged(void *context, const char *what)
{
	struct audit *audit = context;

	if (audit->damaged++ < AUDIT_LINES)
		printf("damaged    %s\n", what);
	return ferror(stdout) ? -EPIPE : 0;
}

static int audit_broken(void *context, const char *what)
{
	struct audit *audit = context;

	if (audit->broken++ < AUDIT_LINES)
		printf("broken     %s\n", what);
	return ferror(stdout) ? -EPIPE : 0;
}

static int audit_head(void *context, const struct query_head *head)
{
	(void)context;
	printf("head       %.10s:%" PRId64 ":", layout_day_name(head->day).text, head->id);
	for (size_t i = 0; i < KEYED_LINK; i++)
		printf("%02x", head->link.bytes[i]);
	printf(" of %s\n", log_quote(head->observer).text);
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

/* DAY:ID:LINK, as it was printed. */
static int audit_head_read(const char *text, struct query_head *head)
{
	char day[16];
	int end = 0;

	if (sscanf(text, "%10[0-9-]:%" SCNd64 ":%n", day, &head->id, &end) != 2 || !end ||
		strlen(text + end) != 2 * (size_t)KEYED_LINK)
		return -EINVAL;
	strcat(day, ".db");
	head->day = layout_day_of(day);
	for (size_t i = 0; i < KEYED_LINK; i++) {
		const char *digits = text + end + 2 * i;

		if (!isxdigit((unsigned char)digits[0]) || !isxdigit((unsigned char)digits[1]) ||
			sscanf(digits, "%2hhx", &head->link.bytes[i]) != 1)
			return -EINVAL;
	}
	return head->day < 0 ? -EINVAL : 0;
}

/* The heads that were kept elsewhere. 0; 1: one is not in the store; -EIO with why. */
static int audit_heads(const struct review *review, struct query *query, struct why *why)
{
	int missing = 0;

	for (size_t i = 1; i < review->nwords; i++) {
		struct query_head head;
		int has;

		(void)audit_head_read(review->words[i], &head);
		has = query_has_head(query, &head, why);
		if (has < 0 && has != -ENOENT)
			return -EIO;
		missing |= has != 1;
		printf("%-10s %s\n",
			has == 1 ? "has"
			: has    ? "no day"
				 : "lost",
			review->words[i]);
	}
	return missing;
}

static int audit_verify(const struct review *review)
{
	static const struct query_integrity_ops ops = {.damaged = audit_damaged,
		.broken = audit_broken,
		.head = audit_head,
		.gap = audit_gap};
	struct query_integrity found;
	struct audit audit = {0};
	struct why why = {""};
	struct query *query = review_open(review, NULL, &why);
	int error = query ? 0 : -EIO, missing = 0;

	if (!error) {
		/* Every byte is read. */
		query_patience(query, 0);
		error = query_verify(query, &review->filter, &ops, &audit, &found, &why);
	}
	if (!error && (missing = audit_heads(review, query, &why)) < 0)
		error = missing;
	query_close(query);
	if (error) {
		say("%s", why.text[0] ? why.text : "the output cannot be written");
		return 1;
	}
	printf("events     %" PRIu64 " read, %" PRIu64 " damaged, %" PRIu64 " in conflict\n",
		found.events, found.damaged, found.conflicts);
	printf("chains     %" PRIu64 " with %" PRIu64 " events: %" PRIu64 " times broken\n",
		found.chains, found.chained, found.broken);
	if (found.unchained)
		printf("unchained  %" PRIu64 " events of before there were chains\n",
			found.unchained);
	if (found.retired)
		printf("retired    %" PRIu64 " events of days that --retain removed\n", found.retired);
	printf("streams    %" PRIu64 ", in which %" PRIu64 " events are missing and %" PRIu64
	       " numbers are there twice\n",
		found.streams, found.missing, found.twice);
	if (found.removed)
		printf("before     %" PRIu64 " events came before the first that are there\n",
			found.removed);
	return missing || found.broken || found.damaged || found.conflicts || found.missing || found.twice;
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
	if (strcmp(review.words[0], "verify") != 0) {
		say("expected verify, or backup and a directory");
		return 2;
	}
	for (size_t i = 1; i < review.nwords; i++) {
		struct query_head head;

		if (audit_head_read(review.words[i], &head) == 0)
			continue;
		say("%s: expected a head as verify prints it, DAY:ID:LINK",
			log_quote(slice_of_string(review.words[i])).text);
		return 2;
	}
	if (review.filter.has_source) {
		say("--ip: the numbers of a process are not those of one address");
		return 2;
	}
	return audit_verify(&review);
}
