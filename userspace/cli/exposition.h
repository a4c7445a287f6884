/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All that is counted, in Prometheus' text format, version 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats). */
#ifndef CLI_EXPOSITION_H
#define CLI_EXPOSITION_H

#include <stddef.h>
#include <stdio.h>

#include "backend/standing.h"
#include "cli/limits_report.h"
#include "base/counter.h"
#include "cli/selftest_result.h"
#include "config/config.h"
#include "kernel/datapath_status.h"

#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"
/* Sources that are shown one by one: bounds what a scrape is. */
#define EXPOSITION_SOURCES_MAX 10000

struct exposition {
	const struct config *config;
	const struct datapath_status *kernel; /* DATAPATH_ALL */
	const struct counters *counters;      /* NULL: no daemon has made the file */
	size_t sources; /* those with most bytes are shown; the others are one, address="other" */
	struct selftest_outcome selftest;
	const struct standing *standing; /* what is known of the backends; NULL: nothing */
	const struct limits_report *limits; /* what is used of the limits; NULL: nothing */
};

void exposition_print(const struct exposition *exposition, FILE *out);

#endif
