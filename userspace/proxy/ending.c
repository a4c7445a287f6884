// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/ending.h"

#include <assert.h>

#define COUNTER_NONE (-1)

static const struct ending_row rows[ENDING_COUNT] = {
#define ENDING_ROW(ID, name, side, status, deny, final, counter, message)                         \
	[ENDING_##ID] = {name, message, ENDING_BY_##side, status, deny, final, COUNTER_##counter},
	ENDINGS(ENDING_ROW)
#undef ENDING_ROW
};

const struct ending_row *ending_row(enum ending ending)
{
	assert(ending > ENDING_NONE && ending < ENDING_COUNT);
	return &rows[ending];
}
