// SPDX-License-Identifier: GPL-2.0-or-later
#include "audit/record.h"

#include <errno.h>

#include "audit/schema.h"
#include "base/utf8.h"

#define EPOCH_LONGEST 16

/* A scalar of msgpack; what else there is (nil, bool, floats) needs no value here. */
struct scalar {
	enum { SCALAR_OTHER, SCALAR_NUMBER, SCALAR_TEXT } kind;
	uint64_t number;
	struct slice text;
};

static bool take(struct slice *input, size_t len, struct slice *taken)
{
	if (input->len < len)
		return false;
	*taken = slice_first(*input, len);
	*input = slice_after(*input, len);
	return true;
}

static bool take_be(struct slice *input, size_t len, uint64_t *value)
{
	struct slice bytes;

	if (!take(input, len, &bytes))
		return false;
	*value = 0;
	for (size_t i = 0; i < len; i++)
		*value = *value << 8 | (unsigned char)bytes.data[i];
	return true;
}

static bool take_text(struct slice *input, size_t len, struct scalar *scalar)
{
	scalar->kind = SCALAR_TEXT;
	return take(input, len, &scalar->text) && utf8_valid(scalar->text);
}

/* One scalar from the front of the input; false for a container, bin, ext, or a torn one. */
static bool take_scalar(struct slice *input, struct scalar *scalar)
{
	uint64_t first, len;

	scalar->kind = SCALAR_OTHER;
	if (!input->len)
		return false;
	first = (unsigned char)input->data[0];
	*input = (struct slice){input->data + 1, input->len - 1};
	/* Every name, and most values. */
	if (first >= 0xa0 && first <= 0xbf)
		return take_text(input, first & 0x1f, scalar);
	if (first >= 0xe0 || first == 0xc0 || first == 0xc2 || first == 0xc3)
		return true;
	if (first <= 0x7f) {
		scalar->kind = SCALAR_NUMBER;
		scalar->number = first;
		return true;
	}
	if (first >= 0xcc && first <= 0xcf) {
		scalar->kind = SCALAR_NUMBER;
		return take_be(input, (size_t)1 << (first - 0xcc), &scalar->number);
	}
	if (first >= 0xd0 && first <= 0xd3)
		return take_be(input, (size_t)1 << (first - 0xd0), &len);
	if (first == 0xca || first == 0xcb)
		return take_be(input, first == 0xca ? 4 : 8, &len);
	if (first < 0xd9 || first > 0xdb || !take_be(input, (size_t)1 << (first - 0xd9), &len))
		return false;
	return take_text(input, len, scalar);
}

static bool take_map(struct slice *input, uint64_t *pairs)
{
	uint64_t first;

	if (!take_be(input, 1, &first))
		return false;
	if ((first & 0xf0) == 0x80) {
		*pairs = first & 0x0f;
		return true;
	}
	return (first == 0xde && take_be(input, 2, pairs)) ||
		(first == 0xdf && take_be(input, 4, pairs));
}

static bool take_pair(struct slice *input, struct slice *key, struct scalar *value)
{
	struct scalar name;

	if (!take_scalar(input, &name) || name.kind != SCALAR_TEXT || !take_scalar(input, value))
		return false;
	*key = name.text;
	return true;
}

/* The first pairs: the schema's version and what identifies the event. */
static bool take_identity(struct slice *input, struct record_identity *identity)
{
	struct scalar value;
	struct slice key;

	if (!take_pair(input, &key, &value) || !slice_equal(key, SLICE("schema.version")))
		return false;
	if (!take_pair(input, &key, &value) || value.kind != SCALAR_TEXT ||
		!slice_equal(key, schema_fields[SCHEMA_ID_epoch].name))
		return false;
	identity->epoch = value.text;
	if (!take_pair(input, &key, &value) || value.kind != SCALAR_NUMBER ||
		!slice_equal(key, schema_fields[SCHEMA_ID_stream].name))
		return false;
	identity->stream = value.number;
	if (!take_pair(input, &key, &value) || value.kind != SCALAR_NUMBER ||
		!slice_equal(key, schema_fields[SCHEMA_ID_sequence].name))
		return false;
	identity->sequence = value.number;
	return identity->epoch.len > 0 && identity->epoch.len <= EPOCH_LONGEST &&
		identity->sequence > 0;
}

int record_check(struct slice record, struct record_identity *identity)
{
	uint64_t seconds, nanoseconds, pairs;
	struct scalar value;
	struct slice key;

	if (!take_be(&record, 4, &seconds) || !take_be(&record, 4, &nanoseconds) ||
		nanoseconds >= 1000000000 || !take_map(&record, &pairs) || pairs < 4 ||
		!take_identity(&record, identity))
		return -EBADMSG;
	for (pairs -= 4; pairs; pairs--)
		if (!take_pair(&record, &key, &value))
			return -EBADMSG;
	return record.len ? -EBADMSG : 0;
}
