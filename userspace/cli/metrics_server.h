/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Serves one document over HTTP: the metrics, or the health. Connections, their memory and their time
 * are bounded; a document is made at most once a second, however many ask for it. */
#ifndef CLI_METRICS_SERVER_H
#define CLI_METRICS_SERVER_H

#include <stddef.h>

#include "base/address.h"
#include "base/why.h"

struct ev_loop;
struct metrics_server;

/* Makes the document: its status (200, 503) and *text, to be freed, of *len bytes; or a negative
 * errno, explained. */
typedef int metrics_make(void *context, char **text, size_t *len, struct why *why);

struct metrics_document {
	const char *path; /* "/metrics" */
	const char *type;
	metrics_make *make;
	void *context;
};

/* Listens, and serves while the loop runs. make is called from the loop. NULL: see why. */
struct metrics_server *metrics_server_new(struct ev_loop *loop, const struct address_port *address,
	const struct metrics_document *document, struct why *why);
/* Cuts the connections. NULL is allowed. */
void metrics_server_free(struct metrics_server *server);

#endif
