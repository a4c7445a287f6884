// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/method.h"

bool method_known(struct slice method)
{
	/* clang-format off */
	static const struct slice methods[] = {
		{"GET", 3}, {"POST", 4}, {"HEAD", 4}, {"PUT", 3}, {"DELETE", 6}, {"PATCH", 5},
		{"OPTIONS", 7},
	};
	/* clang-format on */

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (slice_equal(method, methods[i]))
			return true;
	return false;
}
