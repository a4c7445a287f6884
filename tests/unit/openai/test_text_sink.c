// SPDX-License-Identifier: GPL-2.0-or-later
/* What is heard of the texts of bodies: all of them, what they are, and where they stand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"
#include "openai/reader.h"

static const struct operation chat = {.name = "chat", .streams = true, .family = FAMILY_CHAT};
static const struct operation responses = {
	.name = "responses", .streams = true, .family = FAMILY_RESPONSES};
static const struct operation messages = {
	.name = "messages", .streams = true, .family = FAMILY_MESSAGES};
static const struct operation transcription = {
	.name = "audio.transcriptions", .form = true, .family = FAMILY_TRANSCRIPTION};

/* A line for each string, resp. for each piece of a text that streams. */
struct heard {
	struct slice body;
	struct buf lines;
	uint64_t end; /* of the last piece of the string that has begun */
};

static bool is_quote(struct slice body, uint64_t at)
{
	return at < body.len && body.data[at] == '"';
}

static uint64_t hear(void *context, const struct text_piece *piece)
{
	static const char *const kinds[] = {
		"input", "instructions", "tool", "output", "again", "data", "other"};
	struct heard *h = context;

	if (piece->first || piece->text)
		buf_printf(&h->lines, "%s %u%s ", kinds[piece->kind], (unsigned)piece->index,
			piece->text ? "+" : "");
	buf_append_slice(&h->lines, piece->words);
	if (piece->last || piece->text)
		buf_append_slice(&h->lines, SLICE("\n"));
	if (!piece->placed)
		return 0;
	/* The pieces of a string follow one another from quote to quote; no byte is said by two. */
	assert_true(piece->start <= piece->end && piece->end <= h->body.len);
	if (!piece->first && !piece->text)
		assert_int_equal(piece->start, h->end);
	h->end = piece->end;
	if (slice_starts_with(h->body, SLICE("{")) && piece->first)
		assert_true(is_quote(h->body, piece->start - 1));
	if (slice_starts_with(h->body, SLICE("{")) && piece->last)
		assert_true(is_quote(h->body, piece->end));
	if (piece->words.len == piece->end - piece->start)
		assert_memory_equal(h->body.data + piece->start, piece->words.data, piece->words.len);
	else
		assert_non_null(memchr(h->body.data + piece->start, '\\',
			(size_t)(piece->end - piece->start)));
	return 0;
}

/* Reads the body in two pieces, and returns what was heard. */
static struct buf heard_of(bool request, const struct operation *operation, const char *type,
	struct slice body, size_t split)
{
	struct heard h = {.body = body};
	const struct reader_options options = {
		.operation = operation, .content_max = 4096, .expansion_max = 64, .sink = {hear, &h}};
	struct header field = {SLICE("Content-Type"), slice_of_string(type)};
	struct head head = {.headers = &field, .nheaders = 1};
	struct reader *r = request ? reader_open_request(&head, &options)
				   : reader_open_response(&head, &options);
	struct slice pieces[] = {slice_first(body, split), slice_after(body, split)}, pass;
	struct work work = {1 << 20, NULL};

	assert_non_null(r);
	for (int i = 0; i < 2; i++)
		assert_int_equal(reader_feed(r, &pieces[i], &work, &pass), READER_ALL);
	reader_end(r);
	reader_free(r);
	return h.lines;
}

/* Wherever the body is split. */
static void hears(bool request, const struct operation *operation, const char *type,
	const char *text, const char *expected)
{
	struct slice body = slice_of_string(text);

	for (size_t split = 0; split <= body.len; split++) {
		struct buf lines = heard_of(request, operation, type, body, split);

		buf_append(&lines, "", 1);
		assert_string_equal(buf_slice(&lines).data, expected);
		buf_free(&lines);
	}
}

static void all_strings_of_a_request(void **state)
{
	(void)state;
	hears(true, &chat, "application/json",
		"{\"model\":\"m\\u00e9\",\"messages\":[{\"role\":\"system\",\"content\":\"a\\nb\\\\\"},"
		"{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"gr\xc3\xbc\xc3\x9f\\ud83d\\ude00!\\ud83d\"},"
		"{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:x\"}},"
		"{\"type\":\"file\",\"file\":{\"file_data\":\"QQ==\"}},{\"unknown\":{\"deep\":[\"w\"]}}]},"
		"{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"c\",\"function\":"
		"{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1}\"}}]}],"
		"\"tools\":[{\"type\":\"function\",\"function\":{\"description\":\"d\"}}],\"n\":1}",
		"other 0 m\xc3\xa9\nother 0 system\ninput 0 a\nb\\\nother 1 user\nother 1 text\n"
		"input 1 gr\xc3\xbc\xc3\x9f\xf0\x9f\x98\x80!\xef\xbf\xbd\nother 1 image_url\ndata 1 data:x\n"
		"other 1 file\ndata 1 QQ==\nother 1 w\nother 2 assistant\ninput 2 \nother 2 c\n"
		"other 2 f\ninput 2 {\"x\":1}\ntool 3 function\ntool 3 d\n");
	hears(true, &responses, "application/json",
		"{\"instructions\":\"be \\\"good\\\"\",\"input\":\"all\"}",
		"instructions 0 be \"good\"\ninput 0 all\n");
}

static void the_fields_of_a_form(void **state)
{
	(void)state;
	hears(true, &transcription, "multipart/form-data; boundary=b",
		"--b\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nSpell it\r\n well\r\n"
		"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n"
		"--b\r\nContent-Disposition: form-data; name=\"hint\"\r\n\r\nh\r\n--b--\r\n",
		"input 0 Spell it\r\n well\nother 0 h\n");
}

static void an_answer_that_is_one_text(void **state)
{
	(void)state;
	hears(false, &chat, "application/json",
		"{\"id\":\"x\",\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"a\\tb\"}},"
		"{\"message\":{\"refusal\":\"no\",\"audio\":{\"data\":\"QQ==\"},\"tool_calls\":[{\"function\":"
		"{\"name\":\"f\",\"arguments\":\"{}\"}}]},\"finish_reason\":\"stop\"}]}",
		"other 0 x\nother 0 assistant\noutput 0 a\tb\noutput 1 no\ndata 1 QQ==\nother 1 f\n"
		"output 1 {}\nother 1 stop\n");
	hears(false, &responses, "application/json",
		"{\"output\":[{\"type\":\"reasoning\",\"summary\":[{\"text\":\"why\"}]},"
		"{\"content\":[{\"text\":\"so\"}]}]}",
		"other 0 reasoning\noutput 0 why\noutput 1 so\n");
}

static void a_stream_of_chunks(void **state)
{
	(void)state;
	hears(false, &chat, "text/event-stream",
		": hello\n\ndata: {\"id\":\"x\",\"choices\":[{\"index\":1,\"delta\":{\"content\":\"a \\\"b\\\"\"}}]}\n\n"
		"event: e\r\ndata:{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":2,"
		"\"function\":{\"arguments\":\"{\"}}]}},{\"index\":500,\"delta\":{\"content\":\"far\"}}]}\r\n\r\n"
		"data: [DONE]\n\n",
		"other 0 x\noutput 1+ a \"b\"\noutput 0+ {\noutput 500+ far\n");
}

static void a_stream_of_typed_events(void **state)
{
	(void)state;
	hears(false, &responses, "text/event-stream",
		"data: {\"type\":\"response.output_text.delta\",\"output_index\":1,\"content_index\":0,"
		"\"delta\":\"so\"}\n\n"
		"data: {\"type\":\"response.output_text.done\",\"output_index\":1,\"text\":\"so\"}\n\n"
		"data: {\"type\":\"response.audio.delta\",\"delta\":\"QQ==\"}\n\n"
		"data: {\"type\":\"response.completed\",\ndata: \"response\":{\"output\":[{\"content\":"
		"[{\"text\":\"so\"}]}]}}\n\n",
		"other 1 response.output_text.delta\noutput 1+ so\n"
		"other 1 response.output_text.done\nagain 1 so\n"
		"other 0 response.audio.delta\ndata 0 QQ==\n"
		"other 0 response.completed\nagain 0 so\n");
}

static void a_stream_of_blocks(void **state)
{
	(void)state;
	hears(false, &messages, "text/event-stream",
		"data: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"text\":\"a\"}}\n\n"
		"data: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"text_delta\","
		"\"text\":\"b\"}}\n\n",
		"other 2 content_block_start\noutput 2 a\nother 2 content_block_delta\n"
		"other 2 text_delta\noutput 2+ b\n");
}

/* Plain text; of what was split inside of a character, the pieces are told otherwise. */
static void an_answer_that_is_plain_text(void **state)
{
	struct buf lines = heard_of(false, &transcription, "text/plain", SLICE("Gr\xc3\xbc\xc3\x9f"), 3);

	(void)state;
	assert_true(slice_equal(buf_slice(&lines), SLICE("output 0+ Gr\noutput 0+ \xc3\xbc\xc3\x9f\n")));
	buf_free(&lines);
}

static uint64_t note_text(void *context, const struct text_piece *piece)
{
	uint64_t **next = context;

	if (piece->text)
		*(*next)++ = piece->text;
	return 0;
}

/* Texts that come by turns: another choice, another member of its delta, another call. */
static void texts_that_stream_are_told_apart(void **state)
{
	static const char body[] =
		"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\",\"refusal\":\"b\"}},"
		"{\"index\":1,\"delta\":{\"content\":\"c\"}},{\"index\":0,\"delta\":{\"tool_calls\":["
		"{\"index\":0,\"function\":{\"arguments\":\"d\"}},"
		"{\"index\":1,\"function\":{\"arguments\":\"e\"}}]}}]}\n\n";
	uint64_t texts[16], *next = texts;
	const struct reader_options options = {
		.operation = &chat, .content_max = 4096, .expansion_max = 64, .sink = {note_text, &next}};
	struct header field = {SLICE("Content-Type"), SLICE("text/event-stream")};
	struct head head = {.headers = &field, .nheaders = 1};
	struct reader *r = reader_open_response(&head, &options);
	struct work work = {1 << 20, NULL};
	struct slice pass;

	(void)state;
	for (int twice = 0; twice < 2; twice++) {
		struct slice input = SLICE(body);

		assert_int_equal(reader_feed(r, &input, &work, &pass), READER_ALL);
	}
	assert_int_equal(next - texts, 10);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(texts[i], texts[i + 5]);
		for (int j = 0; j < i; j++)
			assert_int_not_equal(texts[i], texts[j]);
	}
	reader_free(r);
}

static uint64_t think(void *context, const struct text_piece *piece)
{
	(void)context;
	(void)piece;
	return 30000;
}

/* What the hearer does is work of the turn. */
static void hearing_is_charged(void **state)
{
	const struct reader_options options = {
		.operation = &chat, .content_max = 4096, .expansion_max = 64, .sink = {think, NULL}};
	struct header field = {SLICE("Content-Type"), SLICE("text/event-stream")};
	struct head head = {.headers = &field, .nheaders = 1};
	struct reader *r = reader_open_response(&head, &options);
	struct slice event = SLICE("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"), pass;
	struct work work = {65536, NULL};
	int events;

	(void)state;
	for (events = 0; work_left(&work); events++) {
		struct slice input = event;

		assert_int_equal(reader_feed(r, &input, &work, &pass), READER_ALL);
	}
	assert_int_equal(events, 3);
	reader_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_strings_of_a_request),
		cmocka_unit_test(the_fields_of_a_form),
		cmocka_unit_test(an_answer_that_is_one_text),
		cmocka_unit_test(a_stream_of_chunks),
		cmocka_unit_test(a_stream_of_typed_events),
		cmocka_unit_test(a_stream_of_blocks),
		cmocka_unit_test(an_answer_that_is_plain_text),
		cmocka_unit_test(hearing_is_charged),
		cmocka_unit_test(texts_that_stream_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
