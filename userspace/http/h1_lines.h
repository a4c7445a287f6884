/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads the lines of a complete section (RFC 9112 sections 3 to 5): what each line says by itself.
 * What the fields mean together is h1_fields'. */
#ifndef HTTP_H1_LINES_H
#define HTTP_H1_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/h1_error.h"
#include "http/h1_head.h"

/* Fields, in memory that is kept from message to message. */
struct h1_lines {
	struct header *headers;
	bool *hop;		/* of each: nobody forwards it */
	struct header *apart;	/* those, once they are apart */
	size_t count, capacity;
};

/* All of these: true, or false and *error. */

/* Cuts the start line off the section and reads it into head's method and target, or status and
 * reason, and minor. */
bool h1_lines_start(struct slice *section, struct h1_head *head, enum h1_error_id *error);
/* Reads the field lines up to the empty one that ends the section; at most max. */
bool h1_lines_fields(
	struct h1_lines *lines, struct slice section, uint32_t max, enum h1_error_id *error);

/* Takes the fields that are marked as hop out of the head's, which are these, and makes them its hop. */
void h1_lines_part(struct h1_lines *lines, struct h1_head *head);

void h1_lines_free(struct h1_lines *lines);

#endif
