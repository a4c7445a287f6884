/* SPDX-License-Identifier: GPL-2.0-or-later */
/* YAML text → structs, by tables of keys (keys.h): the tree for lines, libcyaml for the shape, the
 * rows for values. For every file that the appliance reads. */
#ifndef CONFIG_FILL_H
#define CONFIG_FILL_H

#include <cyaml/cyaml.h>
#include <stdbool.h>
#include <stddef.h>

#include "config/problem.h"
#include "config/scalar.h"
#include "config/tree.h"

/* ---- the tables, in the forms that are needed ---- */

#define REQUIRED "\1" /* as the default of a key: the file must have it */

/* Texts as they stand in the file: the members of a section's raw struct. */
#define RAW_SCALAR(key, ...) char *key;
#define RAW_LIST(key, ...) \
	char **key;        \
	unsigned key##_count;

/* The schema by which libcyaml fills it. RAW is the name of the struct. */
#define FIELD_FLAGS (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
#define FIELD_SCALAR(key, ...) \
	CYAML_FIELD_STRING_PTR(#key, FIELD_FLAGS, struct RAW, key, 0, CYAML_UNLIMITED),
#define FIELD_LIST(key, ...) \
	CYAML_FIELD_SEQUENCE(#key, FIELD_FLAGS, struct RAW, key, &fill_text, 0, CYAML_UNLIMITED),
extern const cyaml_schema_value_t fill_text; /* the element of a list */

/* A row whose kind does not fit its member is an error here, not a damaged member later. */
#define SCALAR_TYPE_OF(KIND, type) typedef type scalar_type_##KIND;
SCALAR_KINDS(SCALAR_TYPE_OF)

/* The rows by which the texts become the struct OUT. */
#define ROW_SCALAR(key, KIND, member, fallback, range)                                            \
	{#key, fallback, range, SCALAR_##KIND, false, offsetof(struct RAW, key), 0,               \
		offsetof(struct OUT, member) +                                                    \
			0 * sizeof(char[sizeof(((struct OUT *)0)->member) ==                      \
							sizeof(scalar_type_##KIND)                \
						? 1                                               \
						: -1]),                                           \
		0},
#define ROW_LIST(key, KIND, member, fallback, range)                                              \
	{#key, fallback, range, SCALAR_##KIND, true, offsetof(struct RAW, key),                   \
		offsetof(struct RAW, key##_count),                                                \
		offsetof(struct OUT, member) +                                                    \
			0 * sizeof(char[sizeof(*((struct OUT *)0)->member) ==                     \
							sizeof(scalar_type_##KIND)                \
						? 1                                               \
						: -1]),                                           \
		offsetof(struct OUT, n##member)},

/* One key. Offsets are those in the section's raw struct and in its config struct; count offsets
 * are of lists only (raw: unsigned, config: size_t). */
struct key {
	const char *name, *fallback, *range;
	enum scalar_kind kind;
	bool list;
	size_t raw, raw_count, out, out_count;
};

struct section {
	const char *name;
	const struct key *keys;
	size_t nkeys;
	size_t raw, out; /* offsets in the whole raw struct and the whole struct; 0 for list elements */
};

/* ---- the work ---- */

struct fill {
	const char *name; /* of the file, for messages */
	const struct node *root;
	struct config *config; /* where a BACKEND is looked up; may be NULL */
	struct problems *problems;
};

int fill_memory(const struct fill *fill);

/* The raw struct of the text, without what was found wrong already. *raw stays NULL for an empty
 * file. 0, or negative errno, told. Free with fill_raw_free. */
int fill_raw(
	const struct fill *fill, const cyaml_schema_value_t *schema, struct slice yaml, void **raw);
void fill_raw_free(const cyaml_schema_value_t *schema, void *raw);

/* One section: node is where it stands in the file, NULL when it does not. Goes on after what is
 * wrong, which was told. 0, or -ENOMEM. */
int fill_section(const struct fill *fill, const struct section *section, const char *path,
	const struct node *node, const void *raw, void *out);
/* A list of sections. 0; -ENOMEM; -EINVAL, told: there are too many. */
int fill_entries(const struct fill *fill, const struct section *section, const char *raw,
	size_t raw_size, size_t count, char *out, size_t size, size_t *out_count);
/* Frees what the members of a section hold. */
void fill_free(const struct section *section, void *memory);

/* Holds the tree against the schema: every key known, every value of the right shape. Tells of what
 * is not, as "name:line: key: expected …, found …", and marks it as refused. */
void fill_verify(const struct fill *fill, const cyaml_schema_field_t *fields, struct node *root);

#endif
