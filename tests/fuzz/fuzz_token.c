// SPDX-License-Identifier: GPL-2.0-or-later
/* A token as a client sends it, and one made of the first line as its head and the rest as its claims: what
 * is read of it stays within the token's own memory, and only what rules can name becomes a group. */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "policy/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void put_part(struct buf *out, struct slice part)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32_t bits = 0;
	int have = 0;

	for (size_t i = 0; i < part.len; i++) {
		bits = (bits << 8 | (unsigned char)part.data[i]) & 0xffffff;
		for (have += 8; have >= 6; have -= 6)
			demand(buf_append(out, &digits[bits >> (have - 6) & 63], 1) == 0);
	}
	if (have)
		demand(buf_append(out, &digits[bits << (6 - have) & 63], 1) == 0);
}

/* All of it can be read. */
static void check_text(struct slice text)
{
	volatile char last = 0;

	demand(text.len <= 4 * TOKEN_MAX);
	for (size_t i = 0; i < text.len; i++)
		last = text.data[i];
	(void)last;
}

static enum token_state read_one(struct slice text)
{
	static const struct token_rule rule = {.algorithms = 1, .skew_s = 60};
	struct token token;
	enum token_state state = token_read(text, &token);

	if (state == TOKEN_VALID) {
		demand(token.expires_s && token.issuer.len);
		check_text(token.object);
		check_text(token.name);
		for (size_t i = 0; i < token.ngroups; i++) {
			demand(token.groups[i].len > 0);
			for (size_t k = 0; k < token.groups[i].len; k++)
				demand(token.groups[i].data[k] > ' ' && token.groups[i].data[k] <= '~' &&
				       token.groups[i].data[k] != ',');
		}
		demand(!token_is_of(&token, &rule));
		(void)token_check_head(&token, &rule);
		demand(token_check_claims(&token, &rule, 1) == TOKEN_AUDIENCE);
	}
	token_free(&token);
	return state;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of((const char *)data, size);
	size_t line = slice_index(input, '\n');
	struct buf token = BUF_EMPTY;

	if (size > TOKEN_MAX)
		return 0;
	read_one(input);
	put_part(&token, slice_first(input, line));
	demand(buf_append(&token, ".", 1) == 0);
	put_part(&token, slice_after(input, line + 1));
	demand(buf_append(&token, ".c2ln", 5) == 0);
	read_one(buf_slice(&token));
	buf_free(&token);
	return 0;
}
