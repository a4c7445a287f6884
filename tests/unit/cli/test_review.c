// SPDX-License-Identifier: GPL-2.0-or-later
/* How events are shown: whatever stands in a prompt, in a name, or in a record of a stranger, does
 * nothing to the terminal and hides nothing in JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <msgpack.h>
#include <string.h>

#include "cli/review.h"
#include "tests/support/printed.h"

#define HOSTILE "\xe2\x80\xae\xe2\x81\xa6\xe2\x80\xa8\xe2\x80\x8b\xc2\x9b\x7f\x1b[2J"
#define DRAWN	"<U+202E><U+2066><U+2028><U+200B><U+009B><U+007F><U+001B>[2J"

static void put(msgpack_packer *packer, struct slice text)
{
	msgpack_pack_str(packer, text.len);
	msgpack_pack_str_body(packer, text.data, text.len);
}

/* A record of two texts; msgpack_sbuffer_destroy it. */
static void record_of(msgpack_sbuffer *out, struct slice key, struct slice value)
{
	msgpack_packer packer;

	msgpack_sbuffer_init(out);
	msgpack_packer_init(&packer, out, msgpack_sbuffer_write);
	msgpack_pack_map(&packer, 1);
	put(&packer, key);
	put(&packer, value);
}

static void a_line_shows_hostile_text_visibly(void **state)
{
	struct query_event event = {.source_ip = SLICE("192.0.2.1"),
		.model = SLICE("m" HOSTILE),
		.error_type = SLICE(HOSTILE),
		.content[CONTENT_OUTPUT] =
			SLICE("[{\"content\":\"\xe2\x80\xae\\u001b[31m\\u009b x\"}]")};
	struct printed printed = {0};
	const char *text;

	(void)state;
	review_print_event(printed_begin(&printed), &event);
	text = printed_end(&printed);
	assert_non_null(strstr(text, " m" DRAWN " "));
	assert_non_null(strstr(text, " " DRAWN " <U+202E><U+001B>[31m<U+009B> x\n"));
	printed_free(&printed);
}

static void facts_show_hostile_text_visibly(void **state)
{
	struct query_event event = {.kind = SLICE("datapath.state")};
	struct printed printed = {0};
	msgpack_sbuffer record;

	(void)state;
	record_of(&record, SLICE("datapath.state" HOSTILE), SLICE(HOSTILE));
	event.record = slice_of(record.data, record.size);
	review_print_event(printed_begin(&printed), &event);
	assert_non_null(strstr(printed_end(&printed), "datapath.state" DRAWN "=" DRAWN "\n"));
	printed_free(&printed);
	msgpack_sbuffer_destroy(&record);
}

static void json_hides_nothing(void **state)
{
	struct query_event event = {0};
	struct printed printed = {0};
	msgpack_sbuffer record;

	(void)state;
	record_of(&record, SLICE("k" HOSTILE), SLICE("v" HOSTILE "\xff"));
	event.record = slice_of(record.data, record.size);
	assert_int_equal(review_print_json(printed_begin(&printed), &event), 0);
	assert_non_null(strstr(printed_end(&printed),
		"\"k\\u202e\\u2066\\u2028\\u200b\\u009b\\u007f\\u001B[2J\":"
		"\"v\\u202e\\u2066\\u2028\\u200b\\u009b\\u007f\\u001B[2J\\ufffd\"}\n"));
	printed_free(&printed);
	msgpack_sbuffer_destroy(&record);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_shows_hostile_text_visibly),
		cmocka_unit_test(facts_show_hostile_text_visibly),
		cmocka_unit_test(json_hides_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
