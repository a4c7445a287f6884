/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pools of the configuration in the form in which one of their backends is chosen. A host that
 * names a backend has a pool of that one. */
#ifndef PROXY_POOL_TABLE_H
#define PROXY_POOL_TABLE_H

#include <stdint.h>

#include "backend/choice.h"
#include "config/config.h"

struct pool_entry {
	struct pool pool;
	const struct config_backend *const *backends; /* one for each member */
	uint64_t retry_ns; /* no further attempt begins so long after the call */
	bool spill_context; /* what is too long for a PTU goes to the others */
	enum config_affinity affinity;
	uint64_t first_output_ns; /* another one is asked when the first output takes so long; 0: never */
};

struct pool_table;

/* Of a configuration that lives longer. NULL without memory. */
struct pool_table *pool_table_new(const struct config *config);
void pool_table_free(struct pool_table *table);
/* That of a host of the configuration; NULL: its calls go to the origin that the client named. */
const struct pool_entry *pool_table_find(
	const struct pool_table *table, const struct config_host *host);

#endif
