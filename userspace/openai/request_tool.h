/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef OPENAI_REQUEST_TOOL_H
#define OPENAI_REQUEST_TOOL_H

#include "base/slice.h"

/* What the model may use besides its words, by the "type" of a tool; those of one family of names
 * (web_search, web_search_preview …) are one kind. */
enum request_tool {
	REQUEST_TOOL_FUNCTION,
	REQUEST_TOOL_CUSTOM,
	REQUEST_TOOL_MCP,
	REQUEST_TOOL_WEB_SEARCH,
	REQUEST_TOOL_FILE_SEARCH,
	REQUEST_TOOL_CODE_INTERPRETER,
	REQUEST_TOOL_IMAGE_GENERATION,
	REQUEST_TOOL_COMPUTER,
	REQUEST_TOOL_SHELL,
	REQUEST_TOOL_OTHER,
	REQUEST_TOOLS
};
/* "function" … "other" */
const char *request_tool_name(enum request_tool tool);
/* By the "type" as it was written. */
enum request_tool request_tool_of(struct slice type);

#endif
