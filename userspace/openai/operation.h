/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which call of the API a request is, by its method and target. */
#ifndef OPENAI_OPERATION_H
#define OPENAI_OPERATION_H

#include <stdbool.h>

#include "base/slice.h"
#include "config/config.h"

enum operation_id {
	OPERATION_CHAT,
	OPERATION_COMPLETION,
	OPERATION_EMBEDDINGS,
	OPERATION_RESPONSES,
	OPERATION_RESPONSES_COMPACT,
	OPERATION_RESPONSES_COUNT,
	OPERATION_STORED_RESPONSE,
	OPERATION_CONVERSATIONS,
	OPERATION_REALTIME,
	OPERATION_TRANSCRIPTION,
	OPERATION_TRANSLATION,
	OPERATION_SPEECH,
	OPERATION_IMAGE_GENERATION,
	OPERATION_IMAGE_EDIT,
	OPERATION_IMAGE_VARIATION,
	OPERATION_MODERATION,
	OPERATION_MODELS,
	OPERATION_FILES,
	OPERATION_UPLOADS,
	OPERATION_BATCHES,
	OPERATION_FINE_TUNING,
	OPERATION_ASSISTANTS,
	OPERATION_THREADS,
	OPERATION_VECTOR_STORES,
	OPERATION_STORED_CHAT,
};

/* Whose bodies are alike: one reader reads them. */
enum family {
	FAMILY_NONE, /* not read */
	FAMILY_CHAT,
	FAMILY_COMPLETION,
	FAMILY_RESPONSES,
	FAMILY_EMBEDDINGS,
	FAMILY_MODERATION,
	FAMILY_IMAGES,
	FAMILY_SPEECH,
	FAMILY_TRANSCRIPTION,
	FAMILY_COUNT
};

struct operation {
	enum operation_id id;
	const char *name;   /* gen_ai.operation.name: OpenTelemetry's where it has one */
	const char *path;   /* as after "/v1/" */
	const char *method; /* NULL: any */
	bool subtree;	    /* paths below it are of the same operation */
	bool deployment;    /* on Azure's dated paths it stands below deployments/{deployment}/ */
	bool streams;	    /* answers text/event-stream when asked */
	enum family family; /* of the bodies that request.h and response.h read */
	bool form;	    /* its request may be multipart/form-data */
	bool counts_only;   /* what it tells of tokens is no use of them */
	bool asks_usage;    /* stream_options.include_usage makes a stream tell its usage */
	/* It computes and keeps nothing: done twice it costs twice, and has no other effect. For
	 * methods that are not idempotent (RFC 9110 section 9.2.2). */
	bool stateless;
	bool usage_excludes_data; /* stream_options beside "data_sources" is refused */
};

/* Whose form of the API: it decides the paths, the api-version and the shape of errors. */
enum dialect {
	DIALECT_AZURE,	  /* /openai/…?api-version= */
	DIALECT_AZURE_V1, /* /openai/v1/…, /api/projects/{project}/openai/v1/… */
	DIALECT_OPENAI	  /* /v1/… */
};

/* The slices point into the target. */
struct operation_match {
	const struct operation *operation; /* NULL: no path of the API that we know */
	enum dialect dialect;
	struct slice deployment;  /* of the path, realtime: of the query; empty: it is in the body
				   * ("model") or nowhere */
	struct slice api_version; /* empty: none */
	/* Every reader of this target sees the same path and query. False for percent-encoded path
	 * bytes, empty or dot segments, backslashes, and an api-version or deployment in the query
	 * that is repeated or percent-encoded: then operation is NULL, and the origin may understand
	 * another path than we do. */
	bool canonical;
};

/* Whose paths they are, where both may be called: "/v1/…" is OpenAI's. */
enum config_provider operation_provider(struct slice target);

/* Recognises a request. The target is in origin-form or absolute-form (RFC 9112 section 3.2); the
 * literal segments of paths compare without case, as Azure's front end does. Always fills match. */
void operation_match(enum config_provider provider, struct slice method, struct slice target,
	struct operation_match *match);

/* Whether there is an operation whose name it is, or begins or ends as the pattern says ("audio*"). */
bool operation_is_named(struct slice pattern);

/* Whether stream_options.include_usage may be sent: api-version 2024-09-01-preview or newer, and
 * everything that is not dated. */
bool operation_allows_usage(const struct operation_match *match);

#endif
