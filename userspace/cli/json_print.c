// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/json_print.h"

#include <errno.h>
#include <stdlib.h>

#include "base/visible.h"

int json_print(yyjson_mut_doc *doc, yyjson_write_flag flags, FILE *out)
{
	/* What is not JSON in a record must not keep the rest of it from being seen. */
	const yyjson_write_flag tolerant =
		YYJSON_WRITE_ALLOW_INVALID_UNICODE | YYJSON_WRITE_INF_AND_NAN_AS_NULL;
	struct buf visible = BUF_EMPTY;
	size_t len;
	char *text = doc ? yyjson_mut_write(doc, flags | tolerant, &len) : NULL;
	int error = text ? visible_json(slice_of(text, len), &visible) : -ENOMEM;

	if (!error)
		fprintf(out, "%.*s\n", SLICE_ARG(buf_slice(&visible)));
	buf_free(&visible);
	free(text);
	yyjson_mut_doc_free(doc);
	return error;
}
