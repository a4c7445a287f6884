// SPDX-License-Identifier: GPL-2.0-or-later
/* Text in which a secret may stand, written in some way. The first byte says how it is cut, the
 * second how long the secret is, which follows; then the text. However it is cut, the mask is the
 * same; neither the mask nor the record holds the secret. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static bool holds(const struct buf *text, struct slice secret)
{
	return buf_len(text) >= secret.len && secret.len >= SECRET_SHORTEST &&
	       memmem(buf_slice(text).data, buf_len(text), secret.data, secret.len);
}

static struct buf mask(const struct secret *secret, struct slice text, size_t step)
{
	struct secret_masking masking = {.literal = {.at = 0}};
	struct buf out = BUF_EMPTY;

	for (; text.len > step; text = slice_after(text, step))
		demand(secret_mask(secret, &masking, slice_first(text, step), false, &out) == 0);
	demand(secret_mask(secret, &masking, text, true, &out) == 0);
	demand(!masking.literal.held.memory && !masking.written.held.memory);
	return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of((const char *)data, size), known, text;
	struct buf whole, pieces, replaced = BUF_EMPTY;
	struct secret *secret;
	size_t step;

	if (size < 3 || !data[1] || data[1] > size - 2)
		return 0;
	step = 1 + data[0] % 16;
	known = slice_first(slice_after(input, 2), data[1]);
	/* As a key file has it, and nothing that a mask is made of. */
	for (size_t i = 0; i < known.len; i++)
		if (known.data[i] <= ' ' || known.data[i] > '~' || known.data[i] == '*' ||
			known.data[i] == '#')
			return 0;
	text = slice_after(input, 2 + known.len);
	secret = secret_new(known);
	demand(secret);
	whole = mask(secret, text, SIZE_MAX);
	pieces = mask(secret, text, step);
	demand(buf_len(&whole) == text.len && slice_equal(buf_slice(&whole), buf_slice(&pieces)));
	demand(!holds(&whole, known));
	demand(secret_replace(secret, text, SLICE("#"), &replaced) == 0);
	demand(!holds(&replaced, known));
	demand(secret_found(secret, text) || slice_equal(buf_slice(&replaced), text));
	buf_free(&whole);
	buf_free(&pieces);
	buf_free(&replaced);
	secret_free(secret);
	return 0;
}
