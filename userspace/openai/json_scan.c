// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/json_scan.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "openai/json_string.h"
#include "openai/json_text.h"

enum state {
	/* Between strings, numbers and words. */
	STATE_VALUE,	     /* a value must come */
	STATE_FIRST_ELEMENT, /* a value or ] */
	STATE_FIRST_KEY,     /* a key or } */
	STATE_KEY,	     /* a key must come */
	STATE_COLON,
	STATE_NEXT, /* after a value: a comma or the closing bracket */
	STATE_CLOSED,
	/* Inside of them. */
	STATE_STRING,
	STATE_NUMBER,
	STATE_WORD,  /* true, false, null */
	STATE_START, /* before the document, a byte order mark may come */
};

/* Where in a number (RFC 8259 section 6) the next byte comes. */
enum number_state { SIGN, ZERO, WHOLE, POINT, FRACTION, EXPONENT, EXPONENT_SIGN, POWER };

/* A container that is open and watched. */
struct frame {
	uint8_t node;
	uint64_t index, start;
	uint64_t members; /* begun so far */
	uint64_t seen;	  /* a bit for each rule whose member was there, see json_rules_find */
};

struct json_scan {
	const struct json_handler *handler;
	void *context;
	struct json_rules rules;
	enum json_problem problem;
	enum state state;
	uint64_t fed; /* bytes before the present piece */
	const char *piece;

	unsigned depth;
	uint64_t objects[JSON_SCAN_DEPTH / 64]; /* a bit for each container: it is an object */
	struct frame frames[JSON_SCAN_WATCHED];

	struct json_value value; /* the scalar, or key of the member, that is being read */
	char key[JSON_SCAN_KEY];
	size_t key_len;
	uint64_t key_rest; /* hash of the bytes that did not fit */
	bool in_key, key_watched;

	enum number_state number_state;
	char number[JSON_SCAN_NUMBER];
	uint64_t number_len;
	const char *word; /* what is left of it */
	unsigned mark;	  /* bytes of the byte order mark that came */

	struct json_string string;
	bool first_part;
	uint64_t told; /* the offset up to which the string was told */

	struct json_keep *text, *raw;
	unsigned raw_depth;
	const char *raw_from; /* in the present piece: what was not kept yet */
	bool hiding;	      /* the value on this depth is not kept */
	unsigned hiding_depth;
};

struct json_scan *json_scan_new(const struct json_handler *handler, void *context)
{
	struct json_scan *s = calloc(1, sizeof(*s));

	if (s) {
		s->handler = handler;
		s->context = context;
		s->state = STATE_START;
		json_rules_index(&s->rules, handler->rules, handler->nrules);
	}
	return s;
}

void json_scan_restart(struct json_scan *s)
{
	size_t from = offsetof(struct json_scan, problem);

	memset((char *)s + from, 0, sizeof(*s) - from);
	s->state = STATE_START;
}

bool json_value_count(const struct json_value *v, uint64_t *count)
{
	uint64_t n = 0;
	size_t i;

	if (v->type != JSON_NUMBER || !v->number.len)
		return false;
	for (i = 0; i < v->number.len; i++) {
		char c = v->number.data[i];

		if (c < '0' || c > '9' || __builtin_mul_overflow(n, 10, &n) ||
			__builtin_add_overflow(n, (uint64_t)(c - '0'), &n))
			return false;
	}
	if (n > INT64_MAX)
		return false;
	*count = n;
	return true;
}

void json_scan_free(struct json_scan *s)
{
	free(s);
}

bool json_scan_met_lone_surrogate(const struct json_scan *s)
{
	return s->string.lone_surrogate || s->string.high_surrogate;
}

void json_scan_keep_raw(struct json_scan *s, struct json_keep *keep)
{
	keep->cut = false;
	s->raw = keep;
	s->raw_depth = s->depth;
	s->raw_from = s->piece + (s->value.start - s->fed);
}

static void keep_append(struct json_keep *keep, struct slice bytes)
{
	size_t len = buf_len(keep->into), room = keep->max > len ? keep->max - len : 0;

	if (keep->cut)
		return;
	if (bytes.len <= room && buf_append_slice(keep->into, bytes) == 0)
		return;
	if (bytes.len > room && keep->overflow) {
		keep->overflow(keep->context, bytes);
		return;
	}
	keep->cut = true;
	if (bytes.len > room)
		buf_append_slice(keep->into, slice_first(bytes, room));
	/* A piece may have ended inside a character. */
	keep->into->end =
		keep->into->start + json_text_cut(buf_slice(keep->into), buf_len(keep->into)).len;
}

/* What came before p of the value that is kept raw. */
static void keep_raw_to(struct json_scan *s, const char *p)
{
	if (s->raw && !s->hiding)
		keep_append(s->raw, slice_of(s->raw_from, (size_t)(p - s->raw_from)));
	s->raw_from = p;
}

void json_scan_hide(struct json_scan *s, struct slice instead)
{
	if (!s->raw || s->hiding || s->raw_depth == s->depth)
		return;
	keep_raw_to(s, s->piece + (s->value.start - s->fed));
	keep_append(s->raw, instead);
	s->hiding = true;
	s->hiding_depth = s->depth;
}

void json_scan_keep_text(struct json_scan *s, struct json_keep *keep)
{
	keep->cut = false;
	s->text = s->value.type == JSON_STRING ? keep : NULL;
}

static uint64_t offset_of(const struct json_scan *s, const char *p)
{
	return s->fed + (uint64_t)(p - s->piece);
}

static bool is_object(const struct json_scan *s, unsigned depth)
{
	return s->objects[depth / 64] >> depth % 64 & 1;
}

static void set_object(struct json_scan *s, unsigned depth, bool object)
{
	s->objects[depth / 64] &= ~(1ULL << depth % 64);
	s->objects[depth / 64] |= (uint64_t)object << depth % 64;
}

static struct frame *frame_of(struct json_scan *s)
{
	return s->depth && s->depth <= JSON_SCAN_WATCHED ? &s->frames[s->depth - 1] : NULL;
}

/* The node of a value in the container on top, 0 when nobody watches it. */
static uint8_t find_node(struct json_scan *s, struct frame *parent)
{
	struct json_rules_found found;

	if (!s->depth)
		return JSON_ROOT;
	if (!parent || !parent->node)
		return 0;
	if (!is_object(s, s->depth - 1))
		return json_rules_element(&s->rules, parent->node);
	found = json_rules_member(
		&s->rules, parent->node, slice_of(s->key, s->key_len), &parent->seen);
	if (found.doubtful && s->handler->doubt)
		s->handler->doubt(s->context, found.doubt);
	return found.node;
}

/* Of the whole decoded key: of what was kept, eight bytes at a time, and of the rest. */
static uint64_t key_hash(const struct json_scan *s)
{
	uint64_t hash = s->key_rest ^ s->key_len, word;

	for (size_t i = 0; i < s->key_len; i += sizeof(word)) {
		word = 0;
		memcpy(&word, s->key + i,
			s->key_len - i < sizeof(word) ? s->key_len - i : sizeof(word));
		hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
		hash ^= hash >> 32;
	}
	return hash;
}

/* A container begins: node, index and start are those of s->value, where they matter. */
static void begin_container(struct json_scan *s, bool object)
{
	struct frame *frame;

	if (s->depth == JSON_SCAN_DEPTH) {
		s->problem = JSON_TOO_DEEP;
		return;
	}
	set_object(s, s->depth++, object);
	s->state = object ? STATE_FIRST_KEY : STATE_FIRST_ELEMENT;
	frame = frame_of(s);
	if (!frame)
		return;
	frame->node = s->value.node;
	frame->members = 0;
	if (!frame->node)
		return;
	frame->index = s->value.index;
	frame->start = s->value.start;
	frame->seen = 0;
}

/* A value begins at p; enters the container when it is one. */
static void begin_value(struct json_scan *s, enum json_type type, const char *p)
{
	struct frame *parent = frame_of(s);
	struct json_value *v = &s->value;

	v->node = find_node(s, parent);
	v->type = type;
	if (v->node) {
		v->depth = s->depth;
		v->key = slice_of(s->key, s->key_len);
		v->key_hash = key_hash(s);
		v->index = parent ? parent->members : 0;
		v->start = offset_of(s, p);
		v->end = 0;
		v->number = SLICE_NONE;
		v->empty = false;
		s->handler->enter(s->context, s, v);
	}
	if (parent)
		parent->members++;
	s->key_len = 0;
	if (type == JSON_OBJECT || type == JSON_ARRAY)
		begin_container(s, type == JSON_OBJECT);
}

/* The value begun last (s->value is it) ended before p; the container on top is its parent. */
static void end_value(struct json_scan *s, const char *p)
{
	struct json_value *v = &s->value;

	if (s->hiding && s->hiding_depth == s->depth) {
		s->hiding = false;
		s->raw_from = p;
	}
	if (s->raw && s->raw_depth == s->depth) {
		keep_raw_to(s, p);
		s->raw = NULL;
	}
	s->text = NULL;
	s->state = s->depth ? STATE_NEXT : STATE_CLOSED;
	if (!v->node)
		return;
	v->end = offset_of(s, p);
	v->key = SLICE_NONE;
	if (v->type == JSON_NUMBER && s->number_len <= JSON_SCAN_NUMBER)
		v->number = slice_of(s->number, (size_t)s->number_len);
	s->handler->leave(s->context, s, v);
}

/* p is after the closing bracket. */
static void end_container(struct json_scan *s, const char *p)
{
	const struct frame *frame = frame_of(s);
	bool object = is_object(s, --s->depth);

	s->value.node = frame ? frame->node : 0;
	if (s->value.node)
		s->value = (struct json_value){
			.type = object ? JSON_OBJECT : JSON_ARRAY,
			.depth = s->depth,
			.node = frame->node,
			.index = frame->index,
			.start = frame->start,
			.empty = !frame->members,
		};
	end_value(s, p);
}

/* Decoded bytes of the string that is being read. */
static void emit(struct json_scan *s, struct slice bytes)
{
	size_t kept = JSON_SCAN_KEY - s->key_len;

	if (!s->in_key) {
		if (s->text)
			keep_append(s->text, bytes);
		return;
	}
	if (!s->key_watched)
		return;
	if (kept > bytes.len)
		kept = bytes.len;
	memcpy(s->key + s->key_len, bytes.data, kept);
	s->key_len += kept;
	for (size_t i = kept; i < bytes.len; i++) /* FNV-1a */
		s->key_rest = (s->key_rest ^ (unsigned char)bytes.data[i]) * 0x100000001b3ULL;
}

/* As emit, of a value: text ends before p. */
static void tell(struct json_scan *s, struct slice text, bool last, const char *p)
{
	const struct json_part part = {s->value.node, text, s->first_part, last, s->told, offset_of(s, p)};

	s->handler->text(s->context, &part);
	s->first_part = false;
	s->told = part.end;
}

static void end_string(struct json_scan *s, const char *p)
{
	if (s->in_key)
		s->state = STATE_COLON;
	else
		end_value(s, p);
}

/* p is after the opening quote. Returns where to go on. */
static const char *begin_string(struct json_scan *s, bool key, const char *p, const char *end)
{
	const struct frame *frame = frame_of(s);
	size_t plain = json_text_plain(p, (size_t)(end - p));

	s->in_key = key;
	if (key) {
		s->key_watched = frame && frame->node;
		s->key_len = 0;
		s->key_rest = 0xcbf29ce484222325ULL;
	}
	s->first_part = true;
	s->told = offset_of(s, p);
	/* Most are whole and have nothing to be decoded. */
	if (p + plain < end && p[plain] == '"') {
		if (plain)
			emit(s, slice_of(p, plain));
		if (!key && s->handler->text)
			tell(s, slice_of(p, plain), true, p + plain);
		p += plain + 1;
		end_string(s, p);
		return p;
	}
	s->state = STATE_STRING;
	json_string_begin(&s->string);
	return p;
}

static const char *read_string(struct json_scan *s, const char *p, const char *end)
{
	struct slice decoded;

	p = json_string_read(&s->string, p, end, &decoded, &s->problem);
	if (decoded.len)
		emit(s, decoded);
	/* The quote, and the backslash behind a run, say nothing of it. */
	if ((decoded.len || s->string.ended) && !s->in_key && s->handler->text)
		tell(s, decoded, s->string.ended,
			p - (s->string.ended || s->string.state == JSON_STRING_ESCAPE));
	if (s->string.ended)
		end_string(s, p);
	return p;
}

/* The state after byte c of a number, or -1 when it does not belong to it. */
static int number_next(enum number_state state, char c)
{
	bool digit = c >= '0' && c <= '9', power = c == 'e' || c == 'E';

	switch (state) {
	case SIGN:
		return !digit ? -1 : c == '0' ? ZERO : WHOLE;
	case ZERO:
		return c == '.' ? POINT : power ? EXPONENT : -1;
	case WHOLE:
		return digit ? WHOLE : c == '.' ? POINT : power ? EXPONENT : -1;
	case POINT:
		return digit ? FRACTION : -1;
	case FRACTION:
		return digit ? FRACTION : power ? EXPONENT : -1;
	case EXPONENT:
		return digit ? POWER : c == '+' || c == '-' ? EXPONENT_SIGN : -1;
	case EXPONENT_SIGN:
	case POWER:
		return digit ? POWER : -1;
	}
	return -1;
}

static bool number_whole(const struct json_scan *s)
{
	return s->number_state == ZERO || s->number_state == WHOLE || s->number_state == FRACTION ||
	       s->number_state == POWER;
}

static const char *read_number(struct json_scan *s, const char *p, const char *end)
{
	for (; p < end; p++) {
		int next = number_next(s->number_state, *p);

		if (next < 0) {
			if (number_whole(s))
				end_value(s, p);
			else
				s->problem = JSON_SYNTAX;
			break;
		}
		s->number_state = (enum number_state)next;
		if (s->number_len < JSON_SCAN_NUMBER)
			s->number[s->number_len] = *p;
		s->number_len++;
	}
	return p;
}

static const char *read_word(struct json_scan *s, const char *p, const char *end)
{
	while (p < end && *s->word && *p == *s->word)
		p++, s->word++;
	if (!*s->word)
		end_value(s, p);
	else if (p < end)
		s->problem = JSON_SYNTAX;
	return p;
}

/* A value's first byte is at p. */
static const char *read_first(struct json_scan *s, const char *p, const char *end)
{
	static const struct {
		char first;
		enum json_type type;
		const char *rest;
	} words[] = {{'t', JSON_TRUE, "rue"}, {'f', JSON_FALSE, "alse"}, {'n', JSON_NULL, "ull"}};
	size_t i;

	if (*p == '"') {
		begin_value(s, JSON_STRING, p);
		return begin_string(s, false, p + 1, end);
	}
	if (*p == '{' || *p == '[') {
		begin_value(s, *p == '{' ? JSON_OBJECT : JSON_ARRAY, p);
		return p + 1;
	}
	if (*p == '-' || (*p >= '0' && *p <= '9')) {
		begin_value(s, JSON_NUMBER, p);
		s->state = STATE_NUMBER;
		s->number[0] = *p;
		s->number_len = 1;
		s->number_state = *p == '-' ? SIGN : *p == '0' ? ZERO : WHOLE;
		return p + 1;
	}
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (*p == words[i].first) {
			begin_value(s, words[i].type, p);
			s->word = words[i].rest;
			s->state = STATE_WORD;
			return p + 1;
		}
	s->problem = JSON_SYNTAX;
	return p;
}

/* One byte between strings, numbers and words, or the string that it begins. */
static const char *read_structure_byte(struct json_scan *s, const char *p, const char *end)
{
	char c = *p;
	bool object = s->depth && is_object(s, s->depth - 1);

	switch (s->state) {
	case STATE_FIRST_ELEMENT:
		if (c != ']')
			return read_first(s, p, end);
		end_container(s, ++p);
		return p;
	case STATE_VALUE:
		return read_first(s, p, end);
	case STATE_FIRST_KEY:
	case STATE_KEY:
		if (c == '"')
			return begin_string(s, true, p + 1, end);
		if (c != '}' || s->state == STATE_KEY)
			break;
		end_container(s, ++p);
		return p;
	case STATE_COLON:
		if (c != ':')
			break;
		s->state = STATE_VALUE;
		return p + 1;
	case STATE_NEXT:
		if (c == ',') {
			s->state = object ? STATE_KEY : STATE_VALUE;
			return p + 1;
		}
		if (c != (object ? '}' : ']'))
			break;
		end_container(s, ++p);
		return p;
	case STATE_CLOSED:
		s->problem = JSON_TRAILING;
		return p;
	default:
		break;
	}
	s->problem = JSON_SYNTAX;
	return p;
}

/* Anything between strings, numbers and words. */
static const char *read_structure(struct json_scan *s, const char *p, const char *end)
{
	while (p < end && s->state <= STATE_CLOSED && !s->problem)
		if (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')
			p++;
		else
			p = read_structure_byte(s, p, end);
	return p;
}

/* The byte order mark that some senders put first. */
static const char *read_mark(struct json_scan *s, const char *p)
{
	static const char mark[] = "\xef\xbb\xbf";

	if (*p == mark[s->mark]) {
		if (++s->mark == sizeof(mark) - 1)
			s->state = STATE_VALUE;
		return p + 1;
	}
	if (s->mark)
		s->problem = JSON_SYNTAX;
	s->state = STATE_VALUE;
	return p;
}

enum json_problem json_scan_feed(struct json_scan *s, struct slice piece)
{
	const char *p = piece.data, *end;

	if (s->problem || !piece.len)
		return s->problem;
	end = p + piece.len;
	s->piece = p;
	s->raw_from = p;
	while (p < end && !s->problem) {
		switch (s->state) {
		case STATE_START:
			p = read_mark(s, p);
			break;
		case STATE_STRING:
			p = read_string(s, p, end);
			break;
		case STATE_NUMBER:
			p = read_number(s, p, end);
			break;
		case STATE_WORD:
			p = read_word(s, p, end);
			break;
		default:
			p = read_structure(s, p, end);
		}
	}
	keep_raw_to(s, p);
	s->fed += piece.len;
	return s->problem;
}

enum json_problem json_scan_end(struct json_scan *s)
{
	if (s->problem)
		return s->problem;
	/* Only its end tells that a number is whole. */
	if (s->state == STATE_NUMBER && !s->depth && number_whole(s)) {
		s->piece = s->raw_from = "";
		end_value(s, s->piece);
	}
	if ((s->state == STATE_START && !s->mark) || (s->state == STATE_VALUE && !s->depth))
		s->problem = JSON_EMPTY;
	else if (s->state != STATE_CLOSED)
		s->problem = JSON_UNFINISHED;
	return s->problem;
}
