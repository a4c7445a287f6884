// SPDX-License-Identifier: GPL-2.0-or-later
/* The call as the backend takes it: a deployment has another name in another resource, and the API
 * another form at another provider. */
#include "proxy/exchange.h"

#include <errno.h>

#include "openai/translate.h"

/* What stands behind "name=" in the list; none: the name stays. */
static struct slice mapped(char *const *list, size_t n, struct slice name)
{
	for (size_t i = 0; i < n && name.len; i++) {
		struct slice entry = slice_of_string(list[i]);
		size_t equals = slice_index(entry, '=');

		if (slice_equal(slice_first(entry, equals), name))
			return slice_after(entry, equals + 1);
	}
	return SLICE_NONE;
}

/* A part of the path that gives way to another text. */
struct renamed {
	size_t offset, len;
	struct slice to;
};

/* Where a slice of the exchange's target stands in the path; at its end when there is none. */
static struct renamed renamed_of(
	const struct exchange *ex, struct slice path, struct slice from, struct slice to)
{
	size_t before = ex->target.len - path.len;

	if (!to.len || from.data < ex->target.data + before)
		return (struct renamed){.offset = path.len};
	return (struct renamed){(size_t)(from.data - ex->target.data) - before, from.len, to};
}

/* ---- the form of the API ---- */

/* In which form a backend is called, when the client calls in that one. */
static enum dialect dialect_there(const struct config_backend *backend, enum dialect from)
{
	switch (backend ? backend->dialect : CONFIG_DIALECT_ANY) {
	case CONFIG_DIALECT_AZURE_DATED:
		return DIALECT_AZURE;
	case CONFIG_DIALECT_AZURE_V1:
		return DIALECT_AZURE_V1;
	case CONFIG_DIALECT_OPENAI:
		return DIALECT_OPENAI;
	case CONFIG_DIALECT_AZURE:
		return from == DIALECT_OPENAI ? DIALECT_AZURE_V1 : from;
	case CONFIG_DIALECT_ANY:
		break;
	}
	return from;
}

static struct slice api_version_there(
	const struct config_backend *backend, const struct operation_match *match)
{
	struct slice version =
		mapped(backend->api_versions, backend->napi_versions, match->api_version);

	if (version.len)
		return version;
	return match->dialect == DIALECT_AZURE ? match->api_version
					       : slice_of_string(backend->api_version);
}

static struct translation translation_of(
	const struct exchange *ex, const struct config_backend *backend)
{
	const struct reader *reader = ex->request.reader;
	struct translation t = {
		.match = &ex->match,
		.to = dialect_there(backend, ex->match.dialect),
		.facts = reader ? reader_request_facts(reader) : NULL,
		.whole = exchange_request_is_whole(ex),
		.form = reader && !reader_json_request(reader),
		.coded = reader && reader_is_coded(reader),
	};
	struct slice name = ex->match.deployment;

	if (!name.len && t.facts)
		name = t.facts->model;
	t.model = mapped(backend->models, backend->nmodels, name);
	if (!t.model.len)
		t.model = name;
	t.api_version = api_version_there(backend, &ex->match);
	return t;
}

static bool translates(const struct exchange *ex, const struct config_backend *backend)
{
	return dialect_there(backend, ex->match.dialect) != ex->match.dialect;
}

/* The client's own key is good for its own provider alone. */
static bool fits(const struct exchange *ex, const struct config_backend *backend)
{
	struct translation t;

	if (!translates(ex, backend))
		return true;
	t = translation_of(ex, backend);
	if (!backend->credential &&
		(t.to == DIALECT_OPENAI || ex->match.dialect == DIALECT_OPENAI))
		return false;
	return translation_is_exact(&t);
}

uint64_t exchange_unfit(const struct exchange *ex)
{
	const struct pool_entry *entry = ex->pool.entry;
	uint64_t unfit = 0;

	for (unsigned i = 0; i < entry->pool.n; i++)
		if (!fits(ex, entry->backends[i]))
			unfit |= 1ULL << i;
	return unfit;
}

struct exchange_form exchange_form(const struct exchange *ex)
{
	struct exchange_form form = {ex->match.dialect, ex->match.api_version};

	if (!ex->backend)
		return form;
	form.dialect = dialect_there(ex->backend, form.dialect);
	form.api_version = form.dialect == DIALECT_AZURE || !translates(ex, ex->backend)
				   ? api_version_there(ex->backend, &ex->match)
				   : SLICE_NONE;
	return form;
}

/* ---- path and query ---- */

bool exchange_maps(const struct exchange *ex)
{
	return ex->backend && (ex->backend->nmodels || ex->backend->napi_versions ||
				      translates(ex, ex->backend));
}

int exchange_map_target(const struct exchange *ex, struct buf *out)
{
	const struct config_backend *backend = ex->backend;
	struct slice path = ex->head->path;
	struct renamed list[2];
	size_t at = 0;
	int error = 0;

	if (translates(ex, backend)) {
		const struct translation t = translation_of(ex, backend);
		struct slice query = slice_first(ex->target, slice_index(ex->target, '#'));

		return translation_target(
			&t, slice_after(query, slice_index(query, '?') + 1), out);
	}
	if (ex->target.len < path.len)
		return buf_append_slice(out, path);
	/* The query follows the path. */
	list[0] = renamed_of(ex, path, ex->match.deployment_written,
		mapped(backend->models, backend->nmodels, ex->match.deployment));
	list[1] = renamed_of(ex, path, ex->match.api_version,
		mapped(backend->api_versions, backend->napi_versions, ex->match.api_version));
	/* Where both stand in the query, in any order. */
	if (list[1].offset < list[0].offset) {
		struct renamed first = list[1];

		list[1] = list[0];
		list[0] = first;
	}
	for (int i = 0; i < 2 && !error; i++) {
		if (!list[i].to.len)
			continue;
		error = buf_append_slice(
			out, slice_first(slice_after(path, at), list[i].offset - at));
		if (!error)
			error = buf_append_slice(out, list[i].to);
		at = list[i].offset + list[i].len;
	}
	return error ? error : buf_append_slice(out, slice_after(path, at));
}

/* ---- the body ---- */

/* The model moves from the path into the body. */
static int move_model(struct exchange *ex)
{
	const struct translation t = translation_of(ex, ex->backend);
	const struct slice parts[] = {SLICE(",\"model\":\""), t.model, SLICE("\"")};
	struct request_splice splice;
	int error = 0;

	if (t.facts->model.len) {
		if (!reader_rename_model(ex->request.reader, t.model, &splice))
			return -EINVAL;
	} else {
		buf_clear(&ex->moved_model);
		for (int i = 0; i < 3 && !error; i++)
			error = buf_append_slice(&ex->moved_model, parts[i]);
		if (error)
			return error;
		if (!request_add_model(reader_json_request(ex->request.reader),
			    buf_slice(&ex->moved_model), &splice))
			return -EINVAL;
	}
	return splice.offset < ex->attempt.sent ? -EINVAL : edits_add(&ex->attempt.edits, &splice);
}

int exchange_map_body(struct exchange *ex)
{
	const struct config_backend *backend = ex->backend;
	const struct reader *reader = ex->request.reader;
	struct request_splice splice;
	struct slice to;

	if (!backend || !reader)
		return 0;
	if (translates(ex, backend) && ex->match.dialect == DIALECT_AZURE)
		return move_model(ex);
	if (!backend->nmodels || reader_is_coded(reader))
		return 0;
	to = mapped(backend->models, backend->nmodels, reader_request_facts(reader)->model);
	if (to.len && reader_rename_model(reader, to, &splice) && splice.offset >= ex->attempt.sent)
		(void)edits_add(&ex->attempt.edits, &splice);
	return 0;
}

/* Whether the choice, or what is sent, depends on what has not come yet of the body. */
static bool awaits(const struct exchange *ex, const struct config_backend *backend)
{
	struct translation t;

	if (translates(ex, backend)) {
		t = translation_of(ex, backend);
		return translation_awaits_body(&t);
	}
	return backend->nmodels && !ex->match.deployment.len &&
	       !reader_is_coded(ex->request.reader) &&
	       !reader_request_facts(ex->request.reader)->model.len;
}

bool exchange_awaits_model(const struct exchange *ex)
{
	const struct pool_entry *entry = ex->pool.entry;

	if (!entry || !ex->request.reader)
		return false;
	for (unsigned i = 0; i < entry->pool.n; i++)
		if (awaits(ex, entry->backends[i]))
			return true;
	return false;
}
