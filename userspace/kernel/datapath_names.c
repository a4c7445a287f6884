/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of what the kernel counts, out of the tables in bpf/abi.h. */
#include "kernel/datapath_status.h"

#define TABLE_NAME(NAME, name, help) name,
#define TABLE_HELP(NAME, name, help) help,

static const char *const outcome_names[] = {OUTCOMES(TABLE_NAME)};
static const char *const outcome_helps[] = {OUTCOMES(TABLE_HELP)};
static const char *const drop_names[] = {DROPS(TABLE_NAME)};
static const char *const drop_helps[] = {DROPS(TABLE_HELP)};

const char *outcome_name(enum outcome outcome)
{
	return outcome < OUTCOME_COUNT ? outcome_names[outcome] : "unknown";
}

const char *outcome_help(enum outcome outcome)
{
	return outcome < OUTCOME_COUNT ? outcome_helps[outcome] : "";
}

const char *drop_name(enum drop drop)
{
	return drop < DROP_COUNT ? drop_names[drop] : "unknown";
}

const char *drop_help(enum drop drop)
{
	return drop < DROP_COUNT ? drop_helps[drop] : "";
}

const char *endpoint_source_name(enum endpoint_source source)
{
	switch (source) {
	case ENDPOINT_CONFIGURED:
		return "configured";
	case ENDPOINT_RESOLVED:
		return "resolved";
	case ENDPOINT_DNS:
		return "dns";
	case ENDPOINT_SNI:
		return "sni";
	}
	return "unknown";
}
