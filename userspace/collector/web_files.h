/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files of the review page, as they were bundled from web/: generated (web/bundle). */
#ifndef COLLECTOR_WEB_FILES_H
#define COLLECTOR_WEB_FILES_H

#include <stdbool.h>
#include <stddef.h>

struct web_file {
	const char *path; /* "/app-1a2b3c.js"; the page itself is "/" */
	const char *type;
	bool hashed; /* another content has another name */
	const unsigned char *data;
	size_t len;
};

extern const struct web_file web_files[];
extern const size_t web_nfiles;

#endif
