// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tls/ticket_keys.h"

static void another_writer_goes_on_with_the_same_keys(void **state)
{
	struct why why = {""};
	int from, to;
	struct ticket_keys *old = ticket_keys_create(&from, &why);
	struct ticket_key previous, current, found;
	struct ticket_keys *new;

	(void)state;
	assert_true(ticket_keys_current(old, &previous));
	assert_int_equal(ticket_keys_rotate(old), 0);
	assert_true(ticket_keys_current(old, &current));
	new = ticket_keys_inherit(from, &to, &why);
	assert_non_null(new);
	assert_int_equal(ticket_keys_find(new, current.name, &found), 1);
	assert_memory_equal(&found, &current, sizeof(found));
	assert_int_equal(ticket_keys_find(new, previous.name, &found), 2);
	assert_memory_equal(&found, &previous, sizeof(found));
	/* From here on each has its own. */
	assert_int_equal(ticket_keys_rotate(new), 0);
	assert_int_equal(ticket_keys_find(new, current.name, &found), 2);
	assert_int_equal(ticket_keys_find(new, previous.name, &found), 0);
	assert_int_equal(ticket_keys_find(old, current.name, &found), 1);
	ticket_keys_unmap(new);
	ticket_keys_unmap(old);
	close(from);
	close(to);
}

static void what_holds_no_keys_is_not_inherited(void **state)
{
	int from = memfd_create("test", MFD_CLOEXEC), to = 0;
	struct why why = {""};

	(void)state;
	assert_null(ticket_keys_inherit(from, &to, &why));
	assert_int_equal(to, -1);
	assert_non_null(strstr(why.text, "session ticket keys"));
	close(from);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_writer_goes_on_with_the_same_keys),
		cmocka_unit_test(what_holds_no_keys_is_not_inherited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
