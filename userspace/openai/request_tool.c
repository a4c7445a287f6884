// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/request_tool.h"

static const struct {
	const char *type; /* what the type begins with */
	enum request_tool kind;
} tool_types[] = {
	{"function", REQUEST_TOOL_FUNCTION},
	{"custom", REQUEST_TOOL_CUSTOM},
	{"mcp", REQUEST_TOOL_MCP},
	{"web_search", REQUEST_TOOL_WEB_SEARCH},
	{"file_search", REQUEST_TOOL_FILE_SEARCH},
	{"code_interpreter", REQUEST_TOOL_CODE_INTERPRETER},
	{"image_generation", REQUEST_TOOL_IMAGE_GENERATION},
	{"computer", REQUEST_TOOL_COMPUTER},
	{"shell", REQUEST_TOOL_SHELL},
	{"local_shell", REQUEST_TOOL_SHELL},
	{"bash", REQUEST_TOOL_SHELL},
	{"code_execution", REQUEST_TOOL_CODE_INTERPRETER},
};

const char *request_tool_name(enum request_tool tool)
{
	static const char *const names[REQUEST_TOOLS] = {
		[REQUEST_TOOL_FUNCTION] = "function",
		[REQUEST_TOOL_CUSTOM] = "custom",
		[REQUEST_TOOL_MCP] = "mcp",
		[REQUEST_TOOL_WEB_SEARCH] = "web_search",
		[REQUEST_TOOL_FILE_SEARCH] = "file_search",
		[REQUEST_TOOL_CODE_INTERPRETER] = "code_interpreter",
		[REQUEST_TOOL_IMAGE_GENERATION] = "image_generation",
		[REQUEST_TOOL_COMPUTER] = "computer",
		[REQUEST_TOOL_SHELL] = "shell",
		[REQUEST_TOOL_OTHER] = "other",
	};

	return names[tool];
}

enum request_tool request_tool_of(struct slice type)
{
	for (size_t i = 0; i < sizeof(tool_types) / sizeof(tool_types[0]); i++)
		if (slice_starts_with(type, slice_of_string(tool_types[i].type)))
			return tool_types[i].kind;
	return REQUEST_TOOL_OTHER;
}
