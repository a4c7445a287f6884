/* SPDX-License-Identifier: GPL-2.0-or-later */
/* UTF-8 text (RFC 3629) and its form in JSON strings (RFC 8259 section 7). */
#ifndef OPENAI_JSON_TEXT_H
#define OPENAI_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

/* How many of the n bytes at p come before the first that needs a look in a JSON string: a quote, a
 * backslash, a control byte, or one outside ASCII. */
size_t json_text_plain(const char *p, size_t n);
/* The length of the first UTF-8 character, 0 where there is none or only the beginning of one. */
size_t json_text_character(struct slice text);
/* The length of the character or escape at the start of the inside of a JSON string, a pair of
 * surrogates being one. 0: it is not all there. */
size_t json_text_unit(struct slice text);
/* The most of valid UTF-8 that fits max bytes and does not end inside a character. */
struct slice json_text_cut(struct slice text, size_t max);
/* Copies json_text_cut(from, size) to into and returns the copy. */
struct slice json_text_copy(char *into, size_t size, struct slice from);
/* Writes code point c (surrogates not among them) as 1 to 4 bytes; returns how many. */
size_t json_text_encode(uint32_t c, char bytes[4]);
/* Appends text as the inside of a JSON string, at most *room bytes, which it uses up. False when
 * not all of it fitted or there was no memory; it ends after a whole character then. */
bool json_text_escape(struct buf *into, struct slice text, size_t *room);
/* Appends a JSON text with U+FFFD in place of invalid UTF-8 and of escapes of lone surrogates,
 * which strict readers refuse. 0, or -ENOMEM. */
int json_text_repair(struct buf *into, struct slice json);

#endif
