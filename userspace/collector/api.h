/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The questions of a store over HTTP, in JSON: what the commands ask, with the same filters by the same
 * names. Knows no socket: who asks is known before. */
#ifndef COLLECTOR_API_H
#define COLLECTOR_API_H

#include "base/buf.h"
#include "base/why.h"
#include "collector/session.h"

struct api;

struct api_options {
	const char *store; /* stays the caller's */
	unsigned retain;   /* days; 0: all. Told, not done */
};

#define API_PARAMETERS 32
struct api_call {
	const char *name; /* "events", of /api/events */
	struct {
		const char *name, *value;
	} parameters[API_PARAMETERS];
	size_t n;
	const char *who; /* the user */
	const char *by;	 /* page, socket */
	enum role role;
};

/* NULL with why. */
struct api *api_new(const struct api_options *options, struct why *why);
void api_free(struct api *api);

/* Answers: the HTTP status, and what is to be sent appended to out, which is empty. What shows
 * content is recorded first, and refused where that fails. */
unsigned api_answer(struct api *api, const struct api_call *call, struct buf *out);

#endif
