// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/parts.h"

#include <inttypes.h>
#include <string.h>

/* Shorter strings are words like "auto" or "image/png". */
#define DATA_LEAST 64

static void drop(struct parts *p)
{
	if (p->hash)
		p->digest->drop(p->hash);
	p->hash = NULL;
	p->state = PARTS_NONE;
}

void parts_free(struct parts *p)
{
	drop(p);
	buf_free(&p->json);
}

void parts_next(struct parts *p)
{
	drop(p);
	p->type[0] = '\0';
}

/* A type as media types are written, without parameters; else none. */
static void set_type(struct parts *p, struct slice type)
{
	bool slash = false;

	p->type[0] = '\0';
	type = slice_trim(slice_first(type, slice_index(type, ';')));
	for (size_t i = 0; i < type.len; i++) {
		char c = type.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    memchr("/.+-_", c, 5)))
			return;
		slash |= c == '/';
	}
	if (!slash || type.len >= PARTS_TYPE)
		return;
	memcpy(p->type, type.data, type.len);
	p->type[type.len] = '\0';
}

static const char *kind_of(const struct parts *p)
{
	static const char *const kinds[] = {"image", "audio", "video"};
	struct slice type = slice_of_string(p->type);

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct slice kind = slice_of_string(kinds[i]);

		if (slice_equal_nocase(slice_first(type, kind.len), kind) &&
			slice_first(slice_after(type, kind.len), 1).len &&
			type.data[kind.len] == '/')
			return kinds[i];
	}
	return type.len ? "file" : p->kind;
}

static void begin(struct parts *p)
{
	p->bytes = 0;
	if (p->n < PARTS_MAX && p->digest)
		p->hash = p->digest->begin();
}

static void add(struct parts *p, struct slice bytes)
{
	p->bytes += bytes.len;
	if (p->hash)
		p->digest->add(p->hash, bytes);
}

static void end(struct parts *p)
{
	size_t before = buf_len(&p->json);
	char hex[PARTS_HEX] = "";
	int error;

	if (p->hash)
		p->digest->end(p->hash, hex);
	p->hash = NULL;
	p->state = PARTS_NONE;
	if (p->n++ >= PARTS_MAX)
		return;
	error = buf_printf(&p->json, ",{\"kind\":\"%s\"", kind_of(p));
	if (!error && p->type[0])
		error = buf_printf(&p->json, ",\"mime_type\":\"%s\"", p->type);
	if (!error)
		error = buf_printf(&p->json, ",\"bytes\":%" PRIu64, p->bytes);
	if (!error && hex[0])
		error = buf_printf(&p->json, ",\"sha256\":\"%s\"", hex);
	if (error || buf_append_slice(&p->json, SLICE("}")) < 0)
		p->json.end = p->json.start + before;
}

/* ---- base64 ---- */

static int digit_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* False: it is no base64. */
static bool decode(struct parts *p, struct slice text)
{
	char out[1024];
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];
		int digit = digit_of(c);

		if (c == '\n' || c == '\r')
			continue;
		p->chars++;
		if (c == '=' && ++p->padding <= 2)
			continue;
		if (digit < 0 || p->padding)
			return false;
		p->bits = p->bits << 6 | (uint32_t)digit;
		p->nbits += 6;
		if (p->nbits >= 8) {
			p->nbits -= 8;
			out[len++] = (char)(p->bits >> p->nbits);
		}
		if (len == sizeof(out)) {
			add(p, slice_of(out, len));
			len = 0;
		}
	}
	add(p, slice_of(out, len));
	return true;
}

static void begin_base64(struct parts *p)
{
	p->state = PARTS_BASE64;
	p->chars = p->bits = p->nbits = p->padding = 0;
	begin(p);
}

/* ---- strings ---- */

/* Data URLs have their type in front: "data:image/png;base64,". */
static void read_begin(struct parts *p, struct slice *words)
{
	static const struct slice scheme = {"data:", 5}, coding = {";base64", 7};
	struct slice had, head;

	while (words->len && p->state == PARTS_BEGINS) {
		char c = words->data[0];

		if (p->begun == sizeof(p->begin)) {
			p->state = PARTS_NONE;
			return;
		}
		p->begin[p->begun++] = c;
		*words = slice_after(*words, 1);
		had = slice_of(p->begin, p->begun);
		if (!slice_equal_nocase(
			    slice_first(had, scheme.len), slice_first(scheme, had.len))) {
			begin_base64(p);
			if (!decode(p, had))
				drop(p);
			return;
		}
		if (c != ',')
			continue;
		head = slice_first(slice_after(had, scheme.len), had.len - scheme.len - 1);
		if (head.len < coding.len ||
			!slice_equal_nocase(slice_after(head, head.len - coding.len), coding)) {
			p->state = PARTS_NONE;
			return;
		}
		set_type(p, head);
		p->url = true;
		begin_base64(p);
	}
}

void parts_string(struct parts *p, const char *kind, struct slice words, bool first, bool last)
{
	if (first) {
		drop(p);
		p->state = PARTS_BEGINS;
		p->kind = kind;
		p->begun = p->word_len = 0;
		p->url = false;
	}
	for (size_t i = 0; i < words.len && p->word_len < sizeof(p->word); i++)
		p->word[p->word_len++] = words.data[i];
	read_begin(p, &words);
	if (p->state == PARTS_BASE64 && !decode(p, words))
		drop(p);
	if (!last)
		return;
	if (p->state == PARTS_BASE64 && (p->url || p->chars >= DATA_LEAST)) {
		end(p);
		p->type[0] = '\0';
		return;
	}
	drop(p);
	/* The type of the data may be told beside it. */
	if (p->word_len < sizeof(p->word) && memchr(p->word, '/', p->word_len))
		set_type(p, slice_of(p->word, p->word_len));
}

/* ---- files ---- */

void parts_file_begin(struct parts *p, struct slice type)
{
	drop(p);
	p->kind = "file";
	p->state = PARTS_BYTES;
	set_type(p, type);
	begin(p);
}

void parts_file(struct parts *p, struct slice bytes)
{
	if (p->state == PARTS_BYTES)
		add(p, bytes);
}

void parts_file_end(struct parts *p)
{
	if (p->state == PARTS_BYTES)
		end(p);
}

struct slice parts_end(struct parts *p)
{
	drop(p);
	if (!buf_len(&p->json) || buf_append_slice(&p->json, SLICE("]")) < 0)
		return SLICE_NONE;
	p->json.memory[p->json.start] = '[';
	return buf_slice(&p->json);
}
