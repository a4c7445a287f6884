/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether a request that got no answer may be sent once more: nothing is done twice that may have
 * had an effect, unless it is certain that the origin never saw it. */
#ifndef PROXY_AGAIN_H
#define PROXY_AGAIN_H

#include <stdbool.h>

#include "io/stream_fate.h"
#include "openai/operation.h"

/* Whether RFC 9110 section 9.2.2 calls the method idempotent. */
bool again_is_idempotent(struct slice method);

/* Whether it may be done twice: it has no effect but its answer, and its cost. */
bool again_is_harmless(const struct operation *operation, struct slice method);

/* operation: NULL when it is not known. fate: of the request's bytes on a connection that is lost
 * now. */
bool again_allowed(
	const struct operation *operation, struct slice method, enum stream_fate fate);

#endif
