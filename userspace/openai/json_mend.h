/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef OPENAI_JSON_MEND_H
#define OPENAI_JSON_MEND_H

#include "base/buf.h"

/* Closes the beginning of a JSON text, cut anywhere, so that it is valid again: takes back what is
 * half there at its end and adds the quote and brackets that are missing (at most
 * JSON_SCAN_DEPTH + 1 bytes). Where no value has begun it becomes empty. 0, or -ENOMEM with an
 * empty text. */
int json_mend(struct buf *text);
/* Puts \ufffd in place of escapes of lone surrogates, which are JSON by its grammar alone. 0, or
 * -ENOMEM with an empty text. */
int json_mend_surrogates(struct buf *text);

#endif
