/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A table of the members of a JSON document that are looked at, found by the value that they are
 * in. */
#ifndef OPENAI_JSON_RULES_H
#define OPENAI_JSON_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/* A value under parent has the identity node (1..255). The document itself is JSON_ROOT. Under an
 * object, key names the member, and JSON_ANY every member no earlier rule of the table named;
 * under an array every element matches JSON_ELEMENT. */
#define JSON_ROOT      1
#define JSON_ANY       NULL
#define JSON_ELEMENT   NULL
#define JSON_RULES_MAX 128 /* of a table; its nodes are below it as well */
#define JSON_RULES_OF_ONE 64 /* most that are about one parent */
struct json_rule {
	uint8_t parent, node;
	const char *key;
};

#define JSON_RULES_KEY 48 /* bytes of a key that matter; names in tables are shorter */

/* Why parsers may differ in which member a key of the table is. */
enum json_doubt {
	JSON_DOUBT_TWICE, /* the object has it already */
	JSON_DOUBT_FORM,  /* it differs from one of the table in case alone, or after a NUL */
};

/* The rules of each node, as a list; indices of rules. */
struct json_rules {
	const struct json_rule *rules;
	uint8_t first[JSON_RULES_MAX], next[JSON_RULES_MAX];
	uint8_t left[JSON_RULES_MAX]; /* rules of the same parent from this one on */
};

struct json_rules_found {
	uint8_t node; /* 0: no rule is about it */
	bool doubtful;
	enum json_doubt doubt;
};

/* The rules stay the caller's. */
void json_rules_index(struct json_rules *index, const struct json_rule *rules, size_t n);
/* The node of the elements of the array parent; 0: none. */
uint8_t json_rules_element(const struct json_rules *index, uint8_t parent);
/* What the member of the object parent is, by the first JSON_RULES_KEY bytes of its decoded key.
 * *seen belongs to the object and begins as 0. */
struct json_rules_found json_rules_member(
	const struct json_rules *index, uint8_t parent, struct slice key, uint64_t *seen);

#endif
