/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a question may be narrowed to, by name: the options of the commands, and the parameters of the
 * API. */
#ifndef COLLECTOR_FILTER_H
#define COLLECTOR_FILTER_H

#include <stddef.h>
#include <stdint.h>

#include "collector/query.h"

enum filter_group {
	FILTER_ALWAYS, /* times and addresses: every question has them */
	FILTER_CALLS,
	FILTER_KIND,
	FILTER_ID,
};

struct filter_field {
	const char *name;
	enum filter_group group;
	const char *expected; /* of its value, for messages */
	/* The text stays where it is: the filter points to it. 0 or -EINVAL. */
	int (*read)(struct query_filter *filter, const char *text, uint64_t now_ns);
};

#define FILTER_FIELDS 16
extern const struct filter_field filter_fields[FILTER_FIELDS];

/* NULL: there is no such field. */
const struct filter_field *filter_field(const char *name);
/* Whether the times leave anything between them. */
bool filter_is_possible(const struct query_filter *filter);

#endif
