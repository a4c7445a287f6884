// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/address_table.h"

#define MANY 50000u

struct entry {
	struct address address;
	uint32_t value;
};

static struct address numbered(uint32_t number)
{
	struct address address = {{0x20, 0x01}};

	memcpy(address.bytes + 12, &number, sizeof(number));
	return address;
}

static void fill(struct address_table *table, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct address address = numbered(i);
		struct entry *entry = address_table_put(table, &address);

		assert_non_null(entry);
		entry->value += i + 1;
	}
}

static uint32_t value(const struct address_table *table, uint32_t number)
{
	struct address address = numbered(number);
	const struct entry *entry = address_table_find(table, &address);

	return entry ? entry->value : 0;
}

static void what_was_put_is_found(void **state)
{
	struct address_table table;

	(void)state;
	address_table_init(&table, sizeof(struct entry), MANY);
	assert_int_equal(value(&table, 0), 0);
	assert_int_equal(address_table_memory(&table), 0);
	fill(&table, MANY);
	fill(&table, MANY);
	assert_int_equal(table.n, MANY);
	for (uint32_t i = 0; i < MANY; i++) {
		const struct entry *entry = address_table_at(&table, i);

		assert_int_equal(value(&table, i), 2 * (i + 1));
		assert_int_equal(entry->value, 2 * (i + 1));
	}
	assert_int_equal(value(&table, MANY), 0);
	address_table_free(&table);
}

static void a_full_table_takes_no_more(void **state)
{
	struct address third = numbered(2);
	struct address_table table;

	(void)state;
	address_table_init(&table, sizeof(struct entry), 2);
	fill(&table, 2);
	errno = 0;
	assert_null(address_table_put(&table, &third));
	assert_int_equal(errno, ENOSPC);
	fill(&table, 2);
	assert_int_equal(value(&table, 1), 4);
	address_table_free(&table);
}

static bool keep_even(void *context, const void *entry)
{
	(void)context;
	return ((const struct entry *)entry)->value % 2 == 0;
}

static void what_is_not_kept_is_gone_and_the_rest_in_order(void **state)
{
	struct address_table table;

	(void)state;
	address_table_init(&table, sizeof(struct entry), MANY);
	fill(&table, MANY);
	address_table_keep(&table, keep_even, NULL);
	assert_int_equal(table.n, MANY / 2);
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(value(&table, i), i % 2 ? i + 1 : 0);
	for (uint32_t i = 0; i < MANY / 2; i++)
		assert_int_equal(((struct entry *)address_table_at(&table, i))->value, 2 * i + 2);
	address_table_free(&table);
}

static void memory_that_was_needed_once_is_given_back(void **state)
{
	struct address_table table;
	size_t most;

	(void)state;
	address_table_init(&table, sizeof(struct entry), MANY);
	fill(&table, MANY);
	most = address_table_memory(&table);
	address_table_clear(&table);
	assert_int_equal(table.n, 0);
	assert_int_equal(value(&table, 1), 0);
	assert_int_equal(address_table_memory(&table), most);
	fill(&table, 10);
	address_table_clear(&table);
	assert_true(address_table_memory(&table) < most / 16);
	fill(&table, 10);
	assert_int_equal(value(&table, 9), 10);
	address_table_free(&table);
}

/* Who does not know the seed cannot choose addresses that fall together. */
static void hashes_depend_on_the_seed(void **state)
{
	struct address address = numbered(7), other = numbered(8);
	uint32_t same = 0;

	(void)state;
	assert_int_equal(address_hash(&address, 1), address_hash(&address, 1));
	for (uint64_t seed = 0; seed < 4096; seed++)
		same += (address_hash(&address, seed) & 4095) ==
			(address_hash(&other, seed) & 4095);
	/* One is expected. */
	assert_true(same < 16);
	assert_true(address_hash(&address, 1) != address_hash(&address, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_put_is_found),
		cmocka_unit_test(a_full_table_takes_no_more),
		cmocka_unit_test(what_is_not_kept_is_gone_and_the_rest_in_order),
		cmocka_unit_test(memory_that_was_needed_once_is_given_back),
		cmocka_unit_test(hashes_depend_on_the_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
