/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of keys.h in the three forms that are needed: the schema by which libcyaml fills
 * struct raw, that struct (texts as they stand in the file), and the rows by which the texts
 * become struct config. */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include <cyaml/cyaml.h>
#include <stdbool.h>
#include <stddef.h>

#include "config/keys.h"
#include "config/problem.h"
#include "config/scalar.h"
#include "config/tree.h"

#define RAW_SCALAR(key, ...) char *key;
#define RAW_LIST(key, ...) \
	char **key;        \
	unsigned key##_count;
#define RAW_SECTION(section, KEYS)                           \
	struct raw_##section {                               \
		KEYS_##KEYS(RAW_SCALAR, RAW_LIST)            \
	};
SECTIONS(RAW_SECTION)
RAW_SECTION(host, HOST)
RAW_SECTION(backend, BACKEND)
RAW_SECTION(credential, CREDENTIAL)

struct raw {
#define RAW_MEMBER(section, KEYS) struct raw_##section section;
	SECTIONS(RAW_MEMBER)
#undef RAW_MEMBER
	struct raw_host *hosts;
	unsigned hosts_count;
	struct raw_backend *backends;
	unsigned backends_count;
	struct raw_credential *credentials;
	unsigned credentials_count;
};

extern const cyaml_schema_value_t schema;

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
	size_t raw, out; /* offsets in struct raw and struct config; 0 for the three below */
};

#define SECTION_COUNT 11
extern const struct section sections[SECTION_COUNT];
/* Elements of hosts, backends and credentials. */
extern const struct section section_host, section_backend, section_credential;

/* Holds the tree against the schema: every key known, every value of the right shape. Tells of what
 * is not, as "name:line: key: expected …, found …", and marks it as refused. */
void schema_verify(const char *name, struct node *root, struct problems *problems);

#endif
