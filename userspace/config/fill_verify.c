// SPDX-License-Identifier: GPL-2.0-or-later
/* The tree against the schema. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "config/fill.h"

struct place {
	const char *name;
	struct problems *problems;
	char path[192];
};

static void place_error(const struct place *place, struct node *node, const char *expected)
{
	problem_set(place->problems, EINVAL, "%s:%u: %s: expected %s, found %s", place->name,
		node->line, place->path, expected, node_describe(node).text);
	node->refused = true;
}

#define FIELDS_MAX 64

/* "a, b, c": what could have been written instead, and which of it is meant. */
static void unknown_key(
	const struct place *place, const cyaml_schema_field_t *fields, struct node *child)
{
	const char *names[FIELDS_MAX], *nearest;
	char known[256];
	size_t at = 0, n = 0;

	known[0] = '\0';
	for (const cyaml_schema_field_t *field = fields; field->key; field++) {
		if (at < sizeof(known))
			at += (size_t)snprintf(known + at, sizeof(known) - at, "%s%s",
				field == fields ? "" : ", ", field->key);
		if (n < FIELDS_MAX)
			names[n++] = field->key;
	}
	nearest = problem_nearest(child->key, names, n);
	problem_set(place->problems, EINVAL, "%s:%u: %s%s%s: expected one of the keys %s%s%s%s",
		place->name, child->line, place->path, *place->path ? "." : "",
		log_quote(slice_of_string(child->key)).text, known, nearest ? "; is it " : "",
		nearest ? nearest : "", nearest ? "?" : "");
	child->refused = true;
}

static void verify_value(
	struct place *place, const cyaml_schema_value_t *value, struct node *node);

static void verify_mapping(
	struct place *place, const cyaml_schema_field_t *fields, struct node *node)
{
	size_t len = strlen(place->path);

	for (struct node *child = node->first; child; child = child->next) {
		const cyaml_schema_field_t *field = fields;

		while (field->key && strcmp(field->key, child->key) != 0)
			field++;
		if (!field->key) {
			unknown_key(place, fields, child);
			continue;
		}
		snprintf(place->path + len, sizeof(place->path) - len, "%s%s", len ? "." : "",
			child->key);
		verify_value(place, &field->value, child);
		place->path[len] = '\0';
	}
}

static void verify_value(
	struct place *place, const cyaml_schema_value_t *value, struct node *node)
{
	size_t len = strlen(place->path), index = 0;

	switch (value->type) {
	case CYAML_MAPPING:
		if (node->kind != NODE_MAPPING)
			place_error(place, node, "keys, indented below it");
		else
			verify_mapping(place, value->mapping.fields, node);
		break;
	case CYAML_SEQUENCE:
		if (node->kind != NODE_SEQUENCE) {
			place_error(place, node, "a list, \"[a, b]\" or lines of \"- a\"");
			break;
		}
		for (struct node *child = node->first; child; child = child->next) {
			snprintf(place->path + len, sizeof(place->path) - len, "[%zu]", index++);
			verify_value(place, value->sequence.entry, child);
			place->path[len] = '\0';
			/* Its neighbours keep their places only in a list that is whole. */
			node->refused = node->refused || child->refused;
		}
		break;
	default:
		if (node->kind != NODE_SCALAR)
			place_error(place, node, "one value");
	}
}

void fill_verify(const struct fill *fill, const cyaml_schema_field_t *fields, struct node *root)
{
	struct place place = {.name = fill->name, .problems = fill->problems};

	verify_mapping(&place, fields, root);
}
