// SPDX-License-Identifier: GPL-2.0-or-later
/* What is no text in a request: its kind, type, size and hash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "openai/form.h"
#include "openai/request.h"
#include "tls/part_digest.h"

static const struct operation chat = {.name = "chat", .family = FAMILY_CHAT};
static const struct operation messages = {.name = "messages", .family = FAMILY_MESSAGES};
static const struct operation edit = {.name = "image_edit", .family = FAMILY_IMAGES};

/* The bytes 0 … 89, 0 … 90, and "hi". */
#define BYTES90                                                                                    \
	"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+"     \
	"P0BBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZ"
#define HASH90 "e052dff9e1c94aaa49556f86fad55029a4875839fda57f5005f4c4403876b256"
#define BYTES91                                                                                    \
	"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+"     \
	"P0BBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWg=="
#define HASH91	"58d29459b2130a2e151252d408b95e6dac424c564062eb911cc76440cb926ca0"
#define HI	"aGk="
#define HASH_HI "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4"
#define PART(kind, type, bytes, hash)                                                              \
	"{\"kind\":\"" kind "\"," type "\"bytes\":" bytes ",\"sha256\":\"" hash "\"}"
#define TYPE(type) "\"mime_type\":\"" type "\","

static void expect(const struct operation *operation, const char *content, const char *parts)
{
	char body[4096];

	snprintf(body, sizeof(body), "{\"messages\":[{\"role\":\"user\",\"content\":[%s]}]}",
		content);
	for (size_t step = 1; step < sizeof(body); step = step * 3 / 2 + 1) {
		struct request_reader *r = request_reader_new(operation, 0);
		struct slice rest = slice_of_string(body);

		request_reader_digest(r, &part_digest);
		for (; rest.len; rest = slice_after(rest, step))
			assert_int_equal(request_reader_feed(r, slice_first(rest, step)), 0);
		assert_int_equal(request_reader_end(r), 0);
		if (!slice_equal(request_reader_facts(r)->parts, slice_of_string(parts)))
			fail_msg("in pieces of %zu: expected %s, got %.*s", step, parts,
				SLICE_ARG(request_reader_facts(r)->parts));
		request_reader_free(r);
	}
}

#define IMAGE(url)                                                                                 \
	"{\"type\":\"image_url\",\"image_url\":{\"url\":\"" url "\",\"detail\":\"high\"}}"

static void data_is_told_and_places_are_not(void **state)
{
	(void)state;
	expect(&chat, IMAGE("data:image/png;base64," BYTES90),
		"[" PART("image", TYPE("image/png"), "90", HASH90) "]");
	expect(&chat, IMAGE("DATA:image/jpeg;name=x;BASE64," HI),
		"[" PART("image", TYPE("image/jpeg"), "2", HASH_HI) "]");
	expect(&chat,
		IMAGE("data:audio/wav;base64," BYTES91) "," IMAGE("data:image/png;base64," BYTES90),
		"[" PART("audio", TYPE("audio/wav"), "91", HASH91) "," PART(
			"image", TYPE("image/png"), "90", HASH90) "]");
	expect(&chat, IMAGE("https://example.org/" BYTES90), "");
	expect(&chat, IMAGE("data:text/plain,hello"), "");
	expect(&chat, IMAGE("data:image/png;base64,!!!!"), "");
	expect(&chat, IMAGE("data:image/png;base64," BYTES90 "===="), "");
	expect(&chat, IMAGE("data:image/png\\u0022;base64," HI),
		"[" PART("image", "", "2", HASH_HI) "]");
	expect(&chat,
		"{\"type\":\"input_audio\",\"input_audio\":{\"format\":\"wav\",\"data\":\"" BYTES90
		"\"}}",
		"[" PART("audio", "", "90", HASH90) "]");
	expect(&chat,
		"{\"type\":\"file\",\"file\":{\"filename\":\"a.pdf\",\"file_data\":"
		"\"data:application/pdf;base64," BYTES91 "\"}}",
		"[" PART("file", TYPE("application/pdf"), "91", HASH91) "]");
	expect(&messages,
		"{\"type\":\"document\",\"source\":{\"type\":\"base64\",\"media_type\":"
		"\"application/pdf\",\"data\":\"" BYTES90 "\"}}",
		"[" PART("file", TYPE("application/pdf"), "90", HASH90) "]");
	expect(&messages,
		"{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/webp\","
		"\"data\":\"" BYTES90 "\"}},{\"type\":\"image\",\"source\":{\"data\":\"" BYTES90
		"\"}}",
		"[" PART("image", TYPE("image/webp"), "90", HASH90) "," PART(
			"image", "", "90", HASH90) "]");
	/* Escapes and line breaks do not change what it is. */
	expect(&chat, IMAGE("data:image\\/png;base64,\\u0061\\nGk="),
		"[" PART("image", TYPE("image/png"), "2", HASH_HI) "]");
}

static void files_of_forms_are_told(void **state)
{
	struct form_reader *r = form_reader_new(&edit, SLICE("multipart/form-data; boundary=b"), 0);

	(void)state;
	form_reader_digest(r, &part_digest);
	form_reader_feed(
		r, SLICE("--b\r\nContent-Disposition: form-data; name=image; filename=a\r\n"
			 "Content-Type: image/png\r\n\r\nh"));
	form_reader_feed(r, SLICE("i\r\n--b\r\nContent-Disposition: form-data; name=mask; "
				  "filename=a\r\n\r\nhi\r\n--b--\r\n"));
	form_reader_end(r);
	assert_true(slice_equal(form_reader_facts(r)->parts,
		SLICE("[" PART("image", TYPE("image/png"), "2", HASH_HI) "," PART(
			"file", "", "2", HASH_HI) "]")));
	form_reader_free(r);
}

static void as_many_as_are_told(void **state)
{
	struct request_reader *r = request_reader_new(&chat, 0);
	struct slice parts;
	unsigned n = 0;

	(void)state;
	request_reader_digest(r, &part_digest);
	request_reader_feed(r, SLICE("{\"messages\":[{\"content\":[{}"));
	for (int i = 0; i < 2 * PARTS_MAX; i++)
		request_reader_feed(r, SLICE("," IMAGE("data:image/png;base64," HI)));
	request_reader_feed(r, SLICE("]}]}"));
	request_reader_end(r);
	parts = request_reader_facts(r)->parts;
	for (size_t i = 0; i < parts.len; i++)
		n += parts.data[i] == '{';
	assert_int_equal(n, PARTS_MAX);
	assert_true(parts.len < 8192);
	request_reader_free(r);
}

/* A body that ends inside of one leaves nothing behind. */
static void one_that_breaks_off(void **state)
{
	struct request_reader *r = request_reader_new(&chat, 0);

	(void)state;
	request_reader_digest(r, &part_digest);
	request_reader_feed(r, SLICE("{\"messages\":[{\"content\":[{\"image_url\":{\"url\":\"data:"
				     "image/png;base64," BYTES90));
	request_reader_end(r);
	assert_false(request_reader_facts(r)->parts.len);
	request_reader_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_is_told_and_places_are_not),
		cmocka_unit_test(files_of_forms_are_told),
		cmocka_unit_test(as_many_as_are_told),
		cmocka_unit_test(one_that_breaks_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
