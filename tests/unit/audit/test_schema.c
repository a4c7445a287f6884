// SPDX-License-Identifier: GPL-2.0-or-later
/* What was frozen of the schema stays: names, what they tell, and how. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <msgpack.h>
#include <string.h>

#include "audit/event.h"
#include "audit/record.h"
#include "audit/schema.h"
#include "tests/unit/audit/schema_v1.h"

static const struct frozen {
	enum schema_kind kind;
	enum schema_id id;
	const char *name;
	size_t offset;
} frozen[] = {
#define FROZEN(KIND, member, name)                                                                 \
	{SCHEMA_##KIND, SCHEMA_ID_##member, name, offsetof(struct event, member)},
	SCHEMA_V1(FROZEN)
#undef FROZEN
};
#define FROZEN_FIELDS (sizeof(frozen) / sizeof(frozen[0]))

static void names_and_kinds_are_those_of_version_1(void **state)
{
	(void)state;
	assert_int_equal(SCHEMA_VERSION, 1);
	for (size_t i = 0; i < FROZEN_FIELDS; i++) {
		const struct schema_field *field = &schema_fields[frozen[i].id];

		if (!slice_equal(field->name, slice_of_string(frozen[i].name)) ||
			field->kind != frozen[i].kind)
			fail_msg("%s: it is another field than in version 1", frozen[i].name);
	}
}

static const msgpack_object *value_of(const msgpack_object_map *map, const char *name)
{
	for (uint32_t i = 0; i < map->size; i++)
		if (slice_equal(slice_of(map->ptr[i].key.via.str.ptr, map->ptr[i].key.via.str.size),
			    slice_of_string(name)))
			return &map->ptr[i].val;
	return NULL;
}

/* A member with a value of its own, which is also its text. */
static void set(struct event *event, const struct frozen *field, unsigned number, char text[40])
{
	void *member = (char *)event + field->offset;

	snprintf(text, 40, "2001:db8::%x", number + 1);
	switch (field->kind) {
	case SCHEMA_TEXT:
	case SCHEMA_URL:
	case SCHEMA_CONTENT:
		*(struct slice *)member = slice_of_string(text);
		break;
	case SCHEMA_NUMBER:
		*(struct event_number *)member = event_number(number + 1);
		break;
	case SCHEMA_REAL:
		*(struct event_real *)member = event_real(number + 1);
		break;
	case SCHEMA_FLAG:
		*(enum event_flag *)member = EVENT_YES;
		break;
	case SCHEMA_ADDRESS:
		assert_int_equal(address_parse(text, member), 0);
		break;
	case SCHEMA_PORT:
		*(uint16_t *)member = (uint16_t)(number + 1);
		break;
	}
}

static bool tells(const struct frozen *field, unsigned number, const char *text,
	const msgpack_object *value)
{
	if (!value)
		return false;
	switch (field->kind) {
	case SCHEMA_NUMBER:
	case SCHEMA_PORT:
		return value->type == MSGPACK_OBJECT_POSITIVE_INTEGER && value->via.u64 == number + 1;
	case SCHEMA_REAL:
		return value->type == MSGPACK_OBJECT_FLOAT64 && value->via.f64 > number &&
		       value->via.f64 < number + 2;
	case SCHEMA_FLAG:
		return value->type == MSGPACK_OBJECT_BOOLEAN && value->via.boolean;
	default:
		return value->type == MSGPACK_OBJECT_STR &&
		       slice_equal(slice_of(value->via.str.ptr, value->via.str.size),
			       slice_of_string(text));
	}
}

/* On the wire as well: each name with the value of its own member. */
static void each_name_tells_its_member(void **state)
{
	static char texts[FROZEN_FIELDS][40];
	struct event event = {.time_ns = 1700000000000000000u};
	struct buf record = BUF_EMPTY;
	msgpack_unpacked unpacked;

	(void)state;
	for (unsigned i = 0; i < FROZEN_FIELDS; i++)
		set(&event, &frozen[i], i, texts[i]);
	assert_int_equal(event_encode(&event, &record), 0);
	msgpack_unpacked_init(&unpacked);
	assert_int_equal(msgpack_unpack_next(&unpacked, record.memory + RECORD_TIME_SIZE,
				 buf_len(&record) - RECORD_TIME_SIZE, NULL),
		MSGPACK_UNPACK_SUCCESS);
	for (unsigned i = 0; i < FROZEN_FIELDS; i++)
		if (!tells(&frozen[i], i, texts[i],
			    value_of(&unpacked.data.via.map, frozen[i].name)))
			fail_msg("%s: it tells something else than in version 1", frozen[i].name);
	msgpack_unpacked_destroy(&unpacked);
	buf_free(&record);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_kinds_are_those_of_version_1),
		cmocka_unit_test(each_name_tells_its_member),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
