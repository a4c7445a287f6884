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
