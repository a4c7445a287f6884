// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/h1_error.h"

static const struct h1_error h1_errors[H1_ERROR_COUNT] = {
#define H1_ERROR_ROW(id, status, name, text) {H1_ERROR_##id, status, name, text},
	H1_ERRORS(H1_ERROR_ROW)
#undef H1_ERROR_ROW
};

struct h1_error h1_error_of(enum h1_error_id id)
{
	return h1_errors[id];
}
