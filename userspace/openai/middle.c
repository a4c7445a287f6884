// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/middle.h"

#include <errno.h>
#include <stdlib.h>

#include "openai/json_scan.h"
#include "openai/json_text.h"

/* When something has to go, so much of max goes at once. */
#define BATCH 64
#define MARK  SLICE("\xe2\x80\xa6")
/* The longest name of a member that is said again; a mark stands for longer ones. */
#define NAME_MAX_LEN 64

enum expects { VALUE, NAME, COLON, AFTER, IN_VALUE, IN_NAME, IN_WORD, NOTHING };

struct level {
	char closer;
	unsigned char name_len; /* more than NAME_MAX_LEN: it is longer */
	char name[NAME_MAX_LEN]; /* of the member that is being read */
};

struct middle_place {
	enum expects expects;
	bool broken;	     /* it is no JSON, or too deep */
	unsigned depth;	     /* containers that are open here */
	unsigned common;     /* … and have been ever since the end of the head */
	unsigned head_depth; /* containers that are open at the end of the head */
	bool head_filled;    /* … the innermost of them is not empty there */
	char head_closers[JSON_SCAN_DEPTH];
	struct level levels[JSON_SCAN_DEPTH];
};

static size_t broken(struct middle_place *p)
{
	p->broken = true;
	return 0;
}

static void name_add(struct level *level, struct slice bytes)
{
	if (bytes.len > sizeof(level->name) || level->name_len > sizeof(level->name) - bytes.len) {
		level->name_len = NAME_MAX_LEN + 1;
		return;
	}
	memcpy(level->name + level->name_len, bytes.data, bytes.len);
	level->name_len = (unsigned char)(level->name_len + bytes.len);
}

static size_t string_pass(struct middle_place *p, struct slice rest, size_t wanted)
{
	size_t len = json_text_plain(rest.data, rest.len < wanted ? rest.len : wanted);

	if (!len && rest.data[0] == '"') {
		p->expects = p->expects == IN_NAME ? COLON : AFTER;
		return 1;
	}
	if (!len)
		len = json_text_unit(rest);
	/* A byte that begins no character. */
	if (!len && rest.data[0] != '\\' && rest.len >= 4)
		len = 1;
	if (p->expects == IN_NAME && len)
		name_add(&p->levels[p->depth - 1], slice_first(rest, len));
	return len;
}

static bool ends_word(char c)
{
	return memchr(",]} \t\n\r", c, 7) != NULL;
}

static size_t word_pass(struct middle_place *p, struct slice rest)
{
	size_t len = 0;

	while (len < rest.len && !ends_word(rest.data[len]))
		len++;
	if (len < rest.len)
		p->expects = AFTER;
	return len;
}

static size_t bracket_pass(struct middle_place *p, char c)
{
	bool opens = c == '{' || c == '[';

	if (opens) {
		if (p->expects != VALUE || p->depth == JSON_SCAN_DEPTH)
			return broken(p);
		p->levels[p->depth++] = (struct level){.closer = c == '{' ? '}' : ']'};
		p->expects = c == '{' ? NAME : VALUE;
		return 1;
	}
	if (!p->depth || p->levels[p->depth - 1].closer != c)
		return broken(p);
	p->depth--;
	if (p->common > p->depth)
		p->common = p->depth;
	p->expects = p->depth ? AFTER : NOTHING;
	return 1;
}

static size_t sign_pass(struct middle_place *p, char c)
{
	struct level *level = p->depth ? &p->levels[p->depth - 1] : NULL;

	if (c == ',' && p->expects == AFTER && level) {
		p->expects = level->closer == '}' ? NAME : VALUE;
	} else if (c == ':' && p->expects == COLON) {
		p->expects = VALUE;
	} else if (c == '"' && p->expects == NAME && level) {
		p->expects = IN_NAME;
		level->name_len = 0;
	} else if (c == '"' && p->expects == VALUE) {
		p->expects = IN_VALUE;
	} else {
		return broken(p);
	}
	return 1;
}

/* Passes a token, or of a string up to about as much as is wanted. 0: what is there is not enough,
 * or of no length, or broken. */
static size_t token_pass(struct middle_place *p, struct slice rest, size_t wanted)
{
	char c = rest.data[0];

	if (p->expects == IN_VALUE || p->expects == IN_NAME)
		return string_pass(p, rest, wanted);
	if (p->expects == IN_WORD)
		return word_pass(p, rest);
	if (memchr(" \t\n\r", c, 4))
		return 1;
	if (memchr("{}[]", c, 4))
		return bracket_pass(p, c);
	if (memchr(",:\"", c, 3))
		return sign_pass(p, c);
	if (p->expects != VALUE)
		return broken(p);
	p->expects = IN_WORD;
	return 1;
}

/* Passes at least wanted bytes of text, if that many can be passed; returns how many. *safe: the last
 * place among them that is behind a whole value or an open bracket. */
static size_t pass(struct middle_place *p, struct slice text, size_t wanted, size_t *safe)
{
	size_t at = 0;

	while (at < wanted && at < text.len && !p->broken) {
		enum expects before = p->expects;
		unsigned depth = p->depth;
		size_t len = token_pass(p, slice_after(text, at), wanted - at);

		at += len;
		if (!len && p->expects == before)
			break;
		if (at <= wanted && (p->depth > depth || (p->expects == AFTER && before != AFTER) ||
					    p->depth < depth))
			*safe = at;
	}
	return at;
}

int middle_begin(struct middle *m, struct buf *text, size_t max)
{
	struct middle_place *p = calloc(1, sizeof(*p));
	struct slice all = buf_slice(text), head;
	size_t safe = 0, ignored = 0;

	*m = (struct middle){.max = max, .place = p};
	if (!p)
		goto no_memory;
	/* Where the head ends is known only behind it. */
	pass(p, all, max - max / 2, &safe);
	*p = (struct middle_place){.expects = VALUE};
	head = slice_first(all, pass(p, all, safe, &ignored));
	m->lost = p->broken;
	if (buf_append_slice(&m->head, head) < 0 ||
		buf_append_slice(&m->tail, slice_after(all, head.len)) < 0)
		goto no_memory;
	p->common = p->head_depth = p->depth;
	p->head_filled = head.len && !memchr("[{", head.data[head.len - 1], 2);
	for (unsigned i = 0; i < p->depth; i++)
		p->head_closers[i] = p->levels[i].closer;
	m->spent += 2 * all.len;
	buf_free(text);
	return 0;
no_memory:
	middle_free(m);
	buf_free(text);
	return -ENOMEM;
}

void middle_free(struct middle *m)
{
	buf_free(&m->head);
	buf_free(&m->tail);
	free(m->place);
	m->place = NULL;
}

static void forget(struct middle *m, size_t len)
{
	m->cut += len;
	m->spent += len;
	buf_consume(&m->tail, len);
}

/* Takes about so many bytes from the start of the tail. */
static void shed(struct middle *m, size_t wanted)
{
	size_t safe;

	forget(m, pass(m->place, buf_slice(&m->tail), wanted, &safe));
	if (m->place->broken)
		m->lost = true;
	if (m->lost)
		forget(m, buf_len(&m->tail));
}

static size_t tail_max(const struct middle *m)
{
	return m->max - buf_len(&m->head);
}

void middle_feed(struct middle *m, struct slice piece)
{
	size_t batch = m->max / BATCH + 1;

	while (piece.len) {
		struct slice next = slice_first(piece, batch);

		piece = slice_after(piece, next.len);
		if (!m->lost && buf_append_slice(&m->tail, next) < 0) {
			m->lost = true;
			forget(m, buf_len(&m->tail));
		}
		if (m->lost)
			m->cut += next.len;
		else if (buf_len(&m->tail) > tail_max(m) + batch)
			shed(m, buf_len(&m->tail) - tail_max(m));
	}
}

/* Whether the end of the text may begin here. */
static bool may_begin(const struct middle *m)
{
	char next = *buf_slice(&m->tail).data;

	switch (m->place->expects) {
	case IN_VALUE:
		return next != '"';
	case NAME:
		return next == '"';
	case VALUE:
		return !memchr("]} \t\n\r", next, 6);
	default:
		return false;
	}
}

/* Passes what cannot be the beginning of the end. */
static void settle(struct middle *m)
{
	while (buf_len(&m->tail) && !may_begin(m)) {
		size_t before = buf_len(&m->tail);
		enum expects expected = m->place->expects;

		shed(m, 1);
		if (buf_len(&m->tail) == before && m->place->expects == expected)
			forget(m, before);
	}
}

static int name_append(const struct level *level, struct buf *into)
{
	struct slice name = level->name_len > NAME_MAX_LEN ? MARK : slice_of(level->name, level->name_len);

	return buf_append(into, "\"", 1) < 0 || buf_append_slice(into, name) < 0 ||
			       buf_append(into, "\":", 2) < 0
		       ? -ENOMEM
		       : 0;
}

/* What goes between head and tail: closes what is open there, and opens what is open here. */
static int joint(const struct middle *m, struct buf *into)
{
	const struct middle_place *p = m->place;
	bool begins = buf_len(&m->tail) != 0, in_value = p->expects != NAME;
	int error = 0;

	for (unsigned i = p->head_depth; i > p->common && !error; i--)
		error = buf_append(into, &p->head_closers[i - 1], 1);
	if (!begins || error)
		return error;
	if (p->common < p->head_depth || p->head_filled)
		error = buf_append(into, ",", 1);
	for (unsigned i = p->common; i <= p->depth && !error; i++) {
		if (i && p->levels[i - 1].closer == '}' && (i < p->depth || in_value))
			error = name_append(&p->levels[i - 1], into);
		if (!error && i < p->depth)
			error = buf_append(into, p->levels[i].closer == '}' ? "{" : "[", 1);
	}
	if (!error && p->expects == IN_VALUE)
		error = buf_append(into, "\"", 1) < 0 || buf_append_slice(into, MARK) < 0;
	return error ? -ENOMEM : 0;
}

int middle_end(struct middle *m, struct buf *into)
{
	size_t before = buf_len(into), over = buf_len(&m->tail) > tail_max(m) ? buf_len(&m->tail) - tail_max(m) : 0;
	struct buf between = BUF_EMPTY;
	int error = 0;

	/* What is opened again grows less than what goes, so that this ends soon. */
	for (bool fits = false; !fits && !error;) {
		size_t left = buf_len(&m->tail);

		if (over)
			shed(m, over);
		settle(m);
		/* The last bytes are the beginning of something that never came. */
		if (over && buf_len(&m->tail) == left)
			forget(m, left);
		buf_clear(&between);
		error = joint(m, &between);
		m->spent += buf_len(&between);
		fits = !buf_len(&m->tail) || buf_len(&between) + buf_len(&m->tail) <= tail_max(m);
		over = fits ? 0 : buf_len(&between) + buf_len(&m->tail) - tail_max(m) + m->max / BATCH;
	}
	if (error || buf_append_slice(into, buf_slice(&m->head)) < 0 ||
		buf_append_slice(into, buf_slice(&between)) < 0 ||
		buf_append_slice(into, buf_slice(&m->tail)) < 0) {
		into->end = into->start + before;
		error = -ENOMEM;
	}
	buf_free(&between);
	middle_free(m);
	return error;
}
