// SPDX-License-Identifier: GPL-2.0-or-later
/* What is read of a form: each field once, and as what it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "openai/form.h"

#define TYPE "multipart/form-data; boundary=b-1"
#define PART(fields, data) "--b-1\r\nContent-Disposition: form-data; " fields "\r\n\r\n" data "\r\n"
#define END "--b-1--\r\n"

/* problem NULL: it is readable, and of that model. */
static void expect(const char *body, const char *problem, const char *model)
{
	struct form_reader *r = form_reader_new(SLICE(TYPE), 1000);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_field_is_what_every_reader_takes_it_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
