// SPDX-License-Identifier: GPL-2.0-or-later
#include "coding.h"

#include <errno.h>
#include <stdlib.h>

#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#define PIECE 16384

struct encoder {
	enum { KIND_ZLIB, KIND_BROTLI, KIND_ZSTD } kind;
	z_stream z;
	BrotliEncoderState *brotli;
	ZSTD_CCtx *zstd;
};

struct encoder *encoder_new(const char *name)
{
	struct encoder *e = calloc(1, sizeof(*e));
	int bits = strcmp(name, "gzip") == 0 ? 15 + 16 : 15;
	bool ready = false;

	if (!e)
		return NULL;
	if (!strcmp(name, "gzip") || !strcmp(name, "deflate")) {
		e->kind = KIND_ZLIB;
		ready = deflateInit2(&e->z, 1, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) == Z_OK;
	} else if (!strcmp(name, "br")) {
		e->kind = KIND_BROTLI;
		e->brotli = BrotliEncoderCreateInstance(NULL, NULL, NULL);
		ready = e->brotli && BrotliEncoderSetParameter(e->brotli, BROTLI_PARAM_QUALITY, 2);
	} else if (!strcmp(name, "zstd")) {
		e->kind = KIND_ZSTD;
		e->zstd = ZSTD_createCCtx();
		ready = e->zstd != NULL;
	}
	if (ready)
		return e;
	free(e);
	return NULL;
}

static int write_zlib(struct encoder *e, struct slice in, bool last, struct buf *out)
{
	e->z.next_in = (Bytef *)(uintptr_t)in.data;
	e->z.avail_in = (uInt)in.len;
	for (;;) {
		char *to = buf_reserve(out, PIECE);

		if (!to)
			return -EIO;
		e->z.next_out = (Bytef *)to;
		e->z.avail_out = PIECE;
		if (deflate(&e->z, last ? Z_FINISH : Z_SYNC_FLUSH) == Z_STREAM_ERROR)
			return -EIO;
		buf_commit(out, PIECE - e->z.avail_out);
		if (e->z.avail_out)
			return 0;
	}
}

static int write_brotli(struct encoder *e, struct slice in, bool last, struct buf *out)
{
	const uint8_t *from = (const uint8_t *)in.data;
	size_t left = in.len;

	do {
		char *to = buf_reserve(out, PIECE);
		uint8_t *next = (uint8_t *)to;
		size_t room = PIECE;

		if (!to || !BrotliEncoderCompressStream(e->brotli,
				   last ? BROTLI_OPERATION_FINISH : BROTLI_OPERATION_FLUSH, &left,
				   &from, &room, &next, NULL))
			return -EIO;
		buf_commit(out, PIECE - room);
	} while (left || BrotliEncoderHasMoreOutput(e->brotli));
	return 0;
}

static int write_zstd(struct encoder *e, struct slice in, bool last, struct buf *out)
{
	ZSTD_inBuffer from = {in.data, in.len, 0};
	size_t pending;

	do {
		char *to = buf_reserve(out, PIECE);
		ZSTD_outBuffer into = {to, PIECE, 0};

		if (!to)
			return -EIO;
		pending = ZSTD_compressStream2(
			e->zstd, &into, &from, last ? ZSTD_e_end : ZSTD_e_flush);
		if (ZSTD_isError(pending))
			return -EIO;
		buf_commit(out, into.pos);
	} while (pending);
	return 0;
}

int encoder_write(struct encoder *e, struct slice in, bool last, struct buf *out)
{
	switch (e->kind) {
	case KIND_ZLIB:
		return write_zlib(e, in, last, out);
	case KIND_BROTLI:
		return write_brotli(e, in, last, out);
	default:
		return write_zstd(e, in, last, out);
	}
}

void encoder_free(struct encoder *e)
{
	if (!e)
		return;
	if (e->kind == KIND_ZLIB)
		deflateEnd(&e->z);
	if (e->brotli)
		BrotliEncoderDestroyInstance(e->brotli);
	ZSTD_freeCCtx(e->zstd);
	free(e);
}

const char *encoder_choose(struct slice accept)
{
	static const char *const names[] = {"br", "gzip", "zstd", "deflate"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (struct slice rest = accept; rest.len;
			rest = slice_after(rest, slice_index(rest, ',') + 1)) {
			struct slice item = slice_first(rest, slice_index(rest, ','));

			item = slice_trim(slice_first(item, slice_index(item, ';')));
			if (slice_equal_nocase(item, slice_of_string(names[i])))
				return names[i];
		}
	return NULL;
}
