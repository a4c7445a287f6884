// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/response_tell.h"

#include <string.h>

#include "openai/json_problem.h"
#include "openai/response_tree.h"

/* Members that are words of the model, wherever they stand in an event. */
static const struct slice words[] = {
#define NAME(name) {name, sizeof(name) - 1}
	NAME("content"),
	NAME("text"),
	NAME("delta"),
	NAME("arguments"),
	NAME("refusal"),
	NAME("reasoning_content"),
	NAME("thinking"),
	NAME("partial_json"),
	NAME("transcript"),
	NAME("input"),
	NAME("code"),
	NAME("output"),
	NAME("revised_prompt"),
	NAME("value"), /* of the text of a thread's message */
};

/* Members that are data. */
static const struct slice datas[] = {
	NAME("b64_json"),
	NAME("partial_image_b64"),
	NAME("result"),
	NAME("audio"),
	NAME("data"),
	NAME("encrypted_content"),
#undef NAME
};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Where in an event the walk is. */
struct place {
	uint64_t index;	    /* of the choice, or the item of output */
	uint64_t call;	    /* of a call within it, or of a part */
	struct slice key;   /* of the member; of an element, that of its array */
	bool delta;	    /* inside of what is added to a text of an earlier event */
	unsigned depth;
};

struct walk {
	struct response_reader *reader;
	yyjson_doc *doc;
	struct slice data;
	uint64_t at;
	bool typed; /* an event of any family but chat completions and completions … */
	bool added; /* … adds to a text; else what it says was said before */
	bool sound; /* what it adds is data */
};

/* Where key stands in the names, from 1; 0: nowhere. */
static unsigned name_of(const struct slice *names, size_t n, struct slice key)
{
	for (size_t i = 0; i < n; i++)
		if (slice_equal(names[i], key))
			return (unsigned)i + 1;
	return 0;
}

/* The end of a string whose first byte is at p: its quote. */
static const char *end_of_string(const char *p, const char *end)
{
	while (p < end && *p != '"')
		p += *p == '\\' ? 2 : 1;
	return p < end ? p : end;
}

/* The parser copies the data, and decodes each string where it stands. */
static void set_place(const struct walk *w, yyjson_val *v, struct text_piece *piece)
{
	const char *from;

	if (w->at == RESPONSE_UNPLACED)
		return;
	from = w->data.data + (yyjson_get_str(v) - w->doc->str_pool);
	piece->placed = true;
	piece->start = w->at + (uint64_t)(from - w->data.data);
	piece->end = piece->start +
		     (uint64_t)(end_of_string(from, w->data.data + w->data.len) - from);
}

static void tell(struct walk *w, const struct place *place, yyjson_val *v)
{
	struct texts *told = &w->reader->told;
	unsigned word = name_of(words, COUNT(words), place->key);
	bool data = name_of(datas, COUNT(datas), place->key) || (w->sound && place->delta);
	bool goes_on = word && !data && place->delta;
	struct text_piece piece = {
		.kind = data		? TEXT_DATA
			: !word		? TEXT_OTHER
			: w->typed && !w->added ? TEXT_AGAIN
						: TEXT_OUTPUT,
		.index = place->index,
		.text = goes_on ? place->index << 32 ^ place->call << 8 ^ word : 0,
		.words = tree_text(v),
		.first = !goes_on,
		.last = !goes_on,
	};

	set_place(w, v, &piece);
	told->spent += told->sink.hear(told->sink.context, &piece);
}

static void walk(struct walk *w, struct place place, yyjson_val *v);

static void walk_object(struct walk *w, struct place place, yyjson_val *object)
{
	yyjson_obj_iter members = yyjson_obj_iter_with(object);
	struct slice key;
	yyjson_val *v;
	bool call = slice_equal(place.key, SLICE("tool_calls"));

	v = yyjson_obj_get(object, "output_index");
	if (!yyjson_is_uint(v))
		v = yyjson_obj_get(object, "index");
	if (yyjson_is_uint(v) && call)
		place.call = yyjson_get_uint(v) + 1;
	else if (yyjson_is_uint(v))
		place.index = yyjson_get_uint(v);
	v = yyjson_obj_get(object, "content_index");
	if (!yyjson_is_uint(v))
		v = yyjson_obj_get(object, "summary_index");
	if (yyjson_is_uint(v))
		place.call = yyjson_get_uint(v) + 1;
	while (tree_next(&members, &key, &v)) {
		struct place below = place;

		below.key = key;
		below.delta = place.delta || slice_equal(key, SLICE("delta")) ||
			      (!w->typed && slice_equal(key, SLICE("text")));
		walk(w, below, v);
	}
}

static void walk(struct walk *w, struct place place, yyjson_val *v)
{
	yyjson_val *item;
	size_t at, count;

	if (place.depth++ == JSON_SCAN_DEPTH) {
		response_unreadable(w->reader, json_problem_name(JSON_TOO_DEEP));
	} else if (yyjson_is_str(v)) {
		tell(w, &place, v);
	} else if (yyjson_is_obj(v)) {
		walk_object(w, place, v);
	} else {
		yyjson_arr_foreach(v, at, count, item) {
			walk(w, place, item);
		}
	}
}

static bool ends_with(struct slice text, struct slice end)
{
	return text.len >= end.len && slice_equal(slice_after(text, text.len - end.len), end);
}

void response_tell(struct response_reader *r, yyjson_doc *doc, struct slice data, uint64_t at)
{
	yyjson_val *root = yyjson_doc_get_root(doc);
	struct slice type = tree_text(yyjson_obj_get(root, "type"));
	struct slice object = tree_text(yyjson_obj_get(root, "object"));
	struct walk w = {
		.reader = r,
		.doc = doc,
		.data = data,
		.at = at,
		.typed = type.len > 0 || slice_starts_with(object, SLICE("thread.")),
		.added = ends_with(type, SLICE("delta")) || ends_with(object, SLICE(".delta")) || ends_with(type, SLICE("_start")),
		.sound = ends_with(type, SLICE("audio.delta")),
	};

	if (doc && r->told.sink.hear)
		walk(&w, (struct place){0}, root);
}
