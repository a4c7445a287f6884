// SPDX-License-Identifier: GPL-2.0-or-later
/* Names of what the service keeps, in whatever passes: in one piece and byte by byte the same are
 * found, and each looks like one. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backend/id_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct found {
	char text[4096];
	size_t len, n;
};

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void take(void *context, struct slice id)
{
	struct found *found = context;

	demand(id_is_one(id) && id.len <= ID_MAX);
	found->n++;
	if (found->len + id.len > sizeof(found->text))
		return;
	memcpy(found->text + found->len, id.data, id.len);
	found->len += id.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = slice_of((const char *)data, size);
	struct id_scan whole = {.len = 0}, split = {.len = 0};
	struct found at_once = {.n = 0}, by_byte = {.n = 0};

	id_scan_feed(&whole, bytes, take, &at_once);
	for (size_t i = 0; i < size; i++)
		id_scan_feed(&split, slice_of(bytes.data + i, 1), take, &by_byte);
	demand(at_once.n == by_byte.n && at_once.len == by_byte.len);
	demand(memcmp(at_once.text, by_byte.text, at_once.len) == 0);
	return 0;
}
