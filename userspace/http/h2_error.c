// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/h2_error.h"

struct message_fault h2_error_of(enum h2_error_id id, enum head_kind kind)
{
	static const struct message_fault rows[H2_ERROR_COUNT] = {
#define H2_ERROR_ROW(id, status, name, text)                                                       \
	[H2_ERROR_##id] = {MESSAGE_MALFORMED, 0, name, text, status},
		H2_ERRORS(H2_ERROR_ROW)
#undef H2_ERROR_ROW
	};
	struct message_fault fault = rows[id];

	if (kind == HEAD_RESPONSE)
		fault.status = 502;
	return fault;
}
