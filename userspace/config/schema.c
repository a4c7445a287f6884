// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/schema.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- libcyaml's form --- */

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
#define RAW raw_gateway
static const cyaml_schema_field_t gateway_fields[] = {
	KEYS_GATEWAY(FIELD_SCALAR, FIELD_LIST) CYAML_FIELD_END};
#undef RAW
#define RAW raw_policy
static const cyaml_schema_field_t policy_fields[] = {
	KEYS_POLICY(FIELD_SCALAR, FIELD_LIST) CYAML_FIELD_END};
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
#define RAW raw_pool
static const cyaml_schema_field_t pool_fields[] = {
	KEYS_POOL(FIELD_SCALAR, FIELD_LIST) CYAML_FIELD_END};
#undef RAW

#define RAW raw_token
static const cyaml_schema_field_t token_fields[] = {
	KEYS_TOKEN(FIELD_SCALAR, FIELD_LIST) CYAML_FIELD_END};
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
static const cyaml_schema_value_t pool_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_pool, pool_fields),
};

static const cyaml_schema_value_t token_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_token, token_fields),
};

const cyaml_schema_field_t schema_sections[] = {
#define FIELD_SECTION(section, KEYS) \
	CYAML_FIELD_MAPPING(#section, CYAML_FLAG_OPTIONAL, struct raw, section, section##_fields),
	SECTIONS(FIELD_SECTION)
	CYAML_FIELD_SEQUENCE("hosts", FIELD_FLAGS, struct raw, hosts, &host_entry, 0, CYAML_UNLIMITED),
	CYAML_FIELD_SEQUENCE(
		"backends", FIELD_FLAGS, struct raw, backends, &backend_entry, 0, CYAML_UNLIMITED),
	CYAML_FIELD_SEQUENCE("credentials", FIELD_FLAGS, struct raw, credentials,
		&credential_entry, 0, CYAML_UNLIMITED),
	CYAML_FIELD_SEQUENCE("tokens", FIELD_FLAGS, struct raw, tokens, &token_entry, 0, CYAML_UNLIMITED),
	CYAML_FIELD_SEQUENCE("pools", FIELD_FLAGS, struct raw, pools, &pool_entry, 0, CYAML_UNLIMITED),
	CYAML_FIELD_END};

const cyaml_schema_value_t schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw, schema_sections),
};

/* --- the rows that make struct config of it --- */

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
#define RAW raw_gateway
#define OUT config_gateway
static const struct key gateway_keys[] = {KEYS_GATEWAY(ROW_SCALAR, ROW_LIST)};
#undef RAW
#undef OUT
#define RAW raw_policy
#define OUT config_policy_files
static const struct key policy_keys[] = {KEYS_POLICY(ROW_SCALAR, ROW_LIST)};
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
#define RAW raw_token
#define OUT config_token
static const struct key token_keys[] = {KEYS_TOKEN(ROW_SCALAR, ROW_LIST)};
#undef RAW
#undef OUT
#define RAW raw_pool
#define OUT config_pool
static const struct key pool_keys[] = {KEYS_POOL(ROW_SCALAR, ROW_LIST)};
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
const struct section section_token = {"tokens", token_keys, COUNT(token_keys), 0, 0};
const struct section section_pool = {"pools", pool_keys, COUNT(pool_keys), 0, 0};
