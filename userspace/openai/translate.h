/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The same call in another form of the API: Azure's dated paths, Azure's v1, OpenAI's. Only calls are
 * translated of which nothing is lost or guessed: paths, query, and where the model is said differ;
 * bodies and errors are alike. */
#ifndef OPENAI_TRANSLATE_H
#define OPENAI_TRANSLATE_H

#include <stdbool.h>

#include "base/buf.h"
#include "openai/operation.h"
#include "openai/request_facts.h"

struct translation {
	const struct operation_match *match; /* of the call as the client made it */
	enum dialect to;
	struct slice model;	  /* what it is called there; empty: it is not known (yet) */
	struct slice api_version; /* that is asked for on dated paths; empty: none */
	const struct request_facts *facts; /* of the body, so far; NULL: it is not read */
	bool whole;		  /* all of the body was read */
	bool form;		  /* it is multipart/form-data */
	bool coded;		  /* it has a content coding, and cannot be edited */
};

/* Whether the call can be made in that form exactly. */
bool translation_is_exact(const struct translation *translation);
/* Whether that may yet turn out, once more of the body was read. */
bool translation_awaits_body(const struct translation *translation);
/* Appends path and query; query: of the client's target, without "?". 0 or -ENOMEM. */
int translation_target(
	const struct translation *translation, struct slice query, struct buf *out);

#endif
