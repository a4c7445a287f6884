/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the answers of the API share. */
#ifndef COLLECTOR_API_INTERNAL_H
#define COLLECTOR_API_INTERNAL_H

#include <yyjson.h>

#include "collector/access.h"
#include "base/why.h"
#include "collector/api_call.h"
#include "collector/query.h"

#define API_WORDS 8

struct api {
	struct api_options options;
	struct query *query;
	struct access *access;
};

/* One question: what was asked, and the answer as it is made. */
struct api_question {
	struct api *api;
	const struct api_call *call;
	struct query_filter filter;
	const char *words[API_WORDS], *by;
	size_t nwords;
	uint64_t limit;
	int64_t below;
	bool content, completions, export, slowest;
	yyjson_mut_doc *doc;
	yyjson_mut_val *root, *rows;
	uint64_t told;
	struct why why;
};

/* All return 0; -EINVAL (the question is wrong), -ENOENT (there is no such thing), -EIO or -ENOMEM, with
 * q->why. */
typedef int api_run(struct api_question *q);
api_run api_usage, api_facets, api_sources;	  /* api_sums.c */
api_run api_health, api_access, api_whoami;	  /* api_state.c */
api_run api_events, api_event;			  /* api_events.c */
api_run api_conversations;			  /* api_conversations.c */

/* Puts a member of the answer, whose text is copied. */
void api_put(struct api_question *q, yyjson_mut_val *object, const char *name, struct slice text);
/* The rows of the answer are under this name. */
void api_rows(struct api_question *q, const char *name);
yyjson_mut_val *api_row(struct api_question *q);
/* A time as text: 2026-01-31T12:00:00.000000000Z. */
void api_time(struct api_question *q, yyjson_mut_val *object, const char *name, uint64_t time_ns);
/* Records the look, before anything is shown. */
int api_look(struct api_question *q, const char *what);

#endif
