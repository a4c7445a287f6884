/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The reader behind response.h, and what those share that fill in its facts. */
#ifndef OPENAI_RESPONSE_READER_H
#define OPENAI_RESPONSE_READER_H

#include "openai/abridge.h"
#include "openai/json_scan.h"
#include "openai/operation.h"
#include "openai/output.h"
#include "openai/response_facts.h"

/* A short text whose memory is a fixed part of the reader; see json_text_copy. */
#define RESPONSE_TEXT	 128
#define RESPONSE_MESSAGE 1024

struct response_reader {
	const struct operation *operation;
	size_t content_max;
	bool streamed;
	struct response_facts facts;
	char id[RESPONSE_TEXT], model[RESPONSE_TEXT], system_fingerprint[RESPONSE_TEXT];
	char error_type[RESPONSE_TEXT], error_code[RESPONSE_TEXT], error_message[RESPONSE_MESSAGE];
	char inner_code[RESPONSE_TEXT];
	struct slice inner; /* error.innererror.code */

	struct output output;
	struct buf messages, finish_reasons;

	/* Not streamed only. */
	struct json_scan *scan;
	uint64_t choice; /* choices that have ended */
	struct buf text;
	struct json_keep keep_text, keep_messages;
	struct abridge abridge; /* of the messages, once they are too long */
};

void response_unreadable(struct response_reader *r, const char *problem);
/* Sets *fact, unless it is set already or value is empty: Azure's first chunk has empty ones. */
void response_set(struct slice *fact, char *memory, size_t size, struct slice value);

/* All counts of the usage were read: makes a total of the parts where it is not given. */
void response_usage(struct response_facts *facts);

#endif
