// SPDX-License-Identifier: GPL-2.0-or-later
/* Lines "name: value" of a response's head, as what a backend says of its limits: whatever they
 * hold, times stay within bounds, and a breaker that takes them opens and closes. */
#include <stdint.h>
#include <stdlib.h>

#include "backend/breaker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void check_limit(const struct reading_limit *limit)
{
	demand(limit->reset_ns <= READING_LONGEST_NS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct breaker_rules rules = {
		.failures = 1, .open_ns = 10, .open_max_ns = 100, .pause_max_ns = 60000000000};
	struct slice rest = slice_of((const char *)data, size);
	struct standing_row row = {.key = 1};
	struct reading reading = {0};
	const uint64_t now_ns = 1000;
	uint64_t until_ns;

	while (rest.len) {
		struct slice line = slice_first(rest, slice_index(rest, '\n'));
		size_t colon = slice_index(line, ':');

		reading_field(&reading, slice_first(line, colon), slice_after(line, colon + 1),
			1700000000);
		rest = slice_after(rest, line.len + 1);
	}
	check_limit(&reading.requests);
	check_limit(&reading.tokens);
	demand(reading.pause_ns <= READING_LONGEST_NS);
	demand(reading.pauses || !reading.pause_ns);
	breaker_record(&row, &rules, BACKEND_ANSWERED, &reading, false, now_ns);
	demand(breaker_state(&row, now_ns, &until_ns) <= BREAKER_LOW);
	breaker_record(&row, &rules, BACKEND_THROTTLED, &reading, false, now_ns);
	demand(breaker_state(&row, now_ns, &until_ns) == BREAKER_PAUSED);
	demand(until_ns > now_ns && until_ns <= now_ns + rules.pause_max_ns);
	demand(breaker_record(&row, &rules, BACKEND_FAILED, &reading, false, now_ns));
	demand(breaker_state(&row, now_ns, &until_ns) == BREAKER_OPEN);
	demand(until_ns > now_ns && until_ns <= now_ns + rules.pause_max_ns);
	return 0;
}
