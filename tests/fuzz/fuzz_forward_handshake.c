// SPDX-License-Identifier: GPL-2.0-or-later
/* What a collector answers to the shipper before its key is proven, and what a stranger sends to a
 * collector: neither reads beyond it, and without the key neither is taken in. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shipper/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_shipper(struct slice input)
{
	enum handshake_result result = HANDSHAKE_MORE;
	struct handshake handshake = {0};
	struct buf out = BUF_EMPTY;
	const char *problem;
	size_t consumed;

	handshake_begin(&handshake, SLICE("gate"), SLICE("a key that no input has"));
	while (input.len && result == HANDSHAKE_MORE) {
		result = handshake_read(&handshake, input, &consumed, &out, &problem);
		if (result == HANDSHAKE_DONE || (result == HANDSHAKE_MORE && !consumed))
			abort();
		input = slice_after(input, consumed);
	}
	handshake_free(&handshake);
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of((const char *)data, size), rest = input, message;
	const struct forward_nonce nonce = {"0123456789abcdef0123456789abcdef"};
	struct forward_ping ping;
	size_t values;

	as_shipper(input);
	if (!msgpack_take(&rest, FORWARD_HANDSHAKE_VALUES, &message, &values))
		return 0;
	/* A copy of its own, so that a read beyond it is seen. */
	char *copy = malloc(message.len);

	memcpy(copy, message.data, message.len);
	if (forward_ping_read(slice_of(copy, message.len), &nonce,
		    SLICE("a key that no input has"), &ping) &&
		ping.key_right)
		abort();
	free(copy);
	return 0;
}
