// SPDX-License-Identifier: GPL-2.0-or-later
/* Forms: what is in them, whatever the pieces in which they come, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "http/multipart.h"

#define TYPE "multipart/form-data; boundary=b-1"

/* "(name|file|type:data)" of each part, "!problem" where it is bad, "?problem" at the end. */
static struct buf trace(struct slice body, size_t step)
{
	const char *problem;
	struct multipart *m = multipart_new(SLICE(TYPE), &problem);
	struct buf text = BUF_EMPTY;
	bool failed = false;

	assert_non_null(m);
	while (body.len && !failed) {
		struct slice input = slice_first(body, step);
		struct multipart_part part;
		enum multipart_event event;

		body = slice_after(body, step);
		while ((event = multipart_read(m, &input, &part)) != MULTIPART_MORE && !failed) {
			if (event == MULTIPART_PART)
				buf_printf(&text, "(%.*s|%.*s|%.*s:", SLICE_ARG(part.name),
					SLICE_ARG(part.file_name), SLICE_ARG(part.type));
			else if (event == MULTIPART_DATA)
				buf_append_slice(&text, part.data);
			else if (event == MULTIPART_PART_END)
				buf_append_slice(&text, SLICE(")"));
			failed = event == MULTIPART_BAD;
		}
	}
	problem = multipart_end(m);
	if (problem)
		buf_printf(&text, "%s%s", failed ? "!" : "?", problem);
	multipart_free(m);
	return text;
}

static void expect(struct slice body, const char *expected)
{
	for (size_t step = 1; step <= body.len; step++) {
		struct buf text = trace(body, step);

		if (!slice_equal(buf_slice(&text), slice_of_string(expected)))
			fail_msg("%zu: %.*s", step, SLICE_ARG(buf_slice(&text)));
		buf_free(&text);
	}
}

#define PART(fields, data) "--b-1\r\nContent-Disposition: form-data; " fields "\r\n\r\n" data "\r\n"
#define END		   "--b-1--\r\n"

static void parts_are_found_in_pieces_of_any_size(void **state)
{
	(void)state;
	expect(SLICE(PART("name=\"model\"", "whisper-1") PART("name=file; filename=\"a b.wav\"\r\n"
								"content-type: audio/wav",
				"\x01\xff\r\n--b-\r\n\r\r\n--b-2") END),
		"(model||:whisper-1)(file|a b.wav|audio/wav:\x01\xff\r\n--b-\r\n\r\r\n--b-2)");
}

/* As some clients write what is not ASCII, beside the other name or alone. */
static void a_file_has_its_name_in_either_form(void **state)
{
	(void)state;
	expect(SLICE(PART("name=a; filename=b; filename*=utf-8''b", "1") END), "(a|b|:1)");
	expect(SLICE(PART("name=a; filename*=utf-8''b", "1") END), "(a|utf-8''b|:1)");
}

static void data_that_looks_like_a_delimiter_is_data(void **state)
{
	(void)state;
	expect(SLICE(PART("name=a", "x\r\n--b-\r\n\r\r\n--b-2\r\n--b") END),
		"(a||:x\r\n--b-\r\n\r\r\n--b-2\r\n--b)");
	expect(SLICE(PART("name=a", "x\r\n--b-\r\n\r\r\n--c\r") END), "(a||:x\r\n--b-\r\n\r\r\n--c\r)");
	expect(SLICE(PART("name=a", "") END), "(a||:)");
	expect(SLICE("--b-1--"), "");
	expect(SLICE(PART("name=a", "1") "--b-1--"), "(a||:1)");
}

static void what_readers_may_understand_differently_is_refused(void **state)
{
	static const struct {
		struct slice body;
		const char *expected;
	} cases[] = {
		{SLICE("preamble\r\n" PART("name=a", "1") END), "!malformed form"},
		{SLICE(PART("name=a", "1") END "epilogue"), "(a||:1)!malformed form"},
		{SLICE("--b-1\nContent-Disposition: form-data; name=a\n\n1\n--b-1--\n"), "!malformed form"},
		{SLICE(PART("name=a; name=b", "1") END), "!part of a form named twice"},
		{SLICE(PART("name=a; filename=b; filename=c", "1") END), "!part of a form named twice"},
		{SLICE(PART("name=a; name*=utf-8''b", "1") END), "!part of a form named twice"},
		{SLICE(PART("name=a\r\nContent-Disposition: form-data; name=b", "1") END),
			"!part of a form named twice"},
		{SLICE(PART("name=\"a\\\"b\"", "1") END), "!part of a form without a name"},
		{SLICE(PART("name=\"a", "1") END), "!part of a form without a name"},
		{SLICE(PART("filename=a", "1") END), "!part of a form without a name"},
		{SLICE(PART("name=", "1") END), "!part of a form without a name"},
		{SLICE("--b-1\r\n\r\n1\r\n" END), "!part of a form without a name"},
		{SLICE("--b-1\r\nContent-Disposition: attachment; name=a\r\n\r\n" END),
			"!part of a form that is none"},
		{SLICE(PART("name=a\r\n folded: b", "1") END), "!malformed part of a form"},
		{SLICE(PART("name=a\r\nno colon", "1") END), "!malformed part of a form"},
		{SLICE(PART("name=a\r\nContent-Transfer-Encoding: base64", "1") END),
			"!part of a form in a coding"},
		{SLICE("--b-1 \r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n" END), "!malformed form"},
		{SLICE(PART("name=a", "1")), "(a||:1?unfinished form"},
		{SLICE("--b-"), "?unfinished form"},
		{SLICE("--b-1-"), "?unfinished form"},
		{SLICE(PART("name=a", "1") "--b-1--\r"), "(a||:1)?unfinished form"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect(cases[i].body, cases[i].expected);
}

static void fields_of_a_part_are_bounded(void **state)
{
	struct buf body = BUF_EMPTY, text;

	(void)state;
	buf_append_slice(&body, SLICE("--b-1\r\nX: "));
	for (int i = 0; i < MULTIPART_HEADERS; i++)
		buf_append_slice(&body, SLICE("x"));
	text = trace(buf_slice(&body), 100);
	assert_true(slice_equal(buf_slice(&text), SLICE("!part of a form with long fields")));
	buf_free(&text);
	buf_free(&body);
}

static void boundaries_are_read_from_the_type(void **state)
{
	static const struct {
		const char *type;
		bool good;
	} cases[] = {
		{"multipart/form-data; boundary=x", true},
		{"Multipart/Form-Data;charset=utf-8; BOUNDARY=\"a b:c\"", true},
		{"multipart/form-data", false},
		{"multipart/form-data; boundary=", false},
		{"multipart/form-data; boundary=\"\"", false},
		{"multipart/form-data; boundary=\"a \"", false},
		{"multipart/form-data; boundary=a; boundary=b", false},
		{"multipart/form-data; boundary=\"a\\b\"", false},
		{"multipart/form-data; boundary=a b", false},
		{"multipart/form-data; boundary=\xc3\xa4", false},
		{"multipart/form-data; boundary=1234567890123456789012345678901234567890123456789012345678901"
		 "23456789012345678901", false},
	};
	const char *problem;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct multipart *m = multipart_new(slice_of_string(cases[i].type), &problem);

		if ((m != NULL) != cases[i].good)
			fail_msg("%s", cases[i].type);
		assert_int_equal(problem == NULL, cases[i].good);
		multipart_free(m);
	}
	assert_true(multipart_is_form(SLICE("MULTIPART/form-data ; boundary=x")));
	assert_false(multipart_is_form(SLICE("multipart/mixed; boundary=x")));
	assert_false(multipart_is_form(SLICE("application/json")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_are_found_in_pieces_of_any_size),
		cmocka_unit_test(a_file_has_its_name_in_either_form),
		cmocka_unit_test(data_that_looks_like_a_delimiter_is_data),
		cmocka_unit_test(what_readers_may_understand_differently_is_refused),
		cmocka_unit_test(fields_of_a_part_are_bounded),
		cmocka_unit_test(boundaries_are_read_from_the_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
