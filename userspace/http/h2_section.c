// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/h2_section.h"

#include <stdlib.h>

#define SECTION_FIRST 24 /* fields that there is room for at first: more than a usual head has */
#define SECTION_KEEP  8192 /* bytes, and … */
#define SECTION_MANY  96   /* … fields whose memory is kept for the next section */
#define SECTION_FIELD 32 /* bytes that each field counts besides its own */

static bool section_grow(struct h2_section *section)
{
	size_t capacity = section->capacity ? section->capacity * 2 : SECTION_FIRST;
	struct h2_place *places = realloc(section->places, capacity * sizeof(*places));

	if (!places)
		return false;
	section->places = places;
	section->capacity = capacity;
	return true;
}

void h2_section_add(struct h2_section *section, struct slice name, struct slice value, size_t size_max,
	size_t count_max)
{
	if (section->error)
		return;
	section->size += name.len + value.len + SECTION_FIELD;
	if (section->size > size_max) {
		section->error = H2_ERROR_HEAD_TOO_LONG;
		return;
	}
	/* The four or five that are no fields do not count. */
	if (name.len && name.data[0] != ':' && section->nfields++ >= count_max) {
		section->error = H2_ERROR_TOO_MANY_HEADERS;
		return;
	}
	if ((section->count == section->capacity && !section_grow(section)) ||
		!buf_reserve(&section->text, name.len + value.len + 1)) {
		section->error = H2_ERROR_MEMORY;
		return;
	}
	section->places[section->count++] = (struct h2_place){section->text.end, name.len,
		section->text.end + name.len, value.len};
	/* There is room: it does not fail. */
	(void)buf_append_slice(&section->text, name);
	(void)buf_append_slice(&section->text, value);
}

struct slice h2_section_name(const struct h2_section *section, size_t i)
{
	const struct h2_place *place = &section->places[i];

	return slice_of(section->text.memory + place->name, place->name_len);
}

struct slice h2_section_value(const struct h2_section *section, size_t i)
{
	const struct h2_place *place = &section->places[i];

	return slice_of(section->text.memory + place->value, place->value_len);
}

bool h2_section_open_fields(struct h2_section *section, size_t n)
{
	struct header *fields;

	section->nfields = 0;
	if (n <= section->fields_room)
		return true;
	fields = realloc(section->fields, n * sizeof(*fields));
	if (!fields)
		return false;
	section->fields = fields;
	section->fields_room = n;
	return true;
}

void h2_section_reset(struct h2_section *section)
{
	if (section->text.capacity > SECTION_KEEP || section->capacity > SECTION_MANY) {
		h2_section_free(section);
		return;
	}
	buf_clear(&section->text);
	section->count = section->size = section->nfields = 0;
	section->error = H2_ERROR_NONE;
}

void h2_section_free(struct h2_section *section)
{
	buf_wipe(&section->text);
	free(section->places);
	free(section->fields);
	*section = (struct h2_section){.text = BUF_EMPTY};
}
