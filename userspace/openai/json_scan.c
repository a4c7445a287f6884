// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/json_scan.h"

#include <assert.h>
#include <stdlib.h>

#include "openai/json_text.h"

enum state {
	STATE_START,	     /* before the document, a byte order mark may come */
	STATE_VALUE,	     /* a value must come */
	STATE_FIRST_ELEMENT, /* a value or ] */
	STATE_FIRST_KEY,     /* a key or } */
	STATE_KEY,	     /* a key must come */
	STATE_COLON,
	STATE_NEXT, /* after a value: a comma or the closing bracket */
	STATE_STRING,
	STATE_ESCAPE, /* after a backslash */
	STATE_HEX,    /* after \u */
	STATE_NUMBER,
	STATE_WORD, /* true, false, null */
	STATE_CLOSED
};

/* Where in a number (RFC 8259 section 6) the next byte comes. */
enum number_state { SIGN, ZERO, WHOLE, POINT, FRACTION, EXPONENT, EXPONENT_SIGN, POWER };

/* A container that is open and watched. */
struct frame {
	uint8_t node;
	uint64_t index, start;
	uint64_t members; /* begun so far */
	uint64_t seen;	  /* a bit for each rule of the table whose member was there */
};

/* The rules of each node, as a list. */
#define NO_RULE 0xff
struct rule_index {
	uint8_t first[JSON_RULES_MAX], next[JSON_RULES_MAX];
};

struct json_scan {
	const struct json_handler *handler;
	void *context;
	struct rule_index index;
	enum json_problem problem;
	enum state state;
	uint64_t fed; /* bytes before the present piece */
	const char *piece;

	unsigned depth;
	bool object[JSON_SCAN_DEPTH];
	struct frame frames[JSON_SCAN_WATCHED];

	struct json_value value; /* the scalar, or key of the member, that is being read */
	char key[JSON_SCAN_KEY];
	size_t key_len;
	bool in_key, key_watched;

	enum number_state number_state;
	char number[JSON_SCAN_NUMBER];
	uint64_t number_len;
	const char *word; /* what is left of it */
	unsigned mark;	  /* bytes of the byte order mark that came */

	/* UTF-8: continuation bytes to come, and the bounds of the next. */
	unsigned continuation;
	unsigned char low, high;
	unsigned hex_digits;
	uint32_t hex, high_surrogate;
	bool lone_surrogate;

	struct json_keep *text, *raw;
	unsigned raw_depth;
	const char *raw_from; /* in the present piece: what was not kept yet */
};

const char *json_problem_name(enum json_problem problem)
{
	static const char *const names[] = {
		[JSON_FINE] = "none",
		[JSON_SYNTAX] = "invalid JSON",
		[JSON_BAD_UTF8] = "invalid UTF-8",
		[JSON_BAD_ESCAPE] = "invalid escape",
		[JSON_CONTROL] = "control character in string",
		[JSON_TOO_DEEP] = "nested too deep",
		[JSON_TRAILING] = "bytes after the JSON value",
		[JSON_UNFINISHED] = "unfinished JSON",
		[JSON_EMPTY] = "empty",
	};

	return names[problem];
}

static void rules_index(struct json_scan *s)
{
	const struct json_handler *h = s->handler;

	assert(h->nrules <= JSON_RULES_MAX);
	memset(&s->index, NO_RULE, sizeof(s->index));
	for (size_t i = h->nrules; i-- > 0;) {
		const struct json_rule *rule = &h->rules[i];

		assert(rule->parent < JSON_RULES_MAX && rule->node < JSON_RULES_MAX);
		s->index.next[i] = s->index.first[rule->parent];
		s->index.first[rule->parent] = (uint8_t)i;
	}
}

struct json_scan *json_scan_new(const struct json_handler *handler, void *context)
{
	struct json_scan *s = calloc(1, sizeof(*s));

	if (s) {
		s->handler = handler;
		s->context = context;
		rules_index(s);
	}
	return s;
}

void json_scan_free(struct json_scan *s)
{
	free(s);
}

bool json_scan_met_lone_surrogate(const struct json_scan *s)
{
	return s->lone_surrogate || s->high_surrogate;
}

void json_scan_keep_raw(struct json_scan *s, struct json_keep *keep)
{
	keep->cut = false;
	s->raw = keep;
	s->raw_depth = s->depth;
	s->raw_from = s->piece + (s->value.start - s->fed);
}

void json_scan_keep_text(struct json_scan *s, struct json_keep *keep)
{
	keep->cut = false;
	s->text = s->value.type == JSON_STRING ? keep : NULL;
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

static uint64_t offset_of(const struct json_scan *s, const char *p)
{
	return s->fed + (uint64_t)(p - s->piece);
}

static struct frame *frame_of(struct json_scan *s)
{
	return s->depth && s->depth <= JSON_SCAN_WATCHED ? &s->frames[s->depth - 1] : NULL;
}

static bool rule_matches(const struct json_rule *rule, struct slice key)
{
	if (!rule->key)
		return true;
	return key.len && *rule->key == *key.data && slice_equal(slice_of_string(rule->key), key);
}

/* Whether a key has bytes that no name of a table has. */
static bool key_is_odd(struct slice key)
{
	for (size_t i = 0; i < key.len; i++) {
		unsigned char c = (unsigned char)key.data[i];

		if (c == 0 || c >= 0x80 || (c >= 'A' && c <= 'Z'))
			return true;
	}
	return false;
}

/* As readers that ignore case, or end at a NUL, take the key: the characters outside of ASCII are
 * those whose other case is in it (Unicode, CaseFolding.txt and SpecialCasing.txt). */
static struct slice key_fold(struct slice key, char folded[JSON_SCAN_KEY])
{
	static const struct {
		struct slice from;
		char to;
	} others[] = {{{"\xc5\xbf", 2}, 's'}, {{"\xe2\x84\xaa", 3}, 'k'}, {{"\xc4\xb0", 2}, 'i'},
		{{"\xc4\xb1", 2}, 'i'}};
	size_t len = 0;

	while (key.len && key.data[0]) {
		char c = key.data[0];
		size_t used = 1;

		for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
			if (slice_starts_with(key, others[i].from)) {
				c = others[i].to;
				used = others[i].from.len;
			}
		folded[len++] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
		key = slice_after(key, used);
	}
	return slice_of(folded, len);
}

static void tell_doubt(struct json_scan *s, enum json_doubt doubt)
{
	if (s->handler->doubt)
		s->handler->doubt(s->context, doubt);
}

/* Tells when other readers may take the key for one of the table. */
static void doubt_form(struct json_scan *s, const struct frame *parent, struct slice key)
{
	const struct json_rule *rules = s->handler->rules;
	char memory[JSON_SCAN_KEY];
	struct slice folded;

	if (!key_is_odd(key))
		return;
	folded = key_fold(key, memory);
	for (uint8_t i = s->index.first[parent->node]; i != NO_RULE; i = s->index.next[i])
		if (rules[i].key && slice_equal(folded, slice_of_string(rules[i].key))) {
			tell_doubt(s, JSON_DOUBT_FORM);
			return;
		}
}

/* The node of a value in the container on top, 0 when nobody watches it. */
static uint8_t find_node(struct json_scan *s, struct frame *parent)
{
	const struct json_rule *rules = s->handler->rules;
	struct slice key = slice_of(s->key, s->key_len);
	uint8_t i;

	if (!s->depth)
		return JSON_ROOT;
	if (!parent || !parent->node)
		return 0;
	for (i = s->index.first[parent->node]; i != NO_RULE; i = s->index.next[i])
		if (rule_matches(&rules[i], key))
			break;
	if (!s->object[s->depth - 1])
		return i == NO_RULE ? 0 : rules[i].node;
	if (i == NO_RULE || !rules[i].key) {
		doubt_form(s, parent, key);
		return i == NO_RULE ? 0 : rules[i].node;
	}
	if (parent->seen & (uint64_t)1 << i)
		tell_doubt(s, JSON_DOUBT_TWICE);
	parent->seen |= (uint64_t)1 << i;
	return rules[i].node;
}

/* A value begins at p; enters the container when it is one. */
static void begin_value(struct json_scan *s, enum json_type type, const char *p)
{
	struct frame *parent = frame_of(s);
	struct json_value *v = &s->value;

	v->node = find_node(s, parent);
	v->type = type;
	v->depth = s->depth;
	v->key = slice_of(s->key, s->key_len);
	v->index = parent ? parent->members++ : 0;
	v->start = offset_of(s, p);
	v->end = 0;
	v->number = SLICE_NONE;
	v->empty = false;
	if (v->node)
		s->handler->enter(s->context, s, v);
	s->key_len = 0;
	if (type != JSON_OBJECT && type != JSON_ARRAY)
		return;
	if (s->depth == JSON_SCAN_DEPTH) {
		s->problem = JSON_TOO_DEEP;
		return;
	}
	s->object[s->depth++] = type == JSON_OBJECT;
	if (s->depth <= JSON_SCAN_WATCHED)
		s->frames[s->depth - 1] = (struct frame){v->node, v->index, v->start, 0, 0};
	s->state = type == JSON_OBJECT ? STATE_FIRST_KEY : STATE_FIRST_ELEMENT;
}

/* The value begun last (s->value is it) ended before p; the container on top is its parent. */
static void end_value(struct json_scan *s, const char *p)
{
	struct json_value *v = &s->value;

	if (s->raw && s->raw_depth == s->depth) {
		keep_append(s->raw, slice_of(s->raw_from, (size_t)(p - s->raw_from)));
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
	struct frame *frame = frame_of(s);
	bool object = s->object[--s->depth];

	s->value =
		(struct json_value){.type = object ? JSON_OBJECT : JSON_ARRAY, .depth = s->depth};
	if (frame) {
		s->value.node = frame->node;
		s->value.index = frame->index;
		s->value.start = frame->start;
		s->value.empty = !frame->members;
	}
	end_value(s, p);
}

/* Decoded bytes of the string that is being read. */
static void emit(struct json_scan *s, const char *p, size_t len)
{
	size_t i, kept;

	if (!s->in_key) {
		if (s->text)
			keep_append(s->text, slice_of(p, len));
		return;
	}
	if (!s->key_watched)
		return;
	for (i = 0; i < len; i++) /* FNV-1a */
		s->value.key_hash = (s->value.key_hash ^ (unsigned char)p[i]) * 0x100000001b3ULL;
	kept = len < JSON_SCAN_KEY - s->key_len ? len : JSON_SCAN_KEY - s->key_len;
	memcpy(s->key + s->key_len, p, kept);
	s->key_len += kept;
}

static void emit_character(struct json_scan *s, uint32_t c)
{
	char bytes[4];

	emit(s, bytes, json_text_encode(c, bytes));
}

/* Whatever comes is not the second half of a pair. */
static void emit_lone_surrogate(struct json_scan *s)
{
	if (s->high_surrogate) {
		s->high_surrogate = 0;
		s->lone_surrogate = true;
		emit_character(s, 0xfffd);
	}
}

static void begin_string(struct json_scan *s, bool key)
{
	const struct frame *frame = frame_of(s);

	s->state = STATE_STRING;
	s->in_key = key;
	if (!key)
		return;
	s->key_watched = frame && frame->node;
	s->key_len = 0;
	s->value.key_hash = 0xcbf29ce484222325ULL;
}

/* A byte outside ASCII (RFC 3629 section 4). */
static void read_utf8(struct json_scan *s, unsigned char c)
{
	if (s->continuation) {
		if (c < s->low || c > s->high) {
			s->problem = JSON_BAD_UTF8;
			return;
		}
		s->continuation--;
	} else if (c >= 0xc2 && c <= 0xf4) {
		s->continuation = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
		s->low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
		s->high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
		return;
	} else {
		s->problem = JSON_BAD_UTF8;
	}
	s->low = 0x80;
	s->high = 0xbf;
}

static const char *read_string(struct json_scan *s, const char *p, const char *end)
{
	const char *run = p;

	while (p < end) {
		size_t len = s->continuation ? 0 : json_text_plain(p, (size_t)(end - p));

		p += len;
		if (p == end || (unsigned char)*p < 0x80)
			break;
		/* Byte by byte only where the piece ends inside a character. */
		len = s->continuation ? 0 : json_text_character(slice_of(p, (size_t)(end - p)));
		if (!len) {
			read_utf8(s, (unsigned char)*p);
			len = 1;
		}
		if (s->problem)
			break;
		p += len;
	}
	if (p > run) {
		emit_lone_surrogate(s);
		emit(s, run, (size_t)(p - run));
	}
	if (p == end || s->problem)
		return p;
	if (s->continuation) {
		s->problem = JSON_BAD_UTF8;
	} else if (*p == '\\') {
		s->state = STATE_ESCAPE;
		p++;
	} else if (*p == '"') {
		emit_lone_surrogate(s);
		p++;
		if (s->in_key)
			s->state = STATE_COLON;
		else
			end_value(s, p);
	} else {
		s->problem = JSON_CONTROL;
	}
	return p;
}

static const char *read_escape(struct json_scan *s, const char *p)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *found = *p ? strchr(from, *p) : NULL;

	if (*p == 'u') {
		s->state = STATE_HEX;
		s->hex = 0;
		s->hex_digits = 0;
	} else if (found) {
		emit_lone_surrogate(s);
		emit(s, &to[found - from], 1);
		s->state = STATE_STRING;
	} else {
		s->problem = JSON_BAD_ESCAPE;
		return p;
	}
	return p + 1;
}

static const char *read_hex(struct json_scan *s, const char *p)
{
	char c = (char)(*p | 0x20);

	if (*p >= '0' && *p <= '9') {
		s->hex = s->hex << 4 | (uint32_t)(*p - '0');
	} else if (c >= 'a' && c <= 'f') {
		s->hex = s->hex << 4 | (uint32_t)(c - 'a' + 10);
	} else {
		s->problem = JSON_BAD_ESCAPE;
		return p;
	}
	if (++s->hex_digits < 4)
		return p + 1;
	s->state = STATE_STRING;
	if (s->hex >= 0xdc00 && s->hex < 0xe000 && s->high_surrogate) {
		emit_character(
			s, 0x10000 + ((s->high_surrogate - 0xd800) << 10) + (s->hex - 0xdc00));
		s->high_surrogate = 0;
		return p + 1;
	}
	emit_lone_surrogate(s);
	if (s->hex >= 0xd800 && s->hex < 0xdc00) {
		s->high_surrogate = s->hex;
	} else if (s->hex >= 0xdc00 && s->hex < 0xe000) {
		s->lone_surrogate = true;
		emit_character(s, 0xfffd);
	} else {
		emit_character(s, s->hex);
	}
	return p + 1;
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
static const char *read_first(struct json_scan *s, const char *p)
{
	static const struct {
		char first;
		enum json_type type;
		const char *rest;
	} words[] = {{'t', JSON_TRUE, "rue"}, {'f', JSON_FALSE, "alse"}, {'n', JSON_NULL, "ull"}};
	size_t i;

	if (*p == '"') {
		begin_value(s, JSON_STRING, p);
		begin_string(s, false);
		return p + 1;
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

/* Anything between strings, numbers and words. */
static const char *read_structure(struct json_scan *s, const char *p)
{
	char c = *p;
	bool object = s->depth && s->object[s->depth - 1];

	if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
		return p + 1;
	switch (s->state) {
	case STATE_FIRST_ELEMENT:
		if (c != ']')
			return read_first(s, p);
		end_container(s, ++p);
		return p;
	case STATE_VALUE:
		return read_first(s, p);
	case STATE_FIRST_KEY:
	case STATE_KEY:
		if (c == '"') {
			begin_string(s, true);
			return p + 1;
		}
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
		case STATE_ESCAPE:
			p = read_escape(s, p);
			break;
		case STATE_HEX:
			p = read_hex(s, p);
			break;
		case STATE_NUMBER:
			p = read_number(s, p, end);
			break;
		case STATE_WORD:
			p = read_word(s, p, end);
			break;
		default:
			p = read_structure(s, p);
		}
	}
	if (s->raw)
		keep_append(s->raw, slice_of(s->raw_from, (size_t)(p - s->raw_from)));
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
