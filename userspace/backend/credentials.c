// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/credentials.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/credential_message.h"

/* Exchanges that began with the value before are still going on. */
#define VALUES_KEPT 2

struct known {
	uint32_t version;    /* of the latest value */
	uint64_t expires_ns; /* … 0: never */
	char why[256]; /* there is none, or no other */
};

struct credentials {
	size_t n;
	struct known *known;
	struct secret **values; /* VALUES_KEPT of each, the latest first */
};

struct credentials *credentials_new(size_t n)
{
	struct credentials *credentials = calloc(1, sizeof(*credentials));

	if (!credentials)
		return NULL;
	credentials->n = n;
	credentials->known = calloc(n + 1, sizeof(*credentials->known));
	credentials->values = calloc(n * VALUES_KEPT + 1, sizeof(struct secret *));
	if (credentials->known && credentials->values)
		return credentials;
	credentials_free(credentials);
	return NULL;
}

void credentials_free(struct credentials *credentials)
{
	if (!credentials)
		return;
	for (size_t i = 0; credentials->values && i < credentials->n * VALUES_KEPT; i++)
		secret_free(credentials->values[i]);
	free(credentials->values);
	free(credentials->known);
	free(credentials);
}

static void keep_why(struct known *known, struct slice why)
{
	size_t len = why.len < sizeof(known->why) ? why.len : sizeof(known->why) - 1;

	memcpy(known->why, why.data, len);
	known->why[len] = '\0';
}

int credentials_take(struct credentials *credentials, struct slice body, size_t *index)
{
	struct credential_head head;
	struct secret **values, *value;
	struct known *known;
	struct slice text;
	bool renewed = false;

	if (body.len <= sizeof(head) || body.len - sizeof(head) > CREDENTIAL_TEXT_MAX)
		return -EBADMSG;
	memcpy(&head, body.data, sizeof(head));
	text = slice_after(body, sizeof(head));
	if (head.index >= credentials->n)
		return -EBADMSG;
	known = &credentials->known[head.index];
	values = &credentials->values[head.index * VALUES_KEPT];
	if (!head.version) {
		keep_why(known, text);
		return 0;
	}
	known->why[0] = '\0';
	if (!*values || !slice_equal(secret_text(*values), text)) {
		value = secret_new(text);
		if (!value)
			return -ENOMEM;
		renewed = *values != NULL;
		*index = head.index;
		secret_free(values[VALUES_KEPT - 1]);
		memmove(values + 1, values, (VALUES_KEPT - 1) * sizeof(*values));
		*values = value;
	}
	known->version = head.version;
	known->expires_ns = head.expires_ns;
	return renewed;
}

struct secret *credentials_value(const struct credentials *credentials, size_t index,
	uint64_t now_ns, const char **why)
{
	const struct known *known = &credentials->known[index];
	struct secret *value = credentials->values[index * VALUES_KEPT];

	if (value && (!known->expires_ns || now_ns < known->expires_ns))
		return value;
	*why = known->why[0] ? known->why
	       : value	     ? "it has expired, and no other has come yet"
			     : "it has not come yet";
	return NULL;
}

uint32_t credentials_version(
	const struct credentials *credentials, size_t index, const struct secret *value)
{
	return credentials->values[index * VALUES_KEPT] == value ? credentials->known[index].version
								 : 0;
}

struct secret *const *credentials_all(const struct credentials *credentials, size_t *n)
{
	*n = credentials->n * VALUES_KEPT;
	return credentials->values;
}
