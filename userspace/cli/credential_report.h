/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the keeper said of its credentials last: age, source, next attempt, error; never a value. */
#ifndef CLI_CREDENTIAL_REPORT_H
#define CLI_CREDENTIAL_REPORT_H

#include <stdio.h>
#include <yyjson.h>

/* The file in that run directory; NULL: there is none. yyjson_doc_free. */
yyjson_doc *credential_report_read(const char *run_directory);
/* A section of the status, nothing when there are no credentials. now_ns: CLOCK_REALTIME. */
void credential_report_text(yyjson_doc *report, uint64_t now_ns, FILE *out);
/* Adds the array "credentials". */
void credential_report_json(yyjson_doc *report, yyjson_mut_doc *doc, yyjson_mut_val *root);

#endif
