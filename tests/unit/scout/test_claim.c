// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "scout/claim.h"

#define NOW 1000

static struct claim_table *made(size_t all, size_t per_source, size_t per_name)
{
	struct claim_table *table =
		claim_table_new(&(struct claim_limits){all, per_source, per_name});

	assert_non_null(table);
	return table;
}

static struct address at(unsigned i)
{
	return (struct address){{[10] = 0xff, 0xff, 198, 51, (uint8_t)(i >> 8), (uint8_t)i}};
}

static bool claim(struct claim_table *table, unsigned address, unsigned source, const char *name)
{
	return claim_add(table, &(struct address){{[10] = 0xff, 0xff, 198, 51,
					(uint8_t)(address >> 8), (uint8_t)address}},
		&(struct address){{[10] = 0xff, 0xff, 10, 0, (uint8_t)(source >> 8),
			(uint8_t)source}},
		name, NOW + 10, NOW);
}

static void each_source_has_its_share(void **state)
{
	struct claim_table *table = made(100, 3, 100);
	struct address freed = at(0);

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_true(claim(table, i, 1, "a.example.com"));
	assert_false(claim(table, 3, 1, "b.example.com"));
	assert_true(claim(table, 2, 1, "a.example.com")); /* its own, again */
	assert_true(claim(table, 3, 2, "b.example.com"));
	assert_true(claim(table, 3, 1, "b.example.com")); /* which another one has claimed */
	claim_drop(table, &freed);
	assert_true(claim(table, 4, 1, "b.example.com"));
	assert_false(claim(table, 5, 1, "b.example.com"));
	claim_table_free(table);
}

static void each_name_has_its_share(void **state)
{
	struct claim_table *table = made(100, 100, 2);

	(void)state;
	assert_true(claim(table, 0, 0, "a-rather-long-name.openai.azure.com"));
	assert_true(claim(table, 1, 1, "a-rather-long-name.openai.azure.com"));
	assert_false(claim(table, 2, 2, "a-rather-long-name.openai.azure.com"));
	assert_true(claim(table, 2, 2, "another-long-name.openai.azure.com"));
	claim_table_free(table);
}

static void claims_end_with_their_time(void **state)
{
	struct claim_table *table = made(100, 1, 100);
	struct address source = at(9), one = at(1), two = at(2);

	(void)state;
	assert_true(claim_add(table, &one, &source, "a", NOW + 10, NOW));
	assert_false(claim_add(table, &two, &source, "a", NOW + 10, NOW + 9));
	assert_true(claim_add(table, &two, &source, "a", NOW + 20, NOW + 10));
	claim_table_free(table);
}

/* Or a host could claim by each of the addresses that it gives itself. */
static void the_addresses_of_an_ipv6_network_are_one_source(void **state)
{
	struct claim_table *table = made(100, 2, 100);

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct address source = {{0xfd, [7] = 1, [15] = (uint8_t)i}}, address = at(i);

		assert_int_equal(
			claim_add(table, &address, &source, "a", NOW + 10, NOW), i < 2);
	}
	claim_table_free(table);
}

static void beyond_all_the_oldest_is_forgotten(void **state)
{
	struct claim_table *table = made(4, 1, 100);

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		assert_true(claim(table, i, i, "a"));
	assert_true(claim(table, 10, 0, "a"));
	assert_false(claim(table, 11, 4, "a"));
	claim_table_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_source_has_its_share),
		cmocka_unit_test(each_name_has_its_share),
		cmocka_unit_test(claims_end_with_their_time),
		cmocka_unit_test(the_addresses_of_an_ipv6_network_are_one_source),
		cmocka_unit_test(beyond_all_the_oldest_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
