/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An incremental, strict JSON reader (RFC 8259) whose memory does not depend on the text: fed in
 * pieces of any size, it checks everything and tells only about the values that a table of paths
 * names. A byte order mark is passed over. Strings are UTF-8; escapes of lone surrogates are
 * allowed by the grammar and decode to U+FFFD. */
#ifndef OPENAI_JSON_SCAN_H
#define OPENAI_JSON_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "openai/json_problem.h"
#include "openai/json_rules.h"

#define JSON_SCAN_DEPTH	  128		 /* containers within containers */
#define JSON_SCAN_WATCHED 12		 /* a table's paths lead no deeper */
#define JSON_SCAN_KEY	  JSON_RULES_KEY /* bytes of a key that are kept */
#define JSON_SCAN_NUMBER  48		 /* bytes of a number that are kept */

enum json_type {
	JSON_OBJECT,
	JSON_ARRAY,
	JSON_STRING,
	JSON_NUMBER,
	JSON_TRUE,
	JSON_FALSE,
	JSON_NULL
};

struct json_value {
	uint8_t node; /* of the rule */
	enum json_type type;
	unsigned depth;	     /* containers around it */
	struct slice key;    /* decoded, cut at JSON_SCAN_KEY; empty for elements */
	uint64_t key_hash;   /* of the whole decoded key: equal keys have equal hashes */
	uint64_t index;	     /* it is the nth of its container, from 0 */
	uint64_t start;	     /* offset of its first byte in all that was fed */
	uint64_t end;	     /* leave only: offset after its last byte */
	struct slice number; /* leave of a number only; empty when longer than JSON_SCAN_NUMBER */
	bool empty;	     /* leave of a container only: nothing is in it */
};

/* A part of a string that is a value, as it passes. */
struct json_part {
	uint8_t node;	     /* of the rule about the string; 0: there is none */
	struct slice text;   /* decoded; it may end inside of a character */
	bool first, last;    /* of the string */
	uint64_t start, end; /* offsets of what says it, without quotes */
};

struct json_scan;

struct json_handler {
	const struct json_rule *rules;
	size_t nrules;
	/* A value begins. May call json_scan_keep_raw, json_scan_keep_text or json_scan_hide. */
	void (*enter)(void *context, struct json_scan *scan, const struct json_value *value);
	/* The same value has ended; key and key_hash are not set any more. */
	void (*leave)(void *context, struct json_scan *scan, const struct json_value *value);
	/* Before the member is entered, if it is at all. NULL: nobody is told. */
	void (*doubt)(void *context, enum json_doubt doubt);
	/* Every string that is a value passes, whether a rule is about it or not. NULL: nobody is told. */
	void (*text)(void *context, const struct json_part *part);
};

/* Where kept bytes go. */
struct json_keep {
	struct buf *into; /* appended to; NULL: nothing is kept now */
	size_t max;	  /* into never grows beyond this many bytes */
	bool cut;	  /* some bytes did not fit, or there was no memory for them */
	/* Takes bytes that do not fit, instead of their being cut: none of them is in into. */
	void (*overflow)(void *context, struct slice bytes);
	void *context;
};

struct json_scan *json_scan_new(const struct json_handler *handler, void *context);
void json_scan_free(struct json_scan *scan);
/* Begins with another text; what was fed before is forgotten. */
void json_scan_restart(struct json_scan *scan);
/* Reads a piece. JSON_FINE, or the first problem: it stays, and nothing is read after it. */
enum json_problem json_scan_feed(struct json_scan *scan, struct slice piece);
/* No more pieces. JSON_FINE: exactly one whole value was fed. */
enum json_problem json_scan_end(struct json_scan *scan);

/* From leave: whether the value is a count, of digits only and no more than every reader can store;
 * then sets *count. */
bool json_value_count(const struct json_value *value, uint64_t *count);

/* Whether an escape of a surrogate without its other half was read: kept bytes have it as it was
 * written, which strict readers refuse (see json_text_repair). */
bool json_scan_met_lone_surrogate(const struct json_scan *scan);

/* Only from enter: keeps the value's bytes as they are written, resp. a string's decoded text.
 * One of each at a time; keep lives until the value has left, and keep->cut tells then. */
void json_scan_keep_raw(struct json_scan *scan, struct json_keep *keep);
void json_scan_keep_text(struct json_scan *scan, struct json_keep *keep);
/* Only from enter, of a value inside one that is kept raw: `instead` is kept in its place. */
void json_scan_hide(struct json_scan *scan, struct slice instead);

#endif
