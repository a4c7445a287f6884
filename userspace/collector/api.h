/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The questions of a store over HTTP, in JSON: what the commands ask, with the same filters by the same
 * names. Knows no socket: who asks is known before. */
#ifndef COLLECTOR_API_H
#define COLLECTOR_API_H

#include "base/buf.h"
#include "base/why.h"
#include "collector/api_call.h"

struct api;

/* NULL with why. */
struct api *api_new(const struct api_options *options, struct why *why);
void api_free(struct api *api);

/* Answers: the HTTP status, and what is to be sent appended to out, which is empty. What shows
 * content is recorded first, and refused where that fails. */
unsigned api_answer(struct api *api, const struct api_call *call, struct buf *out);

#endif
