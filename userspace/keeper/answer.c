// SPDX-License-Identifier: GPL-2.0-or-later
#include "keeper/answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "backend/credential_message.h"

#define EXPIRES_MOST_S (30 * 86400)

/* A document in memory of its own, which is wiped. */
struct answer {
	yyjson_doc *doc;
	yyjson_val *root;
	size_t size;
	char *memory;
};

static int answer_open(struct answer *answer, struct slice body)
{
	yyjson_alc alc;

	*answer = (struct answer){.size = yyjson_read_max_memory_usage(body.len, 0)};
	answer->memory = malloc(answer->size);
	if (!answer->memory || !yyjson_alc_pool_init(&alc, answer->memory, answer->size))
		return -ENOMEM;
	answer->doc = yyjson_read_opts((char *)(uintptr_t)body.data, body.len, 0, &alc, NULL);
	answer->root = yyjson_doc_get_root(answer->doc);
	return 0;
}

static void answer_close(struct answer *answer)
{
	if (answer->memory)
		explicit_bzero(answer->memory, answer->size);
	free(answer->memory);
}

/* One line of printable ASCII, as a credential goes into a header; not empty. */
static bool is_credential(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] <= ' ' || text.data[i] > '~')
			return false;
	return text.len > 0 && text.len <= CREDENTIAL_TEXT_MAX;
}

static int take_credential(
	yyjson_val *object, const char *key, const char *what, struct secret **out, struct why *why)
{
	yyjson_val *value = yyjson_obj_get(object, key);
	struct slice text = SLICE_NONE;

	/* Other values have a length, too, and no text. */
	if (yyjson_is_str(value))
		text = slice_of(yyjson_get_str(value), yyjson_get_len(value));
	/* Who puts a file into a vault puts its last newline there too. */
	while (text.len && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r'))
		text.len--;
	text = slice_trim(text);
	if (!is_credential(text))
		return why_set(why, EINVAL, "its answer has no %s that could be sent in a header", what);
	*out = secret_new(text);
	return *out ? 0 : why_set(why, ENOMEM, "out of memory");
}

/* A number, or one as text; 0: neither. */
static uint64_t number_of(yyjson_val *value)
{
	const char *text = yyjson_get_str(value);
	char *end;
	unsigned long long number;

	if (yyjson_is_uint(value))
		return yyjson_get_uint(value);
	if (!text || *text < '0' || *text > '9')
		return 0;
	number = strtoull(text, &end, 10);
	return *end ? 0 : number;
}

int answer_token(struct slice body, struct answer_token *token, struct why *why)
{
	struct answer answer;
	int error = answer_open(&answer, body);

	*token = (struct answer_token){.token = NULL};
	if (error)
		why_set(why, ENOMEM, "out of memory");
	if (!error && !yyjson_is_obj(answer.root))
		error = why_set(why, EINVAL, "its answer is no JSON object");
	if (!error) {
		token->expires_s = number_of(yyjson_obj_get(answer.root, "expires_in"));
		token->refresh_s = number_of(yyjson_obj_get(answer.root, "refresh_in"));
		if (!token->expires_s)
			error = why_set(why, EINVAL, "its answer does not say when the token expires");
	}
	if (!error)
		error = take_credential(answer.root, "access_token", "token", &token->token, why);
	if (token->expires_s > EXPIRES_MOST_S)
		token->expires_s = EXPIRES_MOST_S;
	if (token->refresh_s > token->expires_s)
		token->refresh_s = 0;
	answer_close(&answer);
	return error;
}

int answer_secret(struct slice body, struct secret **value, struct why *why)
{
	struct answer answer;
	int error = answer_open(&answer, body);

	*value = NULL;
	if (error)
		why_set(why, ENOMEM, "out of memory");
	if (!error && !yyjson_is_obj(answer.root))
		error = why_set(why, EINVAL, "its answer is no JSON object");
	if (!error)
		error = take_credential(answer.root, "value", "value", value, why);
	answer_close(&answer);
	return error;
}

/* base64url, or what names a key: no character that JSON escapes. */
static bool is_plain(yyjson_val *value)
{
	const char *text = yyjson_get_str(value);
	size_t len = yyjson_get_len(value);

	if (!text || !len || len > 2048)
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\')
			return false;
	return true;
}

static int add_key(yyjson_val *key, bool first, struct buf *keys)
{
	static const char *const members[] = {"kty", "kid", "alg", "n", "e", "crv", "x", "y"};
	const char *before = first ? "{" : ",{";
	int error = 0;

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]) && !error; i++) {
		yyjson_val *value = yyjson_obj_get(key, members[i]);

		if (!is_plain(value))
			continue;
		error = buf_printf(
			keys, "%s\"%s\":\"%s\"", before, members[i], yyjson_get_str(value));
		before = ",";
	}
	return error ? error : buf_append_slice(keys, SLICE("}"));
}

static bool may_sign(yyjson_val *key)
{
	const char *type = yyjson_get_str(yyjson_obj_get(key, "kty"));
	const char *use = yyjson_get_str(yyjson_obj_get(key, "use"));

	return yyjson_is_obj(key) && is_plain(yyjson_obj_get(key, "kid")) && type &&
	       (strcmp(type, "RSA") == 0 || strcmp(type, "EC") == 0) &&
	       (!use || strcmp(use, "sig") == 0);
}

static int take_keys(yyjson_val *root, struct buf *keys, struct why *why)
{
	int error = buf_append_slice(keys, SLICE("{\"keys\":["));
	yyjson_val *key;
	yyjson_arr_iter all;
	bool any = false;

	yyjson_arr_iter_init(yyjson_obj_get(root, "keys"), &all);
	while (!error && (key = yyjson_arr_iter_next(&all)))
		if (may_sign(key)) {
			error = add_key(key, !any, keys);
			any = true;
		}
	if (!error)
		error = buf_append_slice(keys, SLICE("]}"));
	if (error)
		return why_set(why, ENOMEM, "out of memory");
	if (!any)
		return why_set(why, EINVAL, "its answer has no key that could check a token");
	return buf_len(keys) <= CREDENTIAL_TEXT_MAX
		       ? 0
		       : why_set(why, EINVAL, "its answer has more than %d bytes of keys",
				 CREDENTIAL_TEXT_MAX);
}

int answer_keys(struct slice body, struct buf *keys, struct why *why)
{
	struct answer answer;
	int error = answer_open(&answer, body);

	error = error ? why_set(why, ENOMEM, "out of memory") : take_keys(answer.root, keys, why);
	answer_close(&answer);
	return error;
}

/* Appends a code where it is one: letters, digits, '.', '_', '-', and not long. */
static void add_code(char text[128], yyjson_val *value)
{
	size_t at = strlen(text), len = yyjson_get_len(value);
	const char *code = yyjson_get_str(value);

	if (yyjson_is_uint(value) && at < 100) {
		snprintf(text + at, 128 - at, "%sAADSTS%llu", at ? ", " : "",
			(unsigned long long)yyjson_get_uint(value));
		return;
	}
	if (!code || !len || len > 40 || at + len + 3 > 128)
		return;
	for (size_t i = 0; i < len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", code[i]))
			return;
	snprintf(text + at, 128 - at, "%s%.*s", at ? ", " : "", (int)len, code);
}

void answer_refusal(int status, struct slice body, struct why *why)
{
	struct answer answer;
	char codes[128] = "";
	yyjson_val *error;

	if (answer_open(&answer, body) == 0 && yyjson_is_obj(answer.root)) {
		error = yyjson_obj_get(answer.root, "error");
		add_code(codes, yyjson_is_obj(error) ? yyjson_obj_get(error, "code") : error);
		add_code(codes, yyjson_obj_get(yyjson_obj_get(error, "innererror"), "code"));
		add_code(codes, yyjson_arr_get_first(yyjson_obj_get(answer.root, "error_codes")));
	}
	answer_close(&answer);
	why_set(why, EACCES, "answered %d%s%s%s", status, *codes ? " (" : "", codes,
		*codes ? ")" : "");
}
