// SPDX-License-Identifier: GPL-2.0-or-later
/* One model, as the backend calls it: a deployment has another name in another resource. */
#include "proxy/exchange.h"

#include <errno.h>

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

bool exchange_maps(const struct exchange *ex)
{
	return ex->backend && (ex->backend->nmodels || ex->backend->napi_versions);
}

int exchange_map_target(const struct exchange *ex, struct buf *out)
{
	const struct config_backend *backend = ex->backend;
	struct slice path = ex->head->path;
	struct renamed list[2];
	size_t at = 0;
	int error = 0;

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

void exchange_map_body(struct exchange *ex)
{
	const struct config_backend *backend = ex->backend;
	const struct reader *reader = ex->request.reader;
	struct request_splice splice;
	struct slice to;

	if (!backend || !backend->nmodels || !reader || reader_is_coded(reader))
		return;
	to = mapped(backend->models, backend->nmodels, reader_request_facts(reader)->model);
	if (to.len && reader_rename_model(reader, to, &splice) && splice.offset >= ex->attempt.sent)
		(void)edits_add(&ex->attempt.edits, &splice);
}

bool exchange_awaits_model(const struct exchange *ex)
{
	const struct pool_entry *entry = ex->pool.entry;

	if (!entry || ex->match.deployment.len || !ex->request.reader ||
		reader_is_coded(ex->request.reader) ||
		reader_request_facts(ex->request.reader)->model.len)
		return false;
	for (unsigned i = 0; i < entry->pool.n; i++)
		if (entry->backends[i]->nmodels)
			return true;
	return false;
}
