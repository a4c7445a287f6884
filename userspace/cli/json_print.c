// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/json_print.h"

#include <errno.h>
#include <stdlib.h>

int json_print(yyjson_mut_doc *doc, yyjson_write_flag flags, FILE *out)
{
	char *text = doc ? yyjson_mut_write(doc, flags, NULL) : NULL;
	int error = text ? 0 : -ENOMEM;

	if (text)
		fprintf(out, "%s\n", text);
	free(text);
	yyjson_mut_doc_free(doc);
	return error;
}
