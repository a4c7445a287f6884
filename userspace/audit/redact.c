// SPDX-License-Identifier: GPL-2.0-or-later
#include "audit/redact.h"

#include <errno.h>

#include "http/credential.h"

#define VALUE_SHORTEST	6  /* of a labelled value */
#define SK_SHORTEST	16 /* after "sk-" */
#define JWT_SHORTEST	8  /* of a JWT's first two parts */
#define BEARER_SHORTEST 8  /* and then it must have a digit … */
#define BEARER_SURE	24 /* … unless it is longer than a word of prose */
#define SCHEME_LONGEST	16 /* "Negotiate", "SharedKey", "AWS4-HMAC-SHA256" */

static const struct redact_span NOTHING = {0, 0, false};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* base64url and what else keys are made of */
static bool is_key(char c)
{
	return is_word(c) || c == '-' || c == '_';
}

/* token68 of RFC 9110 section 11.2, and the percent sign of encoded ones */
static bool is_token(char c)
{
	return is_key(c) || c == '.' || c == '~' || c == '+' || c == '/' || c == '=' || c == '%';
}

static size_t run(struct slice text, size_t at, bool (*is)(char))
{
	while (at < text.len && is(text.data[at]))
		at++;
	return at;
}

/* The text has the word at this place. */
static bool has(struct slice text, size_t at, struct slice word)
{
	return at <= text.len && text.len - at >= word.len &&
	       slice_equal_nocase(slice_of(text.data + at, word.len), word);
}

/* The word ends right before at, and begins no earlier than from. */
static bool has_before(struct slice text, size_t at, size_t from, struct slice word)
{
	return at - from >= word.len && has(text, at - word.len, word);
}

/* The byte before at is the letter of an escape, as the n of "\\n" in JSON. */
static bool after_escape(struct slice text, size_t at, size_t from)
{
	return at - from >= 2 && text.data[at - 2] == '\\';
}

static bool starts_word(struct slice text, size_t at, size_t from)
{
	return at == from || !is_word(text.data[at - 1]) || after_escape(text, at, from);
}

/* sk-…: at is the k. */
static struct redact_span redact_sk(struct slice text, size_t at, size_t from)
{
	size_t end;

	if (at == from || text.data[at - 1] != 's' || !has(text, at + 1, SLICE("-")) ||
		!starts_word(text, at - 1, from))
		return NOTHING;
	end = run(text, at + 2, is_key);
	if (end - at - 2 < SK_SHORTEST && !(end == text.len && end > at + 2))
		return NOTHING;
	return (struct redact_span){at - 1, end, false};
}

/* eyJ….….…: at is the J. */
static struct redact_span redact_jwt(struct slice text, size_t at, size_t from)
{
	size_t end, second;

	if (at - from < 2 || text.data[at - 2] != 'e' || text.data[at - 1] != 'y')
		return NOTHING;
	/* Only at the start of a run: else text of many "-eyJ" would cost its length squared. */
	if (at - 2 > from && is_key(text.data[at - 3]) && !after_escape(text, at - 2, from))
		return NOTHING;
	end = run(text, at + 1, is_key);
	if (end - at < JWT_SHORTEST)
		return NOTHING;
	if (end == text.len)
		return (struct redact_span){at - 2, end, false};
	if (text.data[end] != '.')
		return NOTHING;
	second = end + 1;
	end = run(text, second, is_key);
	if (end - second < JWT_SHORTEST && end != text.len)
		return NOTHING;
	/* the signature, or the three other parts of an encrypted one (RFC 7516) */
	while (end < text.len && text.data[end] == '.')
		end = run(text, end + 1, is_key);
	return (struct redact_span){at - 2, end, false};
}

/* Skips what stands between a label and its value: quotes, backslashes of nested JSON, blanks, and
 * at least one ":" or "=". Returns at itself when there is none. *bare: the value follows the colon
 * of a JSON member without quotes. */
static size_t skip_separator(struct slice text, size_t at, bool *bare)
{
	bool separated = false, quoted = false;
	size_t i;

	*bare = false;
	for (i = at; i < text.len && i - at < 16; i++) {
		char c = text.data[i];

		if (c == ':' || c == '=') {
			separated = true;
			*bare = c == ':' && quoted;
		} else if (c == '"' && (i == 0 || text.data[i - 1] != '\\')) {
			quoted = true;
			*bare = false;
		} else if (c != ' ' && c != '\t' && c != '"' && c != '\'' && c != '\\') {
			break;
		}
	}
	return separated ? i : at;
}

/* A value that begins at begin: when it begins inside an escape, all of that goes. */
static struct redact_span value_span(
	struct slice text, size_t label_end, size_t begin, size_t end, bool bare)
{
	size_t backslashes = 0;

	while (begin - backslashes > label_end && text.data[begin - backslashes - 1] == '\\')
		backslashes++;
	return (struct redact_span){begin - backslashes % 2, end, bare};
}

/* The value of the label that ends at label_end. */
static struct redact_span redact_labelled(struct slice text, size_t label_end)
{
	bool bare;
	size_t begin = skip_separator(text, label_end, &bare), end;

	if (begin == label_end)
		return NOTHING;
	end = run(text, begin, is_token);
	if (end - begin < VALUE_SHORTEST && !(end == text.len && end > begin))
		return NOTHING;
	return value_span(text, label_end, begin, end, bare);
}

/* …key and …token labels: at is the k. */
static struct redact_span redact_key(struct slice text, size_t at, size_t from)
{
	static const struct slice before_key[] = {{"api", 3}, {"api-", 4}, {"api_", 4},
		{"subscription-", 13}, {"subscription_", 13}, {"access-", 7}, {"access_", 7},
		{"account", 7}, {"secret-", 7}, {"secret_", 7}, {NULL, 0}};
	static const struct slice before_token[] = {{"access", 6}, {"access-", 7}, {"access_", 7},
		{"refresh-", 8}, {"refresh_", 8}, {"id-", 3}, {"id_", 3}, {"auth-", 5},
		{"auth_", 5}, {"session-", 8}, {"session_", 8}, {"bearer-", 7}, {"bearer_", 7},
		{NULL, 0}};

	if (has(text, at, SLICE("key"))) {
		for (size_t i = 0; before_key[i].len; i++)
			if (has_before(text, at, from, before_key[i]))
				return redact_labelled(text, at + 3);
	} else if (has(text, at, SLICE("ken"))) {
		if (!has_before(text, at, from, SLICE("to")))
			return NOTHING;
		for (size_t i = 0; before_token[i].len; i++)
			if (has_before(text, at - 2, from, before_token[i]))
				return redact_labelled(text, at + 3);
	}
	return NOTHING;
}

/* Authorization: scheme value; at is the z. */
static struct redact_span redact_authorization(struct slice text, size_t at, size_t from)
{
	size_t begin, scheme, end;
	bool bare;

	if (!has(text, at, SLICE("zation")) || !has_before(text, at, from, SLICE("authori")))
		return NOTHING;
	begin = skip_separator(text, at + 6, &bare);
	if (begin == at + 6)
		return NOTHING;
	scheme = run(text, begin, is_key);
	end = run(text, begin, is_token);
	if (scheme == end && scheme - begin <= SCHEME_LONGEST && end < text.len &&
		text.data[end] == ' ') {
		size_t value = end + 1, value_end = run(text, value, is_token);

		if (value_end > value) {
			begin = value;
			end = value_end;
		}
	}
	return end > begin ? value_span(text, at + 6, begin, end, bare) : NOTHING;
}

/* Bearer value: at is the B. */
static struct redact_span redact_bearer(struct slice text, size_t at, size_t from)
{
	bool digit = false;
	size_t begin = at + 6, end;

	if (!has(text, at, SLICE("bearer")) || !starts_word(text, at, from))
		return NOTHING;
	while (begin < text.len && begin - at < 12 &&
		(text.data[begin] == ' ' || text.data[begin] == '+'))
		begin++;
	if (begin == at + 6 && has(text, begin, SLICE("%20")))
		begin += 3;
	if (begin == at + 6)
		return NOTHING;
	end = run(text, begin, is_token);
	for (size_t i = begin; i < end && i - begin < 64; i++)
		digit = digit || is_digit(text.data[i]);
	if (!(digit && end - begin >= BEARER_SHORTEST) && end - begin < BEARER_SURE)
		return NOTHING;
	return (struct redact_span){begin, end, false};
}

struct redact_span redact_at(struct slice text, size_t at, size_t from)
{
	struct redact_span span;

	switch (text.data[at]) {
	case 'k':
	case 'K':
		span = redact_sk(text, at, from);
		return span.end ? span : redact_key(text, at, from);
	case 'J':
		return redact_jwt(text, at, from);
	case 'z':
	case 'Z':
		return redact_authorization(text, at, from);
	case 'b':
	case 'B':
		return redact_bearer(text, at, from);
	default:
		return NOTHING;
	}
}

/* user:password@ of an absolute URL (RFC 3986 section 3.2.1). Returns where the URL goes on. */
static size_t redact_userinfo(struct slice url, struct buf *out, int *error)
{
	size_t colon = slice_index(url, ':'), at;
	struct slice authority = slice_after(url, colon + 3);

	if (!slice_starts_with(slice_after(url, colon), SLICE("://")))
		return 0;
	authority = slice_first(authority, slice_index(authority, '/'));
	authority = slice_first(authority, slice_index(authority, '?'));
	at = slice_index(authority, '@');
	if (at == authority.len)
		return 0;
	*error = buf_append(out, url.data, colon + 3);
	if (!*error)
		*error = buf_append_slice(out, REDACT_MARK);
	return colon + 3 + at;
}

int redact_url(struct slice url, struct buf *out)
{
	size_t before = buf_len(out), at, query;
	struct credential_query parameter;
	struct slice rest;
	int error = 0;

	at = redact_userinfo(url, out, &error);
	query = slice_index(url, '?');
	if (query < at)
		query = at + slice_index(slice_after(url, at), '?');
	if (!error)
		error = buf_append(out, url.data + at, query - at);
	rest = slice_after(url, query);
	while (!error && credential_query_next(&rest, &parameter)) {
		bool hide = parameter.has_value && parameter.value.len &&
			    credential_parameter(parameter.name);

		error = buf_append(out, parameter.whole.data,
			parameter.whole.len - (hide ? parameter.value.len : 0));
		if (!error && hide)
			error = buf_append_slice(out, REDACT_MARK);
	}
	if (error)
		out->end -= buf_len(out) - before;
	return error;
}

bool redact_header(struct slice name, char *const *configured, size_t n)
{
	if (credential_field(name))
		return true;
	for (size_t i = 0; i < n; i++)
		if (slice_equal_nocase(name, slice_of_string(configured[i])))
			return true;
	return false;
}
