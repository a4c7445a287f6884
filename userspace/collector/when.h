/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Points in time as people write them. */
#ifndef COLLECTOR_WHEN_H
#define COLLECTOR_WHEN_H

#include <stdint.h>

/* What is understood, for messages. */
#define WHEN_EXPECTED "30m, 1h30m, 7d (ago), now, today, yesterday, 2026-01-31, 2026-01-31T12:00 " \
		      "(local), 2026-01-31T12:00:00Z or …+02:00"

/* text to ns since 1970: a duration before now_ns ("1h30m", as in the configuration, and weeks), a
 * day or a time of this place, or with Z or an offset (RFC 3339). 0, or -EINVAL; a date that is not
 * in the calendar, or a time that the clock skips, is none. */
int when_read(const char *text, uint64_t now_ns, uint64_t *ns);

struct when_text {
	char text[48];
};
/* "2026-01-31T12:00:00.000000000Z" */
struct when_text when_format(uint64_t ns);

#endif
