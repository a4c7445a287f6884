// SPDX-License-Identifier: GPL-2.0-or-later
/* Bodies on their way: what is read, within which work, and what goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/buf.h"
#include "openai/reader.h"

#define SHARE 65536

static const struct operation chat = {
	.name = "chat", .streams = true, .family = FAMILY_CHAT};

static const struct reader_options options = {
	.operation = &chat, .content_max = 4096, .expansion_max = 64, .hide_usage = true};

/* A head with these fields; value NULL: as many as there are. */
static struct head head_of(struct header *headers, size_t n)
{
	return (struct head){.headers = headers, .nheaders = n};
}

static struct buf gzip(struct slice text)
{
	struct buf b = BUF_EMPTY;
	z_stream z = {0};

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (z_const Bytef *)text.data;
	z.avail_in = (uInt)text.len;
	z.avail_out = (uInt)deflateBound(&z, text.len);
	z.next_out = (Bytef *)buf_reserve(&b, z.avail_out);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	buf_commit(&b, z.total_out);
	deflateEnd(&z);
	return b;
}

static struct buf repeated(struct slice before, struct slice unit, size_t times, struct slice after)
{
	struct buf b = BUF_EMPTY;

	assert_non_null(buf_reserve(&b, before.len + unit.len * times + after.len));
	buf_append_slice(&b, before);
	for (size_t i = 0; i < times; i++)
		buf_append_slice(&b, unit);
	buf_append_slice(&b, after);
	return b;
}

struct outcome {
	unsigned turns; /* in which its work was spent */
	int64_t work;	/* in all */
	int64_t most;	/* in one turn */
	struct buf passed;
};

/* Feeds all of body as it comes from a socket, in as many turns as it takes. */
static struct outcome feed(struct reader *r, struct slice body, size_t step)
{
	struct outcome o = {0};

	assert_non_null(r);
	while (body.len) {
		struct slice input = slice_first(body, step);
		enum reader_result result;

		body = slice_after(body, input.len);
		do {
			struct work work = {SHARE, NULL};
			struct slice pass;

			do {
				result = reader_feed(r, &input, &work, &pass);
				buf_append_slice(&o.passed, pass);
			} while (result == READER_AGAIN);
			o.turns += result == READER_SPENT;
			o.work += SHARE - work.left;
			if (SHARE - work.left > o.most)
				o.most = SHARE - work.left;
		} while (result == READER_SPENT);
		assert_int_equal(input.len, 0);
	}
	buf_append_slice(&o.passed, reader_end(r));
	return o;
}

/* ---- the work ---- */

/* The body of the report: a small request that decodes to very much. */
static void a_compressed_body_is_decoded_turn_by_turn(void **state)
{
	struct header encoding = {SLICE("Content-Encoding"), SLICE("gzip")};
	struct head head = head_of(&encoding, 1);
	struct buf text = repeated(SLICE("{\"model\":\"m\",\"messages\":["), SLICE("{\"\":1},"), 140000,
		SLICE("{}]}"));
	struct buf body = gzip(buf_slice(&text));
	struct reader *r = reader_open_request(&head, &options);
	struct outcome o = feed(r, buf_slice(&body), 16384);
	const struct request_facts *f = request_reader_facts(reader_json_request(r));

	(void)state;
	assert_true(buf_len(&body) < 8192);
	assert_true(f->readable);
	assert_int_equal(f->nmessages, 140001);
	assert_true(slice_equal(buf_slice(&o.passed), buf_slice(&body)));
	/* What is decoded is counted, and read: each byte twice. */
	assert_true(o.turns >= 2 * buf_len(&text) / SHARE - 2);
	assert_true(o.most <= SHARE + 2 * 16384 + 4096 * 16);
	reader_free(r);
	buf_free(&o.passed);
	buf_free(&text);
	buf_free(&body);
}

/* Thousands of strings, of which the longest is looked for again and again. */
static void what_is_abridged_is_charged(void **state)
{
	const struct reader_options large = {
		.operation = &chat, .content_max = 1536 << 10, .expansion_max = 64};
	char unit[300];
	struct head head = head_of(NULL, 0);
	struct buf body;
	struct reader *r;
	struct outcome o;

	(void)state;
	memset(unit, 'x', sizeof(unit));
	memcpy(unit, ",\"", 2);
	unit[sizeof(unit) - 1] = '"';
	body = repeated(SLICE("{\"messages\":[{\"role\":\"user\",\"content\":[\"\""),
		slice_of(unit, sizeof(unit)), 12000, SLICE("]}]}"));
	r = reader_open_request(&head, &large);
	o = feed(r, buf_slice(&body), 16384);
	assert_true(request_reader_facts(reader_json_request(r))->readable);
	assert_true(o.work > 3 * (int64_t)buf_len(&body));
	/* Room for a while is made at once. */
	assert_in_range(o.most, 0, SHARE + (6 << 20));
	reader_free(r);
	buf_free(&o.passed);
	buf_free(&body);
}

/* Whatever a client says in thousands of short pieces, its newest words are kept. */
static void the_newest_of_many_short_pieces_is_kept(void **state)
{
	static const struct {
		struct operation operation;
		struct slice before, unit, after;
		bool tools;
	} cases[] = {
#define CASE(kind, before, unit, after, tools) \
	{{.family = kind}, {before, sizeof(before) - 1}, {unit, sizeof(unit) - 1}, {after, sizeof(after) - 1}, tools}
#define PART "{\"type\":\"text\",\"text\":\"abc\"},"
		CASE(FAMILY_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":[\"first\",", PART, "\"newest\"]}]}", false),
		CASE(FAMILY_CHAT, "{\"messages\":[{\"role\":\"system\",\"content\":\"first\"},{\"role\":\"user\",\"content\":[",
			PART, "\"newest\"]},{\"role\":\"tool\",\"content\":\"x\"}]}", false),
		CASE(FAMILY_COMPLETION, "{\"prompt\":[\"first\",", "\"abc\",", "\"newest\"]}", false),
		CASE(FAMILY_COMPLETION, "{\"prompt\":[\"first\",", "5711,", "\"newest\"]}", false),
		CASE(FAMILY_EMBEDDINGS, "{\"input\":[\"first\",", "\"abc\",", "\"newest\"]}", false),
		CASE(FAMILY_RESPONSES, "{\"input\":[{\"role\":\"user\",\"content\":[\"first\",", PART, "\"newest\"]}]}", false),
		CASE(FAMILY_RESPONSES, "{\"input\":[{\"content\":\"first\"},", "{\"content\":\"x\"},", "{\"content\":\"newest\"}]}", false),
		CASE(FAMILY_RESPONSES, "{\"instructions\":[\"first\",", PART, "\"newest\"]}", false),
		CASE(FAMILY_CHAT, "{\"tools\":[\"first\",", PART, "\"newest\"]}", true),
#undef CASE
#undef PART
	};
	struct head head = head_of(NULL, 0);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct reader_options small = {
			.operation = &cases[i].operation, .content_max = 4096, .expansion_max = 64};
		struct buf body = repeated(cases[i].before, cases[i].unit, 5000, cases[i].after);
		struct reader *r = reader_open_request(&head, &small);
		struct outcome o = feed(r, buf_slice(&body), 16384);
		const struct request_facts *f = reader_request_facts(r);
		struct slice kept = cases[i].tools ? f->tools : f->messages;
		uint64_t cut = cases[i].tools ? f->tools_cut : f->messages_cut;

		assert_true(f->readable);
		assert_non_null(memmem(kept.data, kept.len, "\"first\"", 7));
		assert_non_null(memmem(kept.data, kept.len, "\"newest\"", 8));
		assert_true(cases[i].tools ? f->tools_truncated : f->messages_truncated);
		/* The commas between messages are not counted. */
		assert_true(kept.len <= 4096 && cut <= buf_len(&body));
		assert_true(cut > buf_len(&body) - buf_len(&body) / 12 - 4096);
		buf_free(&o.passed);
		buf_free(&body);
		reader_free(r);
	}
}

static void so_is_what_is_abridged_of_instructions(void **state)
{
	static const struct operation responses = {.family = FAMILY_RESPONSES};
	const struct reader_options large = {
		.operation = &responses, .content_max = 4 * (1536 << 10), .expansion_max = 64};
	char unit[300];
	struct head head = head_of(NULL, 0);
	struct buf body;
	struct reader *r;
	struct outcome o;

	(void)state;
	memset(unit, 'x', sizeof(unit));
	memcpy(unit, ",\"", 2);
	unit[sizeof(unit) - 1] = '"';
	body = repeated(SLICE("{\"instructions\":[\"\""), slice_of(unit, sizeof(unit)), 12000,
		SLICE("]}"));
	r = reader_open_request(&head, &large);
	o = feed(r, buf_slice(&body), 16384);
	assert_true(reader_request_facts(r)->messages_truncated);
	assert_true(o.work > 3 * (int64_t)buf_len(&body));
	reader_free(r);
	buf_free(&o.passed);
	buf_free(&body);
}

static void what_expands_too_much_is_not_read(void **state)
{
	static const struct {
		const char *coding;
		int times;
	} cases[] = {{"gzip", 1}, {"gzip, gzip", 2}};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct header encoding = {SLICE("Content-Encoding"), slice_of_string(cases[i].coding)};
		struct head head = head_of(&encoding, 1);
		struct buf text = repeated(SLICE("{\"messages\":["), SLICE("{\"\":1},"), 5000000, SLICE("{}]}"));
		struct buf body = gzip(buf_slice(&text));
		struct outcome o;
		struct reader *r;

		if (cases[i].times == 2) {
			struct buf once = body;

			body = gzip(buf_slice(&once));
			buf_free(&once);
		}
		r = reader_open_request(&head, &options);
		o = feed(r, buf_slice(&body), 16384);
		assert_false(request_reader_facts(reader_json_request(r))->readable);
		assert_string_equal(request_reader_facts(reader_json_request(r))->problem,
			"expands too much");
		assert_true(o.work < 4 * ((int64_t)64 * (int64_t)buf_len(&body) + (1 << 20)));
		assert_true(slice_equal(buf_slice(&o.passed), buf_slice(&body)));
		reader_free(r);
		buf_free(&o.passed);
		buf_free(&text);
		buf_free(&body);
	}
}

/* Of any two lengths the longer costs in proportion, whatever is repeated. */
static void work_is_linear(void **state)
{
	static const struct {
		bool stream;
		struct slice before, unit, after;
	} bombs[] = {
		{true, SLICE(""), SLICE(":\r"), SLICE("\r")},
		{true, SLICE(""), SLICE(":\n"), SLICE("\n")},
		{true, SLICE(""), SLICE("data:\r"), SLICE("\r")},
		{true, SLICE(""), SLICE("data:x\r\n"), SLICE("\r\n")},
		{true, SLICE(""), SLICE("data:\r\r"), SLICE("")},
		{true, SLICE(""), SLICE("\n"), SLICE("")},
		{true, SLICE("data:"), SLICE("x"), SLICE("\n\n")},
		{true, SLICE("data:{\"choices\":["), SLICE("{},"), SLICE("{}]}\n\n")},
		{false, SLICE("{"), SLICE("\"k\":1,"), SLICE("\"x\":1}")},
		{false, SLICE("{\"messages\":["), SLICE("{\"content\":\"x\",\"content\":1},"), SLICE("{}]}")},
		{false, SLICE("{\"messages\":[\""), SLICE("\\ud83d"), SLICE("\"]}")},
		{false, SLICE("{\"messages\":["), SLICE("1"), SLICE("]}")},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
		int64_t work[2];

		for (size_t k = 0; k < 2; k++) {
			size_t times = ((size_t)50000 << k) / bombs[i].unit.len;
			struct header type = {SLICE("Content-Type"), SLICE("text/event-stream")};
			struct head head = head_of(&type, bombs[i].stream);
			struct buf body = repeated(
				bombs[i].before, bombs[i].unit, times, bombs[i].after);
			struct reader *r = bombs[i].stream ? reader_open_response(&head, &options)
							   : reader_open_request(&head, &options);
			struct outcome o = feed(r, buf_slice(&body), 16384);

			assert_true(slice_equal(buf_slice(&o.passed), buf_slice(&body)));
			work[k] = o.work;
			assert_true(o.work >= (int64_t)buf_len(&body));
			assert_true(o.work <= 80 * (int64_t)buf_len(&body));
			reader_free(r);
			buf_free(&o.passed);
			buf_free(&body);
		}
		assert_true(work[1] <= work[0] * 2 + work[0] / 8);
	}
}

/* ---- codings ---- */

static const char BODY[] = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}";

static void all_content_encoding_fields_count(void **state)
{
	struct header fields[] = {{SLICE("content-encoding"), SLICE("gzip")},
		{SLICE("x"), SLICE("y")}, {SLICE("Content-Encoding"), SLICE("gzip")}};
	struct head head = head_of(fields, 3);
	struct buf once = gzip(SLICE(BODY)), twice = gzip(buf_slice(&once));
	struct reader *r = reader_open_request(&head, &options);
	struct outcome o = feed(r, buf_slice(&twice), 7);

	(void)state;
	assert_true(request_reader_facts(reader_json_request(r))->readable);
	assert_int_equal(request_reader_facts(reader_json_request(r))->nmessages, 1);
	assert_true(reader_is_coded(r));
	reader_free(r);
	buf_free(&o.passed);
	buf_free(&once);
	buf_free(&twice);
}

static void codings_that_hide_a_body_are_named(void **state)
{
	struct buf body = gzip(SLICE(BODY));
	const struct {
		const char *coding;
		struct slice body;
		const char *problem;
		bool coded;
	} cases[] = {
		{"identity", SLICE(BODY), NULL, false},
		{"", SLICE(BODY), NULL, false},
		{"gzip", buf_slice(&body), NULL, true},
		{"gzip", slice_first(buf_slice(&body), buf_len(&body) - 1), "content coding cut short",
			true},
		{"gzip", SLICE(BODY), "damaged content coding", true},
		{"br", SLICE(BODY), "damaged content coding", true},
		{"gzip, identity", SLICE(BODY), "damaged content coding", true},
		{"foo", SLICE(BODY), "unknown content coding", true},
		{"gzip, gzip, gzip", SLICE(BODY), "unknown content coding", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t step = 1; step < 200; step += 60) {
			struct header encoding = {
				SLICE("Content-Encoding"), slice_of_string(cases[i].coding)};
			struct head head = head_of(&encoding, 1);
			struct reader *r = reader_open_request(&head, &options);
			struct outcome o = feed(r, cases[i].body, step);
			const struct request_facts *f = request_reader_facts(reader_json_request(r));

			assert_int_equal(f->readable, !cases[i].problem);
			if (cases[i].problem)
				assert_string_equal(f->problem, cases[i].problem);
			assert_int_equal(reader_is_coded(r), cases[i].coded);
			assert_true(slice_equal(buf_slice(&o.passed), cases[i].body));
			reader_free(r);
			buf_free(&o.passed);
		}
	buf_free(&body);
}

/* ---- streams ---- */

#define FIRST	"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n"
#define USAGE	"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n"
#define DONE	"data: [DONE]\n\n"

static void the_usage_chunk_does_not_go_on(void **state)
{
	struct header type = {SLICE("content-type"), SLICE("text/event-stream; charset=utf-8")};
	struct head head = head_of(&type, 1);
	struct reader_options shown = options;

	(void)state;
	shown.hide_usage = false;
	for (size_t step = 1; step < 300; step += step < 20 ? 1 : 40)
		for (int hide = 0; hide < 2; hide++) {
			struct reader *r = reader_open_response(&head, hide ? &options : &shown);
			struct outcome o =
				feed(r, SLICE(FIRST ": x\n\n" USAGE DONE USAGE "data: re"), step);
			const struct response_facts *f = response_reader_facts(reader_response(r));

			assert_int_equal(reader_hides(r), hide);
			assert_true(slice_equal(buf_slice(&o.passed),
				/* After [DONE] nothing is read. */
				hide ? SLICE(FIRST ": x\n\n" DONE USAGE "data: re")
				     : SLICE(FIRST ": x\n\n" USAGE DONE USAGE "data: re")));
			assert_true(f->has_usage && f->complete && reader_is_done(r));
			assert_int_equal(f->total_tokens, 3);
			assert_true(slice_equal(f->output_messages,
				SLICE("[{\"role\":\"assistant\",\"content\":\"a\"}]")));
			reader_free(r);
			buf_free(&o.passed);
		}
}

/* ---- events that are too long to be kept ---- */

#define LONG (3u << 20)

/* Of what is longer than an event may be the usage and the end are read all the same. */
static void a_long_event_is_read_as_it_passes(void **state)
{
	static const struct operation responses = {.family = FAMILY_RESPONSES};
	static const struct operation images = {.family = FAMILY_IMAGES};
	static const struct {
		const struct operation *operation;
		struct slice before, after;
		bool done, whole;
	} cases[] = {
		{&responses, SLICE("data: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\","
				   "\"output\":[{\"result\":\""),
			SLICE("\"}],\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}}\n\n"), true,
			false},
		{&images, SLICE("event: x\r\ndata: {\"b64_json\":\""),
			SLICE("\",\"usage\":{\"input_tokens\":3,\"output_tokens\":4},\"type\":"
			      "\"image_generation.completed\"}\r\n\r\n"), false, true},
		{&chat, SLICE("data: {\"choices\":[{\"delta\":{\"content\":\""),
			SLICE("\"}}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n"
			      "data: [DONE]\n\n"), true, false},
	};
	struct header type = {SLICE("content-type"), SLICE("text/event-stream")};
	struct head head = head_of(&type, 1);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf body = repeated(cases[i].before, SLICE("iVBORw0KGgo="), LONG / 12, cases[i].after);

		for (size_t step = 1000; step < 200000; step *= 13) {
			struct reader_options o = options;
			struct reader *r;
			struct outcome got;
			const struct response_facts *f;

			o.operation = cases[i].operation;
			o.hide_usage = i == 2;
			r = reader_open_response(&head, &o);
			got = feed(r, buf_slice(&body), step);
			f = response_reader_facts(reader_response(r));
			assert_true(f->readable);
			assert_int_equal(f->input_tokens, 3);
			assert_int_equal(f->output_tokens, 4);
			assert_int_equal(f->complete, cases[i].done);
			assert_int_equal(f->whole, cases[i].whole);
			assert_int_equal(reader_is_done(r), cases[i].done);
			assert_false(reader_is_truncated(r));
			assert_true(f->output_truncated && f->output_cut >= LONG);
			assert_true(slice_equal(buf_slice(&got.passed), buf_slice(&body)));
			/* At most what was kept of it comes at once. */
			assert_true(got.most < SHARE + (3 << 20));
			buf_free(&got.passed);
			reader_free(r);
		}
		buf_free(&body);
	}
}

static void a_long_event_that_is_no_json_is_told(void **state)
{
	struct header type = {SLICE("content-type"), SLICE("text/event-stream")};
	struct head head = head_of(&type, 1);
	struct buf body = repeated(SLICE("data: {\"a\":"), SLICE("x"), LONG, SLICE("\n\ndata: [DONE]\n\n"));
	struct reader *r = reader_open_response(&head, &options);
	struct outcome got = feed(r, buf_slice(&body), 10000);

	(void)state;
	assert_false(response_reader_facts(reader_response(r))->readable);
	assert_true(reader_is_done(r));
	buf_free(&got.passed);
	buf_free(&body);
	reader_free(r);
}

/* The decoder gives up in the middle of the event. */
static void a_long_event_may_expand_too_much(void **state)
{
	struct header fields[] = {{SLICE("content-type"), SLICE("text/event-stream")},
		{SLICE("content-encoding"), SLICE("gzip")}};
	struct head head = head_of(fields, 2);
	struct buf body = repeated(SLICE(""), SLICE(":\r"), 8000000, SLICE("\n\ndata: [DONE]\n\n"));
	struct buf packed = gzip(buf_slice(&body));

	(void)state;
	for (size_t step = 100; step < 100000; step *= 7) {
		struct reader_options o = options;
		struct reader *r;
		struct outcome got;

		o.hide_usage = false;
		r = reader_open_response(&head, &o);
		got = feed(r, buf_slice(&packed), step);
		assert_false(response_reader_facts(reader_response(r))->readable);
		assert_true(slice_equal(buf_slice(&got.passed), buf_slice(&packed)));
		buf_free(&got.passed);
		reader_free(r);
	}
	buf_free(&packed);
	buf_free(&body);
}

/* ---- sound ---- */

static void a_transcription_may_be_plain_text(void **state)
{
	static const struct operation transcription = {.family = FAMILY_TRANSCRIPTION, .form = true};
	static const struct slice body = SLICE("Gr\xc3\xbc\xc3\x9f \"Gott\" \xf0\x9f\x98\x80\xff\xe2\x82");
	struct header type = {SLICE("content-type"), SLICE("text/plain; charset=utf-8")};
	struct head head = head_of(&type, 1);
	struct reader_options o = options;

	(void)state;
	o.operation = &transcription;
	o.hide_usage = false;
	for (size_t step = 1; step <= body.len; step++) {
		struct reader *r = reader_open_response(&head, &o);
		struct outcome got = feed(r, body, step);
		const struct response_facts *f = response_reader_facts(reader_response(r));

		assert_true(f->readable);
		assert_false(reader_is_truncated(r));
		if (!slice_equal(f->output_messages,
			    SLICE("[{\"role\":\"assistant\",\"content\":\"Gr\xc3\xbc\xc3\x9f \\\"Gott\\\" "
				  "\xf0\x9f\x98\x80\xef\xbf\xbd\xef\xbf\xbd\"}]")))
			fail_msg("%zu: %.*s", step, SLICE_ARG(f->output_messages));
		assert_true(slice_equal(buf_slice(&got.passed), body));
		buf_free(&got.passed);
		reader_free(r);
	}
}

/* An empty name of a file is none to some services, which then read a prompt. */
static void a_field_that_may_be_a_file_is_ambiguous(void **state)
{
	static const struct operation transcription = {.family = FAMILY_TRANSCRIPTION, .form = true};
	static const char *const cases[] = {"name=\"prompt\"; filename=\"\"", "name=model; filename=m",
		"name=\"prompt\"; filename*=utf-8''p", "name=\"Prompt\"; filename=\"\""};
	struct header type = {SLICE("content-type"), SLICE("multipart/form-data; boundary=b")};
	struct head head = head_of(&type, 1);
	struct reader_options o = options;

	(void)state;
	o.operation = &transcription;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct reader *r = reader_open_request(&head, &o);
		struct buf body = BUF_EMPTY;
		struct outcome got;

		buf_printf(&body, "--b\r\nContent-Disposition: form-data; %s\r\n\r\nx\r\n--b--\r\n", cases[i]);
		got = feed(r, buf_slice(&body), 100);
		assert_false(reader_request_facts(r)->readable);
		assert_string_equal(reader_request_facts(r)->problem, "ambiguous key");
		buf_free(&got.passed);
		buf_free(&body);
		reader_free(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_compressed_body_is_decoded_turn_by_turn),
		cmocka_unit_test(what_is_abridged_is_charged),
		cmocka_unit_test(so_is_what_is_abridged_of_instructions),
		cmocka_unit_test(the_newest_of_many_short_pieces_is_kept),
		cmocka_unit_test(what_expands_too_much_is_not_read),
		cmocka_unit_test(work_is_linear),
		cmocka_unit_test(all_content_encoding_fields_count),
		cmocka_unit_test(codings_that_hide_a_body_are_named),
		cmocka_unit_test(the_usage_chunk_does_not_go_on),
		cmocka_unit_test(a_transcription_may_be_plain_text),
		cmocka_unit_test(a_field_that_may_be_a_file_is_ambiguous),
		cmocka_unit_test(a_long_event_is_read_as_it_passes),
		cmocka_unit_test(a_long_event_that_is_no_json_is_told),
		cmocka_unit_test(a_long_event_may_expand_too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
