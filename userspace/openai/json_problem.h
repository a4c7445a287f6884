/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What may be wrong with a JSON text. */
#ifndef OPENAI_JSON_PROBLEM_H
#define OPENAI_JSON_PROBLEM_H

enum json_problem {
	JSON_FINE,
	JSON_SYNTAX,
	JSON_BAD_UTF8,
	JSON_BAD_ESCAPE,
	JSON_CONTROL,
	JSON_TOO_DEEP,
	JSON_TRAILING,
	JSON_UNFINISHED,
	JSON_EMPTY
};

/* One name per problem, for events and counters: "invalid JSON" … */
const char *json_problem_name(enum json_problem problem);

#endif
