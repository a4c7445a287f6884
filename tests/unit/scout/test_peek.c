// SPDX-License-Identifier: GPL-2.0-or-later
/* The connections that are looked at, when a client begins more than there is room for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>

#include "scout/peek.h"

#define NOW 1000

/* Of source 10.0.0.n. */
static struct peek_key key_of(unsigned source, unsigned port)
{
	return (struct peek_key){
		.source = {{[10] = 0xff, 0xff, 10, 0, 0, (uint8_t)source}},
		.destination = {{[10] = 0xff, 0xff, 198, 51, (uint8_t)(port >> 16), 7}},
		.source_port = (uint16_t)port,
		.destination_port = 443,
		.protocol = IPPROTO_TCP,
	};
}

static void a_flood_of_one_source_pushes_out_nobody_else(void **state)
{
	struct peek_table *table = peek_table_new(NULL, NULL);
	struct peek_key own = key_of(1, 1), others = key_of(2, 1);

	(void)state;
	assert_non_null(peek_add(table, &own, NOW));
	assert_non_null(peek_add(table, &others, NOW));
	for (unsigned i = 2; i < 100000; i++) {
		struct peek_key key = key_of(1, i);

		assert_non_null(peek_add(table, &key, NOW));
	}
	assert_null(peek_find(table, &own, NOW));
	assert_non_null(peek_find(table, &others, NOW));
	peek_table_free(table);
}

static void what_is_used_stays(void **state)
{
	struct peek_table *table = peek_table_new(NULL, NULL);
	struct peek_key used = key_of(1, 1);

	(void)state;
	assert_non_null(peek_add(table, &used, NOW));
	for (unsigned i = 2; i < 20000; i++) {
		struct peek_key key = key_of(1, i);

		assert_non_null(peek_add(table, &key, NOW));
		assert_non_null(peek_find(table, &used, NOW));
	}
	peek_table_free(table);
}

/* A long ClientHello each. */
static void a_source_has_its_share_of_the_memory_too(void **state)
{
	static const char bytes[16384];
	struct peek_table *table = peek_table_new(NULL, NULL);
	struct peek_key others = key_of(2, 1);
	struct peek *peek = peek_add(table, &others, NOW);

	(void)state;
	assert_int_equal(segments_add(&peek->segments, 0, slice_of(bytes, 100), 1 << 16), 0);
	peek_charge(table, peek);
	for (unsigned i = 1; i < 5000; i++) {
		struct peek_key key = key_of(1, i);

		peek = peek_add(table, &key, NOW);
		assert_non_null(peek);
		assert_int_equal(segments_add(&peek->segments, 0,
					 slice_of(bytes, sizeof(bytes)), 1 << 16),
			0);
		peek_charge(table, peek);
		/* The one that grows is never the one that goes. */
		assert_ptr_equal(peek_find(table, &key, NOW), peek);
	}
	assert_non_null(peek_find(table, &others, NOW));
	peek_table_free(table);
}

struct told {
	unsigned n;
	struct peek_key last;
};

static void tell(void *context, const struct peek *peek)
{
	struct told *told = context;

	told->n++;
	told->last = peek->key;
}

/* Who has yet to say what he wants is not forgotten by waiting, and not without a word. */
static void the_undecided_do_not_slip_away(void **state)
{
	struct told told = {0};
	struct peek_table *table = peek_table_new(tell, &told);
	struct peek_key first = key_of(1, 1), key;

	(void)state;
	peek_add(table, &first, NOW)->undecided = true;
	assert_non_null(peek_find(table, &first, NOW + 100 * PEEK_IDLE_NS));
	/* Those that are decided go before, however often they are used. */
	for (unsigned i = 2; i < 5000; i++) {
		struct peek *peek;

		key = key_of(1, i);
		peek = peek_add(table, &key, NOW);
		peek->undecided = true;
		peek_decided(table, peek, i % 2);
		assert_true(!peek->undecided && peek->done && peek->refused == (i % 2));
		(void)peek_find(table, &key, NOW);
	}
	assert_int_equal(told.n, 0);
	assert_non_null(peek_find(table, &first, NOW));
	for (unsigned i = 5000; i < 7100; i++) {
		key = key_of(1, i);
		peek_add(table, &key, NOW)->undecided = true;
	}
	assert_in_range(told.n, 1, 100);
	assert_null(peek_find(table, &first, NOW));
	peek_table_free(table);
}

static void what_was_not_used_for_long_is_gone(void **state)
{
	struct peek_table *table = peek_table_new(NULL, NULL);
	struct peek_key key = key_of(1, 1);

	(void)state;
	assert_non_null(peek_add(table, &key, NOW));
	assert_non_null(peek_find(table, &key, NOW + PEEK_IDLE_NS));
	assert_null(peek_find(table, &key, NOW + 2 * PEEK_IDLE_NS + 1));
	peek_table_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flood_of_one_source_pushes_out_nobody_else),
		cmocka_unit_test(what_is_used_stays),
		cmocka_unit_test(a_source_has_its_share_of_the_memory_too),
		cmocka_unit_test(the_undecided_do_not_slip_away),
		cmocka_unit_test(what_was_not_used_for_long_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
