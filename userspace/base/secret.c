// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The failure function of Knuth, Morris and Pratt: of the first i + 1 bytes, how many of the last
 * ones are the first ones again. */
struct secret {
	size_t uses;
	size_t len;
	size_t *again;
	char *text;
};

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

/* The secret's first place in the text, or where a beginning of it ends the text; *len is how much
 * of it stands there. False: nowhere. */
static bool secret_find(const struct secret *secret, struct slice text, size_t *at, size_t *len)
{
	const char *found = NULL;
	size_t most = secret->len - 1;

	if (secret->len < SECRET_SHORTEST)
		return false;
	if (text.len)
		found = memmem(text.data, text.len, secret->text, secret->len);
	if (found) {
		*at = (size_t)(found - text.data);
		*len = secret->len;
		return true;
	}
	for (*len = most < text.len ? most : text.len; *len >= SECRET_SHORTEST; --*len) {
		*at = text.len - *len;
		if (!memcmp(text.data + *at, secret->text, *len))
			return true;
	}
	return false;
}

bool secret_found(const struct secret *secret, struct slice text)
{
	size_t at, len;

	return secret_find(secret, text, &at, &len);
}

int secret_replace(
	const struct secret *secret, struct slice text, struct slice mark, struct buf *out)
{
	size_t at, len;
	int error = 0;

	while (!error && secret_find(secret, text, &at, &len)) {
		error = buf_append_slice(out, slice_first(text, at));
		if (!error)
			error = buf_append_slice(out, mark);
		text = slice_after(text, at + len);
	}
	return error ? error : buf_append_slice(out, text);
}

/* The secret is whole. */
static int secret_hide(const struct secret *secret, struct buf *out)
{
	char *to = buf_reserve(out, secret->len);

	if (!to)
		return -ENOMEM;
	memset(to, '*', secret->len);
	buf_commit(out, secret->len);
	return 0;
}

/* Takes one byte: what turns out to be none of the secret's is given out. */
static int secret_step(const struct secret *secret, size_t *matched, char c, struct buf *out)
{
	size_t before = *matched;
	int error = 0;

	while (*matched && secret->text[*matched] != c)
		*matched = secret->again[*matched - 1];
	if (before > *matched)
		error = buf_append(out, secret->text, before - *matched);
	if (error)
		return error;
	if (secret->text[*matched] != c)
		return buf_append(out, &c, 1);
	if (++*matched < secret->len)
		return 0;
	*matched = 0;
	return secret_hide(secret, out);
}

int secret_mask(
	const struct secret *secret, size_t *matched, struct slice piece, bool fin, struct buf *out)
{
	int error = 0;

	if (secret->len < SECRET_SHORTEST)
		return buf_append_slice(out, piece);
	for (size_t i = 0; !error && i < piece.len;) {
		size_t plain = *matched ? 0 : slice_index(slice_after(piece, i), secret->text[0]);

		if (plain)
			error = buf_append(out, piece.data + i, plain);
		i += plain;
		if (!error && i < piece.len)
			error = secret_step(secret, matched, piece.data[i++], out);
	}
	if (!error && fin && *matched) {
		error = buf_append(out, secret->text, *matched);
		*matched = 0;
	}
	return error;
}
