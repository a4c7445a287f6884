/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The reader behind request.h, for those that read it and those that make edits of what was read. */
#ifndef OPENAI_REQUEST_READER_H
#define OPENAI_REQUEST_READER_H

#include "openai/json_scan.h"
#include "openai/member.h"
#include "openai/newest.h"
#include "openai/operation.h"
#include "openai/parts.h"
#include "openai/request_facts.h"
#include "openai/request_rules.h"
#include "openai/text_sink.h"

#define TEXT_MAX 256 /* bytes of model, user and the like */
#define KEYS_MAX 128 /* top-level members whose names are compared */

/* The short texts among the facts. */
enum fact_text {
	FACT_MODEL,
	FACT_USER,
	FACT_TIER,
	FACT_EFFORT,
	FACT_CACHE_KEY,
	FACT_SAFETY,
	FACT_PREVIOUS,
	FACT_CONVERSATION,
	FACT_SIZE,
	FACT_SECONDS,
	FACT_COUNT
};

/* Where a value stands in the body. */
struct place {
	bool there, empty;
	enum json_type type;
	uint64_t start, end;
};

/* The memory of a request_number. */
struct number_text {
	char bytes[JSON_SCAN_NUMBER + 1];
};

struct request_reader {
	const struct operation *operation;
	const struct request_rules *rules; /* of its family */
	struct json_handler handler;
	struct json_scan *scan;
	struct request_facts facts;
	char fact_memory[FACT_COUNT][TEXT_MAX];
	struct number_text max_tokens, temperature, top_p, n;
	bool new_limit; /* max_tokens is of "max_completion_tokens" */

	struct buf text;
	struct json_keep keep_text;
	struct member messages, tools, instructions; /* messages: or prompt, or input */
	struct newest newest; /* of the messages, while they are an array */
	struct json_keep keep_message;
	bool in_list, in_message, of_user;
	bool typed_tool; /* the tool that is being read has a "type" */
	struct parts parts;
	const char *part_kind; /* of the value that is being read, while inside is TEXT_DATA */
	bool ended;

	uint64_t keys[KEYS_MAX];
	size_t nkeys;
	struct place options, include_usage, root, model;
	struct texts told;
	enum text_kind inside; /* TEXT_OTHER: not of a value whose strings are all of one kind */
	uint64_t tool_bytes, images, tokens; /* for the estimate */
};

#endif
