// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/origin_sessions.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "tls/certificate.h"
#include "tls/host_name.h"

#define VERIFIED_FOR_NS (3600 * NS_PER_S)

struct origin_session {
	char host[HOST_NAME_SIZE];
	SSL_SESSION *session;
	uint64_t until_ns; /* realtime */
	struct list recent;
};

struct origin_sessions {
	void *tree; /* by host */
	struct list recent;
	size_t count, max;
};

static int session_compare(const void *a, const void *b)
{
	const struct origin_session *x = a, *y = b;

	return strcmp(x->host, y->host);
}

struct origin_sessions *origin_sessions_new(size_t max)
{
	struct origin_sessions *sessions = calloc(1, sizeof(*sessions));

	if (!sessions)
		return NULL;
	sessions->max = max;
	list_init(&sessions->recent);
	return sessions;
}

static void session_free(struct origin_sessions *sessions, struct origin_session *entry)
{
	tdelete(entry, &sessions->tree, session_compare);
	list_remove(&entry->recent);
	SSL_SESSION_free(entry->session);
	free(entry);
	sessions->count--;
}

void origin_sessions_free(struct origin_sessions *sessions)
{
	if (!sessions)
		return;
	while (!list_empty(&sessions->recent))
		session_free(
			sessions, list_entry(sessions->recent.next, struct origin_session, recent));
	free(sessions);
}

static struct origin_session *sessions_find(struct origin_sessions *sessions, const char *host)
{
	struct origin_session key, **found;

	if (strlen(host) >= sizeof(key.host))
		return NULL;
	strcpy(key.host, host);
	found = tfind(&key, &sessions->tree, session_compare);
	return found ? *found : NULL;
}

static struct origin_session *sessions_add(struct origin_sessions *sessions, const char *host)
{
	struct origin_session *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	strcpy(entry->host, host);
	if (!tsearch(entry, &sessions->tree, session_compare)) {
		free(entry);
		return NULL;
	}
	list_insert_after(&sessions->recent, &entry->recent);
	sessions->count++;
	if (sessions->count > sessions->max)
		session_free(
			sessions, list_entry(sessions->recent.prev, struct origin_session, recent));
	return entry;
}

static uint64_t sessions_end(STACK_OF(X509) *verified, uint64_t now)
{
	uint64_t until = now + VERIFIED_FOR_NS, end;

	for (int i = 0; i < sk_X509_num(verified); i++) {
		if (!certificate_time(X509_get0_notAfter(sk_X509_value(verified, i)), &end))
			return 0;
		if (end < until)
			until = end;
	}
	return until;
}

void origin_sessions_put(struct origin_sessions *sessions, const char *host,
	const SSL_SESSION *session, STACK_OF(X509) *verified, uint64_t realtime_ns)
{
	struct origin_session *entry;
	SSL_SESSION *copy;

	if (!SSL_SESSION_is_resumable(session) || strlen(host) >= HOST_NAME_SIZE)
		return;
	entry = sessions_find(sessions, host);
	if (!entry && !verified)
		return;
	copy = SSL_SESSION_dup(session);
	if (copy && !entry)
		entry = sessions_add(sessions, host);
	if (!copy || !entry) {
		SSL_SESSION_free(copy);
		return;
	}
	if (verified)
		entry->until_ns = sessions_end(verified, realtime_ns);
	SSL_SESSION_free(entry->session);
	entry->session = copy;
}

SSL_SESSION *origin_sessions_get(
	struct origin_sessions *sessions, const char *host, uint64_t realtime_ns)
{
	struct origin_session *entry = sessions_find(sessions, host);

	if (!entry)
		return NULL;
	if (realtime_ns >= entry->until_ns) {
		session_free(sessions, entry);
		return NULL;
	}
	list_remove(&entry->recent);
	list_insert_after(&sessions->recent, &entry->recent);
	return SSL_SESSION_dup(entry->session);
}
