// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/form.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "http/multipart.h"
#include "openai/json_text.h"
#include "openai/jsonl.h"

#define TEXT_MAX  256 /* bytes of model and user */
#define FILES_MAX 64  /* files that are told */

/* The fields that are read. */
enum field {
	FIELD_MODEL,
	FIELD_USER,
	FIELD_STREAM,
	FIELD_PROMPT,
	FIELD_PURPOSE,
	FIELD_SIZE,
	FIELD_SECONDS,
	FIELD_COUNT
};

static const struct slice names[FIELD_COUNT] = {
	[FIELD_MODEL] = {"model", 5},
	[FIELD_USER] = {"user", 4},
	[FIELD_STREAM] = {"stream", 6},
	[FIELD_PROMPT] = {"prompt", 6},
	[FIELD_PURPOSE] = {"purpose", 7},
	[FIELD_SIZE] = {"size", 4},
	[FIELD_SECONDS] = {"seconds", 7},
};

struct form_reader {
	const struct operation *operation;
	struct multipart *form;
	struct jsonl *lines; /* of the file; NULL: it is not looked into */
	size_t content_max;
	struct request_facts facts;
	struct buf texts[FIELD_COUNT];
	struct buf prompt_end; /* of the prompt, what is behind its first half of content_max */
	uint64_t sizes[FIELD_COUNT]; /* as they came */
	bool seen[FIELD_COUNT];
	uint64_t at_offset; /* where the bytes of the part stand in the body … */
	uint64_t part_bytes; /* … and how many of it came */
	uint64_t model_at; /* where those of the model stand */
	enum field at;	/* the part that is being read; FIELD_COUNT: another */
	bool in_file, file_told;
	struct buf files; /* JSON of those before, each with a comma in front */
	unsigned nfiles, images;
	struct buf messages;
	struct texts told;
	struct parts parts; /* the files */
	bool ended;
};

struct form_reader *form_reader_new(
	const struct operation *operation, struct slice type, size_t content_max)
{
	struct form_reader *r = calloc(1, sizeof(*r));
	const char *problem;

	if (!r)
		return NULL;
	r->operation = operation;
	r->facts.readable = true;
	r->facts.stored_prompt = operation->model_elsewhere;
	r->content_max = content_max;
	r->at = FIELD_COUNT;
	r->form = multipart_new(type, &problem);
	if (problem)
		form_reader_fail(r, problem);
	if (operation->family == FAMILY_FILES)
		r->lines = jsonl_new(content_max);
	if ((r->form || problem) && (r->lines || operation->family != FAMILY_FILES))
		return r;
	form_reader_free(r);
	return NULL;
}

void form_reader_tell(struct form_reader *r, struct text_sink sink)
{
	r->told.sink = sink;
	if (r->lines)
		jsonl_tell(r->lines, sink, TEXT_INPUT);
}

void form_reader_digest(struct form_reader *r, const struct parts_digest *digest)
{
	r->parts.digest = digest;
}

uint64_t form_reader_spent(struct form_reader *r)
{
	return texts_take_spent(&r->told) + (r->lines ? jsonl_spent(r->lines) : 0);
}

void form_reader_free(struct form_reader *r)
{
	if (!r)
		return;
	multipart_free(r->form);
	jsonl_free(r->lines);
	parts_free(&r->parts);
	for (int i = 0; i < FIELD_COUNT; i++)
		buf_free(&r->texts[i]);
	buf_free(&r->prompt_end);
	buf_free(&r->files);
	buf_free(&r->messages);
	free(r);
}

void form_reader_fail(struct form_reader *r, const char *problem)
{
	if (r->facts.problem)
		return;
	r->facts.problem = problem;
	r->facts.readable = false;
}

static int put_text(struct buf *into, const char *before, struct slice text)
{
	size_t room = SIZE_MAX;

	if (buf_append_slice(into, slice_of_string(before)) < 0 || !json_text_escape(into, text, &room))
		return -ENOMEM;
	return 0;
}

/* A file begins; what is told of it is made at once, but for its size. */
static void file_begins(struct form_reader *r, const struct multipart_part *part)
{
	struct slice type = slice_first(part->type, slice_index(part->type, ';'));
	size_t before = buf_len(&r->files);

	r->in_file = true;
	parts_file_begin(&r->parts, type);
	r->images += slice_starts_with(type, SLICE("image/"));
	r->file_told = false;
	if (r->nfiles++ >= FILES_MAX || !r->content_max)
		return;
	if (put_text(&r->files, ",{\"type\":\"file\",\"name\":\"", part->name) < 0 ||
		put_text(&r->files, "\",\"filename\":\"", part->file_name) < 0 ||
		put_text(&r->files, "\",\"mime_type\":\"", type) < 0)
		r->files.end = r->files.start + before;
	else
		r->file_told = true;
}

static void file_ends(struct form_reader *r)
{
	r->in_file = false;
	parts_file_end(&r->parts);
	if (r->file_told)
		buf_printf(&r->files, "\",\"bytes\":%" PRIu64 "}", r->part_bytes);
}

/* at: the offset of its first byte. */
static void part_begins(struct form_reader *r, const struct multipart_part *part, uint64_t at)
{
	bool file = part->file_name.data;

	for (r->at = 0; r->at < FIELD_COUNT; r->at++)
		if (slice_equal(part->name, names[r->at]) && !file)
			break;
		else if (slice_equal_nocase(part->name, names[r->at]))
			form_reader_fail(r, "ambiguous key");
	r->at_offset = at;
	r->part_bytes = 0;
	if (file)
		file_begins(r, part);
	if (r->at == FIELD_COUNT)
		return;
	if (r->seen[r->at])
		form_reader_fail(r, "duplicate key");
	r->seen[r->at] = true;
	if (r->at == FIELD_MODEL)
		r->model_at = at;
	r->sizes[r->at] = 0;
	buf_clear(&r->texts[r->at]);
	if (r->at == FIELD_PROMPT)
		buf_clear(&r->prompt_end);
}

/* Of a prompt beyond content_max its beginning and its end stay. */
static void keep_prompt_end(struct form_reader *r, struct slice data)
{
	size_t max = r->content_max - r->content_max / 2;

	if (!r->content_max)
		return;
	for (struct slice next; data.len; data = slice_after(data, next.len)) {
		next = slice_first(data, max);
		if (buf_append_slice(&r->prompt_end, next) < 0)
			form_reader_fail(r, "no memory for a form");
		if (buf_len(&r->prompt_end) > 2 * max)
			buf_consume(&r->prompt_end, buf_len(&r->prompt_end) - max);
	}
}

/* Afterwards prompt_end is what comes behind a cut, or empty. */
static void end_prompt(struct form_reader *r)
{
	struct buf *text = &r->texts[FIELD_PROMPT], *end = &r->prompt_end;
	size_t room = r->content_max - buf_len(text);

	if (!buf_len(end))
		return;
	if (r->sizes[FIELD_PROMPT] <= r->content_max) {
		if (buf_append_slice(text, buf_slice(end)) < 0)
			form_reader_fail(r, "no memory for a form");
		buf_free(end);
		return;
	}
	if (buf_len(end) > room)
		buf_consume(end, buf_len(end) - room);
	/* No half characters on either side. */
	text->end = text->start + json_text_cut(buf_slice(text), buf_len(text)).len;
	for (int i = 0; i < 3 && buf_len(end) && (*buf_slice(end).data & 0xc0) == 0x80; i++)
		buf_consume(end, 1);
}

/* A part of the field that is being read; the last is empty. */
static void tell(struct form_reader *r, struct slice data, bool last)
{
	const uint64_t start = r->at_offset + r->part_bytes;
	const struct text_piece piece = {
		.kind = r->at == FIELD_PROMPT ? TEXT_INPUT : TEXT_OTHER,
		.words = data,
		.first = !r->part_bytes,
		.last = last,
		.placed = true,
		.start = start,
		.end = start + data.len,
	};

	texts_tell(&r->told, &piece);
}

static void part_data(struct form_reader *r, struct slice data)
{
	size_t max = r->at == FIELD_PROMPT ? r->content_max / 2 : TEXT_MAX, len;

	if (r->in_file)
		parts_file(&r->parts, data);
	if (!r->in_file)
		tell(r, data, false);
	/* There is one file; of several, which is the one that counts is not known. */
	else if (r->lines && r->nfiles == 1)
		jsonl_feed(r->lines, data);
	r->part_bytes += data.len;
	if (r->in_file || r->at == FIELD_COUNT)
		return;
	len = buf_len(&r->texts[r->at]);
	r->sizes[r->at] += data.len;
	if (len < max && buf_append_slice(&r->texts[r->at], slice_first(data, max - len)) < 0)
		form_reader_fail(r, "no memory for a form");
	if (r->at == FIELD_PROMPT)
		keep_prompt_end(r, slice_after(data, len < max ? max - len : 0));
}

static void part_ends(struct form_reader *r)
{
	struct request_facts *f = &r->facts;
	enum field at = r->at;
	struct slice text = at < FIELD_COUNT ? buf_slice(&r->texts[at]) : SLICE_NONE;

	if (!r->in_file)
		tell(r, SLICE_NONE, true);
	r->at = FIELD_COUNT;
	if (r->in_file)
		file_ends(r);
	else if (at == FIELD_MODEL)
		f->model = json_text_cut(text, TEXT_MAX);
	else if (at == FIELD_USER)
		f->user = json_text_cut(text, TEXT_MAX);
	else if (at == FIELD_SIZE)
		f->size = json_text_cut(text, TEXT_MAX);
	else if (at == FIELD_SECONDS)
		f->seconds = json_text_cut(text, TEXT_MAX);
	else if (at == FIELD_STREAM)
		f->stream = slice_equal_nocase(text, SLICE("true"))    ? REQUEST_TRUE
			    : slice_equal_nocase(text, SLICE("false")) ? REQUEST_FALSE
								       : REQUEST_NOT_BOOLEAN;
}

int form_reader_feed(struct form_reader *r, struct slice piece)
{
	struct multipart_part part;
	enum multipart_event event;

	r->facts.bytes += piece.len; /* what is left of the piece ends there */
	while (r->form && (event = multipart_read(r->form, &piece, &part)) != MULTIPART_MORE) {
		if (event == MULTIPART_PART)
			part_begins(r, &part, r->facts.bytes - piece.len);
		else if (event == MULTIPART_DATA)
			part_data(r, part.data);
		else if (event == MULTIPART_PART_END)
			part_ends(r);
		else
			form_reader_fail(r, part.problem);
		if (event == MULTIPART_BAD)
			return -EBADMSG;
	}
	return r->form ? 0 : -EBADMSG;
}

/* The file has its end: what its lines say. The calls of a batch must be readable, as they are when they
 * are made one by one. */
static void end_lines(struct form_reader *r)
{
	struct request_facts *f = &r->facts;
	const struct jsonl_facts *lines = jsonl_facts(r->lines);
	bool batch = slice_equal(buf_slice(&r->texts[FIELD_PURPOSE]), SLICE("batch"));

	jsonl_end(r->lines);
	if (batch && r->nfiles > 1)
		form_reader_fail(r, "several files");
	else if (batch && lines->lines == 0)
		form_reader_fail(r, "not a JSON object");
	else if (batch && lines->problem)
		form_reader_fail(r, lines->problem);
	if (!lines->is_one)
		return;
	if (lines->models_differ)
		f->stored_prompt = true;
	else
		f->model = lines->model;
	f->nmessages = lines->lines;
	f->messages = lines->content;
	f->messages_cut = lines->cut;
	f->messages_truncated = lines->truncated;
}

static int put_messages(struct form_reader *r)
{
	struct slice prompt = buf_slice(&r->texts[FIELD_PROMPT]), end = buf_slice(&r->prompt_end);
	struct slice files = buf_slice(&r->files);
	struct buf *into = &r->messages;

	if (!prompt.len && !files.len)
		return 0;
	if (buf_append_slice(into, SLICE("[{\"role\":\"user\",\"content\":[")) < 0)
		return -ENOMEM;
	if (prompt.len && (put_text(into, "{\"type\":\"text\",\"text\":\"", prompt) < 0 ||
				  (end.len && put_text(into, "\xe2\x80\xa6", end) < 0) ||
				  buf_append_slice(into, SLICE("\"}")) < 0))
		return -ENOMEM;
	if (buf_append_slice(into, slice_after(files, !prompt.len)) < 0)
		return -ENOMEM;
	return buf_append_slice(into, SLICE("]}]"));
}

void form_reader_end(struct form_reader *r)
{
	struct request_facts *f = &r->facts;
	const char *problem = r->form ? multipart_end(r->form) : NULL;

	if (r->ended)
		return;
	r->ended = true;
	if (problem)
		form_reader_fail(r, problem);
	if (r->in_file)
		file_ends(r);
	f->parts = parts_end(&r->parts);
	f->nmessages = 1;
	end_prompt(r);
	f->messages_cut = r->sizes[FIELD_PROMPT] - buf_len(&r->texts[FIELD_PROMPT]) - buf_len(&r->prompt_end);
	f->messages_truncated = (f->messages_cut && r->content_max) || r->nfiles > FILES_MAX;
	if (r->content_max && put_messages(r) < 0) {
		buf_free(&r->messages);
		f->messages_truncated = true;
	}
	f->messages = buf_slice(&r->messages);
	if (r->lines && r->form)
		end_lines(r);
}

const struct request_facts *form_reader_facts(const struct form_reader *r)
{
	return &r->facts;
}

bool form_rename_model(
	const struct form_reader *r, struct slice name, struct request_splice *splice)
{
	if (!r->facts.readable || !r->facts.model.len || r->lines)
		return false;
	*splice = (struct request_splice){r->model_at, (size_t)r->sizes[FIELD_MODEL], name};
	return true;
}

uint64_t form_estimate_tokens(const struct form_reader *r)
{
	return (r->told.bytes[TEXT_INPUT] + 3) / 4 + 85 * r->images;
}
