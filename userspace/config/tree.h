/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A YAML document as nodes that know their lines, read from libyaml's event stream: what messages
 * need and libcyaml, which fills the values, does not tell. Narrower than YAML on purpose: one
 * document, no aliases, no tags, scalar keys, no key twice. */
#ifndef CONFIG_TREE_H
#define CONFIG_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/slice.h"
#include "base/why.h"

enum node_kind { NODE_SCALAR, NODE_SEQUENCE, NODE_MAPPING };

struct node {
	enum node_kind kind;
	bool refused;		/* found wrong: to be left out of what is made of the rest */
	unsigned line;		/* from 1; of its key for a value in a mapping */
	char *key;		/* NULL outside a mapping */
	char *text;		/* of a scalar; valid UTF-8 without control characters */
	struct node *first, *last; /* children in order */
	struct node *next;
};

/* Parses; name is for messages. NULL with "name:line: …" when it is not what we take; a document
 * without content is an empty mapping. Free with node_free. */
struct node *tree_parse(const char *name, struct slice yaml, struct why *why);
void node_free(struct node *node);
/* Appends the document as YAML, without what is refused. 0, or -ENOMEM. */
int tree_print(const struct node *root, struct buf *yaml);

/* The value of a key of a mapping, or NULL. */
const struct node *node_find(const struct node *mapping, const char *key);
/* The element of a sequence, from 0, or NULL. */
const struct node *node_element(const struct node *sequence, size_t index);
/* The line of a key of a section of the root; where it would have to be when it is absent. */
unsigned node_line(const struct node *root, const char *section, const char *key);
/* "keys", "a list", "nothing", or the text in quotes, safe to print. */
struct node_text {
	char text[160];
};
struct node_text node_describe(const struct node *node);

#endif
