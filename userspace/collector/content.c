// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/content.h"

#include <errno.h>

#define CONTENT_LISTED_MAX 10 /* bytes of a number */
#define CONTENT_ARRAY	   0x80

/* The offset of the quote that ends the string whose content begins at at; text.len: none does. */
static size_t content_string_end(struct slice text, size_t at)
{
	size_t begin = at;

	for (; at < text.len; at++) {
		const char *quote = memchr(text.data + at, '"', text.len - at);
		size_t escapes = 0;

		if (!quote)
			break;
		at = (size_t)(quote - text.data);
		while (at - escapes > begin && text.data[at - escapes - 1] == '\\')
			escapes++;
		if (escapes % 2 == 0)
			return at;
	}
	return text.len;
}

/* The offset behind the element that begins at at: of the comma, or of the closing bracket. text.len:
 * it has no end. */
static size_t content_element_end(struct slice text, size_t at)
{
	size_t depth = 0;

	for (; at < text.len; at++) {
		char c = text.data[at];

		if (c == '"') {
			at = content_string_end(text, at + 1);
		} else if (c == '[' || c == '{') {
			depth++;
		} else if (depth && (c == ']' || c == '}')) {
			depth--;
		} else if (!depth && (c == ',' || c == ']')) {
			return at;
		} else if (!depth && c == '}') {
			break;
		}
	}
	return text.len;
}

uint32_t content_elements(struct slice text)
{
	uint32_t n = 1;

	if (text.len < 3 || text.len > UINT32_MAX || text.data[0] != '[')
		return 0;
	for (size_t at = 1, end;; at = end + 1, n++) {
		end = content_element_end(text, at);
		if (end >= text.len || end == at)
			return 0;
		if (text.data[end] == ']')
			return end + 1 == text.len ? n : 0;
	}
}

bool content_next(struct slice text, size_t *at, struct slice *element)
{
	size_t begin = *at + 1, end;

	if (begin >= text.len)
		return false;
	end = content_element_end(text, begin);
	*element = slice_of(text.data + begin, end - begin);
	*at = end;
	return true;
}

/* ---- the list ---- */

static int content_put(struct buf *out, uint64_t number)
{
	unsigned char bytes[CONTENT_LISTED_MAX];
	size_t n = 0;

	for (; number >= 0x80; number >>= 7)
		bytes[n++] = (unsigned char)(number | 0x80);
	bytes[n++] = (unsigned char)number;
	return buf_append(out, bytes, n);
}

static bool content_take(struct slice *rest, uint64_t *number)
{
	*number = 0;
	for (unsigned i = 0; i < CONTENT_LISTED_MAX && i < rest->len; i++) {
		unsigned char byte = (unsigned char)rest->data[i];

		*number |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte < 0x80) {
			*rest = slice_after(*rest, i + 1);
			return true;
		}
	}
	return false;
}

int content_put_list(struct buf *out, const struct content_list *list)
{
	unsigned char head = (unsigned char)(list->kind | (list->array ? CONTENT_ARRAY : 0));
	int error = buf_append(out, &head, 1);

	return error ? error : content_put(out, list->n);
}

/* Neighbours are mostly near each other: the difference, with its sign in the lowest bit. */
int content_put_block(struct buf *out, int64_t block, int64_t *last)
{
	int64_t difference = block - *last;

	*last = block;
	return content_put(out, (uint64_t)difference << 1 ^ (uint64_t)(difference >> 63));
}

bool content_take_list(struct slice *rest, struct content_list *list)
{
	unsigned char head;
	uint64_t n;

	if (!rest->len)
		return false;
	head = (unsigned char)rest->data[0];
	*rest = slice_after(*rest, 1);
	if ((head & ~CONTENT_ARRAY) >= CONTENT_KINDS || !content_take(rest, &n) || n > rest->len)
		return false;
	*list = (struct content_list){
		(enum content_kind)(head & ~CONTENT_ARRAY), head & CONTENT_ARRAY, (uint32_t)n};
	return true;
}

bool content_take_block(struct slice *rest, int64_t *block, int64_t *last)
{
	uint64_t number;

	if (!content_take(rest, &number))
		return false;
	*block = (int64_t)((uint64_t)*last + (number >> 1 ^ (0 - (number & 1))));
	*last = *block;
	return true;
}
