// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/id_scan.h"

#include <string.h>

#define ID_LEAST 8 /* bytes behind the prefix: shorter ones are words */

bool id_is_one(struct slice text)
{
	static const struct slice prefixes[] = {{"resp_", 5}, {"conv_", 5}, {"rs_", 3}, {"msg_", 4},
		{"file-", 5}, {"file_", 5}, {"assistant-", 10}, {"batch_", 6}, {"ftjob-", 6},
		{"thread_", 7}, {"run_", 4}, {"asst_", 5}, {"vs_", 3}, {"upload_", 7}, {"cntr_", 5}};

	if (text.len > ID_MAX)
		return false;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		struct slice rest = slice_after(text, prefixes[i].len);

		if (!slice_starts_with(text, prefixes[i]) || rest.len < ID_LEAST)
			continue;
		for (size_t at = 0; at < rest.len; at++) {
			char c = rest.data[at];

			if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
				    (c >= '0' && c <= '9') || c == '_' || c == '-'))
				return false;
		}
		return true;
	}
	return false;
}

/* Only strings that begin as one of the names do are kept. */
static bool may_be_one(char first)
{
	return memchr("abcfmrtuv", first, 9) != NULL;
}

static void string_ends(struct id_scan *scan, id_scan_found *found, void *context)
{
	struct slice text = slice_of(scan->text, scan->len);

	if (scan->state == ID_INSIDE && id_is_one(text))
		found(context, text);
	scan->state = ID_OUTSIDE;
	scan->len = 0;
}

/* Where the string may go on otherwise. One search for both bytes: two would pass over the same ones
 * again at each escape. */
static size_t skip_other(struct slice piece)
{
	size_t at = 0;

	while (at < piece.len && piece.data[at] != '"' && piece.data[at] != '\\')
		at++;
	return at;
}

/* The next byte inside a string of which something counts. */
static void take(struct id_scan *scan, char c)
{
	if (c == '\\')
		scan->state = ID_ESCAPED;
	else if (scan->state == ID_INSIDE) {
		if (scan->len == ID_MAX || (!scan->len && !may_be_one(c)))
			scan->state = ID_OTHER;
		else
			scan->text[scan->len++] = c;
	}
}

void id_scan_feed(struct id_scan *scan, struct slice piece, id_scan_found *found, void *context)
{
	while (piece.len) {
		size_t skip = 0;

		if (scan->state == ID_OUTSIDE) {
			skip = slice_index(piece, '"');
			if (skip < piece.len)
				scan->state = ID_INSIDE;
			piece = slice_after(piece, skip + 1);
			continue;
		}
		if (scan->state == ID_ESCAPED) {
			scan->state = ID_OTHER; /* no name has one */
			piece = slice_after(piece, 1);
			continue;
		}
		if (scan->state == ID_OTHER) {
			piece = slice_after(piece, skip_other(piece));
			if (!piece.len)
				return;
		}
		if (piece.data[0] == '"')
			string_ends(scan, found, context);
		else
			take(scan, piece.data[0]);
		piece = slice_after(piece, 1);
	}
}
