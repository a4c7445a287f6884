// SPDX-License-Identifier: GPL-2.0-or-later
#include "call.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <yyjson.h>

#include "json.h"

#define PROMPT_SHOWN 64 /* bytes of the prompt that the answer repeats */

static const struct {
	const char *path;
	enum operation operation;
} operations[] = {
	{"chat/completions", OPERATION_CHAT},
	{"completions", OPERATION_COMPLETION},
	{"responses", OPERATION_RESPONSES},
	{"embeddings", OPERATION_EMBEDDING},
	{"audio/transcriptions", OPERATION_TRANSCRIPTION},
	{"models", OPERATION_MODELS},
};

static const struct refusal no_resource = {404, "404", NULL, "Resource not found"};
static const struct refusal no_deployment = {404, "DeploymentNotFound", NULL,
	"The API deployment for this resource does not exist. If you created the deployment "
	"within the last 5 minutes, please wait a moment and try again."};
static const struct refusal no_model = {404, "model_not_found", "invalid_request_error",
	"The model does not exist or you do not have access to it."};
static const struct refusal no_key_azure = {401, "401", NULL,
	"Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide "
	"a valid key for an active subscription and use a correct regional API endpoint for your "
	"resource."};
static const struct refusal no_key_openai = {401, "invalid_api_key", "invalid_request_error",
	"Incorrect API key provided. You can find your API key at "
	"https://platform.openai.com/account/api-keys."};
static const struct refusal no_url = {404, "unknown_url", "invalid_request_error", "Invalid URL"};
static const struct refusal no_json = {400, "invalid_json", "invalid_request_error",
	"We could not parse the JSON body of your request."};

/* Knob "status": [0] in OpenAI's words, [1] in Azure's. */
static const struct refusal by_status[][2] = {
	{{400, "content_filter", NULL,
		 "The response was filtered due to the prompt triggering Azure OpenAI's content "
		 "management policy. Please modify your prompt and retry."},
		{400, "content_filter", NULL,
			"The response was filtered due to the prompt triggering Azure OpenAI's "
			"content management policy. Please modify your prompt and retry."}},
	{{403, "unsupported_country_region_territory", "request_forbidden",
		 "Country, region, or territory not supported"},
		{403, "403", NULL, "Access denied due to Virtual Network/Firewall rules."}},
	{{429, "rate_limit_exceeded", "requests", "Rate limit reached for gpt-4o."},
		{429, "429", NULL,
			"Requests to the ChatCompletions_Create Operation have exceeded the call "
			"rate limit of your current OpenAI S0 pricing tier."}},
	{{503, "server_overloaded", "server_error", "The server is currently overloaded."},
		{503, "ServiceUnavailable", NULL, "The service is temporarily unavailable."}},
	{{500, "server_error", "server_error", "The server had an error."},
		{500, "InternalServerError", NULL, "Internal server error."}},
};

void call_reset(struct call *call)
{
	struct buf prompt = call->prompt;

	buf_clear(&prompt);
	memset(call, 0, sizeof(*call));
	call->prompt = prompt;
	call->key_from = "none";
	call->choices = 1;
	knob_reset(&call->knob);
}

void call_free(struct call *call)
{
	buf_free(&call->prompt);
}

unsigned long call_pieces(const struct call *call)
{
	return (unsigned long)knob_or(call->knob.events, 5);
}

static void copy(struct text *to, struct slice from)
{
	from = slice_first(from, sizeof(to->text) - 1);
	memcpy(to->text, from.len ? from.data : "", from.len);
	to->text[from.len] = '\0';
}

static bool take_prefix(struct slice *path, struct slice prefix)
{
	if (!slice_starts_with(*path, prefix))
		return false;
	*path = slice_after(*path, prefix.len);
	return true;
}

static const struct refusal *read_path(struct call *call, struct slice target)
{
	size_t question = slice_index(target, '?');
	struct slice path = slice_first(target, question), query = slice_after(target, question);
	const struct refusal *missing = &no_resource;

	if (take_prefix(&path, SLICE("/openai/v1/"))) {
		call->dialect = DIALECT_AZURE_V1;
	} else if (take_prefix(&path, SLICE("/v1/"))) {
		call->dialect = DIALECT_OPENAI;
		missing = &no_url;
	} else if (take_prefix(&path, SLICE("/openai/"))) {
		call->dialect = DIALECT_AZURE;
		if (take_prefix(&path, SLICE("deployments/"))) {
			size_t slash = slice_index(path, '/');

			copy(&call->deployment, slice_first(path, slash));
			path = slice_after(path, slash + 1);
		}
		if (!query.len || !memmem(query.data, query.len, "api-version=", 12))
			return &no_resource;
	} else {
		call->dialect = DIALECT_OPENAI;
		return &no_url;
	}
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		if (slice_equal(path, slice_of_string(operations[i].path))) {
			call->operation = operations[i].operation;
			return NULL;
		}
	return missing;
}

static const struct refusal *read_key(
	struct call *call, const struct service *service, const struct message *m)
{
	struct slice bearer = message_find(m, "authorization"), key = message_find(m, "api-key");

	if (key.data && call->dialect != DIALECT_OPENAI) {
		call->key_from = "api-key";
	} else if (bearer.data && bearer.len > 7 &&
		   slice_equal_nocase(slice_first(bearer, 7), SLICE("Bearer "))) {
		call->key_from = "authorization";
		key = slice_after(bearer, 7);
	} else {
		key = SLICE_NONE;
	}
	copy(&call->key, key);
	for (size_t i = 0; i < service->nkeys; i++)
		if (slice_equal(key, slice_of_string(service->keys[i])))
			return NULL;
	if (!service->nkeys && key.len)
		return NULL;
	return call->dialect == DIALECT_OPENAI ? &no_key_openai : &no_key_azure;
}

/* A refusal of the status that the test asked for. */
static struct refusal refusal_of_status(const struct call *call)
{
	bool azure = call->dialect != DIALECT_OPENAI;
	struct refusal refusal = by_status[sizeof(by_status) / sizeof(by_status[0]) - 1][azure];

	if (call->knob.status == 401)
		return azure ? no_key_azure : no_key_openai;
	if (call->knob.status == 404)
		return azure ? no_deployment : no_model;
	for (size_t i = 0; i < sizeof(by_status) / sizeof(by_status[0]); i++)
		if (by_status[i][0].status == call->knob.status)
			return by_status[i][azure];
	refusal.status = (int)call->knob.status;
	return refusal;
}

/* And with the code. */
static struct refusal refusal_asked(const struct call *call)
{
	struct refusal refusal = refusal_of_status(call);

	if (call->knob.code.text[0])
		refusal.code = call->knob.code.text;
	return refusal;
}

/* What every request is to meet now; the knobs of the request itself go before. */
static void read_knobs(struct call *call, const char *path)
{
	char text[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text));

	if (got > 0)
		knob_take_text(&call->knob, slice_of(text, (size_t)got));
	if (fd >= 0)
		close(fd);
}

void call_read_head(struct call *call, const struct service *service, const struct message *m)
{
	const struct refusal *refusal;

	if (service->knobs)
		read_knobs(call, service->knobs);
	for (size_t i = 0; i < m->nheaders; i++)
		knob_take_header(&call->knob, m->headers[i].name, m->headers[i].value);
	if (call->knob.every > 0 && call->number % (unsigned long)call->knob.every)
		call->knob.status = KNOB_ABSENT;
	refusal = read_path(call, m->target);
	if (!refusal)
		refusal = read_key(call, service, m);
	if (!refusal && call->operation != OPERATION_MODELS &&
		!slice_equal(m->method, SLICE("POST")))
		refusal = call->dialect == DIALECT_OPENAI ? &no_url : &no_resource;
	if (call->knob.status >= 400)
		call->refusal = refusal_asked(call);
	else if (refusal)
		call->refusal = *refusal;
}

/* The prompt's text: a string, or the text parts of an array. Counts all of it, keeps the last. */
static void read_text(struct call *call, yyjson_val *value)
{
	yyjson_val *item;
	size_t i, n;

	if (yyjson_is_str(value)) {
		struct slice text = slice_of(yyjson_get_str(value), yyjson_get_len(value));
		size_t shown = text.len < PROMPT_SHOWN ? text.len : PROMPT_SHOWN;

		call->prompt_tokens += (text.len + 3) / 4;
		knob_take_text(&call->knob, text);
		while (shown && shown < text.len && (text.data[shown] & 0xc0) == 0x80)
			shown--; /* not inside a UTF-8 sequence */
		buf_clear(&call->prompt);
		json_escape(&call->prompt, slice_first(text, shown));
	} else if (yyjson_is_arr(value)) {
		yyjson_arr_foreach(value, i, n, item)
		{
			static const char *const names[] = {"text", "content", "output"};
			yyjson_val *text = item;

			/* A part of a message, or an item of the Responses API. */
			for (size_t k = 0; k < 3 && yyjson_is_obj(text); k++)
				if (yyjson_obj_get(item, names[k]))
					text = yyjson_obj_get(item, names[k]);
			read_text(call, text);
		}
	}
}

static void read_messages(struct call *call, yyjson_val *messages)
{
	yyjson_val *item;
	size_t i, n;

	yyjson_arr_foreach(messages, i, n, item)
	{
		call->prompt_tokens += 4;
		read_text(call, yyjson_obj_get(item, "content"));
	}
}

static void name_model(struct call *call)
{
	const char *asked = call->deployment.text[0] ? call->deployment.text : call->model.text;
	bool known = strncmp(asked, "gpt-", 4) == 0;

	copy(&call->answered, slice_of_string(known ? asked : "gpt-4o"));
	if (strlen(call->answered.text) < sizeof(call->answered.text) - 11 &&
		!strstr(call->answered.text, "-20"))
		strcat(call->answered.text, "-2024-11-20");
	if (strncmp(asked, "missing", 7) == 0)
		call->refusal = call->dialect == DIALECT_OPENAI ? no_model : no_deployment;
}

static void read_object(struct call *call, yyjson_val *root)
{
	yyjson_val *options = yyjson_obj_get(root, "stream_options");
	yyjson_val *n = yyjson_obj_get(root, "n"), *model = yyjson_obj_get(root, "model");

	if (yyjson_is_str(model))
		copy(&call->model, slice_of(yyjson_get_str(model), yyjson_get_len(model)));
	call->stream = yyjson_is_true(yyjson_obj_get(root, "stream"));
	call->include_usage = yyjson_is_true(yyjson_obj_get(options, "include_usage"));
	if (yyjson_is_uint(n) && yyjson_get_uint(n) >= 1 && yyjson_get_uint(n) <= 8)
		call->choices = (unsigned)yyjson_get_uint(n);
	read_messages(call, yyjson_obj_get(root, "messages"));
	read_text(call, yyjson_obj_get(root, "instructions"));
	read_text(call, yyjson_obj_get(root, "prompt"));
	read_text(call, yyjson_obj_get(root, "input"));
}

/* As models do that do not know stream_options, and the service beside data_sources. */
static void refuse_options(struct call *call, yyjson_val *root)
{
	static const struct refusal unknown = {400, "invalid_request", "invalid_request_error",
		"Unrecognized request argument supplied: stream_options"};
	static const struct refusal other = {400, "invalid_request", "invalid_request_error", "No."};
	bool options = yyjson_obj_get(root, "stream_options");

	if (options && (call->knob.strict == 1 || yyjson_obj_get(root, "data_sources")))
		call->refusal = unknown;
	else if (call->knob.strict == 2)
		call->refusal = other;
}

static bool has_text(struct slice body, const char *text)
{
	return memmem(body.data, body.len, text, strlen(text));
}

#define MODEL_FIELD "name=\"model\"\r\n\r\n"

/* A form with a model and a file; knobs in its prompt. */
static void read_form(struct call *call, struct slice body)
{
	static const struct refusal incomplete = {400, "invalid_request", "invalid_request_error",
		"A model and a file are required."};

	const char *model = memmem(body.data, body.len, MODEL_FIELD, sizeof(MODEL_FIELD) - 1);

	if (model) {
		struct slice rest = slice_after(body, (size_t)(model - body.data) + sizeof(MODEL_FIELD) - 1);

		copy(&call->model, slice_first(rest, slice_index(rest, '\r')));
	}
	if (!model || !has_text(body, "name=\"file\"; filename="))
		call->refusal = incomplete;
	call->prompt_tokens = body.len / 10;
	knob_take_text(&call->knob, body);
	name_model(call);
}

void call_read_body(struct call *call, struct slice body)
{
	yyjson_doc *document;

	if (call->refusal.status || call->operation == OPERATION_MODELS || call->knob.status > 0)
		return;
	if (call->operation == OPERATION_TRANSCRIPTION) {
		read_form(call, body);
		return;
	}
	document = yyjson_read(body.data, body.len, 0);
	if (document && yyjson_is_obj(yyjson_doc_get_root(document))) {
		call->prompt_tokens = 3;
		read_object(call, yyjson_doc_get_root(document));
		name_model(call);
		refuse_options(call, yyjson_doc_get_root(document));
	} else {
		call->refusal = no_json;
	}
	yyjson_doc_free(document);
	if (call->knob.status >= 400) /* asked for in the prompt */
		call->refusal = refusal_asked(call);
	call->completion_tokens =
		call_pieces(call) * call->choices + (uint64_t)knob_or(call->knob.reasoning, 0);
}
