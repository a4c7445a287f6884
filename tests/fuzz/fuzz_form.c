// SPDX-License-Identifier: GPL-2.0-or-later
/* A form as the body of a request: the first byte says in which pieces it comes and how much is kept.
 * What is read does not depend on the pieces, and what is kept is JSON. */
#include <stdint.h>
#include <stdlib.h>

#include <yyjson.h>

#include "openai/form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool true_)
{
	if (!true_)
		abort();
}

static struct form_reader *read_form(
	enum family family, struct slice body, size_t content_max, size_t step)
{
	const struct operation operation = {.family = family};
	struct form_reader *r =
		form_reader_new(&operation, SLICE("multipart/form-data; boundary=b"), content_max);

	demand(r);
	while (body.len && form_reader_feed(r, slice_first(body, step)) == 0)
		body = slice_after(body, step);
	form_reader_end(r);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum family family = size && data[0] & 4 ? FAMILY_FILES : FAMILY_TRANSCRIPTION;
	size_t step = size ? 1 + (data[0] >> 4) : 1;
	size_t content_max = size && data[0] & 1 ? 1 << 20 : size && data[0] & 2 ? 10 : 0;
	struct slice body = slice_after(slice_of((const char *)data, size), 1);
	struct form_reader *whole = read_form(family, body, content_max, SIZE_MAX);
	struct form_reader *pieces = read_form(family, body, content_max, step);
	const struct request_facts *a = form_reader_facts(whole), *b = form_reader_facts(pieces);
	struct request_splice splice;

	demand(a->readable == b->readable && a->problem == b->problem);
	demand(slice_equal(a->model, b->model) && slice_equal(a->user, b->user));
	demand(a->stream == b->stream);
	demand(slice_equal(a->messages, b->messages) && a->messages_cut == b->messages_cut);
	demand(slice_equal(a->parts, b->parts));
	demand(form_estimate_tokens(whole) == form_estimate_tokens(pieces));
	if (form_rename_model(pieces, SLICE("x"), &splice)) {
		demand(splice.offset + splice.remove <= body.len);
		/* What is shown of a name is its beginning. */
		demand(slice_starts_with(slice_after(body, (size_t)splice.offset), a->model));
		demand(splice.remove >= a->model.len);
	}
	if (a->messages.len) {
		yyjson_doc *doc = yyjson_read(a->messages.data, a->messages.len, 0);

		demand(doc);
		yyjson_doc_free(doc);
	}
	demand(content_max || !a->messages.len);
	form_reader_free(whole);
	form_reader_free(pieces);
	return 0;
}
