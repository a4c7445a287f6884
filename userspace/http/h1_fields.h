/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the fields of a head mean for the message: its host, its framing, its connection. */
#ifndef HTTP_H1_FIELDS_H
#define HTTP_H1_FIELDS_H

#include <stdbool.h>
#include <stdint.h>

#include "http/h1_error.h"
#include "http/h1_lines.h"

/* From the start line and the lines, which are its headers, fills in the rest of the head, and marks
 * the lines that nobody forwards. to_head: a response to
 * HEAD. body_max: 0 is no limit. False and *error when the head is to be refused. */
bool h1_fields_read(struct h1_head *head, struct h1_lines *lines, bool to_head, uint64_t body_max,
	enum h1_error_id *error);

/* Whether none of the fields is one that a recipient has to know before the body (RFC 9110
 * section 6.5.1, credentials included), or that would change another message's meaning where trailers and headers are
 * thrown together. */
bool h1_fields_may_trail(const struct header *headers, size_t count);

#endif
