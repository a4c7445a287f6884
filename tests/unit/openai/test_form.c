// SPDX-License-Identifier: GPL-2.0-or-later
/* What is read of a form: each field once, and as what it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "openai/form.h"

#define TYPE "multipart/form-data; boundary=b-1"
#define PART(fields, data) "--b-1\r\nContent-Disposition: form-data; " fields "\r\n\r\n" data "\r\n"
#define END "--b-1--\r\n"

static const struct operation transcription = {.name = "transcription", .family = FAMILY_TRANSCRIPTION};
static const struct operation files = {.name = "files", .family = FAMILY_FILES};

/* problem NULL: it is readable, and of that model. */
static void expect(const char *body, const char *problem, const char *model)
{
	struct form_reader *r = form_reader_new(&transcription, SLICE(TYPE), 1000);
	const struct request_facts *f;

	assert_non_null(r);
	form_reader_feed(r, slice_of_string(body));
	form_reader_end(r);
	f = form_reader_facts(r);
	assert_int_equal(f->readable, !problem);
	if (problem)
		assert_string_equal(f->problem, problem);
	else
		assert_true(slice_equal(f->model, slice_of_string(model)));
	form_reader_free(r);
}

static void a_field_is_what_every_reader_takes_it_for(void **state)
{
	(void)state;
	expect(PART("name=model", "m") PART("name=file; filename=\"model\"", "x") END, NULL, "m");
	expect(PART("name=other", "m") END, NULL, "");
	expect(PART("name=model", "m") PART("name=model", "n") END, "duplicate key", NULL);
	expect(PART("name=Model", "m") END, "ambiguous key", NULL);
	/* Some readers see a field there, others a file. */
	expect(PART("name=model; filename=a", "m") END, "ambiguous key", NULL);
	expect(PART("filename=\"\"; name=\"Model\"", "m") END, "ambiguous key", NULL);
	expect(PART("name=model", "m") PART("name=prompt; filename=a", "p") END, "ambiguous key", NULL);
}

/* Beyond what is kept, the middle of a prompt goes, whole characters of it. */
static void a_long_prompt_keeps_its_beginning_and_its_end(void **state)
{
	struct buf body = BUF_EMPTY;
	uint64_t cut = 0;

	(void)state;
	buf_append_slice(&body, SLICE("--b\r\nContent-Disposition: form-data; name=prompt\r\n\r\nbegin "));
	for (int i = 0; i < 2000; i++)
		buf_append_slice(&body, SLICE("\xc3\xa4\""));
	buf_append_slice(&body, SLICE(" end\r\n--b--\r\n"));
	for (size_t step = 1; step < 10000; step = step * 5 + 1) {
		struct form_reader *r = form_reader_new(&transcription, SLICE("multipart/form-data; boundary=b"), 1000);
		const struct request_facts *f = form_reader_facts(r);
		struct slice rest = buf_slice(&body), m;

		for (; rest.len; rest = slice_after(rest, step))
			assert_int_equal(form_reader_feed(r, slice_first(rest, step)), 0);
		form_reader_end(r);
		m = f->messages;
		assert_true(f->readable && f->messages_truncated);
		assert_in_range(f->messages_cut, 6010 - 1000, 6010 - 990);
		assert_true(!cut || cut == f->messages_cut);
		cut = f->messages_cut;
		assert_non_null(memmem(m.data, m.len, "\"begin \xc3\xa4\\\"", 11));
		assert_non_null(memmem(m.data, m.len, "\xc3\xa4\\\" end\"}]}]", 13));
		assert_non_null(memmem(m.data, m.len, "\xe2\x80\xa6", 3));
		assert_null(memmem(m.data, m.len, "\xef\xbf\xbd", 3)); /* U+FFFD */
		form_reader_free(r);
	}
	buf_free(&body);
}

#define LINE(model) "{\"custom_id\":\"a\",\"body\":{\"model\":\"" model "\",\"input\":\"Hello\"}}"
#define FILE(data) PART("name=file; filename=\"calls.jsonl\"", data)
#define PURPOSE PART("name=purpose", "batch")

static struct form_reader *read_file(const char *body, size_t step)
{
	struct form_reader *r = form_reader_new(&files, SLICE(TYPE), 1000);

	for (struct slice rest = slice_of_string(body); rest.len; rest = slice_after(rest, step))
		form_reader_feed(r, slice_first(rest, step));
	form_reader_end(r);
	return r;
}

static void the_lines_of_a_file_are_its_messages(void **state)
{
	static const struct {
		const char *body, *problem, *model, *messages;
		bool elsewhere;
	} cases[] = {
		{PURPOSE FILE(LINE("m") "\n" LINE("m") "\n") END, NULL, "m", "[" LINE("m") "," LINE("m") "]", false},
		/* The purpose may come last. */
		{FILE(LINE("m") "\r\n" LINE("m")) PURPOSE END, NULL, "m", "[" LINE("m") "," LINE("m") "]", false},
		{PURPOSE FILE(LINE("m") "\n" LINE("n")) END, NULL, "", "[" LINE("m") "," LINE("n") "]", true},
		{FILE(LINE("m") "\n{]\n") PURPOSE END, "invalid JSON", "m", NULL, false},
		{FILE("") PURPOSE END, "not a JSON object", "", NULL, false},
		{FILE(LINE("m")) FILE(LINE("n")) PURPOSE END, "several files", "m", NULL, false},
		/* What some readers take for a field, and others for the file. */
		{PART("name=file", LINE("m")) PURPOSE END, "not a JSON object", "", NULL, false},
		/* Other files are what they are. */
		{PART("name=purpose", "assistants") FILE("{\n \"a\": 1\n}") END, NULL, "", NULL, false},
		{PART("name=purpose", "assistants") FILE("%PDF") END, NULL, "",
			"[{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"name\":\"file\",\"filename\":"
			"\"calls.jsonl\",\"mime_type\":\"\",\"bytes\":4}]}]", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t step = 1; step < 600; step = step * 2 + 1) {
			struct form_reader *r = read_file(cases[i].body, step);
			const struct request_facts *f = form_reader_facts(r);

			if (f->readable != !cases[i].problem ||
				(cases[i].problem && strcmp(f->problem, cases[i].problem) != 0))
				fail_msg("case %zu: %s", i, f->problem ? f->problem : "readable");
			assert_true(slice_equal(f->model, slice_of_string(cases[i].model)));
			assert_int_equal(f->stored_prompt, cases[i].elsewhere);
			if (cases[i].messages && !slice_equal(f->messages, slice_of_string(cases[i].messages)))
				fail_msg("case %zu: %.*s", i, SLICE_ARG(f->messages));
			form_reader_free(r);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_lines_of_a_file_are_its_messages),
		cmocka_unit_test(a_field_is_what_every_reader_takes_it_for),
		cmocka_unit_test(a_long_prompt_keeps_its_beginning_and_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
