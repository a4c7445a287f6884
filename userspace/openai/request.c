// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/request.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "http/coding.h"
#include "openai/abridge.h"
#include "openai/json_mend.h"
#include "openai/json_scan.h"
#include "openai/json_text.h"
#include "openai/newest.h"

#define TEXT_MAX 256 /* bytes of model and user */
#define KEYS_MAX 128 /* top-level members whose names are compared */

enum node {
	NODE_ROOT = JSON_ROOT,
	NODE_MODEL,
	NODE_USER,
	NODE_STREAM,
	NODE_OPTIONS,
	NODE_INCLUDE_USAGE,
	NODE_OLD_MAX_TOKENS,
	NODE_MAX_TOKENS,
	NODE_TEMPERATURE,
	NODE_TOP_P,
	NODE_N,
	NODE_MESSAGES,
	NODE_MESSAGE,
	NODE_ROLE,
	NODE_CONTENT,
	NODE_PART,
	NODE_TEXT,
	NODE_IMAGE,
	NODE_CALLS,
	NODE_CALL,
	NODE_FUNCTION,
	NODE_PROMPT,
	NODE_PROMPT_ITEM,
	NODE_TOKEN,
	NODE_TOOLS,
	NODE_DATA_SOURCES,
	NODE_OTHER
};

static const struct json_rule rules[] = {
	{NODE_ROOT, NODE_MODEL, "model"},
	{NODE_ROOT, NODE_USER, "user"},
	{NODE_ROOT, NODE_STREAM, "stream"},
	{NODE_ROOT, NODE_OPTIONS, "stream_options"},
	{NODE_OPTIONS, NODE_INCLUDE_USAGE, "include_usage"},
	{NODE_ROOT, NODE_OLD_MAX_TOKENS, "max_tokens"},
	{NODE_ROOT, NODE_MAX_TOKENS, "max_completion_tokens"},
	{NODE_ROOT, NODE_TEMPERATURE, "temperature"},
	{NODE_ROOT, NODE_TOP_P, "top_p"},
	{NODE_ROOT, NODE_N, "n"},
	{NODE_ROOT, NODE_MESSAGES, "messages"},
	{NODE_MESSAGES, NODE_MESSAGE, JSON_ELEMENT},
	{NODE_MESSAGE, NODE_ROLE, "role"},
	{NODE_MESSAGE, NODE_CONTENT, "content"},
	{NODE_CONTENT, NODE_PART, JSON_ELEMENT},
	{NODE_PART, NODE_TEXT, "text"},
	{NODE_PART, NODE_IMAGE, "image_url"},
	{NODE_MESSAGE, NODE_CALLS, "tool_calls"},
	{NODE_CALLS, NODE_CALL, JSON_ELEMENT},
	{NODE_CALL, NODE_FUNCTION, "function"},
	{NODE_FUNCTION, NODE_TEXT, "arguments"},
	{NODE_ROOT, NODE_PROMPT, "prompt"},
	{NODE_PROMPT, NODE_PROMPT_ITEM, JSON_ELEMENT},
	{NODE_PROMPT_ITEM, NODE_TOKEN, JSON_ELEMENT},
	{NODE_ROOT, NODE_TOOLS, "tools"},
	{NODE_ROOT, NODE_TOOLS, "functions"},
	{NODE_ROOT, NODE_DATA_SOURCES, "data_sources"},
	{NODE_ROOT, NODE_OTHER, JSON_ANY},
};

/* Where a value stands in the body. */
struct place {
	bool there, empty;
	enum json_type type;
	uint64_t start, end;
};

/* The memory of a request_number. */
struct number_text {
	char bytes[JSON_SCAN_NUMBER + 1];
};

/* A member of which the JSON is kept; once it is too long, it is abridged. */
struct member {
	struct buf into;
	struct json_keep keep;
	struct abridge abridge;
	size_t max;
};

struct request_reader {
	const struct operation *operation;
	struct json_scan *scan;
	struct request_facts facts;
	char model[TEXT_MAX], user[TEXT_MAX];
	struct number_text max_tokens, temperature, top_p, n;
	bool new_limit; /* max_tokens is of "max_completion_tokens" */

	struct buf text;
	struct json_keep keep_text;
	struct member messages, tools; /* messages: or the older prompt */
	struct newest newest; /* of "messages", while it is an array */
	struct json_keep keep_message;
	bool in_list, in_message, of_user;

	uint64_t keys[KEYS_MAX];
	size_t nkeys;
	struct place options, include_usage, root;
	uint64_t text_bytes, tool_bytes, images, tokens; /* for the estimate */
};

static void unreadable(struct request_reader *r, const char *problem)
{
	if (r->facts.problem)
		return;
	r->facts.problem = problem;
	r->facts.readable = false;
}

/* Parsers differ in which of two members with the same name counts, so a body that has such is one
 * thing to us and maybe another to the service. */
static void check_key(struct request_reader *r, uint64_t hash)
{
	size_t i;

	if (r->facts.problem)
		return;
	for (i = 0; i < r->nkeys; i++)
		if (r->keys[i] == hash) {
			unreadable(r, "duplicate key");
			return;
		}
	if (r->nkeys < KEYS_MAX)
		r->keys[r->nkeys++] = hash;
	else
		unreadable(r, "too many keys");
}

/* The same of the members that are read, wherever they stand. */
static void doubt(void *context, enum json_doubt why)
{
	unreadable(context, why == JSON_DOUBT_TWICE ? "duplicate key" : "ambiguous key");
}

static void member_overflow(void *context, struct slice bytes)
{
	struct member *member = context;

	if (!abridge_begun(&member->abridge))
		abridge_feed(&member->abridge, buf_slice(&member->into));
	abridge_feed(&member->abridge, bytes);
	buf_clear(&member->into);
	member->keep.max = 0;
}

static void member_init(struct member *member, size_t max)
{
	member->max = max;
	abridge_init(&member->abridge, abridge_within(max));
	member->keep = (struct json_keep){
		.into = &member->into,
		.overflow = member->abridge.max ? member_overflow : NULL,
		.context = member,
	};
}

static void member_free(struct member *member)
{
	buf_free(&member->into);
	abridge_free(&member->abridge);
}

/* Of one of the same name before. */
static void member_forget(struct member *member)
{
	buf_free(&member->into);
	abridge_free(&member->abridge);
	abridge_init(&member->abridge, abridge_within(member->max));
	member->keep.max = member->max;
}

/* Keeps the raw JSON of a member; of two with the same name the last. */
static void member_keep(struct json_scan *scan, struct member *member)
{
	member_forget(member);
	if (member->max)
		json_scan_keep_raw(scan, &member->keep);
}

static void message_overflow(void *context, struct slice bytes)
{
	struct request_reader *r = context;

	newest_overflow(&r->newest, bytes);
	r->keep_message.max = 0;
}

static void enter_messages(struct request_reader *r, struct json_scan *scan, enum json_type type)
{
	newest_free(&r->newest);
	member_forget(&r->messages);
	r->in_message = false;
	r->in_list = type == JSON_ARRAY && r->newest.max;
	if (!r->in_list)
		member_keep(scan, &r->messages);
}

static void enter_message(struct request_reader *r, struct json_scan *scan)
{
	if (!r->in_list)
		return;
	newest_begin(&r->newest);
	r->in_message = true;
	r->of_user = false;
	r->keep_message = (struct json_keep){
		.into = &r->newest.json,
		.max = buf_len(&r->newest.json) + r->newest.max,
		.overflow = r->newest.alone.max ? message_overflow : NULL,
		.context = r,
	};
	json_scan_keep_raw(scan, &r->keep_message);
}

static void leave_message(struct request_reader *r, const struct json_value *v)
{
	if (r->in_message)
		newest_add(&r->newest, v->end - v->start, r->of_user);
	r->in_message = false;
}

static void enter(void *context, struct json_scan *scan, const struct json_value *v)
{
	struct request_reader *r = context;
	bool chat = r->operation->id == OPERATION_CHAT;

	if (v->depth == 0 && v->type != JSON_OBJECT)
		unreadable(r, "not a JSON object");
	if (v->depth == 1)
		check_key(r, v->key_hash);
	switch ((enum node)v->node) {
	case NODE_MODEL:
	case NODE_USER:
	case NODE_ROLE:
		buf_clear(&r->text);
		json_scan_keep_text(scan, &r->keep_text);
		break;
	case NODE_OPTIONS:
		r->facts.stream_options = true;
		r->facts.include_usage = REQUEST_ABSENT;
		r->include_usage.there = false;
		r->options = (struct place){.start = v->start};
		break;
	case NODE_MESSAGES:
		if (chat)
			enter_messages(r, scan, v->type);
		break;
	case NODE_MESSAGE:
		enter_message(r, scan);
		break;
	case NODE_PROMPT:
		if (!chat)
			member_keep(scan, &r->messages);
		break;
	case NODE_TOOLS:
		member_keep(scan, &r->tools);
		break;
	case NODE_DATA_SOURCES:
		r->facts.data_sources = true;
		break;
	default:
		break;
	}
}

static struct place place_of(const struct json_value *v)
{
	return (struct place){true, v->empty, v->type, v->start, v->end};
}

static enum request_flag flag_of(const struct json_value *v)
{
	switch (v->type) {
	case JSON_TRUE:
		return REQUEST_TRUE;
	case JSON_FALSE:
		return REQUEST_FALSE;
	case JSON_NULL:
		return REQUEST_ABSENT;
	default:
		return REQUEST_NOT_BOOLEAN;
	}
}

static void set_number(
	struct request_number *n, struct number_text *text, const struct json_value *v)
{
	*n = (struct request_number){false, 0, SLICE_NONE};
	if (v->type != JSON_NUMBER || !v->number.len)
		return;
	memcpy(text->bytes, v->number.data, v->number.len);
	text->bytes[v->number.len] = '\0';
	n->value = strtod(text->bytes, NULL);
	n->text = slice_of(text->bytes, v->number.len);
	n->present = isfinite(n->value);
}

/* Bytes of a value as written, without quotes. */
static uint64_t bytes_of(const struct json_value *v)
{
	return v->end - v->start - (v->type == JSON_STRING ? 2 : 0);
}

/* What the estimate of tokens counts. */
static void count_value(struct request_reader *r, const struct json_value *v)
{
	switch ((enum node)v->node) {
	case NODE_CONTENT:
	case NODE_TEXT:
	case NODE_PROMPT:
	case NODE_PROMPT_ITEM:
	case NODE_TOKEN:
		if (v->type == JSON_STRING)
			r->text_bytes += bytes_of(v);
		else if (v->type == JSON_NUMBER)
			r->tokens++;
		break;
	case NODE_IMAGE:
		r->images++;
		break;
	case NODE_TOOLS:
		r->tool_bytes += bytes_of(v);
		break;
	case NODE_MESSAGE:
		r->facts.nmessages++;
		break;
	default:
		break;
	}
}

static void leave(void *context, struct json_scan *scan, const struct json_value *v)
{
	struct request_reader *r = context;
	struct request_facts *f = &r->facts;

	(void)scan;
	count_value(r, v);
	switch ((enum node)v->node) {
	case NODE_ROOT:
		r->root = place_of(v);
		break;
	case NODE_MODEL:
		f->model = json_text_copy(r->model, TEXT_MAX, buf_slice(&r->text));
		break;
	case NODE_USER:
		f->user = json_text_copy(r->user, TEXT_MAX, buf_slice(&r->text));
		break;
	case NODE_ROLE:
		r->of_user = v->type == JSON_STRING && slice_equal(buf_slice(&r->text), SLICE("user"));
		break;
	case NODE_MESSAGE:
		leave_message(r, v);
		break;
	case NODE_STREAM:
		f->stream = flag_of(v);
		break;
	case NODE_OPTIONS:
		r->options = place_of(v);
		break;
	case NODE_INCLUDE_USAGE:
		f->include_usage = flag_of(v);
		r->include_usage = place_of(v);
		break;
	case NODE_OLD_MAX_TOKENS:
		if (!r->new_limit)
			set_number(&f->max_tokens, &r->max_tokens, v);
		break;
	case NODE_MAX_TOKENS:
		r->new_limit = v->type != JSON_NULL;
		if (r->new_limit)
			set_number(&f->max_tokens, &r->max_tokens, v);
		break;
	case NODE_TEMPERATURE:
		set_number(&f->temperature, &r->temperature, v);
		break;
	case NODE_TOP_P:
		set_number(&f->top_p, &r->top_p, v);
		break;
	case NODE_N:
		set_number(&f->n, &r->n, v);
		break;
	default:
		break;
	}
}

struct request_reader *request_reader_new(const struct operation *operation, size_t content_max)
{
	static const struct json_handler handler = {
		rules, sizeof(rules) / sizeof(rules[0]), enter, leave, doubt};
	struct request_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->operation = operation;
	r->facts.readable = true;
	r->keep_text = (struct json_keep){.into = &r->text, .max = TEXT_MAX};
	member_init(&r->messages, content_max);
	member_init(&r->tools, content_max);
	newest_init(&r->newest, content_max);
	r->scan = json_scan_new(&handler, r);
	if (!r->scan) {
		free(r);
		return NULL;
	}
	return r;
}

void request_reader_free(struct request_reader *r)
{
	if (!r)
		return;
	json_scan_free(r->scan);
	buf_free(&r->text);
	member_free(&r->messages);
	member_free(&r->tools);
	newest_free(&r->newest);
	free(r);
}

int request_reader_feed(struct request_reader *r, struct slice piece)
{
	enum json_problem problem = json_scan_feed(r->scan, piece);

	r->facts.bytes += piece.len;
	if (problem)
		unreadable(r, json_problem_name(problem));
	return problem ? -EBADMSG : 0;
}

uint64_t request_reader_spent(struct request_reader *r)
{
	uint64_t spent = newest_spent(&r->newest) + r->messages.abridge.spent +
			 r->tools.abridge.spent;

	r->messages.abridge.spent = r->tools.abridge.spent = 0;
	return spent;
}

void request_reader_fail(struct request_reader *r, const char *problem)
{
	unreadable(r, problem);
}

int request_problem_status(const char *problem)
{
	if (strcmp(problem, coding_problem(-ENOTSUP)) == 0)
		return 415;
	return strcmp(problem, coding_problem(-EFBIG)) == 0 ? 413 : 400;
}

/* The kept JSON, closed where it was cut or the body ended inside it. */
static struct slice member_end(
	const struct request_reader *r, struct member *member, bool unfinished, bool *truncated, uint64_t *cut)
{
	bool abridged = abridge_begun(&member->abridge);
	bool open = unfinished || member->keep.cut;

	if (abridged) {
		open = open || member->abridge.full;
		*cut = member->abridge.cut;
		*truncated = true;
		(void)abridge_end(&member->abridge, &member->into);
	}
	*truncated = *truncated || member->keep.cut;
	if (open && json_mend(&member->into) < 0)
		*truncated = true;
	if (json_scan_met_lone_surrogate(r->scan) && json_mend_surrogates(&member->into) < 0)
		*truncated = true;
	return buf_slice(&member->into);
}

static void end_list(struct request_reader *r)
{
	struct request_facts *f = &r->facts;

	if (r->in_message)
		newest_add_unfinished(&r->newest);
	r->in_message = false;
	if (!f->messages.data)
		newest_end(&r->newest, &r->messages.into);
	if (json_scan_met_lone_surrogate(r->scan) && json_mend_surrogates(&r->messages.into) < 0)
		r->newest.no_memory = true;
	f->messages = buf_slice(&r->messages.into);
	f->messages_cut = r->newest.cut;
	f->messages_truncated = r->newest.cut || r->newest.no_memory;
}

int request_reader_end(struct request_reader *r)
{
	enum json_problem problem = json_scan_end(r->scan);
	struct request_facts *f = &r->facts;

	if (problem)
		unreadable(r, json_problem_name(problem));
	if (r->in_list)
		end_list(r);
	else
		f->messages = member_end(r, &r->messages, problem != JSON_FINE,
			&f->messages_truncated, &f->messages_cut);
	f->tools = member_end(
		r, &r->tools, problem != JSON_FINE, &f->tools_truncated, &f->tools_cut);
	return f->readable ? 0 : -EBADMSG;
}

const struct request_facts *request_reader_facts(const struct request_reader *r)
{
	return &r->facts;
}

/* What makes the value of stream_options ask for usage. */
static bool options_splice(const struct request_reader *r, struct request_splice *splice)
{
	const struct place *options = &r->options, *flag = &r->include_usage;

	if (r->facts.include_usage == REQUEST_TRUE || r->facts.include_usage == REQUEST_NOT_BOOLEAN)
		return false;
	if (options->type == JSON_NULL)
		*splice = (struct request_splice){
			options->start, 4, SLICE("{\"include_usage\":true}")};
	else if (options->type != JSON_OBJECT)
		return false;
	else if (flag->there)
		*splice = (struct request_splice){
			flag->start, (size_t)(flag->end - flag->start), SLICE("true")};
	else
		*splice = (struct request_splice){options->end - 1, 0,
			options->empty ? SLICE("\"include_usage\":true")
				       : SLICE(",\"include_usage\":true")};
	return true;
}

/* Whether the service takes no edit beside what is there already. */
static bool excludes(const struct request_reader *r)
{
	return r->facts.data_sources && r->operation->usage_excludes_data;
}

/* Whether the body is whole, streams, and is the same to every parser. */
static bool may_inject(const struct request_reader *r)
{
	return r->root.there && r->facts.readable && r->facts.stream == REQUEST_TRUE && !excludes(r);
}

/* What asks for usage at the end of the body, which is not empty: "stream" is in it. */
static struct request_splice tail_splice(const struct request_reader *r)
{
	return (struct request_splice){
		r->root.end - 1, 0, SLICE(",\"stream_options\":{\"include_usage\":true}")};
}

bool request_may_inject_later(const struct request_reader *r)
{
	struct request_splice splice;

	if (!r->facts.readable || excludes(r) || r->facts.stream == REQUEST_FALSE ||
		r->facts.stream == REQUEST_NOT_BOOLEAN)
		return false;
	return !r->options.there || options_splice(r, &splice);
}

uint64_t request_settled(const struct request_reader *r)
{
	return r->facts.stream_options && !r->options.there ? r->options.start : r->facts.bytes;
}

bool request_inject_later(
	const struct request_reader *r, uint64_t gone, struct request_splice *splice)
{
	/* Options without a stream are an error of the client's, with the edit as without. */
	if (r->options.there)
		return request_may_inject_later(r) && r->options.start >= gone &&
		       options_splice(r, splice);
	if (!may_inject(r) || r->root.end <= gone)
		return false;
	*splice = tail_splice(r);
	return true;
}

bool request_inject_usage(const struct request_reader *r, struct request_splice *splice)
{
	if (!may_inject(r))
		return false;
	if (r->facts.stream_options)
		return options_splice(r, splice);
	*splice = tail_splice(r);
	return true;
}

uint64_t request_estimate_tokens(const struct request_reader *r)
{
	return (r->text_bytes + r->tool_bytes + 3) / 4 + r->tokens + 4 * r->facts.nmessages +
	       85 * r->images;
}
