// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/abridge.h"

#include <errno.h>
#include <stdlib.h>

#include "openai/ends.h"
#include "openai/json_scan.h"

/* Shorter strings are part of what is around them. */
#define STRING_MIN 256
#define SHORTEST   64 /* … and what was shortened to less than twice that stays as it is */
/* When something has to go, so much of max goes at once. */
#define BATCH 64

/* What stands before a string, with its quote, and the string without its last. */
struct abridge_part {
	struct buf before;
	struct ends text;
};

/* A string that is shortened keeps more than 16 times the bytes of its mark. */
size_t abridge_within(size_t bytes)
{
	size_t closing = JSON_SCAN_DEPTH + 2, room = bytes > closing ? bytes - closing : 0;

	return room - room / 16;
}

void abridge_init(struct abridge *a, size_t max)
{
	*a = (struct abridge){.max = max};
}

void abridge_free(struct abridge *a)
{
	for (size_t i = 0; i < a->nparts; i++) {
		buf_free(&a->parts[i].before);
		ends_free(&a->parts[i].text);
	}
	free(a->parts);
	middle_free(&a->middle);
	a->parts = NULL;
	a->nparts = a->room_for_parts = a->kept = 0;
}

bool abridge_begun(const struct abridge *a)
{
	return a->nparts != 0 || middle_begun(&a->middle) || a->full;
}

static bool part_add(struct abridge *a)
{
	size_t room = a->room_for_parts ? a->room_for_parts * 2 : 4;
	struct abridge_part *parts = a->parts;

	if (a->nparts == a->room_for_parts) {
		parts = realloc(parts, room * sizeof(*parts));
		if (!parts)
			return false;
		a->parts = parts;
		a->room_for_parts = room;
	}
	parts[a->nparts++] = (struct abridge_part){.before = BUF_EMPTY};
	return true;
}

static struct ends *longest(const struct abridge *a)
{
	struct ends *found = &a->parts[0].text;

	for (size_t i = 1; i < a->nparts; i++)
		if (ends_len(&a->parts[i].text) > ends_len(found))
			found = &a->parts[i].text;
	return found;
}

/* Appends all that is kept, and frees it. 0, or -ENOMEM with nothing appended. */
static int put_together(struct abridge *a, struct buf *into)
{
	size_t size = a->kept + a->nparts * ENDS_MARK + 1, before = buf_len(into);
	int error = buf_reserve(into, size) ? 0 : -ENOMEM;

	for (size_t i = 0; i < a->nparts && !error; i++) {
		error = buf_append_slice(into, buf_slice(&a->parts[i].before));
		if (!error)
			error = ends_append_to(&a->parts[i].text, into);
	}
	if (error)
		into->end = into->start + before;
	abridge_free(a);
	return error;
}

/* No string is left to shorten: from now on, the middle goes whatever it is. */
static void middle_goes(struct abridge *a)
{
	struct buf text = BUF_EMPTY;
	size_t kept = a->kept;

	a->spent += kept;
	if (put_together(a, &text) < 0 || middle_begin(&a->middle, &text, a->max) < 0) {
		a->full = true;
		a->cut += kept;
	}
	buf_free(&text);
}

static void middle_takes(struct abridge *a, struct slice piece)
{
	middle_feed(&a->middle, piece);
	a->spent += a->middle.spent;
	a->middle.spent = 0;
}

/* There is more than max: makes room for a batch. */
static void make_room(struct abridge *a)
{
	size_t wanted = a->max - a->max / BATCH;

	while (a->kept > wanted) {
		struct ends *text = longest(a);
		size_t n = a->kept - wanted, half = ends_len(text) / 2;
		size_t gone;

		a->spent += a->nparts + half;
		gone = half < SHORTEST ? 0 : ends_shed(text, n < half ? n : half);
		a->kept -= gone;
		a->cut += gone;
		if (!gone) {
			middle_goes(a);
			return;
		}
	}
}

/* The string has ended; one that is short does not stay a part of its own. */
static bool string_end(struct abridge *a)
{
	struct abridge_part *part = &a->parts[a->nparts - 1];

	if (part->text.cut || ends_len(&part->text) >= STRING_MIN)
		return part_add(a);
	if (ends_append_to(&part->text, &part->before) < 0)
		return false;
	ends_free(&part->text);
	return true;
}

/* How many bytes come before one that changes the state, and that one if it belongs to them. */
static size_t run(struct abridge *a, struct slice piece)
{
	size_t at = 0;

	if (!a->in_string) {
		const char *quote = memchr(piece.data, '"', piece.len);

		if (!quote)
			return piece.len;
		a->in_string = true;
		return (size_t)(quote - piece.data) + 1;
	}
	for (; at < piece.len; at++) {
		char c = piece.data[at];

		if (!a->escaped && c == '"') {
			a->in_string = false;
			break;
		}
		a->escaped = !a->escaped && c == '\\';
	}
	return at;
}

void abridge_feed(struct abridge *a, struct slice piece)
{
	if (!abridge_begun(a) && piece.len)
		a->full = !part_add(a);
	while (piece.len && !a->full && !middle_begun(&a->middle)) {
		/* As if the bytes came one by one: there is never more than one too many. */
		struct slice most = slice_first(piece, a->max - a->kept + 1);
		struct abridge_part *part = &a->parts[a->nparts - 1];
		bool string = a->in_string;
		size_t len = run(a, most);

		if (buf_append_slice(string ? ends_into(&part->text) : &part->before,
			    slice_first(piece, len)) < 0 ||
			(string && !a->in_string && !string_end(a))) {
			a->full = true;
			break;
		}
		a->kept += len;
		piece = slice_after(piece, len);
		if (string && !a->in_string) {
			/* The quote belongs to what follows. */
			part = &a->parts[a->nparts - 1];
			if (buf_append(&part->before, "\"", 1) < 0) {
				a->full = true;
				break;
			}
			a->kept++;
			piece = slice_after(piece, 1);
		}
		if (a->kept > a->max)
			make_room(a);
	}
	if (middle_begun(&a->middle))
		middle_takes(a, piece);
	else
		a->cut += piece.len;
}

int abridge_end(struct abridge *a, struct buf *into)
{
	int error;

	if (!middle_begun(&a->middle))
		return put_together(a, into);
	error = middle_end(&a->middle, into);
	a->spent += a->middle.spent;
	a->cut += a->middle.cut;
	a->full = a->middle.lost;
	abridge_free(a);
	return error;
}
