// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret_scan.h"

#define CUT SLICE("\xe2\x80\xa6") /* … */

struct secret *secret_new(struct slice text)
{
	struct secret *secret = calloc(1, sizeof(*secret));
	size_t matched = 0;

	if (!secret)
		return NULL;
	secret->text = malloc(text.len);
	secret->again = calloc(text.len, sizeof(*secret->again));
	if (!text.len || !secret->text || !secret->again) {
		secret_free(secret);
		return NULL;
	}
	memcpy(secret->text, text.data, text.len);
	secret->uses = 1;
	secret->len = text.len;
	for (size_t i = 1; i < text.len; i++) {
		while (matched && text.data[i] != text.data[matched])
			matched = secret->again[matched - 1];
		matched += text.data[i] == text.data[matched];
		secret->again[i] = matched;
	}
	return secret;
}

struct secret *secret_share(struct secret *secret)
{
	secret->uses++;
	return secret;
}

void secret_free(struct secret *secret)
{
	if (!secret || (secret->uses && --secret->uses))
		return;
	if (secret->text)
		explicit_bzero(secret->text, secret->len);
	if (secret->again)
		explicit_bzero(secret->again, secret->len * sizeof(*secret->again));
	free(secret->text);
	free(secret->again);
	free(secret);
}

struct slice secret_text(const struct secret *secret)
{
	return slice_of(secret->text, secret->len);
}

/* --- where it stands: each finds the first place at or after from --- */

struct span {
	size_t begin, end; /* empty: there is none */
};

static bool ends_at(struct slice text, size_t at)
{
	return at == text.len || text.data[at] == '"' || text.data[at] == '\\' ||
	       slice_starts_with(slice_after(text, at), CUT);
}

/* As it is, or its beginning where the text ends. */
static struct span find_literal(const struct secret *secret, struct slice text, size_t from)
{
	while (text.len - from >= SECRET_SHORTEST) {
		const char *found =
			memmem(text.data + from, text.len - from, secret->text, SECRET_SHORTEST);
		size_t begin, len = SECRET_SHORTEST;

		if (!found)
			break;
		begin = (size_t)(found - text.data);
		while (len < secret->len && begin + len < text.len &&
			text.data[begin + len] == secret->text[len])
			len++;
		if (len == secret->len || ends_at(text, begin + len))
			return (struct span){begin, begin + len};
		from = begin + 1;
	}
	return (struct span){text.len, text.len};
}

/* How many bytes before at are the secret's first ones, not all of it. */
static size_t beginning_before(const struct secret *secret, struct slice text, size_t at)
{
	size_t len = at < secret->len - 1 ? at : secret->len - 1;

	while (len && memcmp(text.data + at - len, secret->text, len) != 0)
		len--;
	return len;
}

/* How many bytes from at on are the secret's last ones, not all of it. */
static size_t end_behind(const struct secret *secret, struct slice text, size_t at)
{
	size_t most = text.len - at, len = most < secret->len - 1 ? most : secret->len - 1;

	while (len && memcmp(text.data + at, secret->text + secret->len - len, len) != 0)
		len--;
	return len;
}

/* Around the mark of a cut. */
static struct span find_cut(const struct secret *secret, struct slice text, size_t from)
{
	while (from < text.len) {
		const char *found = memmem(text.data + from, text.len - from, CUT.data, CUT.len);
		size_t at, before, behind;

		if (!found)
			break;
		at = (size_t)(found - text.data);
		before = beginning_before(secret, slice_after(text, from), at - from);
		behind = end_behind(secret, text, at + CUT.len);
		if (before + behind >= SECRET_SHORTEST)
			return (struct span){at - before, at + CUT.len + behind};
		from = at + CUT.len;
	}
	return (struct span){text.len, text.len};
}

static size_t next_of(struct slice text, size_t from, char c)
{
	return from + slice_index(slice_after(text, from), c);
}

/* With bytes that are escaped or encoded: only around such are there any. */
static struct span find_written(const struct secret *secret, struct slice text, size_t from)
{
	size_t backslash = next_of(text, from, '\\'), percent = next_of(text, from, '%'), at = from;

	while (at < text.len) {
		struct secret_scan scan = {.secret = secret, .text = text, .written = true};
		size_t escape;

		if (backslash < at)
			backslash = next_of(text, at, '\\');
		if (percent < at)
			percent = next_of(text, at, '%');
		escape = backslash < percent ? backslash : percent;
		if (escape == text.len)
			break;
		scan.begin = scan.at = escape - at < secret->len ? at : escape - secret->len;
		while (scan.at <= escape || scan.matched)
			if (!secret_scan_step(&scan, true))
				break;
		if (scan.matched == secret->len)
			return (struct span){scan.begin, scan.at};
		at = scan.at > escape ? scan.at : escape + 1;
	}
	return (struct span){text.len, text.len};
}

static struct span (*const finders[])(
	const struct secret *secret, struct slice text, size_t from) = {
	find_literal,
	find_cut,
	find_written,
};

#define FINDERS (sizeof(finders) / sizeof(*finders))

bool secret_found(const struct secret *secret, struct slice text)
{
	if (secret->len < SECRET_SHORTEST)
		return false;
	for (size_t i = 0; i < FINDERS; i++)
		if (finders[i](secret, text, 0).begin < text.len)
			return true;
	return false;
}

/* The first of all; a finder looks on only when what it found last lies behind. */
static struct span next_span(
	const struct secret *secret, struct slice text, size_t from, struct span found[FINDERS])
{
	struct span first = {text.len, text.len};

	for (size_t i = 0; i < FINDERS; i++) {
		if (found[i].begin < from || found[i].end == 0)
			found[i] = finders[i](secret, text, from);
		if (found[i].begin < first.begin ||
			(found[i].begin == first.begin && found[i].end > first.end))
			first = found[i];
	}
	return first;
}

int secret_replace(
	const struct secret *secret, struct slice text, struct slice mark, struct buf *out)
{
	struct span found[FINDERS] = {{0, 0}}, span;
	size_t at = 0;
	int error = 0;

	while (secret->len >= SECRET_SHORTEST && at < text.len && !error) {
		span = next_span(secret, text, at, found);
		if (span.begin == text.len)
			break;
		error = buf_append(out, text.data + at, span.begin - at);
		if (!error)
			error = buf_append_slice(out, mark);
		at = span.end;
	}
	return error ? error : buf_append_slice(out, slice_after(text, at));
}
