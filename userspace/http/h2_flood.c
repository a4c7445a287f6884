// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/h2_flood.h"

#include "base/clock.h"

void h2_flood_open(struct h2_flood *flood, uint32_t streams_max)
{
	uint32_t resets = streams_max > H2_FLOOD_RESETS / 2 ? streams_max * 2 : H2_FLOOD_RESETS;

	*flood = (struct h2_flood){
		.frames = {H2_FLOOD_FRAMES, H2_FLOOD_FRAMES, H2_FLOOD_FRAMES_PER_SECOND, 0},
		.resets = {resets, resets, H2_FLOOD_RESETS_PER_SECOND, 0},
	};
}

void h2_allowance_give(struct h2_allowance *allowance, uint32_t n)
{
	uint32_t missing = allowance->most - allowance->left;

	allowance->left += n < missing ? n : missing;
}

bool h2_allowance_take(struct h2_allowance *allowance, uint64_t now_ns)
{
	uint64_t period = NS_PER_S / allowance->per_second, more;

	if (!allowance->counted_ns)
		allowance->counted_ns = now_ns;
	more = (now_ns - allowance->counted_ns) / period;
	if (more >= allowance->most) {
		allowance->left = allowance->most;
		allowance->counted_ns = now_ns;
	} else {
		h2_allowance_give(allowance, (uint32_t)more);
		allowance->counted_ns += more * period;
	}
	if (!allowance->left)
		return false;
	allowance->left--;
	return true;
}
