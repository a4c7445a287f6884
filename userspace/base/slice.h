/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A span of bytes owned by somebody else. Never NUL-terminated. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct slice {
	const char *data;
	size_t len;
};

/* A slice of a string literal. */
#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})
#define SLICE_NONE ((struct slice){NULL, 0})
/* For printf's "%.*s"; for our own text only, never for input (see log_quote). */
#define SLICE_ARG(s) (int)(s).len, (s).data

static inline struct slice slice_of(const char *data, size_t len)
{
	return (struct slice){data, len};
}

static inline struct slice slice_of_string(const char *string)
{
	return (struct slice){string, string ? strlen(string) : 0};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Compares ASCII letters without case. */
static inline bool slice_equal_nocase(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || strncasecmp(a.data, b.data, a.len) == 0);
}

static inline bool slice_starts_with(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len &&
		(prefix.len == 0 || memcmp(s.data, prefix.data, prefix.len) == 0);
}

static inline bool slice_starts_with_nocase(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len &&
	       (prefix.len == 0 || strncasecmp(s.data, prefix.data, prefix.len) == 0);
}

/* Whether a text fits a pattern, without case: "word", "beginning*", "*end", or "*" for any but none. */
static inline bool slice_matches(struct slice pattern, struct slice text)
{
	if (!text.len)
		return false;
	if (pattern.len && pattern.data[pattern.len - 1] == '*')
		return text.len >= pattern.len - 1 &&
		       strncasecmp(text.data, pattern.data, pattern.len - 1) == 0;
	if (pattern.len && pattern.data[0] == '*')
		return text.len >= pattern.len - 1 &&
		       strncasecmp(text.data + text.len - (pattern.len - 1), pattern.data + 1,
			       pattern.len - 1) == 0;
	return slice_equal_nocase(pattern, text);
}

/* What is left of s after its first n bytes; n is clamped to the length. */
static inline struct slice slice_after(struct slice s, size_t n)
{
	if (n > s.len)
		n = s.len;
	return (struct slice){s.len ? s.data + n : s.data, s.len - n};
}

/* The first n bytes of s, or all of it when it is shorter. */
static inline struct slice slice_first(struct slice s, size_t n)
{
	return (struct slice){s.data, n < s.len ? n : s.len};
}

/* The offset of c in s, or s.len when it does not occur. */
static inline size_t slice_index(struct slice s, char c)
{
	const char *at = s.len ? memchr(s.data, c, s.len) : NULL;

	return at ? (size_t)(at - s.data) : s.len;
}

/* s without leading and trailing spaces and tabs (RFC 9110 section 5.6.3, OWS). */
static inline struct slice slice_trim(struct slice s)
{
	while (s.len && (s.data[0] == ' ' || s.data[0] == '\t'))
		s = slice_after(s, 1);
	while (s.len && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
		s.len--;
	return s;
}

#endif
