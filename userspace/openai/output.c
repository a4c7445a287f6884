// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/output.h"

#include <stdlib.h>

#include "openai/ends.h"
#include "openai/json_text.h"

/* When something has to go, so much of max goes at once. */
#define BATCH 64
/* A text that was shortened to less than twice that stays as it is. */
#define SHORTEST 4
/* The longest form of a byte in a JSON string, \u0000 (a replacement character is shorter). */
#define ESCAPED 6
#define PIECE	256 /* bytes of a text that are taken at once where room is short */

struct output_call {
	uint64_t index;
	bool custom;
	struct ends texts[OUTPUT_CALL_TEXTS];
};

struct output_choice {
	bool there;
	struct slice role, finish;
	char role_memory[24], finish_memory[40];
	struct ends texts[OUTPUT_TEXTS];
	bool has[OUTPUT_TEXTS]; /* an empty text is one too */
	struct output_call *calls;
	unsigned ncalls;
};

void output_init(struct output *o, size_t max)
{
	*o = (struct output){.max = max};
}

static void call_free(struct output_call *call)
{
	unsigned i;

	for (i = 0; i < OUTPUT_CALL_TEXTS; i++)
		ends_free(&call->texts[i]);
}

static void choice_free(struct output_choice *c)
{
	unsigned i;

	for (i = 0; i < OUTPUT_TEXTS; i++)
		ends_free(&c->texts[i]);
	for (i = 0; i < c->ncalls; i++)
		call_free(&c->calls[i]);
	free(c->calls);
	c->calls = NULL;
	c->ncalls = 0;
}

void output_free(struct output *o)
{
	unsigned i;

	for (i = 0; i < o->nchoices; i++)
		choice_free(&o->choices[i]);
	free(o->choices);
	o->choices = NULL;
	o->nchoices = 0;
}

struct output_choice *output_choice(struct output *o, uint64_t index)
{
	struct output_choice *choices, *c;

	if (index >= OUTPUT_CHOICES) {
		o->cut = true;
		return NULL;
	}
	if (index >= o->nchoices) {
		unsigned n = (unsigned)index + 1, i;

		choices = realloc(o->choices, n * sizeof(*choices));
		if (!choices) {
			o->cut = true;
			return NULL;
		}
		o->choices = choices;
		memset(choices + o->nchoices, 0, (n - o->nchoices) * sizeof(*choices));
		o->nchoices = n;
		/* The short texts live inside the choices, which may have moved. */
		for (i = 0; i < n; i++) {
			choices[i].role.data = choices[i].role_memory;
			choices[i].finish.data = choices[i].finish_memory;
		}
	}
	c = &o->choices[index];
	c->there = true;
	return c;
}

static size_t call_size(const struct output_call *call)
{
	size_t size = 0;

	for (unsigned t = 0; t < OUTPUT_CALL_TEXTS; t++)
		size += ends_len(&call->texts[t]);
	return size;
}

static size_t choice_size(const struct output_choice *c)
{
	size_t size = 0;

	for (unsigned t = 0; t < OUTPUT_TEXTS; t++)
		size += ends_len(&c->texts[t]);
	for (unsigned k = 0; k < c->ncalls; k++)
		size += call_size(&c->calls[k]);
	return size;
}

void output_forget(struct output *o, uint64_t index)
{
	struct output_choice *c;

	if (index >= o->nchoices)
		return;
	c = &o->choices[index];
	o->kept -= choice_size(c);
	o->ncalls -= c->ncalls;
	choice_free(c);
	memset(c->has, 0, sizeof(c->has));
	c->there = false;
}

void output_role(struct output_choice *c, struct slice role)
{
	c->role = json_text_copy(c->role_memory, sizeof(c->role_memory), role);
}

void output_finish(struct output_choice *c, struct slice reason)
{
	c->finish = json_text_copy(c->finish_memory, sizeof(c->finish_memory), reason);
}

/* Sets *found to the longer of it and the texts. */
static void longer(struct ends **found, struct ends *texts, unsigned ntexts)
{
	for (unsigned i = 0; i < ntexts; i++)
		if (!*found || ends_len(&texts[i]) > ends_len(*found))
			*found = &texts[i];
}

static struct ends *longest(struct output *o)
{
	struct ends *found = NULL;

	for (unsigned i = 0; i < o->nchoices; i++) {
		struct output_choice *c = &o->choices[i];

		longer(&found, c->texts, OUTPUT_TEXTS);
		for (unsigned k = 0; k < c->ncalls; k++)
			longer(&found, c->calls[k].texts, OUTPUT_CALL_TEXTS);
	}
	return found;
}

/* There is more than max: the longest texts lose of their middles, so much that this is seldom. */
static void make_room(struct output *o)
{
	size_t wanted = o->max - o->max / BATCH;

	o->cut = true;
	while (o->kept > wanted) {
		struct ends *text = longest(o);
		size_t n = o->kept - wanted, half = ends_len(text) / 2;
		size_t gone;

		o->spent += o->nchoices * OUTPUT_TEXTS + o->ncalls * OUTPUT_CALL_TEXTS + half;
		gone = half < SHORTEST ? 0 : ends_shed(text, n < half ? n : half);
		o->kept -= gone;
		o->cut_bytes += gone;
		if (!gone) {
			o->full = true;
			return;
		}
	}
}

static void append(struct output *o, struct ends *text, struct slice added)
{
	while (added.len && !o->full && o->max) {
		size_t room = o->max - o->kept, most = room;
		struct slice piece = added;

		/* What may not fit comes in pieces, which then may be a little too much. */
		if (added.len > room / ESCAPED) {
			piece = json_text_cut(added, PIECE);
			most = ESCAPED * PIECE;
		}
		room = most;
		if (!piece.len || !json_text_escape(ends_into(text), piece, &most))
			o->full = true;
		o->kept += room - most;
		added = slice_after(added, piece.len);
		if (o->kept > o->max)
			make_room(o);
	}
	o->cut_bytes += added.len;
	o->cut = o->cut || added.len || o->full;
}

void output_text(
	struct output *o, struct output_choice *c, enum output_text which, struct slice text)
{
	o->bytes += text.len;
	c->has[which] = true;
	append(o, &c->texts[which], text);
}

/* There are as many calls as are told apart: one goes from the middle of the choice with the most. */
static void call_goes(struct output *o)
{
	struct output_choice *most = &o->choices[0];
	struct output_call *call;

	for (unsigned i = 1; i < o->nchoices; i++)
		if (o->choices[i].ncalls > most->ncalls)
			most = &o->choices[i];
	call = &most->calls[most->ncalls / 2];
	o->kept -= call_size(call);
	o->cut_bytes += call_size(call);
	o->cut = true;
	o->full = false;
	o->spent += o->nchoices + most->ncalls * sizeof(*call) / 8;
	call_free(call);
	most->ncalls--;
	o->ncalls--;
	memmove(call, call + 1, (size_t)(most->calls + most->ncalls - call) * sizeof(*call));
}

struct output_call *output_call(
	struct output *o, struct output_choice *c, uint64_t index, bool has_id)
{
	struct output_call *calls;
	unsigned i;

	if (index == OUTPUT_NO_INDEX && !has_id && c->ncalls)
		return &c->calls[c->ncalls - 1];
	/* From the last: deltas come call by call. */
	for (i = c->ncalls; i > 0 && index != OUTPUT_NO_INDEX; i--)
		if (c->calls[i - 1].index == index)
			return &c->calls[i - 1];
	if (o->ncalls == OUTPUT_CALLS)
		call_goes(o);
	calls = realloc(c->calls, (c->ncalls + 1) * sizeof(*calls));
	if (!calls) {
		o->cut = true;
		return NULL;
	}
	c->calls = calls;
	calls[c->ncalls] = (struct output_call){.index = index};
	o->ncalls++;
	return &calls[c->ncalls++];
}

void output_call_custom(struct output_call *call)
{
	call->custom = true;
}

void output_call_text(
	struct output *o, struct output_call *call, enum output_call_text which, struct slice text)
{
	if (which == OUTPUT_CALL_ARGUMENTS)
		o->bytes += text.len;
	else if (ends_len(&call->texts[which]))
		return; /* some servers say them in every delta */
	append(o, &call->texts[which], text);
}

/* Everything below appends to a buffer that was made large enough before. */
static void put(struct buf *json, struct slice s)
{
	buf_append_slice(json, s);
}

/* before, text, after */
static void put_text(struct buf *json, const char *before, struct ends *text, const char *after)
{
	put(json, slice_of_string(before));
	ends_append_to(text, json);
	put(json, slice_of_string(after));
	ends_free(text);
}

static void put_call(struct buf *json, struct output_call *call)
{
	if (call->index == OUTPUT_FUNCTION_CALL) {
		put_text(json, ",\"function_call\":{\"name\":\"", &call->texts[OUTPUT_CALL_NAME],
			"\"");
		put_text(json, ",\"arguments\":\"", &call->texts[OUTPUT_CALL_ARGUMENTS], "\"}");
		return;
	}
	put_text(json, "{\"id\":\"", &call->texts[OUTPUT_CALL_ID], "\"");
	put_text(json,
		call->custom ? ",\"type\":\"custom\",\"custom\":{\"name\":\""
			     : ",\"type\":\"function\",\"function\":{\"name\":\"",
		&call->texts[OUTPUT_CALL_NAME], "\"");
	put_text(json, call->custom ? ",\"input\":\"" : ",\"arguments\":\"",
		&call->texts[OUTPUT_CALL_ARGUMENTS], "\"}}");
}

static void put_calls(struct buf *json, struct output_choice *c)
{
	bool first = true;
	unsigned i;

	for (i = 0; i < c->ncalls; i++) {
		if (c->calls[i].index == OUTPUT_FUNCTION_CALL)
			continue;
		put(json, first ? SLICE(",\"tool_calls\":[") : SLICE(","));
		put_call(json, &c->calls[i]);
		first = false;
	}
	if (!first)
		put(json, SLICE("]"));
	for (i = 0; i < c->ncalls; i++)
		if (c->calls[i].index == OUTPUT_FUNCTION_CALL)
			put_call(json, &c->calls[i]);
}

static void put_choice(struct buf *json, struct output_choice *c)
{
	static const struct {
		const char *before, *after;
	} members[OUTPUT_TEXTS] = {
		[OUTPUT_CONTENT] = {",\"content\":\"", "\""},
		[OUTPUT_REFUSAL] = {",\"refusal\":\"", "\""},
		[OUTPUT_REASONING] = {",\"reasoning_content\":\"", "\""},
		[OUTPUT_TRANSCRIPT] = {",\"audio\":{\"transcript\":\"", "\"}"},
	};
	size_t room = SIZE_MAX;
	unsigned i;

	put(json, SLICE("{\"role\":\""));
	json_text_escape(json, c->role.len ? c->role : SLICE("assistant"), &room);
	put(json, SLICE("\""));
	for (i = 0; i < OUTPUT_TEXTS; i++)
		if (c->has[i])
			put_text(json, members[i].before, &c->texts[i], members[i].after);
	put_calls(json, c);
	put(json, SLICE("}"));
	choice_free(c);
}

/* More than the names around the texts of a choice, resp. a call, and their marks ever take. */
#define CHOICE_NAMES 384
#define CALL_NAMES   128

static size_t size_of(const struct output *o)
{
	size_t size = 2 + o->nchoices * (size_t)CHOICE_NAMES + o->ncalls * (size_t)CALL_NAMES;

	for (unsigned i = 0; i < o->nchoices; i++)
		size += choice_size(&o->choices[i]);
	return size;
}

void output_messages(struct output *o, struct buf *json)
{
	bool first = true;
	unsigned i;

	if (!buf_reserve(json, size_of(o))) {
		o->cut = true;
		return;
	}
	for (i = 0; i < o->nchoices; i++) {
		if (!o->choices[i].there)
			continue;
		put(json, first ? SLICE("[") : SLICE(","));
		put_choice(json, &o->choices[i]);
		first = false;
	}
	if (!first)
		put(json, SLICE("]"));
}

void output_finish_reasons(struct output *o, struct buf *json)
{
	/* An escaped byte takes six at most. */
	size_t size = 2 + o->nchoices * (6 * sizeof(o->choices->finish_memory) + 3), room = size;
	bool first = true;
	unsigned i;

	if (!buf_reserve(json, size)) {
		o->cut = true;
		return;
	}
	put(json, SLICE("["));
	for (i = 0; i < o->nchoices; i++) {
		if (!o->choices[i].finish.len)
			continue;
		put(json, first ? SLICE("\"") : SLICE(",\""));
		json_text_escape(json, o->choices[i].finish, &room);
		put(json, SLICE("\""));
		first = false;
	}
	put(json, SLICE("]"));
}
