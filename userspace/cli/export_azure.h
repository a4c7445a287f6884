/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An event in the columns of Azure's logs of a gateway (see audit/schema_azure.h). */
#ifndef CLI_EXPORT_AZURE_H
#define CLI_EXPORT_AZURE_H

#include <stdio.h>

#include "collector/query.h"

/* One JSON object, on a line of its own. 0, or -EBADMSG for a record that is none. */
int export_azure(FILE *out, const struct query_event *event);

#endif
