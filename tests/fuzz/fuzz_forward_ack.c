// SPDX-License-Identifier: GPL-2.0-or-later
/* What a collector sends back. However it is cut, the same messages are read; nothing is consumed
 * that was not a message, and the reader always gets on or gives up. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "audit/forward_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

/* The same bytes with fewer at hand: no other answer than "more" before all is there. */
static void check_prefixes(struct slice input, enum forward_ack_result whole, size_t consumed)
{
	struct slice id;
	size_t at;

	for (size_t len = 0; len < consumed; len++) {
		char *cut = malloc(len + !len);

		memcpy(cut, input.data, len);
		check(forward_ack_read(slice_of(cut, len), &at, &id) == FORWARD_ACK_MORE);
		free(cut);
	}
	check(whole == FORWARD_ACK_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of((const char *)data, size), id;
	size_t consumed;

	for (;;) {
		enum forward_ack_result result = forward_ack_read(input, &consumed, &id);

		if (result != FORWARD_ACK_OK) {
			check(consumed == 0 && id.len == 0);
			check(result == FORWARD_ACK_BAD || input.len < FORWARD_ACK_MAX);
			return 0;
		}
		check(consumed > 0 && consumed <= input.len && consumed <= FORWARD_ACK_MAX);
		check(!id.len || (id.data > input.data && id.data + id.len <= input.data + consumed));
		check_prefixes(input, result, consumed);
		input = slice_after(input, consumed);
	}
}
