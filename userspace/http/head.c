// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/head.h"

#include "http/authority.h"

const struct header *head_find(const struct head *head, struct slice name)
{
	for (size_t i = 0; i < head->nheaders; i++)
		if (slice_equal_nocase(head->headers[i].name, name))
			return &head->headers[i];
	return NULL;
}

size_t head_count(const struct head *head, struct slice name)
{
	size_t count = 0;

	for (size_t i = 0; i < head->nheaders; i++)
		count += slice_equal_nocase(head->headers[i].name, name);
	return count;
}

struct slice head_host(const struct head *head)
{
	const struct header *header = head_find(head, SLICE("host"));
	struct authority authority;

	if (!header || !authority_parse(header->value, &authority))
		return SLICE_NONE;
	return authority.host;
}

uint16_t head_port(const struct head *head)
{
	const struct header *header = head_find(head, SLICE("host"));
	struct authority authority;

	if (!header || !authority_parse(header->value, &authority))
		return 0;
	return authority.port;
}

bool head_list_next(struct slice *list, struct slice *element)
{
	while (list->len) {
		size_t comma = slice_index(*list, ',');

		*element = slice_trim(slice_first(*list, comma));
		*list = slice_after(*list, comma + 1);
		if (element->len)
			return true;
	}
	return false;
}

bool head_length_read(struct slice text, uint64_t *length)
{
	uint64_t value = 0;

	if (!text.len || text.len > 19)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text.data[i] - '0');
	}
	*length = value;
	return value <= INT64_MAX;
}
