// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/coding.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

#include "http/head.h"

#define CODING_MAGIC	  0x434f4431
#define CODING_STAGES	  2
#define CODING_PIECE	  16384		/* bytes of output at a time */
#define CODING_STEP	  4096		/* bytes of input at a time */
#define CODING_SLACK	  (1024 * 1024) /* output allowed whatever the input */
#define CODING_RATIO	  1032		/* the most that deflate can reach */
#define CODING_WINDOW_LOG 23		/* 8 MiB, RFC 9659 */
/* Tables are built of few bytes: a byte of input is as much work as so many of output. */
#define CODING_INPUT_WORK 16

/* One decoder of a list; its output is the input of the next. */
struct stage {
	enum coding_kind kind;
	bool begun;	 /* it had input */
	bool complete;	 /* its end was read */
	bool more;	 /* it may have output without further input */
	bool made;	 /* the decoder below exists */
	bool raw;	 /* CODING_DEFLATE without zlib's header */
	uint64_t bytes;	 /* of output */
	struct slice in; /* what it did not take yet */
	uint8_t magic;	 /* CODING_ZSTD: bytes of the frame's magic number that were read */
	uint8_t first;	 /* CODING_ZSTD: the first of them, but for its low bits;
			  * CODING_DEFLATE: the first byte, until the second tells which */
	union {
		z_stream zlib;
		BrotliDecoderState *brotli;
		ZSTD_DStream *zstd;
	};
};

struct coding {
	uint32_t magic;
	unsigned ratio;
	size_t out_max;
	uint64_t in_bytes; /* taken by the first stage */
	int error;
	size_t nstages;
	struct stage stages[CODING_STAGES]; /* in the order of decoding */
	char *between;			    /* CODING_PIECE bytes, the input of the second */
};

/* Where a stage's output goes. */
struct output {
	char *at;
	size_t size, made;
};

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

static struct coding *coding_alloc(void)
{
	struct coding *coding = calloc(1, sizeof(*coding));

	if (coding) {
		coding->magic = CODING_MAGIC;
		coding->ratio = CODING_RATIO;
	}
	return coding;
}

static int between_make(struct coding *coding)
{
	if (coding->nstages < 2)
		return 0;
	coding->between = malloc(CODING_PIECE);
	return coding->between ? 0 : -ENOMEM;
}

struct coding *coding_new(struct slice content_encoding, size_t out_max, int *error)
{
	struct coding *coding = coding_alloc();

	if (coding)
		coding->out_max = out_max;
	*error = coding ? stages_read(coding, content_encoding) : -ENOMEM;
	if (!*error)
		*error = between_make(coding);
	if (!*error)
		return coding;
	coding_free(coding);
	return NULL;
}

struct coding *coding_of(const struct head *head, int *error)
{
	struct coding *coding = NULL;

	*error = 0;
	for (size_t i = 0; i < head->nheaders && !*error; i++) {
		if (!slice_equal_nocase(head->headers[i].name, SLICE("content-encoding")))
			continue;
		if (!coding)
			coding = coding_alloc();
		*error = coding ? stages_read(coding, head->headers[i].value) : -ENOMEM;
	}
	if (coding && !*error)
		*error = between_make(coding);
	if (coding && !*error && coding->nstages)
		return coding;
	coding_free(coding);
	return NULL;
}

void coding_bound(struct coding *coding, unsigned ratio)
{
	coding->ratio = ratio;
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
	free(coding->between);
	coding->magic = 0;
	free(coding);
}

bool coding_is_identity(const struct coding *coding)
{
	return coding->nstages == 0;
}

static int zlib_error(int result)
{
	return result == Z_MEM_ERROR ? -ENOMEM : -EPROTO;
}

/* One step of zlib over input, of which *taken bytes are used. */
static int zlib_step(
	struct stage *stage, struct slice input, size_t *taken, struct output *output)
{
	z_stream *zlib = &stage->zlib;
	int result;

	if (stage->complete && input.len) {
		/* RFC 1952 section 2.2: members follow one another. */
		if (stage->kind != CODING_GZIP || inflateReset(zlib) != Z_OK)
			return -EPROTO;
		stage->complete = false;
	}
	zlib->next_in = (z_const Bytef *)input.data;
	zlib->avail_in = (uInt)input.len;
	zlib->next_out = (Bytef *)output->at;
	zlib->avail_out = (uInt)output->size;
	result = inflate(zlib, Z_NO_FLUSH);
	if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
		return zlib_error(result);
	*taken = input.len - zlib->avail_in;
	output->made = output->size - zlib->avail_out;
	stage->complete = result == Z_STREAM_END;
	stage->more = !zlib->avail_out && !stage->complete;
	return 0;
}

static int brotli_step(
	struct stage *stage, struct slice input, size_t *taken, struct output *output)
{
	const uint8_t *next_in = (const uint8_t *)input.data;
	size_t in_left = input.len, out_left = output->size;
	uint8_t *next_out = (uint8_t *)output->at;
	BrotliDecoderResult result;

	if (stage->complete)
		return -EPROTO;
	result = BrotliDecoderDecompressStream(
		stage->brotli, &in_left, &next_in, &out_left, &next_out, NULL);
	if (result == BROTLI_DECODER_RESULT_ERROR)
		return -EPROTO;
	*taken = input.len - in_left;
	output->made = output->size - out_left;
	stage->complete = result == BROTLI_DECODER_RESULT_SUCCESS;
	stage->more = result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT;
	return 0;
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

static int zstd_step(
	struct stage *stage, struct slice input, size_t *taken, struct output *output)
{
	ZSTD_inBuffer in = {input.data, input.len, 0};
	ZSTD_outBuffer out = {output->at, output->size, 0};
	size_t result;

	if (!zstd_magic(stage, (const uint8_t *)input.data, input.len))
		return -EPROTO;
	result = ZSTD_decompressStream(stage->zstd, &out, &in);
	if (ZSTD_isError(result))
		return -EPROTO;
	*taken = in.pos;
	output->made = out.pos;
	/* 0: a frame is complete; more may follow (RFC 8878 section 3). */
	stage->complete = result == 0;
	if (stage->complete)
		stage->magic = 0;
	stage->more = out.pos == out.size && !stage->complete;
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

/* "deflate" is zlib's format by RFC 9110 section 8.4.1.2; some send the bare deflate data. The first
 * two bytes tell, and the first alone makes no output. */
static int deflate_make(struct stage *stage)
{
	char nothing;
	struct output none = {&nothing, 1, 0};
	size_t taken;
	int error;

	if (!stage->begun) {
		stage->first = (uint8_t)stage->in.data[0];
		stage->in = slice_after(stage->in, 1);
		stage->begun = true;
	}
	if (!stage->in.len)
		return 0;
	stage->raw = !zlib_header(stage->first, (uint8_t)stage->in.data[0]);
	error = zlib_make(stage, stage->raw ? -MAX_WBITS : MAX_WBITS);
	if (error)
		return error;
	error = zlib_step(stage, slice_of((const char *)&stage->first, 1), &taken, &none);
	stage->more = false;
	return error;
}

static int stage_make(struct stage *stage)
{
	size_t result;

	switch (stage->kind) {
	case CODING_GZIP:
		return zlib_make(stage, MAX_WBITS + 16);
	case CODING_DEFLATE:
		return deflate_make(stage);
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

/* One step of a decoder: what it takes of its input and makes of it is bounded. */
static int stage_step(struct coding *coding, struct stage *stage, struct work *work,
	struct output *output)
{
	static int (*const steps[])(struct stage *, struct slice, size_t *, struct output *) = {
		[CODING_GZIP] = zlib_step,
		[CODING_DEFLATE] = zlib_step,
		[CODING_BROTLI] = brotli_step,
		[CODING_ZSTD] = zstd_step,
	};
	struct slice before = stage->in;
	size_t taken = 0;
	int error = stage->made ? 0 : stage_make(stage);

	if (!error && stage->made) {
		stage->begun = true;
		error = steps[stage->kind](
			stage, slice_first(stage->in, CODING_STEP), &taken, output);
	}
	if (error)
		return error;
	stage->in = slice_after(stage->in, taken);
	stage->bytes += output->made;
	taken = before.len - stage->in.len;
	if (!taken && !output->made && before.len)
		return -EPROTO;
	work_spend(work, taken * CODING_INPUT_WORK + output->made);
	if (stage == coding->stages)
		coding->in_bytes += taken;
	/* What lies between two stages is bounded as well: it costs time, though nobody sees it. */
	return stage->bytes > CODING_SLACK + (uint64_t)coding->ratio * coding->in_bytes ? -EFBIG : 0;
}

/* Whether the stage can go on with what it has. */
static bool stage_can(const struct stage *stage)
{
	return stage->in.len || stage->more;
}

/* Makes output of a stage; none when there is no more input, or the work is spent. */
static int stage_pull(
	struct coding *coding, size_t index, struct work *work, struct output *output)
{
	struct stage *stage = &coding->stages[index];
	int error = 0;

	output->made = 0;
	while (!error && !output->made && work_left(work)) {
		if (!stage_can(stage)) {
			struct output before = {coding->between, CODING_PIECE, 0};

			if (!index)
				return 0;
			error = stage_pull(coding, index - 1, work, &before);
			if (error || !before.made)
				return error;
			stage->in = slice_of(before.at, before.made);
		}
		error = stage_step(coding, stage, work, output);
	}
	return error;
}

static bool coding_can(const struct coding *coding)
{
	for (size_t i = 0; i < coding->nstages; i++)
		if (stage_can(&coding->stages[i]))
			return true;
	return false;
}

/* Nothing to decode. */
static int coding_pass(struct coding *coding, struct slice *in, struct work *work,
	int (*out)(void *context, struct slice), void *context)
{
	struct slice all = *in;

	*in = slice_after(all, all.len);
	coding->in_bytes += all.len;
	work_spend(work, all.len);
	if (coding->out_max && coding->in_bytes > coding->out_max)
		return -EFBIG;
	return all.len ? out(context, all) : 0;
}

static int coding_pull(struct coding *coding, struct work *work,
	int (*out)(void *context, struct slice), void *context)
{
	char piece[CODING_PIECE];
	struct output output = {piece, sizeof(piece), 0};
	struct stage *last = &coding->stages[coding->nstages - 1];
	int error;

	do {
		error = stage_pull(coding, coding->nstages - 1, work, &output);
		if (!error && coding->out_max && last->bytes > coding->out_max)
			error = -EFBIG;
		if (!error && output.made)
			error = out(context, slice_of(piece, output.made));
	} while (!error && output.made && work_left(work));
	return error;
}

int coding_decode_some(struct coding *coding, struct slice *in, struct work *work,
	int (*out)(void *context, struct slice), void *context)
{
	assert(coding->magic == CODING_MAGIC);
	if (coding->error)
		return coding->error;
	if (!coding->nstages) {
		coding->error = coding_pass(coding, in, work, out, context);
		return coding->error;
	}
	coding->stages[0].in = *in;
	coding->error = coding_pull(coding, work, out, context);
	*in = coding->stages[0].in;
	coding->stages[0].in = SLICE_NONE;
	if (coding->error)
		return coding->error;
	return in->len || coding_can(coding) ? -EAGAIN : 0;
}

int coding_decode(struct coding *coding, struct slice in, int (*out)(void *context, struct slice),
	void *context)
{
	return coding_decode_some(coding, &in, NULL, out, context);
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

const char *coding_problem(int error)
{
	switch (error) {
	case -ENOTSUP:
		return "unknown content coding";
	case -EFBIG:
		return "expands too much";
	case -ENODATA:
		return "content coding cut short";
	case -ENOMEM:
		return "no memory to decode it";
	default:
		return "damaged content coding";
	}
}
