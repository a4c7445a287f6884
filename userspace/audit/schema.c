// SPDX-License-Identifier: GPL-2.0-or-later
#include "audit/schema.h"

const struct schema_field schema_fields[SCHEMA_COUNT] = {
#define SCHEMA_FIELD(KIND, member, name) {SCHEMA_##KIND, {name, sizeof(name) - 1}},
	SCHEMA_FIELDS(SCHEMA_FIELD)
#undef SCHEMA_FIELD
};
