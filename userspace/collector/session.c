// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/session.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"

#define SESSION_LINKS	 16
#define SESSION_SESSIONS 64
#define SESSION_LINK_NS	 (120 * NS_PER_S)
#define SESSION_NS	 (12 * 3600 * NS_PER_S)

/* A link is what the session has as its cookie before it is one. */
struct sessions {
	struct session links[SESSION_LINKS], sessions[SESSION_SESSIONS];
};

static const char *const role_names[] = {
	[ROLE_NONE] = "none", [ROLE_OPERATOR] = "operator", [ROLE_REVIEWER] = "reviewer"};

const char *role_name(enum role role)
{
	return role_names[role];
}

enum role role_of(struct slice name)
{
	for (enum role role = ROLE_OPERATOR; role <= ROLE_REVIEWER; role++)
		if (slice_equal(name, slice_of_string(role_names[role])))
			return role;
	return ROLE_NONE;
}

struct sessions *sessions_new(void)
{
	return calloc(1, sizeof(struct sessions));
}

void sessions_free(struct sessions *sessions)
{
	if (sessions)
		OPENSSL_cleanse(sessions, sizeof(*sessions));
	free(sessions);
}

static int session_secret(char secret[SESSION_SECRET])
{
	uint8_t bytes[32];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return -EIO;
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(secret + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

static bool session_is(const char secret[SESSION_SECRET], struct slice text)
{
	return text.len == SESSION_SECRET - 1 && secret[0] &&
	       CRYPTO_memcmp(secret, text.data, text.len) == 0;
}

static size_t session_count(const struct session *all, size_t n, const char *name, uint64_t now_ns)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += all[i].until_ns > now_ns && strcmp(all[i].name, name) == 0;
	return count;
}

/* A place for another one of a user: a free one, or that of the one that would end first, of the user
 * who has most. Nobody's are ended by somebody who has more himself. */
static struct session *session_place(struct session *all, size_t n, uint64_t now_ns)
{
	struct session *place = NULL;
	size_t most = 0;

	for (size_t i = 0; i < n; i++) {
		size_t count = session_count(all, n, all[i].name, now_ns);

		if (all[i].until_ns <= now_ns) {
			place = &all[i];
			break;
		}
		if (count < most || (count == most && all[i].until_ns >= place->until_ns))
			continue;
		most = count;
		place = &all[i];
	}
	OPENSSL_cleanse(place, sizeof(*place));
	return place;
}

int sessions_link(struct sessions *sessions, const char *name, enum role role, uint64_t now_ns,
	char link[SESSION_SECRET])
{
	struct session *place = session_place(sessions->links, SESSION_LINKS, now_ns);
	int error = session_secret(place->cookie);

	if (error)
		return error;
	snprintf(place->name, sizeof(place->name), "%s", name);
	place->role = role;
	place->until_ns = now_ns + SESSION_LINK_NS;
	memcpy(link, place->cookie, SESSION_SECRET);
	return 0;
}

const struct session *sessions_enter(
	struct sessions *sessions, struct slice link, uint64_t now_ns)
{
	for (size_t i = 0; i < SESSION_LINKS; i++) {
		struct session *from = &sessions->links[i], *to;

		if (!session_is(from->cookie, link) || from->until_ns <= now_ns)
			continue;
		to = session_place(sessions->sessions, SESSION_SESSIONS, now_ns);
		*to = *from;
		OPENSSL_cleanse(from, sizeof(*from));
		to->until_ns = now_ns + SESSION_NS;
		if (session_secret(to->cookie) == 0 && session_secret(to->key) == 0)
			return to;
		OPENSSL_cleanse(to, sizeof(*to));
	}
	return NULL;
}

const struct session *sessions_find(
	struct sessions *sessions, struct slice cookie, struct slice key, uint64_t now_ns)
{
	for (size_t i = 0; i < SESSION_SESSIONS; i++) {
		const struct session *session = &sessions->sessions[i];

		if (session_is(session->cookie, cookie) && session_is(session->key, key) &&
			session->until_ns > now_ns)
			return session;
	}
	return NULL;
}

void sessions_end(struct sessions *sessions, const struct session *session)
{
	for (size_t i = 0; i < SESSION_SESSIONS; i++)
		if (&sessions->sessions[i] == session)
			OPENSSL_cleanse(&sessions->sessions[i], sizeof(*session));
}
