/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Source addresses with all that is counted of them: as a table, or as JSON. */
#ifndef CLI_SOURCE_REPORT_H
#define CLI_SOURCE_REPORT_H

#include <stddef.h>
#include <stdio.h>
#include <yyjson.h>

#include "cli/traffic.h"

struct source_report {
	const char *appliance; /* its name */
	const struct datapath_status *kernel;
	const struct traffic *traffic; /* rows in the order in which they are shown */
	size_t most;		       /* rows; 0: all */
	/* The name of a source, printable, or NULL; NULL: names are not asked for. */
	const char *(*name_of)(void *context, const struct address *address);
	void *context;
};

/* Adds all that is known of a source to an object. */
void source_json(yyjson_mut_doc *doc, yyjson_mut_val *object, const struct datapath_source *source);

void source_report_text(const struct source_report *report, FILE *out);
/* 0 or -ENOMEM. */
int source_report_json(const struct source_report *report, FILE *out);

#endif
