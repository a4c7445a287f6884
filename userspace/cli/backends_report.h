/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is known of the backends, for people and for programs. */
#ifndef CLI_BACKENDS_REPORT_H
#define CLI_BACKENDS_REPORT_H

#include <stdint.h>
#include <stdio.h>

#include "backend/standing.h"
#include "config/config.h"

struct backends_report {
	const struct config *config;
	const struct standing *standing;
	uint64_t now_ns; /* CLOCK_MONOTONIC */
};

/* Calls take for each backend in its pool (NULL: a host names it), and for each of its deployments
 * that is known; row is NULL when nothing is. */
typedef void backends_take(void *context, const struct config_pool *pool,
	const struct config_backend *backend, const struct standing_row *row);
void backends_report_each(const struct backends_report *report, backends_take *take, void *context);

void backends_report_text(const struct backends_report *report, FILE *out);
/* 0, or -ENOMEM. */
int backends_report_json(const struct backends_report *report, FILE *out);

#endif
