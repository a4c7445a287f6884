/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The character classes of HTTP's grammar (RFC 9110 section 5.6.2, RFC 5234 appendix B). */
#ifndef HTTP_TOKEN_H
#define HTTP_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum {
	TOKEN_NAME = 1,	  /* tchar: of methods and field names */
	TOKEN_VALUE = 2,  /* HTAB, SP, VCHAR, obs-text: of field values and reasons */
	TOKEN_TARGET = 4, /* VCHAR but '#': of request targets */
};

extern const uint8_t token_classes[256];

/* Whether every byte of s is of the class; true for an empty s. */
static inline bool token_all(struct slice s, uint8_t class)
{
	for (size_t i = 0; i < s.len; i++)
		if (!(token_classes[(uint8_t)s.data[i]] & class))
			return false;
	return true;
}

/* 1*tchar */
static inline bool token_valid(struct slice s)
{
	return s.len > 0 && token_all(s, TOKEN_NAME);
}

#endif
