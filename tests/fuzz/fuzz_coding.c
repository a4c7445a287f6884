// SPDX-License-Identifier: GPL-2.0-or-later
/* The first byte chooses the coding, the rest is decoded. The output keeps its bound; in pieces it
 * is accepted or not, and gives, as whole. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "http/coding.h"
#include "tests/support/cut.h"

#define OUT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static int append(void *context, struct slice piece)
{
	demand(piece.len > 0);
	return buf_append_slice(context, piece);
}

static int decode(struct slice names, struct slice in, uint64_t seed, struct buf *out)
{
	int error, result = 0;
	struct coding *coding = coding_new(names, OUT_MAX, &error);
	struct slice piece;
	struct cut cut;

	demand(coding && !error);
	cut_start(&cut, in, seed);
	while (cut_next(&cut, &piece))
		if (!result)
			result = coding_decode(coding, piece, append, out);
	demand(!result || coding_finish(coding) == result);
	result = coding_finish(coding);
	coding_free(coding);
	demand(buf_len(out) <= OUT_MAX);
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct slice names[] = {SLICE("gzip"), SLICE("deflate"), SLICE("br"),
		SLICE("zstd"), SLICE("gzip, br"), SLICE("zstd, deflate"), SLICE("")};
	struct buf whole = BUF_EMPTY, cut = BUF_EMPTY;
	struct slice in, name;
	bool zstd;
	int result;

	if (!size)
		return 0;
	name = names[data[0] % (sizeof(names) / sizeof(names[0]))];
	zstd = slice_starts_with(name, SLICE("zstd"));
	in = slice_of((const char *)data + 1, size - 1);
	result = decode(name, in, CUT_WHOLE, &whole);
	for (uint64_t seed = CUT_BYTES; seed < 4; seed++) {
		int again;
		size_t shorter;

		buf_clear(&cut);
		again = decode(name, in, seed, &cut);
		/* Bounds are kept for what came so far, so pieces may come to one earlier. zstd
		 * reads a frame that it has whole in another way, which checks more. */
		demand(zstd || (again == 0) == (result == 0) || again == -EFBIG);
		demand(result != 0 || again != 0 || buf_len(&cut) == buf_len(&whole));
		shorter = buf_len(&cut) < buf_len(&whole) ? buf_len(&cut) : buf_len(&whole);
		demand(slice_equal(slice_first(buf_slice(&cut), shorter),
			slice_first(buf_slice(&whole), shorter)));
	}
	buf_free(&whole);
	buf_free(&cut);
	return 0;
}
