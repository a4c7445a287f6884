/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>

#include "base/slice.h"

/* U+FFFD, which stands for what is not UTF-8. */
#define UTF8_REPLACEMENT SLICE("\xef\xbf\xbd")

/* Looks at the non-ASCII byte s.data[at] (at < s.len). Returns the length of the well-formed
 * sequence that begins there (2 … 4; The Unicode Standard, table 3-7), or 0, and then *bad is how
 * many bytes one U+FFFD replaces: the maximal subpart (section 3.9, U+FFFD substitution), so that
 * the result is what other decoders make of the same bytes. */
size_t utf8_sequence(struct slice s, size_t at, size_t *bad);

/* True when all of s is well-formed. */
bool utf8_valid(struct slice s);

/* The longest prefix of s of at most max bytes that does not cut a sequence in two. */
struct slice utf8_cut(struct slice s, size_t max);

#endif
