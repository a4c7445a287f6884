/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who may look at the store over HTTP: one-time links, and the sessions that they become. A session
 * has two secrets: a cookie, which browsers send to every port of the machine, and a key, which only
 * the page of this origin knows. Both are needed. In memory alone: a restart ends them all. */
#ifndef COLLECTOR_SESSION_H
#define COLLECTOR_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define SESSION_SECRET 65 /* 32 random bytes in hex, and a NUL */
#define SESSION_NAME   64

enum role {
	ROLE_NONE,
	ROLE_OPERATOR, /* numbers */
	ROLE_REVIEWER, /* what was said as well */
};
/* "operator", "reviewer", "none" */
const char *role_name(enum role role);
/* ROLE_NONE: there is no such role. */
enum role role_of(struct slice name);

struct session {
	char name[SESSION_NAME]; /* of the user who asked for the link */
	enum role role;
	uint64_t until_ns;
	char cookie[SESSION_SECRET], key[SESSION_SECRET];
};

struct sessions;

/* NULL without memory. */
struct sessions *sessions_new(void);
void sessions_free(struct sessions *sessions);

/* Makes a link for a user, valid for two minutes; of too many the oldest is forgotten. 0, or -EIO: the
 * system has no randomness. Times are CLOCK_MONOTONIC. */
int sessions_link(struct sessions *sessions, const char *name, enum role role, uint64_t now_ns,
	char link[SESSION_SECRET]);
/* The session that a link becomes, once, for twelve hours. NULL: there is no such link (any more). */
const struct session *sessions_enter(
	struct sessions *sessions, struct slice link, uint64_t now_ns);
/* NULL: none that is valid has this cookie and this key. */
const struct session *sessions_find(
	struct sessions *sessions, struct slice cookie, struct slice key, uint64_t now_ns);
void sessions_end(struct sessions *sessions, const struct session *session);

#endif
