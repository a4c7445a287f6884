/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of keys.h in the three forms that are needed: the schema by which libcyaml fills
 * struct raw, that struct (texts as they stand in the file), and the rows by which the texts
 * become struct config. */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include "config/fill.h"
#include "config/keys.h"

#define RAW_SECTION(section, KEYS)                           \
	struct raw_##section {                               \
		KEYS_##KEYS(RAW_SCALAR, RAW_LIST)            \
	};
SECTIONS(RAW_SECTION)
RAW_SECTION(host, HOST)
RAW_SECTION(backend, BACKEND)
RAW_SECTION(pool, POOL)
RAW_SECTION(credential, CREDENTIAL)
RAW_SECTION(token, TOKEN)

struct raw {
#define RAW_MEMBER(section, KEYS) struct raw_##section section;
	SECTIONS(RAW_MEMBER)
#undef RAW_MEMBER
	struct raw_host *hosts;
	unsigned hosts_count;
	struct raw_backend *backends;
	unsigned backends_count;
	struct raw_pool *pools;
	unsigned pools_count;
	struct raw_credential *credentials;
	unsigned credentials_count;
	struct raw_token *tokens;
	unsigned tokens_count;
};

extern const cyaml_schema_value_t schema;
extern const cyaml_schema_field_t schema_sections[];

#define SECTION_COUNT 13
extern const struct section sections[SECTION_COUNT];
/* Elements of hosts, backends, credentials, pools and tokens. */
extern const struct section section_host, section_backend, section_credential, section_pool,
	section_token;

#endif
