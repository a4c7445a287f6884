/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One API call as the service understands it: who asks, for what, with which knobs. */
#ifndef ORIGIN_CALL_H
#define ORIGIN_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "knob.h"
#include "message.h"

enum dialect { DIALECT_OPENAI, DIALECT_AZURE_V1, DIALECT_AZURE };
/* The first three are streamed when asked. */
enum operation {
	OPERATION_CHAT,
	OPERATION_COMPLETION,
	OPERATION_RESPONSES,
	OPERATION_EMBEDDING,
	OPERATION_TRANSCRIPTION,
	OPERATION_MODELS
};

struct text {
	char text[128];
};

/* What the service refuses, with the body in the dialect of the path. */
struct refusal {
	int status;
	const char *code, *type, *message; /* type NULL: the dialect has none */
};

struct call {
	uint64_t number; /* counts the requests of this origin's life, from 1 */
	struct knob knob;
	enum dialect dialect;
	enum operation operation;
	struct text deployment, model, answered; /* of the path, of the body, of the answer */
	struct text key;			 /* the credential, or empty */
	const char *key_from;			 /* "api-key", "authorization", "none" */
	bool stream, include_usage;
	unsigned choices;
	struct buf prompt; /* the beginning of the last prompt, JSON-escaped */
	uint64_t prompt_tokens, completion_tokens;
	struct refusal refusal; /* status 0: none */

	/* How far the answer is; see completion.c and responses.c. */
	int step;
	unsigned at;	      /* inside the step */
	unsigned long events; /* sent */
};

struct service {
	const char *region; /* of x-ms-region */
	char **keys;	    /* accepted; none: any that is not empty */
	size_t nkeys;
	const char *knobs; /* a file with knobs for every request, read again for each; or NULL */
};

void call_reset(struct call *call);
void call_free(struct call *call);
/* Reads path, credential and knobs: all that is known before the body. */
void call_read_head(struct call *call, const struct service *service, const struct message *m);
/* Reads the whole body. */
void call_read_body(struct call *call, struct slice body);
/* The pieces of the completion: knob "events", or 5. */
unsigned long call_pieces(const struct call *call);

#endif
