/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text of strangers on its way to people and to programs. Characters that a terminal obeys, that
 * change the order of those around them or that nobody sees are hostile: controls (C0, DEL, C1),
 * bidirectional controls, zero-width and other invisible characters, line and paragraph separators,
 * tags and variation selectors, in which texts are hidden. */
#ifndef BASE_VISIBLE_H
#define BASE_VISIBLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

bool visible_hostile(uint32_t code_point);

/* Both append to out and return 0 or -ENOMEM; both take any bytes, and what they append is UTF-8
 * without a hostile character.
 *
 * For people, in one line: the first max characters of text. A hostile one is drawn as <U+202E>, a
 * line feed as ↵ and a tab as a space, a byte that is not UTF-8 as U+FFFD. *drawn (may be NULL)
 * counts the characters that were appended. */
int visible_draw(struct slice text, size_t max, struct buf *out, size_t *drawn);
/* For programs: json, whose control characters (C0) are escaped or stand between its values, with
 * hostile characters escaped (\u202e), a byte that is not UTF-8 as \ufffd. */
int visible_json(struct slice json, struct buf *out);

#endif
