/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a peer may ask of a connection of HTTP/2 without asking anything: frames that carry nothing
 * (PING, SETTINGS, empty DATA, WINDOW_UPDATE …), and streams that it opens and takes back. Each kind has an
 * allowance at once, more of it with time, and more with every useful thing that happens. Pure. */
#ifndef HTTP_H2_FLOOD_H
#define HTTP_H2_FLOOD_H

#include <stdbool.h>
#include <stdint.h>

#define H2_FLOOD_FRAMES		   1024 /* at once … */
#define H2_FLOOD_FRAMES_PER_SECOND 64
#define H2_FLOOD_RESETS		   200 /* likewise, and twice the streams that may be open */
#define H2_FLOOD_RESETS_PER_SECOND 20

struct h2_allowance {
	uint32_t left, most, per_second;
	uint64_t counted_ns;
};

struct h2_flood {
	struct h2_allowance frames, resets;
};

void h2_flood_open(struct h2_flood *flood, uint32_t streams_max);
/* Takes one; false: there is none left. now_ns: CLOCK_MONOTONIC. */
bool h2_allowance_take(struct h2_allowance *allowance, uint64_t now_ns);
/* Something useful has happened. */
void h2_allowance_give(struct h2_allowance *allowance, uint32_t n);

#endif
