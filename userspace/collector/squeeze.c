// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/squeeze.h"

#include <errno.h>
#include <stdlib.h>
#include <zdict.h>
#include <zstd.h>

#define SQUEEZE_LEVEL	     1
#define SQUEEZE_DICTIONARIES 16 /* that are kept; beyond it all are forgotten */
#define SQUEEZE_TRAINED	     (64u << 10)

struct squeeze {
	ZSTD_CCtx *packing;
	ZSTD_DCtx *unpacking;
	ZSTD_CDict *current; /* NULL: none yet */
	struct seal *seal;   /* NULL: none */
	struct buf inner;    /* what is sealed, or was */
	struct {
		uint32_t id;
		ZSTD_DDict *of;
	} known[SQUEEZE_DICTIONARIES];
	unsigned n;
};

struct squeeze *squeeze_new(void)
{
	struct squeeze *squeeze = calloc(1, sizeof(*squeeze));

	if (!squeeze)
		return NULL;
	squeeze->packing = ZSTD_createCCtx();
	squeeze->unpacking = ZSTD_createDCtx();
	if (squeeze->packing && squeeze->unpacking)
		return squeeze;
	squeeze_free(squeeze);
	return NULL;
}

static void squeeze_forget(struct squeeze *squeeze)
{
	while (squeeze->n)
		ZSTD_freeDDict(squeeze->known[--squeeze->n].of);
}

void squeeze_free(struct squeeze *squeeze)
{
	if (!squeeze)
		return;
	squeeze_forget(squeeze);
	ZSTD_freeCDict(squeeze->current);
	ZSTD_freeCCtx(squeeze->packing);
	ZSTD_freeDCtx(squeeze->unpacking);
	buf_wipe(&squeeze->inner);
	free(squeeze);
}

void squeeze_seal(struct squeeze *squeeze, struct seal *seal)
{
	squeeze->seal = seal;
}

/* What is sealed, unsealed; anything else as it is. */
static int squeeze_unseal(struct squeeze *squeeze, struct slice *blob)
{
	int error;

	if (!seal_is(*blob))
		return 0;
	if (!squeeze->seal)
		return -EACCES;
	buf_clear(&squeeze->inner);
	error = seal_open(squeeze->seal, *blob, &squeeze->inner);
	*blob = buf_slice(&squeeze->inner);
	return error;
}

int squeeze_use(struct squeeze *squeeze, struct slice dictionary, uint32_t *id)
{
	int error = squeeze_unseal(squeeze, &dictionary);
	uint32_t number = error ? 0 : ZDICT_getDictID(dictionary.data, dictionary.len);
	ZSTD_CDict *packing;
	ZSTD_DDict *unpacking;

	if (!number)
		return error ? error : -EBADMSG;
	packing = ZSTD_createCDict(dictionary.data, dictionary.len, SQUEEZE_LEVEL);
	unpacking = ZSTD_createDDict(dictionary.data, dictionary.len);
	if (!packing || !unpacking) {
		ZSTD_freeCDict(packing);
		ZSTD_freeDDict(unpacking);
		return -ENOMEM;
	}
	if (squeeze->n == SQUEEZE_DICTIONARIES)
		squeeze_forget(squeeze);
	squeeze->known[squeeze->n].id = number;
	squeeze->known[squeeze->n++].of = unpacking;
	ZSTD_freeCDict(squeeze->current);
	squeeze->current = packing;
	if (id)
		*id = number;
	return 0;
}

static int squeeze_compress(struct squeeze *squeeze, struct slice plain, struct buf *out)
{
	size_t most = ZSTD_compressBound(plain.len), len;
	char *room = buf_reserve(out, most);

	if (!room)
		return -ENOMEM;
	len = squeeze->current ? ZSTD_compress_usingCDict(squeeze->packing, room, most, plain.data,
					 plain.len, squeeze->current)
			       : ZSTD_compressCCtx(squeeze->packing, room, most, plain.data,
					 plain.len, SQUEEZE_LEVEL);
	if (ZSTD_isError(len))
		return -ENOMEM;
	buf_commit(out, len);
	return 0;
}

int squeeze_pack(struct squeeze *squeeze, struct slice plain, struct buf *out)
{
	int error;

	if (!squeeze->seal)
		return squeeze_compress(squeeze, plain, out);
	buf_clear(&squeeze->inner);
	error = squeeze_compress(squeeze, plain, &squeeze->inner);
	return error ? error : seal_close(squeeze->seal, buf_slice(&squeeze->inner), out);
}

int squeeze_unpack(struct squeeze *squeeze, struct slice packed, size_t max, struct buf *out,
	uint32_t *id)
{
	const ZSTD_DDict *dictionary = NULL;
	int error = squeeze_unseal(squeeze, &packed);
	unsigned long long size;
	size_t len;
	char *room;

	if (error)
		return error;
	size = ZSTD_getFrameContentSize(packed.data, packed.len);
	/* Unknown and wrong are the two highest numbers. */
	if (size > max)
		return -EBADMSG;
	*id = ZSTD_getDictID_fromFrame(packed.data, packed.len);
	for (unsigned i = 0; *id && i < squeeze->n; i++)
		if (squeeze->known[i].id == *id)
			dictionary = squeeze->known[i].of;
	if (*id && !dictionary)
		return -ENOENT;
	room = buf_reserve(out, (size_t)size + 1);
	if (!room)
		return -ENOMEM;
	len = ZSTD_decompress_usingDDict(
		squeeze->unpacking, room, (size_t)size, packed.data, packed.len, dictionary);
	if (ZSTD_isError(len) || len != size)
		return -EBADMSG;
	buf_commit(out, len);
	return 0;
}

int squeeze_train(const char *samples, const size_t *sizes, unsigned n, struct buf *out)
{
	char *room = buf_reserve(out, SQUEEZE_TRAINED);
	size_t len;

	if (!room)
		return -ENOMEM;
	len = ZDICT_trainFromBuffer(room, SQUEEZE_TRAINED, samples, sizes, n);
	if (ZDICT_isError(len))
		return -EBADMSG;
	buf_commit(out, len);
	return 0;
}
