// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/again.h"

bool again_is_idempotent(struct slice method)
{
	static const struct slice methods[] = {
		{"GET", 3}, {"HEAD", 4}, {"OPTIONS", 7}, {"PUT", 3}, {"DELETE", 6}};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (slice_equal(method, methods[i]))
			return true;
	return false;
}

bool again_is_harmless(const struct operation *operation, struct slice method)
{
	return again_is_idempotent(method) || (operation && operation->stateless);
}

bool again_allowed(
	const struct operation *operation, struct slice method, enum stream_fate fate)
{
	switch (fate) {
	case STREAM_NOTHING_TAKEN:
		return true;
	case STREAM_NOTHING_ACKNOWLEDGED:
		return again_is_harmless(operation, method);
	case STREAM_MAYBE_TAKEN:
		return again_is_idempotent(method);
	}
	return false;
}
