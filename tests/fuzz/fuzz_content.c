// SPDX-License-Identifier: GPL-2.0-or-later
/* Content as a client sends it: what is taken apart is, joined, the same bytes. And lists of blocks
 * as a damaged file holds them. */
#include <stdint.h>
#include <stdlib.h>

#include "collector/content.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

static void check_text(struct slice text)
{
	struct buf joined = BUF_EMPTY;
	struct slice element;
	uint32_t n = content_elements(text);
	size_t at = 0;

	if (!n)
		return;
	while (content_next(text, &at, &element)) {
		check(n-- > 0);
		check(element.len > 0);
		check(buf_append(&joined, buf_len(&joined) ? "," : "[", 1) == 0);
		check(buf_append_slice(&joined, element) == 0);
	}
	check(n == 0);
	check(buf_append(&joined, "]", 1) == 0);
	check(slice_equal(buf_slice(&joined), text));
	buf_free(&joined);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_of((const char *)data, size);
	struct content_list list;
	int64_t block, last = 0;

	check_text(rest);
	while (content_take_list(&rest, &list))
		for (uint32_t i = 0; i < list.n; i++)
			if (!content_take_block(&rest, &block, &last))
				return 0;
	return 0;
}
