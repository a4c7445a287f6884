// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/number.h"
#include "cli/source_report.h"
#include "tests/support/printed.h"

struct scene {
	struct datapath_status kernel;
	struct datapath_source sources[2];
	struct traffic traffic;
	struct source_report report;
	struct printed printed;
};

static int scene_make(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct source_counters *c = &s->sources[0].counters;

	s->kernel = (struct datapath_status){
		.read_ns = 100 * NS_PER_S, .sources = s->sources, .nsources = 2};
	address_parse("10.0.0.1", &s->sources[0].address);
	address_parse("2001:db8::1", &s->sources[1].address);
	for (__u64 *count = &c->packets; count <= &c->passed; count++)
		*count = 1000 + (__u64)(count - &c->packets);
	c->drops[DROP_MARTIAN] = 3;
	c->drops[DROP_FLAGS] = 4;
	c->seen_ns = 97 * NS_PER_S;
	s->sources[0].active = 5;
	if (traffic_read(&s->traffic, NULL, &s->kernel) < 0)
		return -1;
	s->report = (struct source_report){
		.appliance = "gate", .kernel = &s->kernel, .traffic = &s->traffic};
	*state = s;
	return 0;
}

static int scene_free(void **state)
{
	struct scene *s = *state;

	traffic_free(&s->traffic);
	printed_free(&s->printed);
	free(s);
	return 0;
}

static const char *shown(struct scene *s, bool json)
{
	FILE *out = printed_begin(&s->printed);

	if (json)
		assert_int_equal(source_report_json(&s->report, out), 0);
	else
		source_report_text(&s->report, out);
	return printed_end(&s->printed);
}

static void a_row_has_every_count_and_no_rate(void **state)
{
	const char *text = shown(*state, false);

	assert_shown(text, "address      active  packets  bytes  packets_to  ");
	assert_shown(text, "\n10.0.0.1          5     1000   1001        1002  ");
	assert_shown(text, "  drops   seen\n");
	assert_shown(text, "  1012      7    3 s  3 martian  4 flags\n");
	assert_null(strstr(text, "/s"));
	assert_shown(text, "\nactive: counted now, in the flow table\n");
}

static void the_age_of_what_the_daemon_counted_is_told(void **state)
{
	struct scene *s = *state;

	s->kernel.swept_ns = 96 * NS_PER_S;
	assert_shown(shown(s, false), "\nactive: as counted 4 s ago by sallyportd\n");
	assert_shown(shown(s, true), "\"swept_age_ns\": 4000000000");
}

static void rows_beyond_the_limit_are_counted(void **state)
{
	struct scene *s = *state;

	s->report.most = 1;
	assert_shown(shown(s, false), "\nand 1 more\n");
	assert_null(strstr(s->printed.text, "2001:db8::1"));
}

static const char *name_of(void *context, const struct address *address)
{
	return address_is_ipv4(address) ? context : NULL;
}

static void names_are_shown_beside_the_addresses(void **state)
{
	struct scene *s = *state;

	s->report.name_of = name_of;
	s->report.context = "host.example";
	assert_shown(shown(s, false), "  3 martian  4 flags  host.example\n");
	assert_shown(shown(s, true), "\"name\": \"host.example\"");
}

static void json_has_it_all(void **state)
{
	const char *text = shown(*state, true);
	yyjson_doc *doc = yyjson_read(text, strlen(text), 0);
	char path[64];

	assert_non_null(doc);
	assert_int_equal(yyjson_get_uint(yyjson_doc_ptr_get(doc, "/total")), 2);
	assert_null(yyjson_doc_ptr_get(doc, "/swept_age_ns"));
	assert_string_equal(
		yyjson_get_str(yyjson_doc_ptr_get(doc, "/sources/1/address")), "2001:db8::1");
	for (enum source_count i = 0; i < SOURCE_COUNT_MAX; i++) {
		snprintf(path, sizeof(path), "/sources/0/%s", source_count_name(i));
		assert_int_equal(yyjson_get_uint(yyjson_doc_ptr_get(doc, path)), 1000 + i);
	}
	assert_int_equal(yyjson_get_uint(yyjson_doc_ptr_get(doc, "/sources/0/active")), 5);
	assert_int_equal(yyjson_get_uint(yyjson_doc_ptr_get(doc, "/sources/0/drops/flags")), 4);
	assert_int_equal(yyjson_obj_size(yyjson_doc_ptr_get(doc, "/sources/0/drops")), DROP_COUNT);
	assert_int_equal(
		yyjson_get_uint(yyjson_doc_ptr_get(doc, "/sources/0/seen_age_ns")), 3 * NS_PER_S);
	yyjson_doc_free(doc);
}

static void numbers_are_numbers_within_their_bounds(void **state)
{
	static const char *const wrong[] = {
		"", "-1", "+1", " 1", "1x", "0x1", "11", "1.0", "99999999999999999999"};
	static const char *const no_seconds[] = {
		"", "-1", "inf", "nan", "1e1", "0.01", "61", "1..2"};
	uint64_t number = 77;
	double seconds = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(number_parse("c", "--o", wrong[i], 0, 10, &number), -EINVAL);
	assert_int_equal(number, 77);
	assert_int_equal(number_parse("c", "--o", "10", 0, 10, &number), 0);
	assert_int_equal(number, 10);
	for (size_t i = 0; i < sizeof(no_seconds) / sizeof(no_seconds[0]); i++)
		assert_int_equal(
			number_seconds("c", "--o", no_seconds[i], 0.1, 60, &seconds), -EINVAL);
	assert_int_equal(number_seconds("c", "--o", "0.5", 0.1, 60, &seconds), 0);
	assert_true(seconds > 0.49 && seconds < 0.51);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_row_has_every_count_and_no_rate),
		TEST(the_age_of_what_the_daemon_counted_is_told),
		TEST(rows_beyond_the_limit_are_counted),
		TEST(names_are_shown_beside_the_addresses),
		TEST(json_has_it_all),
		cmocka_unit_test(numbers_are_numbers_within_their_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
