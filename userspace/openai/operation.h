/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which call of the API a request is, by its method and target. */
#ifndef OPENAI_OPERATION_H
#define OPENAI_OPERATION_H

#include <stdbool.h>

#include "base/slice.h"
#include "config/provider.h"

enum operation_id {
	OPERATION_CHAT,
	OPERATION_COMPLETION,
	OPERATION_EMBEDDINGS,
	OPERATION_IMAGE_EMBEDDINGS,
	OPERATION_RESPONSES,
	OPERATION_RESPONSES_COMPACT,
	OPERATION_RESPONSES_COUNT,
	OPERATION_STORED_RESPONSE,
	OPERATION_CONVERSATIONS,
	OPERATION_MESSAGES,
	OPERATION_MESSAGES_COUNT,
	OPERATION_REALTIME,
	OPERATION_REALTIME_SECRETS,
	OPERATION_REALTIME_CALLS,
	OPERATION_LIVE,
	OPERATION_TRANSCRIPTION,
	OPERATION_TRANSLATION,
	OPERATION_SPEECH,
	OPERATION_IMAGE_GENERATION,
	OPERATION_IMAGE_EDIT,
	OPERATION_IMAGE_VARIATION,
	OPERATION_VIDEOS,
	OPERATION_MODERATION,
	OPERATION_MODELS,
	OPERATION_MODEL_INFO,
	OPERATION_FILES,
	OPERATION_UPLOADS,
	OPERATION_BATCHES,
	OPERATION_FINE_TUNING,
	OPERATION_ASSISTANTS,
	OPERATION_THREADS,
	OPERATION_VECTOR_STORES,
	OPERATION_CONTAINERS,
	OPERATION_EVALS,
	OPERATION_SKILLS,
	OPERATION_STORED_CHAT,
};

/* The prefixes of paths; in braces what is a name. */
enum operation_place {
	OPERATION_IN_DEPLOYMENT = 1, /* /openai/deployments/{deployment}/ */
	OPERATION_IN_API = 2,	     /* /openai/, /openai/v1/, /v1/, /api/projects/{project}/openai/,
				      * also with v1/ */
	OPERATION_IN_AGENT = 4,	     /* /api/projects/{project}/agents/{agent}/endpoint/protocols/openai/,
				      * also with v1/ */
	OPERATION_IN_PROJECT = 8,    /* /api/projects/{project}/ */
	OPERATION_IN_MODELS = 16,    /* /models/ */
	OPERATION_IN_ANTHROPIC = 32, /* /anthropic/ */
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
	FAMILY_MESSAGES, /* of Anthropic */
	FAMILY_THREADS,	 /* and assistants */
	FAMILY_ITEMS,	 /* what is put into conversations, asked of stores, or prepared for sessions */
	FAMILY_JOBS,	 /* what is done later: batches, trainings */
	FAMILY_FILES,
	FAMILY_COUNT
};

/* A row of operation_table.h. */
struct operation {
	enum operation_id id;
	const char *name;
	const char *path;
	const char *method;
	unsigned places;
	bool subtree;	    /* paths below it are of the same operation */
	bool streams;	    /* answers text/event-stream when asked */
	enum family family; /* of the bodies that request.h and response.h read */
	bool form;	    /* its request may be multipart/form-data */
	bool counts_only;   /* it uses no tokens, whatever it tells of them */
	bool asks_usage;    /* stream_options.include_usage makes a stream tell its usage */
	bool tells_again; /* what it tells of tokens may have been told before */
	bool model_elsewhere; /* the model may stand in what the service keeps, and not in the body */
	/* It computes and keeps nothing: done twice it costs twice, and has no other effect. For
	 * methods that are not idempotent (RFC 9110 section 9.2.2). */
	bool stateless;
	bool usage_excludes_data; /* stream_options beside "data_sources" is refused */
};

/* Whose form of the API: it decides the paths, the api-version and the shape of errors. */
enum dialect {
	DIALECT_AZURE,	   /* …?api-version= */
	DIALECT_AZURE_V1,  /* /openai/v1/…, /api/projects/{project}/openai/v1/… */
	DIALECT_OPENAI,	   /* /v1/… */
	DIALECT_ANTHROPIC, /* /anthropic/v1/… */
};

/* Longer paths are not decoded, and not canonical if anything in them is percent-encoded. */
#define OPERATION_DECODED 256

/* The slices point into the target, those of a path that is percent-encoded into decoded: the match is
 * not to be copied. */
struct operation_match {
	const struct operation *operation; /* NULL: no path of the API that we know */
	enum dialect dialect;
	struct slice deployment;  /* of the path, realtime: of the query; empty: it is in the body
				   * ("model") or nowhere */
	struct slice deployment_written; /* in the target */
	struct slice name;	  /* the first segment below an operation's own path: of a file … */
	struct slice agent;	  /* that answers; it has a model of its own */
	struct slice api_version; /* empty: none */
	struct slice rest;	  /* of the path, as after "/v1/"; empty: in an agent, a project, or where
				   * there is no such prefix */
	/* Every reader of this target sees the same path and query. False for empty or dot segments,
	 * backslashes, an api-version or deployment in the query that is repeated or percent-encoded,
	 * and percent-encoding in the path unless it is in a name (of a deployment, a file …) and
	 * means a printable ASCII character that has no meaning in paths: then operation is NULL, and
	 * the origin may understand another path than we do. */
	bool canonical;
	char decoded[OPERATION_DECODED];
};

/* Whose paths they are, where both may be called: "/v1/…" is OpenAI's. */
enum config_provider operation_provider(struct slice target);

/* Recognises a request. The target is in origin-form or absolute-form (RFC 9112 section 3.2); the
 * literal segments of paths compare without case, as Azure's front end does. Always fills match. */
void operation_match(enum config_provider provider, struct slice method, struct slice target,
	struct operation_match *match);

/* gen_ai.operation.name: "unknown" where there is no operation. */
struct slice operation_name(const struct operation_match *match);

/* Whether there is an operation whose name it is, or begins or ends as the pattern says ("audio*"). */
bool operation_is_named(struct slice pattern);

/* Whether stream_options.include_usage may be sent: api-version 2024-09-01-preview or newer, and
 * everything that is not dated. */
bool operation_allows_usage(enum dialect dialect, struct slice api_version);

#endif
