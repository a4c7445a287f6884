// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/hold.h"

int hold_append(struct hold *hold, struct slice span)
{
	hold->pieces += span.len > 0;
	return buf_append_slice(&hold->body, span);
}

bool hold_is_full(const struct hold *hold)
{
	return buf_len(&hold->body) > HOLD_BYTES || hold->pieces > HOLD_PIECES;
}

void hold_wipe(struct hold *hold)
{
	buf_wipe(&hold->body);
	hold->pieces = 0;
}
