// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "http/coding.h"
#include "openai/json_mend.h"
#include "openai/json_text.h"
#include "openai/request.h"
#include "openai/request_reader.h"

#define INSTRUCTIONS 4 /* their part of what is kept */

static const struct {
	enum fact_text text;
	size_t fact; /* offset in struct request_facts */
} fact_texts[NODE_OTHER] = {
#define TEXT(text, fact) {text, offsetof(struct request_facts, fact)}
	[NODE_MODEL] = TEXT(FACT_MODEL, model),
	[NODE_USER] = TEXT(FACT_USER, user),
	[NODE_TIER] = TEXT(FACT_TIER, service_tier),
	[NODE_EFFORT] = TEXT(FACT_EFFORT, effort),
	[NODE_CACHE_KEY] = TEXT(FACT_CACHE_KEY, prompt_cache_key),
	[NODE_SAFETY] = TEXT(FACT_SAFETY, safety_identifier),
	[NODE_PREVIOUS] = TEXT(FACT_PREVIOUS, previous_response_id),
	[NODE_CONVERSATION] = TEXT(FACT_CONVERSATION, conversation),
	[NODE_CONVERSATION_ID] = TEXT(FACT_CONVERSATION, conversation),
	[NODE_SIZE] = TEXT(FACT_SIZE, size),
	[NODE_SECONDS] = TEXT(FACT_SECONDS, seconds),
#undef TEXT
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

static void message_overflow(void *context, struct slice bytes)
{
	struct request_reader *r = context;

	newest_overflow(&r->newest, bytes);
	r->keep_message.max = 0;
}

static void enter_words(struct request_reader *r, struct json_scan *scan, enum json_type type)
{
	bool messages = r->rules->message;

	newest_free(&r->newest);
	member_forget(&r->messages);
	r->in_message = false;
	r->in_list = messages && type == JSON_ARRAY && r->newest.max;
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

/* The kind of all strings that a value is or has in it; TEXT_OTHER: they are of several. */
static enum text_kind kind_inside(enum request_node node)
{
	switch (node) {
	case NODE_IMAGE:
	case NODE_SOUND:
	case NODE_DATA:
		return TEXT_DATA;
	case NODE_TOOLS:
	case NODE_FUNCTIONS:
		return TEXT_TOOL;
	default:
		return TEXT_OTHER;
	}
}

/* The kind of a string that is not inside of such a value. */
static enum text_kind kind_of(enum request_node node)
{
	switch (node) {
	case NODE_CONTENT:
	case NODE_TEXT:
	case NODE_PROMPT:
	case NODE_INPUT:
	case NODE_ITEM:
	case NODE_LIST:
		return TEXT_INPUT;
	case NODE_INSTRUCTIONS:
		return TEXT_INSTRUCTIONS;
	default:
		return TEXT_OTHER;
	}
}

static void tell(void *context, const struct json_part *part)
{
	struct request_reader *r = context;
	bool inside = r->inside != TEXT_OTHER;
	const struct text_piece piece = {
		.kind = inside ? r->inside : kind_of((enum request_node)part->node),
		.index = r->facts.nmessages,
		.words = part->text,
		.first = part->first,
		.last = part->last,
		.placed = true,
		.start = part->start,
		.end = part->end,
	};

	texts_tell(&r->told, &piece);
	if (piece.kind != TEXT_DATA)
		return;
	/* Decoding and hashing are dearer than a look. */
	r->told.spent += 4 * part->text.len;
	parts_string(&r->parts, r->part_kind, part->text, part->first, part->last);
}

static void enter(void *context, struct json_scan *scan, const struct json_value *v)
{
	struct request_reader *r = context;
	const enum request_node words = r->rules->words;

	if (v->depth == 0 && v->type != JSON_OBJECT)
		unreadable(r, "not a JSON object");
	if (v->depth == 1)
		check_key(r, v->key_hash);
	if (v->node == words)
		enter_words(r, scan, v->type);
	else if (v->node && v->node == r->rules->message)
		enter_message(r, scan);
	if (r->inside == TEXT_OTHER) {
		r->inside = kind_inside((enum request_node)v->node);
		if (r->inside == TEXT_DATA) {
			r->part_kind = v->node == NODE_IMAGE   ? "image"
				       : v->node == NODE_SOUND ? "audio"
							       : "file";
			parts_next(&r->parts);
		}
	}
	switch ((enum request_node)v->node) {
	case NODE_MODEL:
	case NODE_USER:
	case NODE_TIER:
	case NODE_EFFORT:
	case NODE_CACHE_KEY:
	case NODE_SAFETY:
	case NODE_PREVIOUS:
	case NODE_CONVERSATION:
	case NODE_CONVERSATION_ID:
	case NODE_SIZE:
	case NODE_SECONDS:
	case NODE_ROLE:
	case NODE_TOOL_TYPE:
		buf_clear(&r->text);
		json_scan_keep_text(scan, &r->keep_text);
		break;
	case NODE_OPTIONS:
		r->facts.stream_options = true;
		r->facts.include_usage = REQUEST_ABSENT;
		r->include_usage.there = false;
		r->options = (struct place){.start = v->start};
		break;
	case NODE_INSTRUCTIONS:
		if (r->rules->instructions && v->type != JSON_NULL)
			member_keep(scan, &r->instructions);
		break;
	case NODE_TOOLS:
		member_keep(scan, &r->tools);
		break;
	case NODE_TOOL:
		r->typed_tool = false;
		break;
	case NODE_TOOL_SECRET:
		if (v->type != JSON_NULL)
			json_scan_hide(scan, SLICE("\"[redacted]\""));
		break;
	case NODE_FUNCTIONS:
		member_keep(scan, &r->tools);
		break;
	case NODE_DATA_SOURCES:
		r->facts.data_sources = true;
		break;
	case NODE_PROMPT:
		if (r->operation->family == FAMILY_RESPONSES && v->type != JSON_NULL)
			r->facts.stored_prompt = true;
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
	switch ((enum request_node)v->node) {
	case NODE_CONTENT:
	case NODE_TEXT:
	case NODE_PROMPT:
	case NODE_INPUT:
	case NODE_INSTRUCTIONS:
	case NODE_ITEM:
		r->tokens += v->type == JSON_NUMBER;
		r->facts.nmessages += v->node == r->rules->message;
		break;
	case NODE_TOKEN:
		r->tokens += v->type == JSON_NUMBER;
		break;
	case NODE_IMAGE:
		r->images++;
		break;
	case NODE_TOOLS:
	case NODE_FUNCTIONS:
		r->tool_bytes += bytes_of(v);
		break;
	case NODE_MESSAGE:
		r->facts.nmessages++;
		break;
	default:
		break;
	}
}

/* A short text has ended; null is none. */
static void leave_text(struct request_reader *r, const struct json_value *v)
{
	struct slice *fact = (struct slice *)((char *)&r->facts + fact_texts[v->node].fact);

	if (v->type == JSON_STRING || (v->type == JSON_NUMBER && v->node == NODE_SECONDS))
		*fact = json_text_copy(r->fact_memory[fact_texts[v->node].text], TEXT_MAX,
			v->type == JSON_STRING ? buf_slice(&r->text) : v->number);
	else if (v->type != JSON_OBJECT)
		*fact = SLICE_NONE;
}

static void leave(void *context, struct json_scan *scan, const struct json_value *v)
{
	struct request_reader *r = context;
	struct request_facts *f = &r->facts;

	(void)scan;
	if (kind_inside((enum request_node)v->node) != TEXT_OTHER)
		r->inside = TEXT_OTHER;
	count_value(r, v);
	if (v->node && v->node == r->rules->message)
		leave_message(r, v);
	switch ((enum request_node)v->node) {
	case NODE_ROOT:
		r->root = place_of(v);
		break;
	case NODE_MODEL:
		r->model = place_of(v);
		f->has_model = true;
		leave_text(r, v);
		break;
	case NODE_USER:
	case NODE_TIER:
	case NODE_EFFORT:
	case NODE_CACHE_KEY:
	case NODE_SAFETY:
	case NODE_PREVIOUS:
	case NODE_CONVERSATION:
	case NODE_CONVERSATION_ID:
	case NODE_SIZE:
	case NODE_SECONDS:
		leave_text(r, v);
		break;
	case NODE_TOOL:
		if (!r->typed_tool && r->operation->family == FAMILY_MESSAGES)
			f->tool_kinds |= 1u << REQUEST_TOOL_FUNCTION;
		break;
	case NODE_SERVERS:
		if (v->type == JSON_ARRAY && !v->empty)
			f->tool_kinds |= 1u << REQUEST_TOOL_MCP;
		break;
	case NODE_TOOL_TYPE:
		r->typed_tool = true;
		f->tool_kinds |= 1u << request_tool_of(v->type == JSON_STRING ? buf_slice(&r->text) : SLICE_NONE);
		break;
	case NODE_FUNCTIONS:
		if (v->type == JSON_ARRAY && !v->empty)
			f->tool_kinds |= 1u << REQUEST_TOOL_FUNCTION;
		break;
	case NODE_WEB_SEARCH:
		if (v->type != JSON_NULL)
			f->tool_kinds |= 1u << REQUEST_TOOL_WEB_SEARCH;
		break;
	case NODE_STORE:
		f->store = flag_of(v);
		break;
	case NODE_BACKGROUND:
		f->background = flag_of(v);
		break;
	case NODE_ROLE:
		r->of_user = v->type == JSON_STRING && slice_equal(buf_slice(&r->text), SLICE("user"));
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
	case NODE_LOGPROBS:
		f->logprobs |= v->type == JSON_TRUE || v->type == JSON_NUMBER;
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
	struct request_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->operation = operation;
	r->facts.readable = true;
	r->inside = TEXT_OTHER;
	r->keep_text = (struct json_keep){.into = &r->text, .max = TEXT_MAX};
	member_init(&r->messages, content_max);
	member_init(&r->tools, content_max);
	member_init(&r->instructions, content_max / INSTRUCTIONS);
	newest_init(&r->newest, content_max);
	r->facts.stored_prompt = operation->model_elsewhere;
	r->rules = &request_rules[operation->family];
	r->handler = (struct json_handler){
		r->rules->rules, r->rules->n, enter, leave, doubt, tell};
	r->scan = json_scan_new(&r->handler, r);
	if (!r->scan) {
		free(r);
		return NULL;
	}
	return r;
}

void request_reader_tell(struct request_reader *r, struct text_sink sink)
{
	r->told.sink = sink;
}

void request_reader_free(struct request_reader *r)
{
	if (!r)
		return;
	json_scan_free(r->scan);
	buf_free(&r->text);
	member_free(&r->messages);
	member_free(&r->tools);
	member_free(&r->instructions);
	newest_free(&r->newest);
	parts_free(&r->parts);
	free(r);
}

void request_reader_digest(struct request_reader *r, const struct parts_digest *digest)
{
	r->parts.digest = digest;
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
			 r->tools.abridge.spent + r->instructions.abridge.spent +
			 texts_take_spent(&r->told);

	r->messages.abridge.spent = r->tools.abridge.spent = r->instructions.abridge.spent = 0;
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

static void end_list(struct request_reader *r)
{
	struct request_facts *f = &r->facts;

	if (r->in_message)
		newest_add_unfinished(&r->newest);
	r->in_message = false;
	newest_end(&r->newest, &r->messages.into);
	if (json_scan_met_lone_surrogate(r->scan) && json_mend_surrogates(&r->messages.into) < 0)
		r->newest.no_memory = true;
	f->messages = buf_slice(&r->messages.into);
	f->messages_cut = r->newest.cut;
	f->messages_truncated = r->newest.cut || r->newest.no_memory;
}

static int append_message(struct buf *into, struct slice role, struct slice content)
{
	if (!content.len)
		return 0;
	return buf_append_slice(into, buf_len(into) ? SLICE(",") : SLICE("[")) < 0 ||
			       buf_append_slice(into, SLICE("{\"role\":\"")) < 0 ||
			       buf_append_slice(into, role) < 0 ||
			       buf_append_slice(into, SLICE("\",\"content\":")) < 0 ||
			       buf_append_slice(into, content) < 0 ||
			       buf_append_slice(into, SLICE("}")) < 0
		       ? -ENOMEM
		       : 0;
}

/* One list of the instructions and the input, which may be a text. */
static void end_instructions(struct request_reader *r, bool unfinished)
{
	struct request_facts *f = &r->facts;
	struct slice instructions = member_end(&r->instructions, r->scan, unfinished,
		&f->messages_truncated, &f->messages_cut);
	struct slice rest = slice_after(f->messages, 1); /* behind the bracket */
	struct buf all = BUF_EMPTY;
	int error;

	if (r->in_list && !instructions.len)
		return;
	error = append_message(&all, SLICE("system"), instructions);
	if (!error && !r->in_list)
		error = append_message(&all, SLICE("user"), f->messages);
	else if (!error && rest.len > 1)
		error = buf_append_slice(&all, SLICE(",")) < 0 || buf_append_slice(&all, rest) < 0;
	if (!error && buf_len(&all) && (!r->in_list || rest.len <= 1))
		error = buf_append_slice(&all, SLICE("]"));
	if (error) {
		buf_free(&all);
		f->messages_truncated = true;
	}
	buf_free(&r->messages.into);
	buf_free(&r->instructions.into);
	r->messages.into = all;
	f->messages = buf_slice(&all);
}

int request_reader_end(struct request_reader *r)
{
	enum json_problem problem = json_scan_end(r->scan);
	struct request_facts *f = &r->facts;

	/* What is done with a thing that has a name may need no body. */
	if (problem && (r->facts.bytes || !r->operation->subtree))
		unreadable(r, json_problem_name(problem));
	if (r->ended)
		return f->readable ? 0 : -EBADMSG;
	r->ended = true;
	f->parts = parts_end(&r->parts);
	if (r->in_list)
		end_list(r);
	else
		f->messages = member_end(&r->messages, r->scan, problem != JSON_FINE,
			&f->messages_truncated, &f->messages_cut);
	if (r->rules->instructions)
		end_instructions(r, problem != JSON_FINE);
	f->tools = member_end(&r->tools, r->scan, problem != JSON_FINE, &f->tools_truncated,
		&f->tools_cut);
	return f->readable ? 0 : -EBADMSG;
}

const struct request_facts *request_reader_facts(const struct request_reader *r)
{
	return &r->facts;
}

uint64_t request_estimate_tokens(const struct request_reader *r)
{
	const uint64_t *bytes = r->told.bytes;

	return (bytes[TEXT_INPUT] + bytes[TEXT_INSTRUCTIONS] + r->tool_bytes + 3) / 4 + r->tokens + 4 * r->facts.nmessages +
	       85 * r->images;
}
