// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/tree.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "base/log.h"

#define TREE_DEPTH 16
#define TREE_BYTES (1u << 20)
#define TREE_KEYS  256 /* of one mapping: keeps the search for duplicates cheap */

struct tree {
	yaml_parser_t parser;
	const char *name;
	struct why *why;
};

void node_free(struct node *node)
{
	while (node) {
		struct node *next = node->next;

		node_free(node->first);
		free(node->key);
		free(node->text);
		free(node);
		node = next;
	}
}

const struct node *node_find(const struct node *mapping, const char *key)
{
	if (!mapping || mapping->kind != NODE_MAPPING)
		return NULL;
	for (const struct node *child = mapping->first; child; child = child->next)
		if (strcmp(child->key, key) == 0)
			return child;
	return NULL;
}

const struct node *node_element(const struct node *sequence, size_t index)
{
	const struct node *child;

	if (!sequence || sequence->kind != NODE_SEQUENCE)
		return NULL;
	for (child = sequence->first; child && index; child = child->next)
		index--;
	return child;
}

unsigned node_line(const struct node *root, const char *section, const char *key)
{
	const struct node *mapping = node_find(root, section);
	const struct node *value = key ? node_find(mapping, key) : NULL;

	return value ? value->line : mapping ? mapping->line : 1;
}

struct node_text node_describe(const struct node *node)
{
	struct node_text t;

	if (node->kind == NODE_SEQUENCE)
		snprintf(t.text, sizeof(t.text), "a list");
	else if (node->kind == NODE_MAPPING)
		snprintf(t.text, sizeof(t.text), "keys");
	else if (!*node->text)
		snprintf(t.text, sizeof(t.text), "nothing");
	else
		snprintf(t.text, sizeof(t.text), "\"%s\"",
			log_quote(slice_of_string(node->text)).text);
	return t;
}

static int tree_error(struct tree *t, unsigned line, const char *expected, const char *found)
{
	return why_set(t->why, EINVAL, "%s:%u: expected %s, found %s", t->name, line, expected,
		found);
}

/* The next event; the caller's to delete. 0, or what libyaml has against the text. */
static int tree_event(struct tree *t, yaml_event_t *event)
{
	const char *problem;
	size_t line;

	if (yaml_parser_parse(&t->parser, event))
		return 0;
	if (t->parser.error == YAML_MEMORY_ERROR)
		return why_set(t->why, ENOMEM, "%s: no memory", t->name);
	/* The reader knows offsets only, and the scanner has not counted its lines yet. */
	line = t->parser.error == YAML_READER_ERROR ? t->parser.mark.line
						    : t->parser.problem_mark.line;
	problem = t->parser.problem ? t->parser.problem : "not YAML";
	return why_set(t->why, EINVAL, "%s:%zu: expected YAML, found what is not: %s", t->name,
		line + 1, problem);
}

/* A scalar as a C string. The configuration needs no control characters, and a NUL or an escape
 * sequence inside a path or a name would only fool somebody later. */
static int tree_text(struct tree *t, const yaml_event_t *event, char **text)
{
	const unsigned char *value = event->data.scalar.value;
	size_t len = event->data.scalar.length;

	for (size_t i = 0; i < len; i++)
		if (value[i] < 0x20 || value[i] == 0x7f)
			return tree_error(t, (unsigned)event->start_mark.line + 1,
				"text of one line", "a line break or control character");
	*text = strndup((const char *)value, len);
	return *text ? 0 : why_set(t->why, ENOMEM, "%s: no memory", t->name);
}

static int tree_node(struct tree *t, const yaml_event_t *event, unsigned depth,
	struct node **out);

static int tree_append(struct tree *t, struct node *parent, char *key, unsigned key_line,
	const yaml_event_t *event, unsigned depth)
{
	struct node *child = NULL;
	int error = tree_node(t, event, depth + 1, &child);

	if (child) {
		child->key = key;
		if (key)
			child->line = key_line;
		if (parent->last)
			parent->last->next = child;
		else
			parent->first = child;
		parent->last = child;
	} else {
		free(key);
	}
	return error;
}

static int tree_mapping(struct tree *t, struct node *mapping, unsigned depth)
{
	for (unsigned keys = 0;; keys++) {
		const struct node *before;
		char *key = NULL;
		yaml_event_t event;
		unsigned line;
		int error = tree_event(t, &event);

		if (error < 0)
			return error;
		line = (unsigned)event.start_mark.line + 1;
		if (event.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&event);
			return 0;
		}
		if (event.type != YAML_SCALAR_EVENT)
			error = tree_error(t, line, "a key", "something else");
		else if (keys >= TREE_KEYS)
			error = tree_error(t, line, "fewer keys", "more than any section has");
		else
			error = tree_text(t, &event, &key);
		yaml_event_delete(&event);
		before = error == 0 ? node_find(mapping, key) : NULL;
		if (before)
			error = why_set(t->why, EINVAL,
				"%s:%u: %s: expected each key once, found it also in line %u",
				t->name, line, log_quote(slice_of_string(key)).text, before->line);
		if (error == 0)
			error = tree_event(t, &event);
		if (error < 0) {
			free(key);
			return error;
		}
		error = tree_append(t, mapping, key, line, &event, depth);
		yaml_event_delete(&event);
		if (error < 0)
			return error;
	}
}

static int tree_sequence(struct tree *t, struct node *sequence, unsigned depth)
{
	for (;;) {
		yaml_event_t event;
		int error = tree_event(t, &event);
		bool end;

		if (error < 0)
			return error;
		end = event.type == YAML_SEQUENCE_END_EVENT;
		if (!end)
			error = tree_append(t, sequence, NULL, 0, &event, depth);
		yaml_event_delete(&event);
		if (end || error < 0)
			return error;
	}
}

/* Builds the node that event begins. On failure *out may hold what there is of it. */
static int tree_node(struct tree *t, const yaml_event_t *event, unsigned depth,
	struct node **out)
{
	unsigned line = (unsigned)event->start_mark.line + 1;
	const yaml_char_t *tag = NULL, *anchor = NULL;
	struct node *node;

	if (event->type == YAML_SCALAR_EVENT) {
		tag = event->data.scalar.tag;
		anchor = event->data.scalar.anchor;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		tag = event->data.sequence_start.tag;
		anchor = event->data.sequence_start.anchor;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		tag = event->data.mapping_start.tag;
		anchor = event->data.mapping_start.anchor;
	}
	if (event->type == YAML_ALIAS_EVENT || anchor)
		return tree_error(t, line, "the value itself", "an anchor or alias");
	if (tag)
		return tree_error(t, line, "a plain value", "a tag");
	if (depth > TREE_DEPTH)
		return tree_error(t, line, "the keys of a configuration", "deeper nesting");
	node = calloc(1, sizeof(*node));
	*out = node;
	if (!node)
		return why_set(t->why, ENOMEM, "%s: no memory", t->name);
	node->line = line;
	switch (event->type) {
	case YAML_SEQUENCE_START_EVENT:
		node->kind = NODE_SEQUENCE;
		return tree_sequence(t, node, depth);
	case YAML_MAPPING_START_EVENT:
		node->kind = NODE_MAPPING;
		return tree_mapping(t, node, depth);
	default:
		node->kind = NODE_SCALAR;
		return tree_text(t, event, &node->text);
	}
}

static int tree_document(struct tree *t, struct node **root)
{
	unsigned documents = 0;

	for (;;) {
		yaml_event_t event;
		bool end;
		int error = tree_event(t, &event);

		if (error < 0)
			return error;
		end = event.type == YAML_STREAM_END_EVENT;
		switch (event.type) {
		case YAML_DOCUMENT_START_EVENT:
			if (++documents > 1)
				error = tree_error(t, (unsigned)event.start_mark.line + 1,
					"one document", "another one");
			break;
		case YAML_STREAM_START_EVENT:
		case YAML_STREAM_END_EVENT:
		case YAML_DOCUMENT_END_EVENT:
			break;
		default:
			error = tree_node(t, &event, 0, root);
		}
		yaml_event_delete(&event);
		if (end || error < 0)
			return error;
	}
}

struct node *tree_parse(const char *name, struct slice yaml, struct why *why)
{
	struct tree t = {.name = name, .why = why};
	struct node *root = NULL;
	int error;

	if (yaml.len > TREE_BYTES) {
		why_set(why, EINVAL, "%s:1: expected at most 1 MiB, found %zu bytes", name, yaml.len);
		return NULL;
	}
	if (!yaml_parser_initialize(&t.parser)) {
		why_set(why, ENOMEM, "%s: no memory", name);
		return NULL;
	}
	/* Of a file that could not be read there is no text at all. */
	yaml_parser_set_input_string(
		&t.parser, (const unsigned char *)(yaml.data ? yaml.data : ""), yaml.len);
	error = tree_document(&t, &root);
	yaml_parser_delete(&t.parser);
	/* Nothing but comments, or "---": everything is left at its default. */
	if (error == 0 && root && root->kind == NODE_SCALAR && !*root->text) {
		node_free(root);
		root = NULL;
	}
	if (error == 0 && !root) {
		root = calloc(1, sizeof(*root));
		if (!root)
			why_set(why, ENOMEM, "%s: no memory", name);
		else
			*root = (struct node){.kind = NODE_MAPPING, .line = 1};
	} else if (error == 0 && root->kind != NODE_MAPPING) {
		error = tree_error(&t, root->line, "the sections of a configuration",
			node_describe(root).text);
	}
	if (error < 0) {
		node_free(root);
		return NULL;
	}
	return root;
}

/* --- as text again --- */

/* JSON's strings are YAML's; a text has no control characters. */
static int print_text(const char *text, struct buf *yaml)
{
	int error = buf_append(yaml, "\"", 1);

	for (; *text && !error; text++) {
		if (*text == '"' || *text == '\\')
			error = buf_append(yaml, "\\", 1);
		if (!error)
			error = buf_append(yaml, text, 1);
	}
	return error ? error : buf_append(yaml, "\"", 1);
}

static int print_children(const struct node *node, struct buf *yaml)
{
	bool first = true;
	int error = 0;

	for (const struct node *child = node->first; child && !error; child = child->next) {
		if (child->refused)
			continue;
		if (!first)
			error = buf_append(yaml, ",", 1);
		first = false;
		if (!error && child->key)
			error = print_text(child->key, yaml);
		if (!error && child->key)
			error = buf_append(yaml, ": ", 2);
		if (!error)
			error = tree_print(child, yaml);
	}
	return error;
}

int tree_print(const struct node *root, struct buf *yaml)
{
	bool mapping = root->kind == NODE_MAPPING;
	int error;

	if (root->kind == NODE_SCALAR)
		return print_text(root->text, yaml);
	error = buf_append(yaml, mapping ? "{" : "[", 1);
	if (!error)
		error = print_children(root, yaml);
	return error ? error : buf_append(yaml, mapping ? "}" : "]", 1);
}
