// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/schema.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define FLAGS	     (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)

/* --- libcyaml's form --- */

static const cyaml_schema_value_t text_entry = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 0, CYAML_UNLIMITED),
};

#define FIELD_SCALAR(key, ...) \
	CYAML_FIELD_STRING_PTR(#key, FLAGS, struct RAW, key, 0, CYAML_UNLIMITED),
#define FIELD_LIST(key, ...) \
	CYAML_FIELD_SEQUENCE(#key, FLAGS, struct RAW, key, &text_entry, 0, CYAML_UNLIMITED),

#define RAW raw_appliance
static const cyaml_schema_field_t appliance_fields[] = {
	KEYS_APPLIANCE(FIELD_SCALAR, FIELD_LIST) CYAML_FIELD_END};
#undef RAW
#define RAW raw_datapath
static const cyaml_schema_field_t datapath_fields[] = {
	KEYS_DATAPATH(FIELD_SCALAR, FIELD_LIST) CYAML_FIELD_END};
#undef RAW
#define RAW raw_admission
static const cyaml_schema_field_t admission_fields[] = {
	KEYS_ADMISSION(FIELD_SCALAR, FIELD_LIST) CYAML_FIELD_END};
#undef RAW
#define RAW raw_accounting
static const cyaml_schema_field_t accounting_fields[] = {
	KEYS_ACCOUNTING(FIELD_SCALAR, FIELD_LIST) CYAML_FIELD_END};
#undef RAW
#define RAW raw_endpoints
static const cyaml_schema_field_t endpoints_fields[] = {
	KEYS_ENDPOINTS(FIELD_SCALAR, FIELD_LIST) CYAML_FIELD_END};
#undef RAW
#define RAW raw_tls
static const cyaml_schema_field_t tls_fields[] = {
	KEYS_TLS(FIELD_SCALAR, FIELD_LIST) CYAML_FIELD_END};
#undef RAW
#define RAW raw_tcp
static const cyaml_schema_field_t tcp_fields[] = {
	KEYS_TCP(FIELD_SCALAR, FIELD_LIST) CYAML_FIELD_END};
#undef RAW
#define RAW raw_http
static const cyaml_schema_field_t http_fields[] = {
	KEYS_HTTP(FIELD_SCALAR, FIELD_LIST) CYAML_FIELD_END};
#undef RAW
#define RAW raw_origin
static const cyaml_schema_field_t origin_fields[] = {
	KEYS_ORIGIN(FIELD_SCALAR, FIELD_LIST) CYAML_FIELD_END};
#undef RAW
#define RAW raw_audit
static const cyaml_schema_field_t audit_fields[] = {
	KEYS_AUDIT(FIELD_SCALAR, FIELD_LIST) CYAML_FIELD_END};
#undef RAW
#define RAW raw_processes
static const cyaml_schema_field_t processes_fields[] = {
	KEYS_PROCESSES(FIELD_SCALAR, FIELD_LIST) CYAML_FIELD_END};
#undef RAW
#define RAW raw_host
static const cyaml_schema_field_t host_fields[] = {
	KEYS_HOST(FIELD_SCALAR, FIELD_LIST) CYAML_FIELD_END};
#undef RAW
#define RAW raw_backend
static const cyaml_schema_field_t backend_fields[] = {
	KEYS_BACKEND(FIELD_SCALAR, FIELD_LIST) CYAML_FIELD_END};
#undef RAW
#define RAW raw_credential
static const cyaml_schema_field_t credential_fields[] = {
	KEYS_CREDENTIAL(FIELD_SCALAR, FIELD_LIST) CYAML_FIELD_END};
#undef RAW

static const cyaml_schema_value_t host_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_host, host_fields),
};
static const cyaml_schema_value_t backend_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_backend, backend_fields),
};
static const cyaml_schema_value_t credential_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_credential, credential_fields),
};

static const cyaml_schema_field_t raw_fields[] = {
#define FIELD_SECTION(section, KEYS) \
	CYAML_FIELD_MAPPING(#section, CYAML_FLAG_OPTIONAL, struct raw, section, section##_fields),
	SECTIONS(FIELD_SECTION)
	CYAML_FIELD_SEQUENCE("hosts", FLAGS, struct raw, hosts, &host_entry, 0, CYAML_UNLIMITED),
	CYAML_FIELD_SEQUENCE(
		"backends", FLAGS, struct raw, backends, &backend_entry, 0, CYAML_UNLIMITED),
	CYAML_FIELD_SEQUENCE("credentials", FLAGS, struct raw, credentials, &credential_entry, 0,
		CYAML_UNLIMITED),
	CYAML_FIELD_END};

const cyaml_schema_value_t schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw, raw_fields),
};

/* --- the rows that make struct config of it --- */

/* A row whose kind does not fit its member is an error here, not a damaged member later. */
#define SCALAR_TYPE_OF(KIND, type) typedef type scalar_type_##KIND;
SCALAR_KINDS(SCALAR_TYPE_OF)

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

#define RAW raw_appliance
#define OUT config_appliance
static const struct key appliance_keys[] = {KEYS_APPLIANCE(ROW_SCALAR, ROW_LIST)};
#undef RAW
#undef OUT
#define RAW raw_datapath
#define OUT config_datapath
static const struct key datapath_keys[] = {KEYS_DATAPATH(ROW_SCALAR, ROW_LIST)};
#undef RAW
#undef OUT
#define RAW raw_admission
#define OUT config_admission
static const struct key admission_keys[] = {KEYS_ADMISSION(ROW_SCALAR, ROW_LIST)};
#undef RAW
#undef OUT
#define RAW raw_accounting
#define OUT config_accounting
static const struct key accounting_keys[] = {KEYS_ACCOUNTING(ROW_SCALAR, ROW_LIST)};
#undef RAW
#undef OUT
#define RAW raw_endpoints
#define OUT config_endpoints
static const struct key endpoints_keys[] = {KEYS_ENDPOINTS(ROW_SCALAR, ROW_LIST)};
#undef RAW
#undef OUT
#define RAW raw_tls
#define OUT config_tls
static const struct key tls_keys[] = {KEYS_TLS(ROW_SCALAR, ROW_LIST)};
#undef RAW
#undef OUT
#define RAW raw_tcp
#define OUT config_tcp
static const struct key tcp_keys[] = {KEYS_TCP(ROW_SCALAR, ROW_LIST)};
#undef RAW
#undef OUT
#define RAW raw_http
#define OUT config_http
static const struct key http_keys[] = {KEYS_HTTP(ROW_SCALAR, ROW_LIST)};
#undef RAW
#undef OUT
#define RAW raw_origin
#define OUT config_origin
static const struct key origin_keys[] = {KEYS_ORIGIN(ROW_SCALAR, ROW_LIST)};
#undef RAW
#undef OUT
#define RAW raw_audit
#define OUT config_audit
static const struct key audit_keys[] = {KEYS_AUDIT(ROW_SCALAR, ROW_LIST)};
#undef RAW
#undef OUT
#define RAW raw_processes
#define OUT config_processes
static const struct key processes_keys[] = {KEYS_PROCESSES(ROW_SCALAR, ROW_LIST)};
#undef RAW
#undef OUT
#define RAW raw_host
#define OUT config_host
static const struct key host_keys[] = {KEYS_HOST(ROW_SCALAR, ROW_LIST)};
#undef RAW
#undef OUT
#define RAW raw_backend
#define OUT config_backend
static const struct key backend_keys[] = {KEYS_BACKEND(ROW_SCALAR, ROW_LIST)};
#undef RAW
#undef OUT
#define RAW raw_credential
#define OUT config_credential
static const struct key credential_keys[] = {KEYS_CREDENTIAL(ROW_SCALAR, ROW_LIST)};
#undef RAW
#undef OUT

const struct section sections[SECTION_COUNT] = {
#define SECTION_ROW(section, KEYS)                                                                \
	{#section, section##_keys, COUNT(section##_keys), offsetof(struct raw, section),          \
		offsetof(struct config, section)},
	SECTIONS(SECTION_ROW)
};
const struct section section_host = {"hosts", host_keys, COUNT(host_keys), 0, 0};
const struct section section_backend = {"backends", backend_keys, COUNT(backend_keys), 0, 0};
const struct section section_credential = {
	"credentials", credential_keys, COUNT(credential_keys), 0, 0};

/* --- the tree against the schema --- */

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

void schema_verify(const char *name, struct node *root, struct problems *problems)
{
	struct place place = {.name = name, .problems = problems};

	verify_mapping(&place, raw_fields, root);
}
