// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/h1_chunk.h"

#include "http/token.h"

enum { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_LINE_LF, CHUNK_DATA, CHUNK_DATA_CR, CHUNK_DATA_LF };

#define CHUNK_NO_ERROR H1_ERROR_COUNT

void h1_chunk_start(struct h1_chunk *chunk, uint64_t body_max)
{
	*chunk = (struct h1_chunk){.state = CHUNK_SIZE, .body_max = body_max};
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static enum h1_error_id chunk_size_byte(struct h1_chunk *chunk, char c)
{
	int digit = hex_digit(c);

	if (digit >= 0) {
		/* 16 digits: a size is no longer than that, however many zeros it starts with. */
		if (chunk->digits == 16 || chunk->left > H1_CHUNK_SIZE_MAX >> 4)
			return H1_ERROR_CHUNK_SIZE;
		chunk->digits++;
		chunk->left = chunk->left << 4 | (uint64_t)digit;
		return CHUNK_NO_ERROR;
	}
	if (!chunk->digits || (c != '\r' && c != ';'))
		return H1_ERROR_CHUNK_SIZE;
	chunk->state = c == ';' ? CHUNK_EXTENSION : CHUNK_LINE_LF;
	return CHUNK_NO_ERROR;
}

static enum h1_error_id chunk_extension_byte(struct h1_chunk *chunk, char c)
{
	if (c == '\r' && chunk->extension > 0) {
		chunk->state = CHUNK_LINE_LF;
		return CHUNK_NO_ERROR;
	}
	if (!(token_classes[(uint8_t)c] & TOKEN_VALUE))
		return H1_ERROR_CHUNK_EXTENSION;
	if (++chunk->extension > H1_CHUNK_EXTENSION_MAX ||
		++chunk->extensions > H1_CHUNK_EXTENSIONS_MAX)
		return H1_ERROR_CHUNK_EXTENSION;
	return CHUNK_NO_ERROR;
}

static enum h1_error_id chunk_line_end(struct h1_chunk *chunk, char c)
{
	if (c != '\n')
		return H1_ERROR_BARE_CR;
	if (chunk->left > H1_CHUNK_SIZE_MAX - chunk->total)
		return H1_ERROR_CHUNK_SIZE;
	chunk->total += chunk->left;
	if (chunk->body_max && chunk->total > chunk->body_max)
		return H1_ERROR_BODY_TOO_LONG;
	chunk->digits = 0;
	chunk->extension = 0;
	chunk->state = CHUNK_DATA;
	return CHUNK_NO_ERROR;
}

/* One byte of framing. */
static enum h1_error_id chunk_byte(struct h1_chunk *chunk, char c)
{
	switch (chunk->state) {
	case CHUNK_SIZE:
		return chunk_size_byte(chunk, c);
	case CHUNK_EXTENSION:
		return chunk_extension_byte(chunk, c);
	case CHUNK_LINE_LF:
		return chunk_line_end(chunk, c);
	case CHUNK_DATA_CR:
		chunk->state = CHUNK_DATA_LF;
		return c == '\r' ? CHUNK_NO_ERROR : H1_ERROR_CHUNK_END;
	default:
		chunk->state = CHUNK_SIZE;
		return c == '\n' ? CHUNK_NO_ERROR : H1_ERROR_CHUNK_END;
	}
}

enum h1_chunk_result h1_chunk_read(struct h1_chunk *chunk, struct slice input, size_t *consumed,
	struct slice *span, enum h1_error_id *error)
{
	size_t i = 0;

	for (; i < input.len; i++) {
		if (chunk->state == CHUNK_DATA) {
			*span = slice_after(input, i);
			if (span->len > chunk->left)
				span->len = (size_t)chunk->left;
			chunk->left -= span->len;
			if (!chunk->left)
				chunk->state = CHUNK_DATA_CR;
			*consumed = i + span->len;
			return H1_CHUNK_DATA;
		}
		*error = chunk_byte(chunk, input.data[i]);
		if (*error != CHUNK_NO_ERROR)
			return H1_CHUNK_ERROR;
		if (chunk->state == CHUNK_DATA && !chunk->left) {
			*consumed = i + 1;
			return H1_CHUNK_LAST;
		}
	}
	*consumed = i;
	return H1_CHUNK_MORE;
}
