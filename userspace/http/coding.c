// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/coding.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

#include "http/head.h"

#define CODING_MAGIC	  0x434f4431
#define CODING_STAGES	  2
#define CODING_PIECE	  16384		/* bytes of output at a time */
#define CODING_SLACK	  (1024 * 1024) /* output allowed whatever the input */
#define CODING_RATIO	  1032		/* the most that deflate can reach */
#define CODING_WINDOW_LOG 23		/* 8 MiB, RFC 9659 */

/* One decoder of a list; its output is the input of the next. */
struct stage {
	enum coding_kind kind;
	bool begun;	/* it had input */
	bool complete;	/* its end was read */
	bool made;	/* the decoder below exists */
	bool raw;	/* CODING_DEFLATE without zlib's header */
	uint64_t bytes; /* of output */
	uint8_t magic;	/* CODING_ZSTD: bytes of the frame's magic number that were read */
	uint8_t first;	/* CODING_ZSTD: the first of them, but for its low bits;
			 * CODING_DEFLATE: the first byte, until the second tells which */
	union {
		z_stream zlib;
		BrotliDecoderState *brotli;
		ZSTD_DStream *zstd;
	};
};

struct coding {
	uint32_t magic;
	size_t out_max;
	uint64_t in_bytes;
	int error;
	size_t nstages;
	struct stage stages[CODING_STAGES]; /* in the order of decoding */
};

struct output {
	int (*out)(void *context, struct slice piece);
	void *context;
};

static int stage_decode(
	struct coding *coding, size_t index, struct slice in, const struct output *output);

static bool kind_of(struct slice name, enum coding_kind *kind)
{
	/* clang-format off */
	static const struct {
		struct slice name;
		enum coding_kind kind;
	} kinds[] = {
		{{"identity", 8}, CODING_IDENTITY}, {{"gzip", 4}, CODING_GZIP},
		{{"x-gzip", 6}, CODING_GZIP}, {{"deflate", 7}, CODING_DEFLATE},
		{{"br", 2}, CODING_BROTLI}, {{"zstd", 4}, CODING_ZSTD},
	};
	/* clang-format on */

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (slice_equal_nocase(name, kinds[i].name)) {
			*kind = kinds[i].kind;
			return true;
		}
	return false;
}

/* The codings are listed in the order in which they were applied. */
static int stages_read(struct coding *coding, struct slice list)
{
	struct slice name;

	while (head_list_next(&list, &name)) {
		enum coding_kind kind;

		if (!kind_of(name, &kind))
			return -ENOTSUP;
		if (kind == CODING_IDENTITY)
			continue;
		if (coding->nstages == CODING_STAGES)
			return -ENOTSUP;
		coding->stages[1] = coding->stages[0];
		coding->stages[0] = (struct stage){.kind = kind};
		coding->nstages++;
	}
	return 0;
}

struct coding *coding_new(struct slice content_encoding, size_t out_max, int *error)
{
	struct coding *coding = calloc(1, sizeof(*coding));

	*error = -ENOMEM;
	if (!coding)
		return NULL;
	coding->magic = CODING_MAGIC;
	coding->out_max = out_max;
	*error = stages_read(coding, content_encoding);
	if (*error) {
		free(coding);
		return NULL;
	}
	return coding;
}

void coding_free(struct coding *coding)
{
	if (!coding)
		return;
	assert(coding->magic == CODING_MAGIC);
	for (size_t i = 0; i < coding->nstages; i++) {
		struct stage *stage = &coding->stages[i];

		if (!stage->made)
			continue;
		if (stage->kind == CODING_BROTLI)
			BrotliDecoderDestroyInstance(stage->brotli);
		else if (stage->kind == CODING_ZSTD)
			ZSTD_freeDStream(stage->zstd);
		else
			inflateEnd(&stage->zlib);
	}
	coding->magic = 0;
	free(coding);
}

bool coding_is_identity(const struct coding *coding)
{
	return coding->nstages == 0;
}

/* Gives a stage's output to the next stage or to the caller. What lies between two stages is
 * bounded as well: it costs time, though the caller does not see it. */
static int stage_output(struct coding *coding, size_t index, const char *data, size_t len,
	const struct output *output)
{
	struct stage *stage = &coding->stages[index];
	struct slice piece = slice_of(data, len);

	if (!len)
		return 0;
	stage->bytes += len;
	if (stage->bytes > CODING_SLACK + CODING_RATIO * coding->in_bytes)
		return -EFBIG;
	if (index + 1 < coding->nstages)
		return stage_decode(coding, index + 1, piece, output);
	if (coding->out_max && stage->bytes > coding->out_max)
		return -EFBIG;
	return output->out(output->context, piece);
}

static int zlib_error(int result)
{
	return result == Z_MEM_ERROR ? -ENOMEM : -EPROTO;
}

static int zlib_decode(
	struct coding *coding, size_t index, struct slice in, const struct output *output)
{
	struct stage *stage = &coding->stages[index];
	z_stream *zlib = &stage->zlib;
	char piece[CODING_PIECE];
	int result, error;
	uInt given;

	while (in.len) {
		if (stage->complete) {
			/* RFC 1952 section 2.2: members follow one another. */
			if (stage->kind != CODING_GZIP || inflateReset(zlib) != Z_OK)
				return -EPROTO;
			stage->complete = false;
		}
		zlib->next_in = (z_const Bytef *)in.data;
		given = zlib->avail_in = in.len < UINT_MAX ? (uInt)in.len : UINT_MAX;
		do {
			zlib->next_out = (Bytef *)piece;
			zlib->avail_out = sizeof(piece);
			result = inflate(zlib, Z_NO_FLUSH);
			if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
				return zlib_error(result);
			error = stage_output(
				coding, index, piece, sizeof(piece) - zlib->avail_out, output);
			if (error)
				return error;
		} while (result == Z_OK && (zlib->avail_in || !zlib->avail_out));
		stage->complete = result == Z_STREAM_END;
		in = slice_after(in, given - zlib->avail_in);
	}
	return 0;
}

static int brotli_decode(
	struct coding *coding, size_t index, struct slice in, const struct output *output)
{
	struct stage *stage = &coding->stages[index];
	const uint8_t *next_in = (const uint8_t *)in.data;
	size_t in_left = in.len;
	char piece[CODING_PIECE];
	BrotliDecoderResult result;

	if (stage->complete)
		return -EPROTO;
	do {
		uint8_t *next_out = (uint8_t *)piece;
		size_t out_left = sizeof(piece);
		int error;

		result = BrotliDecoderDecompressStream(
			stage->brotli, &in_left, &next_in, &out_left, &next_out, NULL);
		if (result == BROTLI_DECODER_RESULT_ERROR)
			return -EPROTO;
		error = stage_output(coding, index, piece, sizeof(piece) - out_left, output);
		if (error)
			return error;
	} while (result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT);
	stage->complete = result == BROTLI_DECODER_RESULT_SUCCESS;
	return in_left ? -EPROTO : 0;
}

/* RFC 8878 sections 3.1.1 and 3.1.2. The library would also read formats from before it was one,
 * with decoders that nobody looks after. */
static bool zstd_magic(struct stage *stage, const uint8_t *in, size_t len)
{
	static const uint8_t frame[4] = {0x28, 0xb5, 0x2f, 0xfd};
	static const uint8_t skippable[4] = {0x50, 0x2a, 0x4d, 0x18};

	for (; len && stage->magic < 4; stage->magic++, in++, len--) {
		if (!stage->magic)
			stage->first = *in & 0xf0;
		if (stage->first != 0x50 ? *in != frame[stage->magic]
					 : stage->magic && *in != skippable[stage->magic])
			return false;
	}
	return true;
}

static int zstd_decode(
	struct coding *coding, size_t index, struct slice in, const struct output *output)
{
	struct stage *stage = &coding->stages[index];
	ZSTD_inBuffer input = {in.data, in.len, 0};
	char piece[CODING_PIECE];
	ZSTD_outBuffer out;

	do {
		size_t result;
		int error;

		if (!zstd_magic(stage, (const uint8_t *)in.data + input.pos, in.len - input.pos))
			return -EPROTO;
		out = (ZSTD_outBuffer){piece, sizeof(piece), 0};
		result = ZSTD_decompressStream(stage->zstd, &out, &input);
		if (ZSTD_isError(result))
			return -EPROTO;
		/* 0: a frame is complete; more may follow (RFC 8878 section 3). */
		stage->complete = result == 0;
		if (stage->complete)
			stage->magic = 0;
		error = stage_output(coding, index, piece, out.pos, output);
		if (error)
			return error;
	} while (input.pos < input.size || (out.pos == out.size && !stage->complete));
	return 0;
}

static int zlib_make(struct stage *stage, int window_bits)
{
	int result = inflateInit2(&stage->zlib, window_bits);

	if (result != Z_OK)
		return zlib_error(result);
	stage->made = true;
	return 0;
}

/* RFC 1950 section 2.2: the two bytes of zlib's header are a multiple of 31. */
static bool zlib_header(uint8_t first, uint8_t second)
{
	return (first & 0x0f) == Z_DEFLATED && first >> 4 <= 7 && (first << 8 | second) % 31 == 0;
}

/* "deflate" is zlib's format by RFC 9110 section 8.4.1.2; some send the bare deflate data. */
static int deflate_begin(
	struct coding *coding, size_t index, struct slice *in, const struct output *output)
{
	struct stage *stage = &coding->stages[index];
	struct slice first;
	int error;

	if (!stage->begun) {
		stage->begun = true;
		stage->first = (uint8_t)in->data[0];
		*in = slice_after(*in, 1);
	}
	if (!in->len)
		return 0;
	stage->raw = !zlib_header(stage->first, (uint8_t)in->data[0]);
	error = zlib_make(stage, stage->raw ? -MAX_WBITS : MAX_WBITS);
	if (error)
		return error;
	first = slice_of((const char *)&stage->first, 1);
	return zlib_decode(coding, index, first, output);
}

static int stage_make(struct stage *stage)
{
	size_t result;

	switch (stage->kind) {
	case CODING_GZIP:
		return zlib_make(stage, MAX_WBITS + 16);
	case CODING_BROTLI:
		stage->brotli = BrotliDecoderCreateInstance(NULL, NULL, NULL);
		stage->made = stage->brotli != NULL;
		break;
	default:
		stage->zstd = ZSTD_createDStream();
		stage->made = stage->zstd != NULL;
		if (!stage->made)
			break;
		result =
			ZSTD_DCtx_setParameter(stage->zstd, ZSTD_d_windowLogMax, CODING_WINDOW_LOG);
		if (ZSTD_isError(result))
			return -ENOTSUP;
		break;
	}
	return stage->made ? 0 : -ENOMEM;
}

static int stage_decode(
	struct coding *coding, size_t index, struct slice in, const struct output *output)
{
	struct stage *stage = &coding->stages[index];
	int error = 0;

	if (!in.len)
		return 0;
	if (!stage->made)
		error = stage->kind == CODING_DEFLATE ? deflate_begin(coding, index, &in, output)
						      : stage_make(stage);
	if (error || !stage->made)
		return error;
	stage->begun = true;
	switch (stage->kind) {
	case CODING_BROTLI:
		return brotli_decode(coding, index, in, output);
	case CODING_ZSTD:
		return zstd_decode(coding, index, in, output);
	default:
		return zlib_decode(coding, index, in, output);
	}
}

int coding_decode(struct coding *coding, struct slice in, int (*out)(void *context, struct slice),
	void *context)
{
	struct output output = {out, context};

	assert(coding->magic == CODING_MAGIC);
	if (coding->error || !in.len)
		return coding->error;
	coding->in_bytes += in.len;
	if (coding->nstages)
		coding->error = stage_decode(coding, 0, in, &output);
	else
		coding->error = stage_output(coding, 0, in.data, in.len, &output);
	return coding->error;
}

int coding_finish(const struct coding *coding)
{
	if (coding->error || !coding->in_bytes)
		return coding->error;
	for (size_t i = 0; i < coding->nstages; i++)
		if (!coding->stages[i].complete)
			return -ENODATA;
	return 0;
}
