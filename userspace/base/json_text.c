// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/json_text.h"

#include <errno.h>
#include <stdlib.h>

#include "base/visible.h"

int json_text(yyjson_mut_doc *doc, yyjson_write_flag flags, struct buf *out)
{
	/* What is not JSON in a record must not keep the rest of it from being seen. */
	const yyjson_write_flag tolerant =
		YYJSON_WRITE_ALLOW_INVALID_UNICODE | YYJSON_WRITE_INF_AND_NAN_AS_NULL;
	size_t len;
	char *text = doc ? yyjson_mut_write(doc, flags | tolerant, &len) : NULL;
	int error = text ? visible_json(slice_of(text, len), out) : -ENOMEM;

	free(text);
	yyjson_mut_doc_free(doc);
	return error;
}
