/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The reader behind response.h, and what those share that fill in its facts. */
#ifndef OPENAI_RESPONSE_READER_H
#define OPENAI_RESPONSE_READER_H

#include "openai/abridge.h"
#include "openai/json_scan.h"
#include "openai/jsonl.h"
#include "openai/operation.h"
#include "openai/output.h"
#include "openai/response_facts.h"
#include "openai/text_sink.h"

/* A short text whose memory is a fixed part of the reader; see json_text_copy. */
#define RESPONSE_TEXT	 128
#define RESPONSE_MESSAGE 1024
#define RESPONSE_CATEGORY 48

struct response_reader {
	const struct operation *operation;
	size_t content_max;
	bool streamed;
	struct response_facts facts;
	char id[RESPONSE_TEXT], model[RESPONSE_TEXT], system_fingerprint[RESPONSE_TEXT];
	char error_type[RESPONSE_TEXT], error_code[RESPONSE_TEXT], error_message[RESPONSE_MESSAGE];
	char inner_code[RESPONSE_TEXT], finish_memory[RESPONSE_TEXT], service_tier[RESPONSE_TEXT];
	struct slice inner;  /* error.innererror.code */
	uint64_t uncached;   /* input tokens as they were told, see response_usage */
	struct slice finish; /* of an answer that is one, not a list of choices */

	struct output output;
	struct buf messages, finish_reasons;
	struct abridge abridge; /* of the messages, once they are too long */
	uint64_t items;		/* messages that were kept whole */

	struct texts told;

	/* Of what is not streamed, and of an event that is too long to be parsed at once. */
	struct json_scan *scan;
	uint64_t choice; /* choices that have ended */
	struct buf text;
	struct json_keep keep_text, keep_messages;
	char event_memory[RESPONSE_TEXT];
	struct slice event_type;
	struct jsonl *lines; /* of an answer that is a file */
	struct buf made;     /* see response_facts */
	struct buf verdicts; /* likewise */
	char category[RESPONSE_CATEGORY];
	struct slice filter; /* the category whose verdict is being read */
	bool of_prompt;
	char object[RESPONSE_TEXT], entry_id[RESPONSE_TEXT], entry_file[RESPONSE_TEXT];
	struct slice entry, file;
	struct buf carry; /* the beginning of a character, of an answer that is plain text */
};

void response_unreadable(struct response_reader *r, const char *problem);
/* Sets *fact, unless it is set already or value is empty: Azure's first chunk has empty ones. */
void response_set(struct slice *fact, char *memory, size_t size, struct slice value);

/* Appends to the messages that are kept; those that do not fit are abridged from then on. */
void response_keep(struct response_reader *r, struct slice bytes);
/* Appends a message that is whole: a JSON object. */
void response_keep_item(struct response_reader *r, struct slice json);
/* Closes the list of what was kept. unfinished: the last message is not whole. */
void response_keep_end(struct response_reader *r, bool unfinished);

/* All counts of a usage were read: makes a total of them where it is not given. */
void response_usage(struct response_reader *r);

/* What the provider's filter says of a category: "filtered", "detected", or how severe it is; "safe" is
 * not told. */
void response_verdict(
	struct response_reader *r, bool of_prompt, struct slice category, struct slice word);

/* The seconds of sound that were counted, as JSON writes the number; what is none is not. */
void response_seconds(struct response_facts *facts, struct slice number);

#endif
