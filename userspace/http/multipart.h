/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A form as multipart/form-data (RFC 7578, RFC 2046 section 5.1), read as it passes: spans in, events
 * out, in memory that does not grow with it. It is strict: what readers of forms may understand
 * differently (a preamble, bare LF, a name in two ways or with escapes) is an error. */
#ifndef HTTP_MULTIPART_H
#define HTTP_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

#define MULTIPART_BOUNDARY 70	/* bytes, the most that RFC 2046 allows */
#define MULTIPART_HEADERS  8192 /* bytes of the header fields of a part */

enum multipart_event {
	MULTIPART_MORE, /* the input is consumed */
	MULTIPART_PART, /* a part begins: name, file_name and type are set */
	MULTIPART_DATA, /* data is a span of it */
	MULTIPART_PART_END,
	MULTIPART_BAD,	/* problem says why; it stays */
};

/* Slices are valid until the next call. */
struct multipart_part {
	struct slice name;
	struct slice file_name; /* data NULL: none */
	struct slice type;	/* of Content-Type; empty: none */
	struct slice data;
	const char *problem; /* one of a fixed set */
};

struct multipart;

/* type: the value of the message's Content-Type. NULL, with *problem or without memory (NULL): the
 * type is no multipart/form-data with one boundary. */
struct multipart *multipart_new(struct slice type, const char **problem);
void multipart_free(struct multipart *m);
/* Whether the value of a Content-Type is of such a form at all. */
bool multipart_is_form(struct slice type);

/* Reads from the front of *input, which it advances, to the next event. */
enum multipart_event multipart_read(
	struct multipart *m, struct slice *input, struct multipart_part *part);
/* The body has ended: NULL, or the problem. */
const char *multipart_end(const struct multipart *m);

#endif
