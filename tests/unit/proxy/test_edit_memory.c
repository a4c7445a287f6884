// SPDX-License-Identifier: GPL-2.0-or-later
/* What is remembered of models, and what is forgotten for others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/edit_memory.h"

static struct edit_model model(const char *host, const char *deployment, const char *version)
{
	return (struct edit_model){
		slice_of_string(host), slice_of_string(deployment), slice_of_string(version)};
}

static void test_each_model_by_itself(void **state)
{
	struct edit_memory memory = {0};
	struct edit_model a = model("h", "d", "v"), b = model("hd", "", "v"), c = model("h", "dv", "");

	(void)state;
	assert_int_equal(edit_memory_find(&memory, &a), EDIT_UNKNOWN);
	edit_memory_set(&memory, &a, EDIT_REFUSED);
	edit_memory_set(&memory, &b, EDIT_TAKEN);
	assert_int_equal(edit_memory_find(&memory, &a), EDIT_REFUSED);
	assert_int_equal(edit_memory_find(&memory, &b), EDIT_TAKEN);
	assert_int_equal(edit_memory_find(&memory, &c), EDIT_UNKNOWN);
	edit_memory_set(&memory, &a, EDIT_TAKEN);
	assert_int_equal(edit_memory_find(&memory, &a), EDIT_TAKEN);
}

/* Given a hundred thousand deployments, one that is asked all the time stays, and memory does not grow. */
static void test_the_least_used_is_forgotten(void **state)
{
	struct edit_memory *memory = calloc(1, sizeof(*memory));
	struct edit_model kept = model("host", "kept", "v"), first = model("host", "0", "v");
	char name[16];

	(void)state;
	edit_memory_set(memory, &kept, EDIT_REFUSED);
	for (unsigned i = 0; i < 100000; i++) {
		struct edit_model other;

		snprintf(name, sizeof(name), "%u", i);
		other = model("host", name, "v");
		edit_memory_set(memory, &other, EDIT_TAKEN);
		assert_int_equal(edit_memory_find(memory, &kept), EDIT_REFUSED);
	}
	assert_int_equal(edit_memory_find(memory, &first), EDIT_UNKNOWN);
	free(memory);
}

static void test_names_up_to_the_bound(void **state)
{
	char name[EDIT_MEMORY_NAME + 1];
	struct edit_memory memory = {0};

	(void)state;
	memset(name, 'x', sizeof(name));
	for (size_t len = EDIT_MEMORY_NAME - 4; len <= EDIT_MEMORY_NAME; len++) {
		struct edit_model long_one = {.deployment = {name, len}};

		edit_memory_set(&memory, &long_one, EDIT_REFUSED);
		assert_int_equal(edit_memory_find(&memory, &long_one),
			len + 3 <= EDIT_MEMORY_NAME ? EDIT_REFUSED : EDIT_UNKNOWN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_model_by_itself),
		cmocka_unit_test(test_the_least_used_is_forgotten),
		cmocka_unit_test(test_names_up_to_the_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
