/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A JSON string (RFC 8259 section 7) read in pieces of any size: spans of its decoded text. */
#ifndef OPENAI_JSON_STRING_H
#define OPENAI_JSON_STRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "openai/json_problem.h"

struct json_string {
	bool ended;	     /* the closing quote was read */
	bool lone_surrogate; /* one was decoded, in this string or in an earlier one */
	enum { JSON_STRING_PLAIN, JSON_STRING_ESCAPE, JSON_STRING_HEX } state;
	/* UTF-8: continuation bytes to come, and the bounds of the next. */
	unsigned continuation;
	unsigned char low, high;
	unsigned hex_digits;
	uint32_t hex, high_surrogate;
	char decoded[8];
};

/* After the opening quote. */
void json_string_begin(struct json_string *s);
/* Reads on, at least one byte or one span. Returns where to go on; *decoded, which may be empty, is
 * good until the next call. *problem is set when something is wrong: nothing is read after it. */
const char *json_string_read(struct json_string *s, const char *p, const char *end,
	struct slice *decoded, enum json_problem *problem);

#endif
