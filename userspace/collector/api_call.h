/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the API is, and what it is asked. */
#ifndef COLLECTOR_API_CALL_H
#define COLLECTOR_API_CALL_H

#include <stddef.h>

#include "collector/session.h"

struct api_options {
	const char *store; /* stays the caller's */
	unsigned retain;   /* days; 0: all. Told, not done */
};

#define API_PARAMETERS 32
struct api_call {
	const char *name; /* "events", of /api/events */
	struct {
		const char *name, *value;
	} parameters[API_PARAMETERS];
	size_t n;
	const char *who; /* the user */
	const char *by;	 /* page, socket */
	enum role role;
};

#endif
