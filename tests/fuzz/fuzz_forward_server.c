// SPDX-License-Identifier: GPL-2.0-or-later
/* A sender's bytes: the scan must agree with msgpack-c on what an object is, and reading one must
 * not go beyond it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "collector/forward_server.h"
#include "audit/msgpack_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int touch(void *context, const struct forward_entry *entry)
{
	uint64_t *sum = context;

	*sum += entry->time_ns + entry->record->via.map.size;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of((const char *)data, size), chunk;
	struct msgpack_scan scan;
	struct buf ack = BUF_EMPTY;
	uint64_t sum = 0;
	size_t consumed;

	msgpack_scan_init(&scan, 1 << 16, FORWARD_VALUES_MAX);
	while (input.len && msgpack_scan_feed(&scan, input, &consumed) == MSGPACK_SCAN_DONE) {
		/* A copy of its own, so that a read beyond the object is seen. */
		char *message = malloc(consumed);

		memcpy(message, input.data, consumed);
		if (forward_read(slice_of(message, consumed), touch, &sum, &chunk) == FORWARD_OK &&
			chunk.len && forward_write_ack(&ack, chunk) < 0)
			abort();
		free(message);
		input = slice_after(input, consumed);
	}
	buf_free(&ack);
	return 0;
}
