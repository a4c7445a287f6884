// SPDX-License-Identifier: GPL-2.0-or-later
/* The first byte says which requests were sent ('H': the first was HEAD), the rest is what the
 * origin answered until it closed. Whatever it is, the cuts do not matter. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "tests/support/cut.h"
#include "tests/support/h1_trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct h1_trace_options options = {.kind = HEAD_RESPONSE,
		.methods = "GET POST HEAD",
		.limits = {.head_max = 2048, .headers_max = 16, .body_max = 4096},
		.finish = true};
	struct buf whole = BUF_EMPTY, cut = BUF_EMPTY;
	struct slice input;

	if (!size)
		return 0;
	if (data[0] == 'H')
		options.methods = "HEAD GET GET";
	input = slice_of((const char *)data + 1, size - 1);
	h1_trace(&options, input, &whole, NULL);
	for (options.seed = CUT_BYTES; options.seed < 4; options.seed++) {
		buf_clear(&cut);
		h1_trace(&options, input, &cut, NULL);
		if (!slice_equal(buf_slice(&whole), buf_slice(&cut)))
			abort();
	}
	buf_free(&whole);
	buf_free(&cut);
	return 0;
}
