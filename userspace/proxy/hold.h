/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is kept of the beginning of a response until it is clear that this try answers. */
#ifndef PROXY_HOLD_H
#define PROXY_HOLD_H

#include <stdbool.h>

#include "base/buf.h"

/* Of a body; what grows longer is the answer. */
#define HOLD_BYTES  (256 * 1024)
#define HOLD_PIECES 64

struct hold {
	struct buf body; /* as it may pass */
	unsigned pieces;
};

/* 0 or -ENOMEM. */
int hold_append(struct hold *hold, struct slice span);
bool hold_is_full(const struct hold *hold);
void hold_wipe(struct hold *hold);

#endif
