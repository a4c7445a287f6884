/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Collects a section of lines (a head, or the trailers of a chunked body) up to and including its
 * empty line, in one piece of memory, however the bytes arrive. Knows bytes and line ends only. */
#ifndef HTTP_H1_SECTION_H
#define HTTP_H1_SECTION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/slice.h"
#include "http/h1_error.h"

struct h1_section {
	struct buf bytes;
	size_t lines;	   /* complete ones */
	size_t line_bytes; /* of the incomplete line, a CR not counted */
	bool after_cr;
};

enum h1_section_result { H1_SECTION_MORE, H1_SECTION_DONE, H1_SECTION_LONG, H1_SECTION_ERROR };

/* Reads on. DONE: bytes holds the section; LONG: max bytes were read and the end was not among
 * them; ERROR: *error is BARE_CR, BARE_LF, CONTROL_BYTE or MEMORY. */
enum h1_section_result h1_section_read(struct h1_section *section, struct slice input, size_t max,
	size_t *consumed, enum h1_error_id *error);
/* Makes it ready for the next section; keeps memory up to a usual head's size. */
void h1_section_reset(struct h1_section *section);
void h1_section_free(struct h1_section *section);

#endif
