// SPDX-License-Identifier: GPL-2.0-or-later
/* What is kept of messages that are too many: the beginning, the user's last words, the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <yyjson.h>

#include "openai/newest.h"

/* A message of so many bytes of content, that begin with its name. */
static void add(struct newest *n, const char *role, const char *name, size_t content)
{
	struct buf message = BUF_EMPTY;
	struct slice rest;

	newest_begin(n);
	buf_printf(&message, "{\"role\":\"%s\",\"content\":\"%s", role, name);
	for (size_t i = strlen(name); i < content; i++)
		buf_append(&message, "x", 1);
	buf_printf(&message, " end of %s\"}", name);
	/* As a scanner keeps it: no more than its limit, and the rest in pieces. */
	rest = slice_after(buf_slice(&message), n->max);
	buf_append_slice(&n->json, slice_first(buf_slice(&message), n->max));
	for (; rest.len; rest = slice_after(rest, 1000))
		newest_overflow(n, slice_first(rest, 1000));
	newest_add(n, buf_len(&message), strcmp(role, "user") == 0);
	buf_free(&message);
}

/* The array, and that it is JSON within its size. */
static yyjson_doc *end(struct newest *n)
{
	struct buf array = BUF_EMPTY;
	yyjson_doc *doc;

	newest_end(n, &array);
	assert_true(buf_len(&array) <= n->max);
	doc = yyjson_read(array.memory, buf_len(&array), 0);
	assert_non_null(doc);
	buf_free(&array);
	return doc;
}

static const char *content_of(yyjson_doc *doc, size_t i)
{
	yyjson_val *message = yyjson_arr_get(yyjson_doc_get_root(doc), i);

	return yyjson_get_str(yyjson_obj_get(message, "content"));
}

static const char *last_content(yyjson_doc *doc)
{
	return content_of(doc, yyjson_arr_size(yyjson_doc_get_root(doc)) - 1);
}

static void what_fits_is_kept_whole(void **state)
{
	struct newest n;
	struct buf array = BUF_EMPTY;

	(void)state;
	newest_init(&n, 1000);
	newest_end(&n, &array);
	assert_int_equal(buf_len(&array), 2);
	buf_free(&array);
	add(&n, "system", "s", 1);
	add(&n, "user", "u", 1);
	newest_end(&n, &array);
	assert_true(slice_equal(buf_slice(&array),
		SLICE("[{\"role\":\"system\",\"content\":\"s end of s\"},"
		      "{\"role\":\"user\",\"content\":\"u end of u\"}]")));
	assert_int_equal(n.cut, 0);
	buf_free(&array);
	newest_free(&n);
}

/* The report: a history of 2.2 MB, and one new prompt at its end. */
static void a_long_history_loses_its_middle(void **state)
{
	struct newest n;
	uint64_t all = 0;
	yyjson_doc *doc;
	char name[32];

	(void)state;
	newest_init(&n, 256 << 10);
	add(&n, "system", "be brief", 3000);
	for (int i = 0; i < 550; i++) {
		snprintf(name, sizeof(name), "turn %d", i);
		add(&n, i % 2 ? "assistant" : "user", name, 4000);
		assert_true(n.json.capacity <= (size_t)6 * n.max);
		all += 4000;
	}
	add(&n, "user", "the new prompt", 100);
	assert_true(n.cut > all - n.max && n.cut < all + 550 * 40);
	doc = end(&n);
	assert_memory_equal(content_of(doc, 0), "be brief", 8);
	assert_memory_equal(content_of(doc, 1), "turn 0x", 7);
	assert_memory_equal(last_content(doc), "the new prompt", 14);
	yyjson_doc_free(doc);
	newest_free(&n);
}

/* An agent's long way since the user spoke: its last results are there, and what was asked. */
static void the_users_last_message_stays(void **state)
{
	struct newest n;
	yyjson_doc *doc;
	bool found = false;
	char name[32];

	(void)state;
	newest_init(&n, 100000);
	add(&n, "system", "rules", 200000);
	add(&n, "user", "first question", 20);
	add(&n, "assistant", "answer", 20000);
	add(&n, "user", "last question", 5000);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "result %d", i);
		add(&n, "tool", name, 6000);
	}
	doc = end(&n);
	assert_memory_equal(content_of(doc, 0), "rules", 5);
	for (size_t i = 0; i < yyjson_arr_size(yyjson_doc_get_root(doc)); i++) {
		found = found || strncmp(content_of(doc, i), "last question", 13) == 0;
		assert_true(strncmp(content_of(doc, i), "first", 5) != 0);
	}
	assert_true(found);
	assert_memory_equal(last_content(doc), "result 99", 9);
	yyjson_doc_free(doc);
	newest_free(&n);
}

static void assert_ends(const char *text, const char *name)
{
	char end[64];
	int len = snprintf(end, sizeof(end), " end of %s", name);

	assert_memory_equal(text, name, strlen(name));
	assert_non_null(strstr(text, "\xe2\x80\xa6"));
	assert_string_equal(text + strlen(text) - len, end);
}

static void one_message_alone_keeps_its_beginning_and_its_end(void **state)
{
	struct newest n;
	yyjson_doc *doc;

	(void)state;
	newest_init(&n, 10000);
	add(&n, "user", "only", 50000);
	assert_in_range(n.cut, 40000, 41000);
	add(&n, "tool", "then", 50000);
	doc = end(&n);
	assert_int_equal(yyjson_arr_size(yyjson_doc_get_root(doc)), 2);
	assert_ends(content_of(doc, 0), "only");
	assert_ends(content_of(doc, 1), "then");
	yyjson_doc_free(doc);
	newest_free(&n);
}

/* Whatever comes: JSON within its size, what is missing is counted, the newest is there. */
static void any_messages(void **state)
{
	static const char *const roles[] = {"user", "assistant", "tool", "system"};
	unsigned seed = 1;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		size_t max = 600 + (size_t)(rand_r(&seed) % 3000), sum = 2;
		int count = 1 + rand_r(&seed) % 30;
		struct newest n;
		yyjson_doc *doc;
		char name[16];

		newest_init(&n, max);
		for (int i = 0; i < count; i++) {
			size_t content = (size_t)(rand_r(&seed) % (rand_r(&seed) % 8 ? 200 : 5000));

			snprintf(name, sizeof(name), "%d", i);
			content = content < strlen(name) ? strlen(name) : content;
			add(&n, roles[rand_r(&seed) % 4], name, content);
			sum += content;
			assert_true(n.json.capacity <= 8 * max + 8192);
		}
		assert_false(n.no_memory);
		if (sum > max)
			assert_true(n.cut > 0);
		doc = end(&n);
		assert_true(yyjson_is_arr(yyjson_doc_get_root(doc)));
		assert_int_equal(atoi(last_content(doc)), count - 1);
		yyjson_doc_free(doc);
		newest_free(&n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fits_is_kept_whole),
		cmocka_unit_test(a_long_history_loses_its_middle),
		cmocka_unit_test(the_users_last_message_stays),
		cmocka_unit_test(one_message_alone_keeps_its_beginning_and_its_end),
		cmocka_unit_test(any_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
