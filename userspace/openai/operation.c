// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/operation.h"

#include "http/percent.h"

/* The first row that fits wins. */
static const struct operation operations[] = {
	{OPERATION_CHAT, "chat", "chat/completions", "POST", .deployment = true, .streams = true,
		.family = FAMILY_CHAT, .asks_usage = true, .stateless = true,
		.usage_excludes_data = true},
	{OPERATION_STORED_CHAT, "stored_chat", "chat/completions", .subtree = true},
	{OPERATION_COMPLETION, "text_completion", "completions", "POST", .deployment = true,
		.streams = true, .family = FAMILY_COMPLETION, .asks_usage = true, .stateless = true},
	{OPERATION_EMBEDDINGS, "embeddings", "embeddings", "POST", .deployment = true,
		.family = FAMILY_EMBEDDINGS, .stateless = true},
	{OPERATION_RESPONSES, "responses", "responses", "POST", .streams = true,
		.family = FAMILY_RESPONSES},
	{OPERATION_RESPONSES_COMPACT, "responses_compact", "responses/compact", "POST",
		.family = FAMILY_RESPONSES, .stateless = true},
	{OPERATION_RESPONSES_COUNT, "responses_input_tokens", "responses/input_tokens", "POST",
		.family = FAMILY_RESPONSES, .counts_only = true, .stateless = true},
	{OPERATION_STORED_RESPONSE, "stored_response", "responses", .subtree = true,
		.streams = true},
	{OPERATION_CONVERSATIONS, "conversations", "conversations", .subtree = true},
	{OPERATION_REALTIME, "realtime", "realtime", .subtree = true},
	{OPERATION_TRANSCRIPTION, "transcription", "audio/transcriptions", "POST",
		.deployment = true, .streams = true, .family = FAMILY_TRANSCRIPTION, .form = true,
		.stateless = true},
	{OPERATION_TRANSLATION, "translation", "audio/translations", "POST", .deployment = true,
		.family = FAMILY_TRANSCRIPTION, .form = true, .stateless = true},
	{OPERATION_SPEECH, "speech", "audio/speech", "POST", .deployment = true, .streams = true,
		.family = FAMILY_SPEECH, .stateless = true},
	{OPERATION_IMAGE_GENERATION, "image_generation", "images/generations", "POST",
		.deployment = true, .streams = true, .family = FAMILY_IMAGES, .stateless = true},
	{OPERATION_IMAGE_EDIT, "image_edit", "images/edits", "POST", .deployment = true,
		.streams = true, .family = FAMILY_IMAGES, .form = true, .stateless = true},
	{OPERATION_IMAGE_VARIATION, "image_variation", "images/variations", "POST",
		.family = FAMILY_IMAGES, .form = true, .stateless = true},
	{OPERATION_MODERATION, "moderation", "moderations", "POST", .family = FAMILY_MODERATION,
		.counts_only = true, .stateless = true},
	{OPERATION_MODELS, "models", "models", .subtree = true},
	{OPERATION_FILES, "files", "files", .subtree = true},
	{OPERATION_UPLOADS, "uploads", "uploads", .subtree = true},
	{OPERATION_BATCHES, "batches", "batches", .subtree = true},
	{OPERATION_FINE_TUNING, "fine_tuning", "fine_tuning", .subtree = true},
	{OPERATION_ASSISTANTS, "assistants", "assistants", .subtree = true, .streams = true},
	{OPERATION_THREADS, "threads", "threads", .subtree = true, .streams = true},
	{OPERATION_VECTOR_STORES, "vector_stores", "vector_stores", .subtree = true},
};

/* Takes the path and query out of a target in absolute-form. */
static struct slice origin_form(struct slice target)
{
	size_t colon = slice_index(target, ':');
	struct slice rest = slice_after(target, colon), authority;
	size_t path;

	if (!target.len || target.data[0] == '/' || !slice_starts_with(rest, SLICE("://")))
		return target;
	authority = slice_after(rest, 3);
	path = slice_index(authority, '/');
	return slice_after(authority, path);
}

/* Whether every reader splits the path into the same segments. One empty segment at the end, as
 * in "/v1/models/", is harmless. */
static bool path_is_canonical(struct slice path)
{
	if (!path.len || path.data[0] != '/')
		return false;
	while (path.len) {
		size_t len = slice_index(slice_after(path, 1), '/');
		struct slice segment = slice_first(slice_after(path, 1), len);

		path = slice_after(path, 1 + len);
		if ((!len && path.len) || slice_equal(segment, SLICE(".")) ||
			slice_equal(segment, SLICE("..")) || slice_index(segment, '%') != len ||
			slice_index(segment, '\\') != len || slice_index(segment, ';') != len)
			return false;
	}
	return true;
}

/* Takes prefix, and the slash or end after it, off the front of *path. */
static bool take_prefix(struct slice *path, struct slice prefix)
{
	if (!slice_equal_nocase(slice_first(*path, prefix.len), prefix) ||
		(path->len > prefix.len && path->data[prefix.len] != '/'))
		return false;
	*path = slice_after(*path, prefix.len + 1);
	return true;
}

/* Takes one segment, not empty, off the front of *path. */
static bool take_segment(struct slice *path, struct slice *segment)
{
	size_t len = slice_index(*path, '/');

	*segment = slice_first(*path, len);
	*path = slice_after(*path, len + 1);
	return len != 0;
}

/* Leaves in *path what names the operation and sets dialect and deployment. */
static bool take_dialect(
	enum config_provider provider, struct slice *path, struct operation_match *m)
{
	struct slice project;

	*path = slice_after(*path, 1);
	if (provider == CONFIG_PROVIDER_OPENAI)
		return take_prefix(path, SLICE("v1"));
	if (take_prefix(path, SLICE("api/projects"))) {
		m->dialect = DIALECT_AZURE_V1;
		return take_segment(path, &project) && take_prefix(path, SLICE("openai/v1"));
	}
	if (take_prefix(path, SLICE("openai/v1"))) {
		m->dialect = DIALECT_AZURE_V1;
		return true;
	}
	if (!take_prefix(path, SLICE("openai")))
		return false;
	return !take_prefix(path, SLICE("deployments")) || take_segment(path, &m->deployment);
}

static bool fits(const struct operation *o, struct slice method, struct slice path, bool deployment)
{
	struct slice known = slice_of_string(o->path);

	if (deployment && !o->deployment)
		return false;
	if (o->method && !slice_equal(method, slice_of_string(o->method)))
		return false;
	return take_prefix(&path, known) && (o->subtree || !path.len);
}

/* Whether any reader takes the text for that name. */
static bool is_named(struct slice text, struct slice name)
{
	for (; text.len && name.len; name = slice_after(name, 1)) {
		char c = percent_next(&text);

		if (!slice_equal_nocase(slice_of(&c, 1), slice_first(name, 1)))
			return false;
	}
	return !text.len && !name.len;
}

static bool is_coded(struct slice text)
{
	return slice_index(text, '%') != text.len || slice_index(text, '+') != text.len;
}

/* False when it is there already, or in a coding that not every reader undoes. */
static bool take_parameter(struct slice name, struct slice value, struct slice *into)
{
	if (into->data || is_coded(name) || is_coded(value))
		return false;
	*into = value;
	return true;
}

/* Reads what the query says of the call. False when readers may differ in what that is. */
static bool read_query(struct slice query, struct operation_match *m)
{
	bool good = true;

	while (query.len && good) {
		size_t len = slice_index(query, '&'), equals;
		struct slice pair = slice_first(query, len), name, value;

		query = slice_after(query, len + 1);
		equals = slice_index(pair, '=');
		name = slice_first(pair, equals);
		value = slice_after(pair, equals + 1);
		if (is_named(name, SLICE("api-version")))
			good = take_parameter(name, value, &m->api_version);
		/* To all others it says nothing: the model is in the path, or in the body. */
		else if (m->operation->id == OPERATION_REALTIME &&
			 is_named(name, SLICE("deployment")))
			good = take_parameter(name, value, &m->deployment);
	}
	return good;
}

enum config_provider operation_provider(struct slice target)
{
	struct slice path = slice_after(origin_form(target), 1);

	path = slice_first(path, slice_index(path, '?'));
	return take_prefix(&path, SLICE("v1")) ? CONFIG_PROVIDER_OPENAI : CONFIG_PROVIDER_AZURE;
}

void operation_match(enum config_provider provider, struct slice method, struct slice target,
	struct operation_match *m)
{
	struct slice path, query;
	size_t len, i;

	*m = (struct operation_match){
		.dialect = provider == CONFIG_PROVIDER_OPENAI ? DIALECT_OPENAI : DIALECT_AZURE};
	target = slice_first(target, slice_index(target, '#'));
	target = origin_form(target);
	len = slice_index(target, '?');
	path = slice_first(target, len);
	query = slice_after(target, len + 1);
	m->canonical = path_is_canonical(path);
	if (!m->canonical || !take_dialect(provider, &path, m))
		return;
	for (i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		if (fits(&operations[i], method, path, m->deployment.len != 0))
			break;
	if (i == sizeof(operations) / sizeof(operations[0]))
		return;
	m->operation = &operations[i];
	m->canonical = read_query(query, m);
	/* Of the stream alone: what makes sessions and secrets has a body that says the model. */
	if (m->operation->id == OPERATION_REALTIME && !slice_equal(method, SLICE("GET")))
		m->deployment = SLICE_NONE;
	if (!m->canonical)
		m->operation = NULL;
}

bool operation_allows_usage(const struct operation_match *m)
{
	static const char first[] = "2024-09-01";
	size_t i;

	if (m->dialect != DIALECT_AZURE)
		return true;
	if (m->api_version.len < sizeof(first) - 1)
		return slice_equal(m->api_version, SLICE("preview")) ||
		       slice_equal(m->api_version, SLICE("latest")) ||
		       slice_equal(m->api_version, SLICE("v1"));
	/* Digits and dashes stand at fixed places, so that dates order as text does. */
	for (i = 0; i < sizeof(first) - 1; i++) {
		char c = m->api_version.data[i];

		if (first[i] == '-' ? c != '-' : c < '0' || c > '9')
			return false;
	}
	return memcmp(m->api_version.data, first, sizeof(first) - 1) >= 0;
}

bool operation_is_named(struct slice pattern)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		struct slice name = slice_of_string(operations[i].name);

		if (slice_matches(pattern, name))
			return true;
	}
	return false;
}
