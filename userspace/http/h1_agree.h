/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The second reader of heads and trailers: llhttp, in strict mode. */
#ifndef HTTP_H1_AGREE_H
#define HTTP_H1_AGREE_H

#include <stdbool.h>

#include "base/slice.h"
#include "http/h1_head.h"

/* Whether llhttp accepts the bytes of a whole head, and finds in them what ours did: start line,
 * every field's name and value, framing, and whether the connection goes on. */
bool h1_agree_head(const struct h1_head *head, struct slice bytes);
/* The same for a trailer section. */
bool h1_agree_trailers(const struct header *headers, size_t count, struct slice bytes);

#endif
