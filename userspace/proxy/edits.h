/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is changed of a request's body on its way to an origin: each try has edits of its own, made
 * while the copy of the body is read (proxy/replay.h). */
#ifndef PROXY_EDITS_H
#define PROXY_EDITS_H

#include <stdbool.h>
#include <stdint.h>

#include "openai/request.h"

#define EDITS_MAX 4

struct edits {
	struct request_splice list[EDITS_MAX]; /* by offset; they do not overlap */
	unsigned count;
};

/* 0; -ENOSPC: there are EDITS_MAX already; -EINVAL: it overlaps with another. */
int edits_add(struct edits *edits, const struct request_splice *splice);
/* By how much the body becomes longer; negative: shorter. */
int64_t edits_growth(const struct edits *edits);

/* Tells of the pieces that the bytes of the body from offset on become, in order; last: nothing
 * follows them. An edit stands where its removed bytes begin, and behind the body's last byte only
 * with last. 0, or the error of piece. */
int edits_apply(const struct edits *edits, uint64_t offset, struct slice span, bool last,
	int (*piece)(void *to, struct slice piece), void *to);

#endif
