/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A JSON document on its way out. */
#ifndef CLI_JSON_PRINT_H
#define CLI_JSON_PRINT_H

#include <stdio.h>
#include <yyjson.h>

/* Writes the document with a line end behind it, hostile characters escaped (see base/visible.h), as YYJSON_WRITE_ flags say, and frees it in any
 * case. 0, or -ENOMEM: there is no document (NULL, or one without a root), or no memory for its
 * text. Errors of out stay there. */
int json_print(yyjson_mut_doc *doc, yyjson_write_flag flags, FILE *out);

#endif
