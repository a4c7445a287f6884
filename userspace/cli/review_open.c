// SPDX-License-Identifier: GPL-2.0-or-later
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/review.h"
#include "collector/access.h"

/* The user, and who he was before sudo(8), as far as that can be believed. */
static void review_who(char *who, size_t size)
{
	const struct passwd *entry = getpwuid(getuid());
	const char *before = getuid() == 0 ? getenv("SUDO_USER") : NULL;

	if (entry && before)
		snprintf(who, size, "%s (sudo of %s)", entry->pw_name, before);
	else if (entry)
		snprintf(who, size, "%s", entry->pw_name);
	else
		snprintf(who, size, "%u", getuid());
}

struct query *review_open(const struct review *review, const char *what, struct why *why)
{
	struct query *query = query_open(review->store, why);
	struct access *access = query && what ? access_open(review->store, why) : NULL;
	struct access_look look = {.by = SLICE("command"),
		.what = slice_of_string(what),
		.detail = slice_of_string(review->said)};
	char who[128];

	if (!query || !what)
		return query;
	review_who(who, sizeof(who));
	look.who = slice_of_string(who);
	if (!access || access_record(access, &look, why) < 0) {
		query_close(query);
		query = NULL;
	}
	access_close(access);
	return query;
}
