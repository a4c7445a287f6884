// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/secret_scan.h"

#include <string.h>

/* Of JSON in JSON in JSON each backslash doubles them. */
#define BACKSLASHES_MAX 15

static int hex_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* n hexadecimal digits at the start of text: what they say, below 0x80. -1: they are none, or
 * another; -2: the text ends before that is known. */
static int hex(struct slice text, size_t n)
{
	int value = 0;

	for (size_t i = 0; i < n; i++) {
		if (i == text.len)
			return -2;
		if (hex_of(text.data[i]) < 0)
			return -1;
		value = value << 4 | hex_of(text.data[i]);
		if (value >= 0x80)
			return -1;
	}
	return value;
}

/* The bytes that the character at the start of text, which is not empty, is written with, and which
 * it is. 0: the text may end inside it. */
static size_t character(struct slice text, char *c)
{
	size_t backslashes = 0;
	int value;

	*c = *text.data;
	if (*c == '%') {
		value = hex(slice_after(text, 1), 2);
		if (value >= 0)
			*c = (char)value;
		return value >= 0 ? 3 : value == -2 ? 0 : 1;
	}
	while (backslashes < text.len && text.data[backslashes] == '\\' &&
		backslashes < BACKSLASHES_MAX)
		backslashes++;
	if (!backslashes)
		return 1;
	if (backslashes == text.len)
		return 0;
	text = slice_after(text, backslashes);
	if (*text.data == '/' || *text.data == '"') {
		*c = *text.data;
		return backslashes + 1;
	}
	value = *text.data == 'u' ? hex(slice_after(text, 1), 4) : -1;
	if (value >= 0)
		*c = (char)value;
	if (value >= 0 || value == -2)
		return value >= 0 ? backslashes + 5 : 0;
	return backslashes > 1 ? 2 : 1;
}

static size_t written(const struct secret_scan *scan, size_t at, bool fin, char *c)
{
	struct slice text = slice_after(scan->text, at);
	size_t len = 1;

	*c = *text.data;
	if (scan->written)
		len = character(text, c);
	if (len || !fin)
		return len;
	*c = *text.data;
	return 1;
}

bool secret_scan_step(struct secret_scan *scan, bool fin)
{
	const struct secret *secret = scan->secret;
	size_t len, before = scan->matched;
	char c, gone;

	if (scan->matched == secret->len || scan->at >= scan->text.len)
		return false;
	len = written(scan, scan->at, fin, &c);
	if (!len)
		return false;
	while (scan->matched && secret->text[scan->matched] != c)
		scan->matched = secret->again[scan->matched - 1];
	for (; before > scan->matched; before--)
		scan->begin += written(scan, scan->begin, true, &gone);
	scan->at += len;
	if (secret->text[scan->matched] == c)
		scan->matched++;
	else
		scan->begin = scan->at;
	return true;
}
