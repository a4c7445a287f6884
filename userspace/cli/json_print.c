// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/json_print.h"

#include "base/json_text.h"

int json_print(yyjson_mut_doc *doc, yyjson_write_flag flags, FILE *out)
{
	struct buf text = BUF_EMPTY;
	int error = json_text(doc, flags, &text);

	if (!error)
		fprintf(out, "%.*s\n", SLICE_ARG(buf_slice(&text)));
	buf_free(&text);
	return error;
}
