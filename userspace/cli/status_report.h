/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the status is shown: as text, or as one JSON object. */
#ifndef CLI_STATUS_REPORT_H
#define CLI_STATUS_REPORT_H

#include <stdbool.h>
#include <stdio.h>
#include <yyjson.h>

#include "base/counter.h"
#include "config/config.h"
#include "cli/record_state.h"
#include "kernel/datapath_status.h"
#include "kernel/open_record.h"

struct status_report {
	const struct config *config;
	const struct datapath_status *kernel;
	const struct counters *counters; /* NULL: no daemon has made the file */
	size_t most;			 /* rows of endpoints and of sources; 0: all */
	struct record_state record;
	yyjson_doc *credentials; /* credential_report_read; NULL: no daemon tells */
	struct open_record open; /* when connections passed unseen the last time */
};

/* Whether new AI connections are inspected: all programs attached, somebody listens. */
bool status_report_inspecting(const struct status_report *report);
void status_report_text(const struct status_report *report, FILE *out);
/* 0 or -ENOMEM. */
int status_report_json(const struct status_report *report, FILE *out);

#endif
