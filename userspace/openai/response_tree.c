// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/response_tree.h"

#include <stdio.h>
#include <string.h>

struct slice tree_text(yyjson_val *v)
{
	return yyjson_is_str(v) ? slice_of(yyjson_get_str(v), yyjson_get_len(v)) : SLICE_NONE;
}

void tree_code(struct response_reader *r, yyjson_val *code)
{
	char number[24];

	if (yyjson_is_int(code)) {
		snprintf(number, sizeof(number), "%lld", (long long)yyjson_get_sint(code));
		response_set(&r->facts.error_code, r->error_code, sizeof(r->error_code),
			slice_of_string(number));
	} else {
		response_set(
			&r->facts.error_code, r->error_code, sizeof(r->error_code), tree_text(code));
	}
}

void tree_verdicts(struct response_reader *r, bool of_prompt, yyjson_val *results)
{
	yyjson_obj_iter members = yyjson_obj_iter_with(results);
	struct slice category;
	yyjson_val *v;

	while (tree_next(&members, &category, &v)) {
		if (yyjson_is_true(yyjson_obj_get(v, "filtered")))
			response_verdict(r, of_prompt, category, SLICE("filtered"));
		if (yyjson_is_true(yyjson_obj_get(v, "detected")))
			response_verdict(r, of_prompt, category, SLICE("detected"));
		response_verdict(r, of_prompt, category, tree_text(yyjson_obj_get(v, "severity")));
	}
}

void tree_filters(struct response_reader *r, yyjson_val *list)
{
	yyjson_val *item;
	size_t at, count;

	yyjson_arr_foreach(list, at, count, item) {
		struct slice source = tree_text(yyjson_obj_get(item, "source_type"));

		tree_verdicts(r, !source.len || slice_equal(source, SLICE("prompt")),
			yyjson_obj_get(item, "content_filter_results"));
	}
}

void tree_error(struct response_reader *r, yyjson_val *error)
{
	struct response_facts *f = &r->facts;
	yyjson_val *inner = yyjson_obj_get(yyjson_obj_get(error, "innererror"), "code");

	f->has_error = true;
	tree_verdicts(r, true,
		yyjson_obj_get(yyjson_obj_get(error, "innererror"), "content_filter_result"));
	response_set(&f->error_message, r->error_message, sizeof(r->error_message),
		tree_text(yyjson_is_str(error) ? error : yyjson_obj_get(error, "message")));
	response_set(&f->error_type, r->error_type, sizeof(r->error_type),
		tree_text(yyjson_obj_get(error, "type")));
	response_set(&r->inner, r->inner_code, sizeof(r->inner_code), tree_text(inner));
	tree_code(r, yyjson_obj_get(error, "code"));
}

static bool is_count(yyjson_val *v)
{
	return yyjson_is_uint(v) && yyjson_get_uint(v) <= INT64_MAX;
}

/* The first of two names that is a count. False when neither is. */
static bool read_count(yyjson_val *object, const char *name, const char *other, uint64_t *count)
{
	yyjson_val *v = yyjson_obj_get(object, name);

	if (!is_count(v))
		v = yyjson_obj_get(object, other);
	if (!is_count(v))
		return false;
	*count = yyjson_get_uint(v);
	return true;
}

/* The parts that an object of details tells; where: which of them the names are of. */
enum where { USAGE, INPUT_DETAILS, OUTPUT_DETAILS };

static void read_parts(struct response_facts *f, yyjson_val *object, enum where where)
{
#define NAME(where, name, part) {where, USAGE_##part, name},
	static const struct {
		enum where where;
		enum usage_part part;
		const char *name;
	} names[] = {USAGE_NAMES(NAME)};
#undef NAME

	for (size_t i = 0; yyjson_is_obj(object) && i < sizeof(names) / sizeof(names[0]); i++) {
		yyjson_val *v = names[i].where == where ? yyjson_obj_get(object, names[i].name)
							: NULL;

		if (is_count(v))
			f->parts[names[i].part] = (struct usage_count){yyjson_get_uint(v), true};
	}
}

static void read_details(struct response_facts *f, yyjson_val *usage)
{
#define NAME(where, name) {where, name},
	static const struct {
		enum where where;
		const char *name;
	} names[] = {USAGE_DETAILS(NAME)};
#undef NAME

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		read_parts(f, yyjson_obj_get(usage, names[i].name), names[i].where);
	read_parts(f, usage, USAGE);
}

bool tree_usage(struct response_reader *r, yyjson_val *usage)
{
	struct response_facts *f = &r->facts;
	bool adds = r->operation->family == FAMILY_MESSAGES;
	uint64_t in = 0, out = 0, total = 0;
	bool has_in = read_count(usage, "prompt_tokens", "input_tokens", &in);
	bool has_out = read_count(usage, "completion_tokens", "output_tokens", &out);
	bool has_total = read_count(usage, "total_tokens", "total_tokens", &total);

	if (yyjson_is_num(yyjson_obj_get(usage, "seconds")) &&
		yyjson_get_num(yyjson_obj_get(usage, "seconds")) >= 0) {
		f->has_seconds = true;
		f->seconds = yyjson_get_num(yyjson_obj_get(usage, "seconds"));
	}
	if (!has_in && !has_out && !has_total)
		return false;
	if (!adds)
		memset(f->parts, 0, sizeof(f->parts));
	read_details(f, usage);
	if (has_in || !adds)
		r->uncached = in;
	f->has_input = has_in || (adds && f->has_input);
	f->input_tokens = r->uncached;
	f->output_tokens = has_out || !adds ? out : f->output_tokens;
	f->has_output = has_out || (adds && f->has_output);
	f->has_total = has_total;
	f->total_tokens = total;
	response_usage(r);
	return true;
}
