/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ORIGIN_JSON_H
#define ORIGIN_JSON_H

#include "base/buf.h"
#include "base/slice.h"

/* Appends UTF-8 text as the inside of a JSON string. */
void json_escape(struct buf *out, struct slice text);
/* Appends bytes as a JSON string, quotes included, each byte as the code point of its value
 * (ISO 8859-1), so that any input comes back exactly. */
void json_bytes(struct buf *out, struct slice bytes);

#endif
