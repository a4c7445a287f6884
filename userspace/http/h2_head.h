/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the fields of a section of HTTP/2 mean (RFC 9113 section 8): the same head as HTTP/1's reader
 * makes, so that nothing behind it knows the wire. A section that HTTP/1 could not carry as the same
 * message is refused: that is what smuggling is made of. nghttp2 judges each field as well; where the
 * two differ, the message is refused. */
#ifndef HTTP_H2_HEAD_H
#define HTTP_H2_HEAD_H

#include "http/h2_section.h"

/* All of these: H2_ERROR_NONE, or why the section is refused, which may be the section's own error.
 * Slices point into the section, which must not change any more. fin: the message ends with it.
 * body_max: 0 is no limit. */

/* Its first field is Host, from :authority; cookies are one field (section 8.2.3). */
enum h2_error_id h2_head_request(
	struct h2_section *section, bool fin, uint64_t body_max, struct head *head);
/* no_body: the request was HEAD. */
enum h2_error_id h2_head_response(
	struct h2_section *section, bool fin, bool no_body, struct head *head);
/* The section's fields are the trailers. */
enum h2_error_id h2_head_trailers(struct h2_section *section, bool fin);

/* Whether a connection of HTTP/2 carries no field of that name (section 8.2.2). */
bool h2_head_is_connection(struct slice name);

#endif
