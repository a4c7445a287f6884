/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which models were seen to take, or to refuse, what is added to requests. Bounded: the model that
 * was not asked for the longest time is forgotten first, and then finds out once more. */
#ifndef PROXY_EDIT_MEMORY_H
#define PROXY_EDIT_MEMORY_H

#include <stdint.h>

#include "base/slice.h"

#define EDIT_MEMORY_MODELS 64
#define EDIT_MEMORY_NAME   240 /* bytes of the three names; of longer ones nothing is remembered */

enum edit_known { EDIT_UNKNOWN, EDIT_TAKEN, EDIT_REFUSED };

/* Who is asked. */
struct edit_model {
	struct slice host, deployment, version; /* the last two may be empty */
};

struct edit_memory {
	struct edit_memory_row {
		char name[EDIT_MEMORY_NAME];
		uint16_t len;
		enum edit_known known;
		uint64_t used; /* of clock, below */
	} rows[EDIT_MEMORY_MODELS];
	uint64_t clock;
};

enum edit_known edit_memory_find(struct edit_memory *memory, const struct edit_model *model);
void edit_memory_set(
	struct edit_memory *memory, const struct edit_model *model, enum edit_known known);

#endif
