/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fields of one section of HTTP/2, a head or trailers, as they come out of HPACK one after the
 * other: bounded copies. What they mean is h2_head's. */
#ifndef HTTP_H2_SECTION_H
#define HTTP_H2_SECTION_H

#include <stdbool.h>

#include "base/buf.h"
#include "http/h2_error.h"

struct h2_place {
	size_t name, name_len, value, value_len; /* in text */
};

struct h2_section {
	struct buf text;
	struct h2_place *places;
	size_t count, capacity;
	size_t size;		 /* as SETTINGS_MAX_HEADER_LIST_SIZE has it (RFC 9113 section 6.5.2) */
	enum h2_error_id error;	 /* the first; nothing is taken after it */
	struct header *fields;	 /* what h2_head made of it */
	size_t nfields, fields_room;
};

/* Takes one more field, or remembers why not. */
void h2_section_add(struct h2_section *section, struct slice name, struct slice value, size_t size_max,
	size_t count_max);
struct slice h2_section_name(const struct h2_section *section, size_t i);
struct slice h2_section_value(const struct h2_section *section, size_t i);
/* Room for so many fields that h2_head makes; false without memory. */
bool h2_section_open_fields(struct h2_section *section, size_t n);
/* Makes it ready for the next section; keeps memory up to a usual head's size. */
void h2_section_reset(struct h2_section *section);
void h2_section_free(struct h2_section *section);

#endif
