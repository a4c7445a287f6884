/* SPDX-License-Identifier: GPL-2.0-or-later */
/* zstd (RFC 8878) with trained dictionaries: what is packed says itself which dictionary it needs. With
 * a seal it is encrypted then (see seal.h), and what is encrypted can be unpacked. */
#ifndef COLLECTOR_SQUEEZE_H
#define COLLECTOR_SQUEEZE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "collector/seal.h"

struct squeeze;

/* NULL without memory. */
struct squeeze *squeeze_new(void);
void squeeze_free(struct squeeze *squeeze);

/* Uses a seal, which stays the caller's; NULL: none. */
void squeeze_seal(struct squeeze *squeeze, struct seal *seal);
/* Takes a dictionary that squeeze_train made, sealed or not; what is packed from now on is packed with it. *id
 * (may be NULL) is its number, never 0. 0; -EBADMSG: it is none; -EACCES: it is sealed; -ENOMEM. */
int squeeze_use(struct squeeze *squeeze, struct slice dictionary, uint32_t *id);

/* All three append to out. */
int squeeze_pack(struct squeeze *squeeze, struct slice plain, struct buf *out);
/* 0; -ENOENT: the dictionary that it needs was not taken, *id is its number; -EBADMSG: not packed,
 * more than max bytes, or sealed otherwise; -EACCES: it is sealed, and there is no seal; -ENOMEM. */
int squeeze_unpack(
	struct squeeze *squeeze, struct slice packed, size_t max, struct buf *out, uint32_t *id);
/* A dictionary of n samples, which stand one behind the other. -EBADMSG: they teach nothing. */
int squeeze_train(const char *samples, const size_t *sizes, unsigned n, struct buf *out);

#endif
