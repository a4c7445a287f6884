// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/subject.h"

#include "http/credential.h"
#include "http/percent.h"

/* ---- what is presented ---- */

static void credentials_add(struct credentials *c, struct slice text)
{
	if (!text.len)
		return;
	if (c->n == SUBJECT_CREDENTIALS)
		c->more = true;
	else
		c->texts[c->n++] = text;
}

/* RFC 9110 section 11.4: a scheme, a space, and what it takes. */
static struct slice without_scheme(const struct header *header)
{
	size_t space = slice_index(header->value, ' ');

	return space < header->value.len ? slice_trim(slice_after(header->value, space))
					 : header->value;
}

/* Where clients of the API and of gateways before it put theirs. Most fields of a request are told
 * from these by their length. */
static bool is_place(struct slice name)
{
	switch (name.len) {
	case 7:
		return slice_equal_nocase(name, SLICE("api-key"));
	case 9:
		return slice_equal_nocase(name, SLICE("x-api-key"));
	case 13:
		return slice_equal_nocase(name, SLICE("authorization"));
	case 19:
		return slice_equal_nocase(name, SLICE("proxy-authorization"));
	case 25:
		return slice_equal_nocase(name, SLICE("ocp-apim-subscription-key"));
	default:
		return false;
	}
}

/* A parameter that every call of Azure's has is passed over quickly. */
static bool is_place_of_query(struct slice name)
{
	return !slice_equal(name, SLICE("api-version")) && credential_parameter(name);
}

/* The value of a parameter, decoded into memory of the credentials where that makes a difference. */
static struct slice value_of(const struct credential_query *parameter, struct credentials *c)
{
	struct slice value = parameter->value;
	char *to = c->decoded + c->ndecoded;
	size_t n = 0;

	if (slice_index(value, '%') == value.len)
		return value;
	if (value.len > sizeof(c->decoded) - c->ndecoded) {
		c->more = true;
		return value;
	}
	while (value.len)
		to[n++] = percent_next(&value);
	c->ndecoded += n;
	return slice_of(to, n);
}

static struct slice query_of(struct slice path)
{
	return slice_after(path, slice_index(path, '?'));
}

void credentials_read(const struct head *head, struct credentials *c)
{
	struct slice rest = query_of(head->path);
	struct credential_query parameter;

	c->n = c->ndecoded = 0;
	c->more = false;
	for (size_t i = 0; i < head->nheaders; i++)
		if (is_place(head->headers[i].name))
			credentials_add(c, without_scheme(&head->headers[i]));
	while (credential_query_next(&rest, &parameter))
		if (is_place_of_query(parameter.name))
			credentials_add(c, value_of(&parameter, c));
}

bool credentials_issued_field(const struct header *header)
{
	struct slice id;

	return key_text_read(without_scheme(header), &id);
}

bool credentials_issued_query(struct slice path)
{
	struct slice rest = query_of(path), id;
	struct credential_query parameter;
	struct credentials c;

	while (credential_query_next(&rest, &parameter)) {
		c.ndecoded = 0;
		if (key_text_read(value_of(&parameter, &c), &id))
			return true;
	}
	return false;
}

/* ---- whose it is ---- */

static void subject_add_group(struct subject *s, struct slice group)
{
	for (size_t i = 0; i < s->ngroups; i++)
		if (slice_equal(s->groups[i], group))
			return;
	if (s->ngroups < SUBJECT_GROUPS)
		s->groups[s->ngroups++] = group;
}

static void subject_try_key(
	const struct subject_means *means, struct slice text, uint64_t now_s, struct subject *s)
{
	const struct issued_key *key;
	enum key_state state = key_table_check(means->keys, text, means->digest, now_s, &key);

	if (state == KEY_VALID && s->key && s->key != key)
		state = KEY_SEVERAL;
	if (state != KEY_VALID) {
		s->refused = true;
		s->state = state;
	} else {
		s->key = key;
	}
}

/* One alone: of two that differ, nobody can tell which the service goes by. */
static bool subject_try_token(
	const struct subject_means *means, struct slice text, uint64_t now_s, struct subject *s)
{
	const struct token *token = NULL;
	enum token_state state = TOKEN_FOREIGN;

	if (!means->token || !slice_starts_with(text, SLICE("eyJ")))
		return false;
	if (s->token)
		state = TOKEN_SEVERAL;
	else
		state = means->token(means->context, text, now_s, &token);
	if (state == TOKEN_FOREIGN)
		return false;
	if (state == TOKEN_VALID) {
		s->token = token;
	} else {
		s->refused = true;
		s->token_state = state;
	}
	return true;
}

static void subject_try(const struct subject_means *means, const struct credentials *c,
	uint64_t now_s, struct subject *s)
{
	bool service = false;
	struct slice id;

	for (size_t i = 0; i < c->n; i++) {
		if (means->keys && key_text_read(c->texts[i], &id))
			subject_try_key(means, c->texts[i], now_s, s);
		else if ((i == 0 || !slice_equal(c->texts[i], c->texts[i - 1])) &&
			 subject_try_token(means, c->texts[i], now_s, s))
			continue;
		else if (means->is_service && means->is_service(means->context, c->texts[i]))
			service = true;
	}
	/* What was not looked at may be anything, and goes on to the service. */
	if (c->more) {
		s->refused = true;
		s->state = KEY_SEVERAL;
	}
	if (s->refused) {
		s->key = NULL;
		s->token = NULL;
	}
	s->credential = service	       ? RULE_CREDENTIAL_SERVICE
			: s->key       ? RULE_CREDENTIAL_ISSUED
			: s->token     ? RULE_CREDENTIAL_TOKEN
			: c->n         ? RULE_CREDENTIAL_OTHER
				       : RULE_CREDENTIAL_NONE;
}

void subject_find(const struct subject_means *means, const struct address *address,
	const struct credentials *c, uint64_t now_s, struct subject *s)
{
	*s = (struct subject){.state = KEY_VALID};
	subject_try(means, c, now_s, s);
	for (size_t i = 0; s->key && i < s->key->ngroups; i++)
		subject_add_group(s, slice_of_string(s->key->groups[i]));
	for (size_t i = 0; s->token && i < s->token->ngroups; i++)
		subject_add_group(s, s->token->groups[i]);
	if (s->ngroups < SUBJECT_GROUPS) {
		struct slice of_address[SUBJECT_GROUPS];
		size_t n = policy_groups(means->policy, address, of_address, SUBJECT_GROUPS);

		for (size_t i = 0; i < n; i++)
			subject_add_group(s, of_address[i]);
	}
}
