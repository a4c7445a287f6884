/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is looked at in the body of a request, by the family of its operation. */
#ifndef OPENAI_REQUEST_RULES_H
#define OPENAI_REQUEST_RULES_H

#include "openai/json_rules.h"
#include "openai/operation.h"

enum request_node {
	NODE_ROOT = JSON_ROOT,
	NODE_MODEL,
	NODE_USER,
	NODE_STREAM,
	NODE_OPTIONS,
	NODE_INCLUDE_USAGE,
	NODE_OLD_MAX_TOKENS,
	NODE_MAX_TOKENS,
	NODE_TEMPERATURE,
	NODE_TOP_P,
	NODE_N,
	NODE_LOGPROBS,
	NODE_THREAD,
	NODE_LIST,
	NODE_SESSION,
	NODE_SIZE, /* these two of films */
	NODE_SECONDS,
	NODE_MESSAGES,
	NODE_MESSAGE,
	NODE_ROLE,
	NODE_CONTENT,
	NODE_PART,
	NODE_TEXT,
	NODE_IMAGE,
	NODE_SOUND,
	NODE_DATA, /* files */
	NODE_CALLS,
	NODE_CALL,
	NODE_FUNCTION,
	NODE_PROMPT,
	NODE_INPUT,
	NODE_ITEM,
	NODE_TOKEN,
	NODE_INSTRUCTIONS,
	NODE_TOOLS,
	NODE_TOOL,
	NODE_TOOL_TYPE,
	NODE_SERVERS, /* of MCP, beside the tools */
	NODE_TOOL_SECRET, /* what an MCP server is called with */
	NODE_FUNCTIONS,
	NODE_WEB_SEARCH,
	NODE_TIER,
	NODE_REASONING,
	NODE_EFFORT,
	NODE_CACHE_KEY,
	NODE_SAFETY,
	NODE_PREVIOUS,
	NODE_CONVERSATION,
	NODE_CONVERSATION_ID,
	NODE_STORE,
	NODE_BACKGROUND,
	NODE_DATA_SOURCES,
	NODE_OTHER
};

struct request_rules {
	const struct json_rule *rules;
	size_t n;
	/* Where the words for the model stand, and their elements where these are messages. */
	enum request_node words, message;
	bool instructions; /* they come before the words */
};

extern const struct request_rules request_rules[FAMILY_COUNT];

#endif
