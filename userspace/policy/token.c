// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/token.h"

#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#define GROUPS_MOST    512
#define AUDIENCES_MOST 16
#define TIME_MOST      UINT64_C(253402300799) /* the end of the year 9999 */

const char *token_state_name(enum token_state state)
{
	static const char *const names[] = {
		[TOKEN_VALID] = "valid",
		[TOKEN_FOREIGN] = "of another issuer",
		[TOKEN_MALFORMED] = "malformed",
		[TOKEN_ALGORITHM] = "signed with an algorithm that is not allowed",
		[TOKEN_KEY_UNKNOWN] = "signed with a key that its issuer does not publish",
		[TOKEN_SIGNATURE] = "not signed by its issuer",
		[TOKEN_AUDIENCE] = "for another audience",
		[TOKEN_TENANT] = "of another tenant",
		[TOKEN_EARLY] = "not valid yet",
		[TOKEN_EXPIRED] = "expired",
		[TOKEN_UNCHECKED] = "not to be checked now, for its issuer's keys are not known",
		[TOKEN_SEVERAL] = "not the only one",
	};

	return names[state];
}

const char *token_algorithm_name(enum token_algorithm algorithm)
{
	static const char *const names[] = {
#define TOKEN_ALGORITHM_TEXT(NAME) #NAME,
		TOKEN_ALGORITHMS(TOKEN_ALGORITHM_TEXT)
	};

	return algorithm < TOKEN_ALGORITHM_COUNT ? names[algorithm] : "none";
}

/* ---- base64url (RFC 4648 section 5), without padding ---- */

static int digit_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* Into to, which has as much room as the text; the length, or -1. */
static long decode(struct slice text, char *to)
{
	uint32_t bits = 0;
	size_t n = 0;
	int have = 0;

	if (!text.len || text.len % 4 == 1)
		return -1;
	for (size_t i = 0; i < text.len; i++) {
		int digit = digit_of(text.data[i]);

		if (digit < 0)
			return -1;
		bits = bits << 6 | (uint32_t)digit;
		have += 6;
		if (have >= 8) {
			have -= 8;
			to[n++] = (char)(bits >> have & 0xff);
		}
	}
	/* Two texts for the same bytes are one too many. */
	return bits & ((1u << have) - 1) ? -1 : (long)n;
}

/* ---- JSON ---- */

/* A part as an object without a name that stands there twice; NULL: it is none. */
static yyjson_doc *parse(struct slice part)
{
	char *json = malloc(part.len + 1);
	long len = json ? decode(part, json) : -1;
	yyjson_doc *doc = len > 0 ? yyjson_read(json, (size_t)len, 0) : NULL;
	yyjson_val *root = yyjson_doc_get_root(doc), *key, *other;
	yyjson_obj_iter all, rest;
	bool good = yyjson_is_obj(root) && yyjson_obj_size(root) <= 128;

	if (good)
		yyjson_obj_iter_init(root, &all);
	while (good && (key = yyjson_obj_iter_next(&all))) {
		rest = all;
		while (good && (other = yyjson_obj_iter_next(&rest)))
			good = !yyjson_equals_strn(
				key, yyjson_get_str(other), yyjson_get_len(other));
	}
	free(json);
	if (good)
		return doc;
	yyjson_doc_free(doc);
	return NULL;
}

static struct slice text_of(yyjson_val *object, const char *name)
{
	yyjson_val *value = yyjson_obj_get(object, name);

	return yyjson_is_str(value) ? slice_of(yyjson_get_str(value), yyjson_get_len(value))
				    : SLICE_NONE;
}

static struct slice first_text(yyjson_val *object, const char *const *names, size_t n)
{
	struct slice found = SLICE_NONE;

	for (size_t i = 0; i < n && !found.len; i++)
		found = text_of(object, names[i]);
	return found;
}

/* Seconds since 1970; a part of one is left out. False: it is there, and no such number. */
static bool time_of(yyjson_val *object, const char *name, uint64_t *seconds)
{
	yyjson_val *value = yyjson_obj_get(object, name);
	double real = yyjson_is_real(value) ? yyjson_get_real(value) : -1;

	*seconds = 0;
	if (!value)
		return true;
	if (yyjson_is_uint(value))
		*seconds = yyjson_get_uint(value);
	else if (real >= 0 && real <= (double)TIME_MOST)
		*seconds = (uint64_t)real;
	else
		return false;
	return *seconds <= TIME_MOST;
}

/* ---- copying ---- */

/* Memory of a token: texts one after the other, of as many bytes as the token has at most. */
struct copier {
	char *at, *end;
};

static struct slice copy(struct copier *c, struct slice before, struct slice text)
{
	size_t len = before.len + text.len;
	char *to = c->at;

	if (!text.len || len > (size_t)(c->end - c->at))
		return SLICE_NONE;
	if (before.len)
		memcpy(to, before.data, before.len);
	memcpy(to + before.len, text.data, text.len);
	c->at += len;
	return slice_of(to, len);
}

/* What rules can name: what could not be is no group. */
static bool is_group(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] <= ' ' || text.data[i] > '~' || text.data[i] == ',')
			return false;
	return text.len > 0 && text.len <= 128;
}

static void add_group(
	struct token *token, struct copier *c, struct slice before, struct slice text)
{
	struct slice group = SLICE_NONE;

	if (is_group(text) && token->ngroups < GROUPS_MOST)
		group = copy(c, before, text);
	if (group.len)
		token->groups[token->ngroups++] = group;
	else if (text.len)
		token->overage = true;
}

static void add_list(struct token *token, struct copier *c, struct slice before, yyjson_val *list)
{
	yyjson_arr_iter all;
	yyjson_val *value;

	yyjson_arr_iter_init(list, &all);
	while ((value = yyjson_arr_iter_next(&all)))
		if (yyjson_is_str(value))
			add_group(token, c, before,
				slice_of(yyjson_get_str(value), yyjson_get_len(value)));
}

/* "a b c" (RFC 8693 section 4.2). */
static void add_scopes(struct token *token, struct copier *c, struct slice scopes)
{
	while (scopes.len) {
		size_t len = slice_index(scopes, ' ');

		if (len)
			add_group(token, c, SLICE("scope."), slice_first(scopes, len));
		scopes = slice_after(scopes, len + 1);
	}
}

/* A text, or a list of them. */
static void add_audiences(struct token *token, struct copier *c, yyjson_val *value)
{
	yyjson_arr_iter all;
	yyjson_val *each = value;

	yyjson_arr_iter_init(value, &all);
	if (yyjson_is_arr(value))
		each = yyjson_arr_iter_next(&all);
	for (; each && token->naudiences < AUDIENCES_MOST;
		each = yyjson_is_arr(value) ? yyjson_arr_iter_next(&all) : NULL)
		if (yyjson_is_str(each))
			token->audiences[token->naudiences++] = copy(c, SLICE_NONE,
				slice_of(yyjson_get_str(each), yyjson_get_len(each)));
}

static enum token_algorithm algorithm_of(struct slice name)
{
	for (unsigned i = 0; i < TOKEN_ALGORITHM_COUNT; i++)
		if (slice_equal(name,
			    slice_of_string(token_algorithm_name((enum token_algorithm)i))))
			return (enum token_algorithm)i;
	return TOKEN_ALGORITHM_COUNT;
}

/* Names that Entra has for the same thing in its versions 1 and 2. */
static void take_claims(struct token *token, struct copier *c, yyjson_val *claims)
{
	static const char *const names[] = {"preferred_username", "upn", "unique_name"};
	static const char *const applications[] = {"azp", "appid"};
	static const char *const objects[] = {"oid", "sub"};
	yyjson_val *elsewhere = yyjson_obj_get(claims, "_claim_names");

	token->issuer = copy(c, SLICE_NONE, text_of(claims, "iss"));
	token->object = copy(c, SLICE_NONE, first_text(claims, objects, 2));
	token->tenant = copy(c, SLICE_NONE, text_of(claims, "tid"));
	token->application = copy(c, SLICE_NONE, first_text(claims, applications, 2));
	token->name = copy(c, SLICE_NONE, first_text(claims, names, 3));
	/* More than fit: the directory would have to be asked, in the name of the client. */
	token->overage = yyjson_obj_get(elsewhere, "groups") ||
			 yyjson_is_true(yyjson_obj_get(claims, "hasgroups"));
	add_list(token, c, SLICE_NONE, yyjson_obj_get(claims, "groups"));
	add_list(token, c, SLICE("role."), yyjson_obj_get(claims, "roles"));
	add_scopes(token, c, text_of(claims, "scp"));
	add_group(token, c, SLICE("app."), token->application);
	add_audiences(token, c, yyjson_obj_get(claims, "aud"));
}

static enum token_state take(struct token *token, size_t len, yyjson_val *head, yyjson_val *claims)
{
	/* "scope." before each letter of it. */
	size_t texts = 8 * len + 256;
	struct copier c;

	token->memory = calloc(1, (GROUPS_MOST + AUDIENCES_MOST) * sizeof(struct slice) + texts);
	if (!token->memory)
		return TOKEN_UNCHECKED;
	token->groups = token->memory;
	token->audiences = token->groups + GROUPS_MOST;
	c.at = (char *)(token->audiences + AUDIENCES_MOST);
	c.end = c.at + texts;
	token->algorithm = algorithm_of(text_of(head, "alg"));
	token->kid = copy(&c, SLICE_NONE, text_of(head, "kid"));
	take_claims(token, &c, claims);
	/* What it says must be understood (RFC 7515 section 4.1.11), and nothing is. */
	if (yyjson_obj_get(head, "crit") || !time_of(claims, "exp", &token->expires_s) ||
		!time_of(claims, "nbf", &token->not_before_s) || !token->expires_s ||
		!token->issuer.len)
		return TOKEN_MALFORMED;
	return TOKEN_VALID;
}

enum token_state token_read(struct slice text, struct token *token)
{
	size_t first = slice_index(text, '.');
	struct slice rest = slice_after(text, first + 1);
	size_t second = slice_index(rest, '.');
	struct slice signature = slice_after(rest, second + 1);
	yyjson_doc *head, *claims;
	enum token_state state = TOKEN_MALFORMED;

	*token = (struct token){.memory = NULL};
	/* Every JSON object that begins with a name begins so. */
	if (!slice_starts_with(text, SLICE("eyJ")) || second == rest.len)
		return TOKEN_FOREIGN;
	if (text.len > TOKEN_MAX || slice_index(signature, '.') != signature.len)
		return TOKEN_MALFORMED;
	head = parse(slice_first(text, first));
	claims = head ? parse(slice_first(rest, second)) : NULL;
	if (claims)
		state = take(token, text.len, yyjson_doc_get_root(head),
			yyjson_doc_get_root(claims));
	yyjson_doc_free(head);
	yyjson_doc_free(claims);
	return state;
}

void token_free(struct token *token)
{
	free(token->memory);
	*token = (struct token){.memory = NULL};
}

/* ---- what must hold ---- */

static bool is_one_of(char *const *texts, size_t n, struct slice text)
{
	for (size_t i = 0; i < n; i++)
		if (slice_equal(slice_of_string(texts[i]), text))
			return true;
	return false;
}

bool token_is_of(const struct token *token, const struct token_rule *rule)
{
	return is_one_of(rule->issuers, rule->nissuers, token->issuer);
}

enum token_state token_check_head(const struct token *token, const struct token_rule *rule)
{
	if (token->algorithm == TOKEN_ALGORITHM_COUNT ||
		!(rule->algorithms & 1u << token->algorithm))
		return TOKEN_ALGORITHM;
	return token->kid.len ? TOKEN_VALID : TOKEN_KEY_UNKNOWN;
}

enum token_state token_check_claims(
	const struct token *token, const struct token_rule *rule, uint64_t now_s)
{
	bool audience = false;

	for (size_t i = 0; i < token->naudiences; i++)
		audience |= is_one_of(rule->audiences, rule->naudiences, token->audiences[i]);
	if (!audience)
		return TOKEN_AUDIENCE;
	if (rule->tenant && !slice_equal_nocase(slice_of_string(rule->tenant), token->tenant))
		return TOKEN_TENANT;
	if (token->not_before_s > now_s + rule->skew_s)
		return TOKEN_EARLY;
	return token->expires_s + rule->skew_s > now_s ? TOKEN_VALID : TOKEN_EXPIRED;
}
