/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is used of the limits, as it is told to people and programs. */
#ifndef CLI_LIMITS_REPORT_H
#define CLI_LIMITS_REPORT_H

#include <stdio.h>

#include "policy/limit.h"

/* One row of the table that is of a limit in force. */
struct limits_row {
	size_t limit; /* in the set */
	struct limit_reading reading;
};

struct limits_report {
	const struct limit_set *set;
	struct limits_row *rows; /* by limit, those of whom most is used first */
	size_t nrows;
	uint64_t now_s;
};

/* Reads the table (NULL: nothing is known). 0 or -ENOMEM; limits_report_free is right after both. */
int limits_report_read(struct limits_report *report, const struct limit_set *set,
	const struct limit_table *table, uint64_t now_s);
void limits_report_free(struct limits_report *report);

void limits_report_text(const struct limits_report *report, FILE *out);
/* 0 or -ENOMEM. */
int limits_report_json(const struct limits_report *report, FILE *out);

#endif
