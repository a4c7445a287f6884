/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of what the kernel counts, out of the tables in bpf/abi.h. */
#include "kernel/datapath_status.h"

#include <stddef.h>

#define TABLE_NAME(NAME, name, help) name,
#define TABLE_HELP(NAME, name, help) help,

static const char *const outcome_names[] = {OUTCOMES(TABLE_NAME)};
static const char *const outcome_helps[] = {OUTCOMES(TABLE_HELP)};
static const char *const drop_names[] = {DROPS(TABLE_NAME)};
static const char *const drop_helps[] = {DROPS(TABLE_HELP)};

static const struct {
	const char *name, *help;
	size_t at;
} source_counts[] = {
#define SOURCE_COUNT_ROW(member, name, help) {name, help, offsetof(struct source_counters, member)},
	SOURCE_COUNTS(SOURCE_COUNT_ROW)
#undef SOURCE_COUNT_ROW
};

uint64_t source_count_of(const struct source_counters *counters, enum source_count which)
{
	return *(const __u64 *)((const char *)counters + source_counts[which].at);
}

uint64_t source_drops(const struct source_counters *counters)
{
	uint64_t drops = 0;

	for (enum drop drop = 0; drop < DROP_COUNT; drop++)
		drops += counters->drops[drop];
	return drops;
}

const char *source_count_name(enum source_count which)
{
	return source_counts[which].name;
}

const char *source_count_help(enum source_count which)
{
	return source_counts[which].help;
}

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

const char *fail_name(enum fail fail)
{
	return fail == FAIL_OPEN ? "open" : "closed";
}
