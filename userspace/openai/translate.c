// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/translate.h"

#define NAME_MAX_BYTES 256 /* of a model in facts */

/* Of a segment of a path, and of a string of JSON, without any escape. */
static bool is_plain(struct slice name)
{
	/* A longer one may be cut. */
	if (!name.len || name.len >= NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.data[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
			c != '.' && c != '_' && c != '-' && c != ':')
			return false;
	}
	return true;
}

static bool is_azure(enum dialect dialect)
{
	return dialect != DIALECT_OPENAI;
}

/* What has the same path below the prefix, and the same bodies, in both. What a service keeps is
 * asked for where it was made, in the form that it was made in. */
static bool is_common(const struct operation *operation, enum dialect from, enum dialect to)
{
	switch (operation->id) {
	case OPERATION_CHAT:
	case OPERATION_COMPLETION:
	case OPERATION_EMBEDDINGS:
	case OPERATION_SPEECH:
	case OPERATION_TRANSCRIPTION:
	case OPERATION_TRANSLATION:
	case OPERATION_IMAGE_GENERATION:
	case OPERATION_IMAGE_EDIT:
		return true;
	case OPERATION_RESPONSES:
	case OPERATION_STORED_RESPONSE:
		return from != DIALECT_AZURE && to != DIALECT_AZURE;
	default:
		return false;
	}
}

/* Whether what the call says can be said there, as far as it is known. */
static bool may_be_exact(const struct translation *t)
{
	const struct operation_match *match = t->match;

	if (!match->operation || !match->rest.len ||
		!is_common(match->operation, match->dialect, t->to))
		return false;
	/* Data of the customer's are a part of Azure alone. */
	if (t->facts && t->facts->data_sources && !is_azure(t->to))
		return false;
	if (t->to == DIALECT_AZURE)
		return t->api_version.len && t->facts &&
		       match->operation->places & OPERATION_IN_DEPLOYMENT;
	if (match->dialect == DIALECT_AZURE)
		return match->deployment.len && t->facts && !t->coded;
	return true;
}

bool translation_is_exact(const struct translation *t)
{
	const struct operation_match *match = t->match;

	if (t->to == match->dialect)
		return true;
	if (!may_be_exact(t))
		return false;
	if (t->to == DIALECT_AZURE)
		return t->facts->readable && is_plain(t->model);
	if (match->dialect != DIALECT_AZURE)
		return true;
	/* The model moves into the body: in the place of what stands there, or, where that is known
	 * to be nothing, to its end. */
	return t->facts->readable && is_plain(t->model) &&
	       (t->facts->model.len || (t->whole && !t->form && !t->facts->has_model));
}

bool translation_awaits_body(const struct translation *t)
{
	return t->to != t->match->dialect && !t->whole && t->facts && t->facts->readable &&
	       !t->facts->model.len && may_be_exact(t) && !translation_is_exact(t);
}

static int append_all(struct buf *out, const struct slice *parts, size_t n)
{
	int error = 0;

	for (size_t i = 0; i < n && !error; i++)
		error = buf_append_slice(out, parts[i]);
	return error;
}

/* The query without its api-version, which is another one there. */
static int append_query(const struct translation *t, struct slice query, struct buf *out)
{
	struct slice version = t->match->api_version;
	bool first = true;
	int error = 0;

	if (t->to == DIALECT_AZURE) {
		const struct slice parts[] = {SLICE("?api-version="), t->api_version};

		error = append_all(out, parts, 2);
		first = false;
	}
	while (query.len && !error) {
		struct slice pair = slice_first(query, slice_index(query, '&'));
		const struct slice parts[] = {first ? SLICE("?") : SLICE("&"), pair};

		query = slice_after(query, pair.len + 1);
		/* It is there at most once, and uncoded: else the path were not canonical. */
		if (!pair.len || (version.data && version.data >= pair.data &&
					 version.data <= pair.data + pair.len))
			continue;
		error = append_all(out, parts, 2);
		first = false;
	}
	return error;
}

int translation_target(const struct translation *t, struct slice query, struct buf *out)
{
	const struct slice dated[] = {
		SLICE("/openai/deployments/"), t->model, SLICE("/"), t->match->rest};
	const struct slice other[] = {
		t->to == DIALECT_AZURE_V1 ? SLICE("/openai/v1/") : SLICE("/v1/"), t->match->rest};
	int error = t->to == DIALECT_AZURE ? append_all(out, dated, 4) : append_all(out, other, 2);

	return error ? error : append_query(t, query, out);
}
