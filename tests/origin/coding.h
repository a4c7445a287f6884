/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Content codings, the encoding side: piece by piece, so that events can be flushed. */
#ifndef ORIGIN_CODING_H
#define ORIGIN_CODING_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/slice.h"

struct encoder;

/* name: gzip, deflate, br or zstd; NULL for another name or without memory. */
struct encoder *encoder_new(const char *name);
/* Appends what in becomes to out, flushed so that the reader can decode all of it; last ends the
 * coded stream. 0, or -EIO. */
int encoder_write(struct encoder *e, struct slice in, bool last, struct buf *out);
void encoder_free(struct encoder *e);
/* The coding that a client with this Accept-Encoding gets, or NULL for identity. */
const char *encoder_choose(struct slice accept);

#endif
