// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/json_problem.h"

const char *json_problem_name(enum json_problem problem)
{
	static const char *const names[] = {
		[JSON_FINE] = "none",
		[JSON_SYNTAX] = "invalid JSON",
		[JSON_BAD_UTF8] = "invalid UTF-8",
		[JSON_BAD_ESCAPE] = "invalid escape",
		[JSON_CONTROL] = "control character in string",
		[JSON_TOO_DEEP] = "nested too deep",
		[JSON_TRAILING] = "bytes after the JSON value",
		[JSON_UNFINISHED] = "unfinished JSON",
		[JSON_EMPTY] = "empty",
	};

	return names[problem];
}
