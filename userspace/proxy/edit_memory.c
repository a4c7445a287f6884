// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/edit_memory.h"

#include <stdbool.h>
#include <string.h>

/* The three names, which hold no NUL, each with one behind it. False: they are too long. */
static bool model_name(const struct edit_model *model, char name[EDIT_MEMORY_NAME], size_t *len)
{
	const struct slice parts[] = {model->host, model->deployment, model->version};

	*len = 0;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i].len + 1 > EDIT_MEMORY_NAME - *len)
			return false;
		if (parts[i].len)
			memcpy(name + *len, parts[i].data, parts[i].len);
		*len += parts[i].len;
		name[(*len)++] = '\0';
	}
	return true;
}

static struct edit_memory_row *row_of(struct edit_memory *memory, const char *name, size_t len)
{
	for (size_t i = 0; i < EDIT_MEMORY_MODELS; i++)
		if (memory->rows[i].len == len && memcmp(memory->rows[i].name, name, len) == 0)
			return &memory->rows[i];
	return NULL;
}

enum edit_known edit_memory_find(struct edit_memory *memory, const struct edit_model *model)
{
	char name[EDIT_MEMORY_NAME];
	struct edit_memory_row *row;
	size_t len;

	if (!model_name(model, name, &len))
		return EDIT_UNKNOWN;
	row = row_of(memory, name, len);
	if (!row)
		return EDIT_UNKNOWN;
	row->used = ++memory->clock;
	return row->known;
}

void edit_memory_set(
	struct edit_memory *memory, const struct edit_model *model, enum edit_known known)
{
	char name[EDIT_MEMORY_NAME];
	struct edit_memory_row *row;
	size_t len;

	if (!model_name(model, name, &len))
		return;
	row = row_of(memory, name, len);
	if (!row) {
		row = &memory->rows[0];
		for (size_t i = 1; i < EDIT_MEMORY_MODELS; i++)
			if (memory->rows[i].used < row->used)
				row = &memory->rows[i];
		memcpy(row->name, name, len);
		row->len = (uint16_t)len;
	}
	row->known = known;
	row->used = ++memory->clock;
}
