/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_JSON_TEXT_H
#define BASE_JSON_TEXT_H

#include <yyjson.h>

#include "base/buf.h"

/* Appends the document, hostile characters escaped (see base/visible.h), as YYJSON_WRITE_ flags say,
 * and frees it in any case. 0, or -ENOMEM: there is no document (NULL, or one without a root), or no
 * memory for its text. */
int json_text(yyjson_mut_doc *doc, yyjson_write_flag flags, struct buf *out);

#endif
