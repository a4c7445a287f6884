/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names that a listed name leads to (CNAME; SVCB and HTTPS of RFC 9460, in alias mode and by their
 * target): whoever follows an alias asks for them by themselves. Bounded in number. */
#ifndef SCOUT_ALIAS_H
#define SCOUT_ALIAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"

struct alias_table;

enum alias_result {
	ALIAS_KNOWN, /* it is so by now, and lives longer if it was before */
	ALIAS_NEW,
	ALIAS_PUSHED_OUT, /* new, and another one that still lived had to go */
	ALIAS_NO_MEMORY,
};

/* Holds at most max names. NULL: no memory. */
struct alias_table *alias_table_new(size_t max);
/* What an alias stands for. */
struct alias_of {
	bool listed;	  /* a host whose calls are inspected */
	enum fail fail;	  /* of several hosts the strictest */
	const char *root; /* the name that a client asked for; the table's, until it is changed */
};

/* A lower-case name is an alias until expires_ns. The root is copied. */
enum alias_result alias_add(struct alias_table *table, const char *name,
	const struct alias_of *of, uint64_t expires_ns, uint64_t now_ns);
/* Whether the name is one now, and of what. false: *of is {false, FAIL_OPEN, NULL}. */
bool alias_find(
	struct alias_table *table, const char *name, uint64_t now_ns, struct alias_of *of);
/* NULL is allowed. */
void alias_table_free(struct alias_table *table);

#endif
