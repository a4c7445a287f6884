// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/fields.h"

#include <errno.h>
#include <stdlib.h>

static struct slice fields_keep(struct fields *fields, struct slice text)
{
	struct slice kept = slice_of(fields->text.memory + fields->text.end, text.len);

	buf_append_slice(&fields->text, text);
	return kept;
}

int fields_copy(struct fields *fields, const struct header *list, size_t count)
{
	size_t total = 0;

	fields_wipe(fields);
	for (size_t i = 0; i < count; i++)
		total += list[i].name.len + list[i].value.len;
	fields->list = calloc(count + 1, sizeof(*fields->list));
	/* All at once: the memory does not move any more. */
	if (!fields->list || !buf_reserve(&fields->text, total + 1)) {
		fields_wipe(fields);
		return -ENOMEM;
	}
	for (size_t i = 0; i < count; i++) {
		fields->list[i] = list[i];
		fields->list[i].name = fields_keep(fields, list[i].name);
		fields->list[i].value = fields_keep(fields, list[i].value);
	}
	fields->count = count;
	return 0;
}

void fields_wipe(struct fields *fields)
{
	buf_wipe(&fields->text);
	free(fields->list);
	*fields = (struct fields){.text = BUF_EMPTY};
}
