/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is known of a request by its body. */
#ifndef OPENAI_REQUEST_FACTS_H
#define OPENAI_REQUEST_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "openai/request_tool.h"

/* A member that is a boolean; null counts as absent, as it does for the service. */
enum request_flag { REQUEST_ABSENT, REQUEST_FALSE, REQUEST_TRUE, REQUEST_NOT_BOOLEAN };

struct request_number {
	bool present; /* a JSON number of at most 48 bytes */
	double value;
	struct slice text; /* as written */
};

struct request_facts {
	/* Texts: decoded, cut at 256 bytes. */
	struct slice model; /* on Azure v1 the deployment */
	bool has_model;	    /* the key is there, whatever its value */
	struct slice user;
	struct slice service_tier, effort, prompt_cache_key, safety_identifier;
	struct slice previous_response_id, conversation;
	struct slice size, seconds; /* of an image or a film, as written */
	enum request_flag store, background;
	bool logprobs; /* how probable each token is, is asked for */
	unsigned tool_kinds; /* a bit for each enum request_tool that is offered */
	enum request_flag stream;
	enum request_flag include_usage;  /* of stream_options */
	bool stream_options;		  /* the key is there, whatever its value */
	bool data_sources;		  /* likewise */
	/* The model may be another one than is said here, and so may tools: a prompt that the service
	 * keeps has its own, and so have assistants and the calls of a batch. */
	bool stored_prompt;
	struct request_number max_tokens; /* max_completion_tokens, max_output_tokens, or the older
					   * max_tokens, over which they win */
	struct request_number temperature, top_p, n;
	/* JSON of "messages", "prompt" or "input"; as written, but for the blanks between messages.
	 * Of Responses and messages a list in any case, of which the first are the instructions.
	 * Beyond content_max the middle of the messages is cut (newest.h), of anything else, and of
	 * the instructions beyond a quarter of it, the middles of the longest strings (abridge.h). */
	struct slice messages;
	bool messages_truncated;
	uint64_t messages_cut;	 /* bytes that are not in messages */
	struct slice tools;	 /* JSON of "tools", or the older "functions"; cut like messages */
	bool tools_truncated;
	uint64_t tools_cut;	 /* bytes that are not in tools */
	struct slice parts;  /* JSON array of what is no text (parts.h); after request_reader_end */
	uint64_t nmessages;  /* elements of "messages", or of "input" */
	bool readable;	     /* so far, and after request_reader_end for the whole body */
	const char *problem; /* why it is not readable, one of a fixed set; else NULL */
	uint64_t bytes;	     /* fed */
};

#endif
