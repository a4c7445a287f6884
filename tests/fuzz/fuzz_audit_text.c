// SPDX-License-Identifier: GPL-2.0-or-later
/* Text and URLs on their way into an event: the result is UTF-8, JSON where the input was, and going
 * through it again changes nothing but what the marks themselves bring together. A record made of it is a good one; the
 * input itself, taken for a record, is refused or good, but never read beyond its end. */
#include <stdint.h>
#include <stdlib.h>
#include <yyjson.h>

#include "audit/event.h"
#include "audit/record.h"
#include "audit/redact.h"
#include "audit/text.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

static bool is_json(struct slice text)
{
	yyjson_doc *doc = yyjson_read(text.data, text.len, YYJSON_READ_NUMBER_AS_RAW);
	bool json = doc != NULL;

	yyjson_doc_free(doc);
	return json;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of((const char *)data, size);
	struct buf out = BUF_EMPTY, record = BUF_EMPTY;
	struct record_identity identity;
	struct event event = {
		.epoch = SLICE("0123456789abcdef"),
		.stream = event_number(1),
		.sequence = event_number(1),
		.path = input,
		.user_agent = input,
		.input_messages = input,
	};

	(void)record_check(input, &identity);
	check(text_append(input, &out) == 0);
	check(utf8_valid(buf_slice(&out)));
	check(!is_json(input) || is_json(buf_slice(&out)));
	if (utf8_valid(input) && buf_len(&out) == size && !memmem(data, size, "[redacted]", 10))
		check(slice_equal(buf_slice(&out), input) ||
			memmem(out.memory, buf_len(&out), "[redacted]", 10));
	buf_clear(&out);
	check(redact_url(input, &out) == 0);
	check(event_encode(&event, &record) == 0);
	check(record_check(buf_slice(&record), &identity) == 0);
	buf_free(&out);
	buf_free(&record);
	return 0;
}
