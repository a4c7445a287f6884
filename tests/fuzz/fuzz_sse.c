// SPDX-License-Identifier: GPL-2.0-or-later
/* The first byte is the limit of an event's length, the rest the stream. No byte of it is lost or
 * made (sse_trace checks that), and the cuts do not matter. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "tests/support/cut.h"
#include "tests/support/sse_trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_EMPTY, cut = BUF_EMPTY;
	struct slice stream;

	if (!size)
		return 0;
	stream = slice_of((const char *)data + 1, size - 1);
	sse_trace(data[0], stream, CUT_WHOLE, &whole);
	for (uint64_t seed = CUT_BYTES; seed < 5; seed++) {
		buf_clear(&cut);
		sse_trace(data[0], stream, seed, &cut);
		if (!slice_equal(buf_slice(&whole), buf_slice(&cut)))
			abort();
	}
	buf_free(&whole);
	buf_free(&cut);
	return 0;
}
