// SPDX-License-Identifier: GPL-2.0-or-later
/* What a client sends behind its first words of HTTP/2. The first byte says whether its requests are
 * answered, and whether their takers have room. Whatever it is, the cuts do not matter as long as
 * nothing is answered and everything is taken: a reset of ours goes out between two pieces. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "tests/support/cut.h"
#include "tests/support/h2_trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whether it says what depends on when we send. */
static bool is_cut_short(const struct buf *text)
{
	return strstr(buf_slice(text).data, "lost\n") || strstr(buf_slice(text).data, "over");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct h2_trace_options options = {.limits = {.head_max = 2048, .headers_max = 16,
						   .body_max = 4096, .streams_max = 8, .window = 16384}};
	struct buf whole = BUF_EMPTY, cut = BUF_EMPTY;
	struct slice input;

	if (!size)
		return 0;
	options.answers = data[0] & 1;
	options.room = data[0] & 2;
	input = slice_of((const char *)data + 1, size - 1);
	h2_trace(&options, input, &whole, NULL);
	for (options.seed = CUT_BYTES; options.seed < 3; options.seed++) {
		buf_clear(&cut);
		h2_trace(&options, input, &cut, NULL);
		if (!options.answers && !options.room && !is_cut_short(&whole) &&
			!is_cut_short(&cut) && !slice_equal(buf_slice(&whole), buf_slice(&cut)))
			abort();
	}
	buf_free(&whole);
	buf_free(&cut);
	return 0;
}
