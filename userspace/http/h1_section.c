// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/h1_section.h"

#include "http/token.h"

#define SECTION_KEEP 16384 /* bytes of memory that a section keeps for the next one */

/* The offset from i on of the first byte that is not one of a value: a line's end, or a control
 * byte. Heads are read eight bytes at a time. */
static size_t section_plain(struct slice input, size_t i)
{
	const uint64_t low = 0x0101010101010101u, high = low << 7;
	uint64_t word, no_del;

	for (; input.len - i >= sizeof(word); i += sizeof(word)) {
		memcpy(&word, input.data + i, sizeof(word));
		no_del = word ^ low * 0x7f;
		/* A byte below 0x20, or DEL; or what a borrow makes look like one, or a tab. */
		if ((((word - low * 0x20) & ~word) | ((no_del - low) & ~no_del)) & high)
			break;
	}
	while (i < input.len && token_classes[(uint8_t)input.data[i]] & TOKEN_VALUE)
		i++;
	return i;
}

/* Finds the section's end in input: *length is the bytes up to it, or all of them. */
static enum h1_section_result section_scan(
	struct h1_section *section, struct slice input, size_t *length, enum h1_error_id *error)
{
	for (size_t i = 0; i < input.len; i++) {
		uint8_t byte = (uint8_t)input.data[i];
		size_t from = i;

		if (section->after_cr) {
			if (byte != '\n') {
				*error = H1_ERROR_BARE_CR;
				return H1_SECTION_ERROR;
			}
			section->after_cr = false;
			section->lines++;
			if (!section->line_bytes) {
				*length = i + 1;
				return H1_SECTION_DONE;
			}
			section->line_bytes = 0;
			continue;
		}
		i = section_plain(input, i);
		section->line_bytes += i - from;
		if (i == input.len)
			break;
		byte = (uint8_t)input.data[i];
		if (byte != '\r') {
			*error = byte == '\n' ? H1_ERROR_BARE_LF : H1_ERROR_CONTROL_BYTE;
			return H1_SECTION_ERROR;
		}
		section->after_cr = true;
	}
	*length = input.len;
	return H1_SECTION_MORE;
}

enum h1_section_result h1_section_read(struct h1_section *section, struct slice input, size_t max,
	size_t *consumed, enum h1_error_id *error)
{
	size_t held = buf_len(&section->bytes);
	enum h1_section_result result;

	*consumed = 0;
	input = slice_first(input, max > held ? max - held : 0);
	result = section_scan(section, input, consumed, error);
	if (result == H1_SECTION_ERROR)
		return result;
	if (buf_append(&section->bytes, input.data, *consumed) < 0) {
		*error = H1_ERROR_MEMORY;
		return H1_SECTION_ERROR;
	}
	if (result == H1_SECTION_MORE && held + *consumed >= max)
		return H1_SECTION_LONG;
	return result;
}

void h1_section_reset(struct h1_section *section)
{
	if (section->bytes.capacity > SECTION_KEEP)
		buf_free(&section->bytes);
	buf_clear(&section->bytes);
	section->lines = 0;
	section->line_bytes = 0;
	section->after_cr = false;
}

void h1_section_free(struct h1_section *section)
{
	buf_free(&section->bytes);
	h1_section_reset(section);
}
