// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/response_body.h"

#include <errno.h>

#include "openai/json_mend.h"
#include "openai/json_text.h"

enum node {
	NODE_ROOT = JSON_ROOT,
	NODE_ID,
	NODE_MODEL,
	NODE_FINGERPRINT,
	NODE_CHOICES,
	NODE_CHOICE,
	NODE_FINISH,
	NODE_TEXT,
	NODE_MESSAGE,
	NODE_OUTPUT, /* text that counts as output */
	NODE_AUDIO,
	NODE_CALLS,
	NODE_CALL,
	NODE_FUNCTION,
	NODE_USAGE,
	NODE_INPUT,
	NODE_OUTPUT_TOKENS,
	NODE_TOTAL,
	NODE_INPUT_DETAILS,
	NODE_OUTPUT_DETAILS,
	NODE_ERROR,
	NODE_ERROR_MESSAGE,
	NODE_ERROR_TYPE,
	NODE_ERROR_CODE,
	NODE_INNER,
	NODE_INNER_CODE,
	NODE_STATUS, /* these two are API Management's form of an error */
	NODE_TOP_MESSAGE,
	NODE_TIER,
	NODE_SECONDS,
	NODE_DONE, /* how it ended … */
	NODE_INCOMPLETE,
	NODE_REASON, /* … and why not well */
	NODE_ITEMS,
	NODE_PARTS,
	NODE_PART,
	NODE_DATA, /* images, sound */
	NODE_EVENT_TYPE, /* these are of events only */
	NODE_RESPONSE,
	NODE_DELTA,
	NODE_REFUSAL, /* counts as output, too */
	NODE_FILTERS, /* a list of verdicts of the provider's filter … */
	NODE_FILTER,
	NODE_FILTER_OF, /* of prompt or completion */
	NODE_VERDICT, /* … an object of categories … */
	NODE_CATEGORY,
	NODE_FILTERED,
	NODE_DETECTED,
	NODE_SEVERITY, /* … and these of each */
	NODE_OBJECT, /* these are of what is done later */
	NODE_BACKGROUND,
	NODE_FILE,
	NODE_LIST,
	NODE_ENTRY,
	NODE_ENTRY_ID,
	NODE_ENTRY_FILE,
	NODE_PARTS_OF_USAGE, /* … and one for each enum usage_part */
};

/* What the provider's filter found in something. */
#define FILTER_RULES                                                                               \
	{NODE_FILTERS, NODE_FILTER, JSON_ELEMENT},                                                 \
		{NODE_FILTER, NODE_VERDICT, "content_filter_results"},                             \
		{NODE_FILTER, NODE_VERDICT, "content_filter_result"},                              \
		{NODE_FILTER, NODE_FILTER_OF, "source_type"},                                      \
		{NODE_VERDICT, NODE_CATEGORY, JSON_ANY},                                           \
		{NODE_CATEGORY, NODE_FILTERED, "filtered"},                                        \
		{NODE_CATEGORY, NODE_DETECTED, "detected"}, {NODE_CATEGORY, NODE_SEVERITY, "severity"}

#define DETAILS_RULE(where, name)    {NODE_USAGE, NODE_##where, name},
#define PART_RULE(where, name, part) {NODE_##where, NODE_PARTS_OF_USAGE + USAGE_##part, name},

/* What the answers of all families have. */
#define COMMON_RULES                                                                               \
	{NODE_ROOT, NODE_ID, "id"}, {NODE_ROOT, NODE_MODEL, "model"},                              \
		{NODE_ROOT, NODE_TIER, "service_tier"}, {NODE_ROOT, NODE_USAGE, "usage"},          \
		{NODE_USAGE, NODE_INPUT, "prompt_tokens"},                                         \
		{NODE_USAGE, NODE_INPUT, "input_tokens"},                                          \
		{NODE_USAGE, NODE_OUTPUT_TOKENS, "completion_tokens"},                             \
		{NODE_USAGE, NODE_OUTPUT_TOKENS, "output_tokens"},                                 \
		{NODE_USAGE, NODE_TOTAL, "total_tokens"},                                          \
		{NODE_USAGE, NODE_SECONDS, "seconds"},                                             \
		USAGE_DETAILS(DETAILS_RULE) USAGE_NAMES(PART_RULE){NODE_ROOT, NODE_ERROR, "error"}, \
		{NODE_ERROR, NODE_ERROR_MESSAGE, "message"},                                       \
		{NODE_ERROR, NODE_ERROR_TYPE, "type"}, {NODE_ERROR, NODE_ERROR_CODE, "code"},      \
		{NODE_ERROR, NODE_INNER, "innererror"}, {NODE_INNER, NODE_INNER_CODE, "code"},     \
		{NODE_INNER, NODE_VERDICT, "content_filter_result"},                               \
		{NODE_INNER, NODE_VERDICT, "content_filter_results"}, FILTER_RULES,                \
		{NODE_ROOT, NODE_STATUS, "statusCode"}, {NODE_ROOT, NODE_TOP_MESSAGE, "message"}

static const struct json_rule chat_rules[] = {
	COMMON_RULES,
	{NODE_ROOT, NODE_FINGERPRINT, "system_fingerprint"},
	{NODE_ROOT, NODE_FILTERS, "prompt_filter_results"},
	{NODE_ROOT, NODE_FILTERS, "prompt_annotations"},
	{NODE_CHOICE, NODE_VERDICT, "content_filter_results"},
	{NODE_ROOT, NODE_CHOICES, "choices"},
	{NODE_CHOICES, NODE_CHOICE, JSON_ELEMENT},
	{NODE_CHOICE, NODE_FINISH, "finish_reason"},
	{NODE_CHOICE, NODE_TEXT, "text"},
	{NODE_CHOICE, NODE_MESSAGE, "message"},
	{NODE_MESSAGE, NODE_OUTPUT, "content"},
	{NODE_MESSAGE, NODE_REFUSAL, "refusal"},
	{NODE_MESSAGE, NODE_OUTPUT, "reasoning_content"},
	{NODE_MESSAGE, NODE_AUDIO, "audio"},
	{NODE_AUDIO, NODE_OUTPUT, "transcript"},
	{NODE_AUDIO, NODE_DATA, "data"},
	{NODE_MESSAGE, NODE_FUNCTION, "function_call"},
	{NODE_MESSAGE, NODE_CALLS, "tool_calls"},
	{NODE_CALLS, NODE_CALL, JSON_ELEMENT},
	{NODE_CALL, NODE_FUNCTION, "function"},
	{NODE_CALL, NODE_FUNCTION, "custom"},
	{NODE_FUNCTION, NODE_OUTPUT, "arguments"},
	{NODE_FUNCTION, NODE_OUTPUT, "input"},
};

static const struct json_rule responses_rules[] = {
	COMMON_RULES,
	{NODE_ROOT, NODE_FILTERS, "content_filters"},
	{NODE_ROOT, NODE_DONE, "status"},
	{NODE_ROOT, NODE_BACKGROUND, "background"},
	{NODE_ROOT, NODE_INCOMPLETE, "incomplete_details"},
	{NODE_INCOMPLETE, NODE_REASON, "reason"},
	{NODE_ROOT, NODE_ITEMS, "output"},
	{NODE_ITEMS, NODE_MESSAGE, JSON_ELEMENT},
	{NODE_MESSAGE, NODE_OUTPUT, "arguments"},
	{NODE_MESSAGE, NODE_OUTPUT, "input"},
	{NODE_MESSAGE, NODE_DATA, "result"}, /* of a call that makes an image */
	{NODE_MESSAGE, NODE_PARTS, "content"},
	{NODE_MESSAGE, NODE_PARTS, "summary"},
	{NODE_PARTS, NODE_PART, JSON_ELEMENT},
	{NODE_PART, NODE_OUTPUT, "text"},
	{NODE_PART, NODE_REFUSAL, "refusal"},
};

/* Of images, the prompt that was made of the client's, and of sound its words; the others are told by
 * their usage alone. */
static const struct json_rule media_rules[] = {
	COMMON_RULES,
	{NODE_ROOT, NODE_CHOICES, "data"},
	{NODE_CHOICES, NODE_CHOICE, JSON_ELEMENT},
	{NODE_CHOICE, NODE_TEXT, "revised_prompt"},
	{NODE_CHOICE, NODE_DATA, "b64_json"},
	{NODE_ROOT, NODE_TEXT, "text"},
};

/* Of batches and trainings, and lists of them. */
static const struct json_rule jobs_rules[] = {
	COMMON_RULES,
	{NODE_ROOT, NODE_OBJECT, "object"},
	{NODE_ROOT, NODE_DONE, "status"},
	{NODE_ROOT, NODE_FILE, "output_file_id"},
	{NODE_ROOT, NODE_LIST, "data"},
	{NODE_LIST, NODE_ENTRY, JSON_ELEMENT},
	{NODE_ENTRY, NODE_ENTRY_ID, "id"},
	{NODE_ENTRY, NODE_ENTRY_FILE, "output_file_id"},
};

/* A run, a message, or a list of such. */
static const struct json_rule threads_rules[] = {
	COMMON_RULES,
	{NODE_ROOT, NODE_OBJECT, "object"},
	{NODE_ROOT, NODE_DONE, "status"},
	{NODE_ROOT, NODE_ERROR, "last_error"},
	{NODE_ROOT, NODE_TEXT, "content"},
	{NODE_TEXT, NODE_PART, JSON_ELEMENT},
	{NODE_PART, NODE_DELTA, "text"},
	{NODE_DELTA, NODE_OUTPUT, "value"},
	{NODE_ROOT, NODE_ITEMS, "data"},
	{NODE_ITEMS, NODE_MESSAGE, JSON_ELEMENT},
	{NODE_MESSAGE, NODE_PARTS, "content"},
	{NODE_PARTS, NODE_PART, JSON_ELEMENT},
};

/* One message, whose content is a list of blocks. */
static const struct json_rule messages_rules[] = {
	COMMON_RULES,
	{NODE_USAGE, NODE_TIER, "service_tier"},
	{NODE_ROOT, NODE_DONE, "stop_reason"},
	{NODE_ROOT, NODE_TEXT, "content"},
	{NODE_TEXT, NODE_PART, JSON_ELEMENT},
	{NODE_PART, NODE_OUTPUT, "text"},
	{NODE_PART, NODE_OUTPUT, "thinking"},
	{NODE_PART, NODE_OUTPUT, "input"},
};

/* Of a long event of any family; no word of it is kept. */
static const struct json_rule event_rules[] = {
	COMMON_RULES,
	{NODE_ROOT, NODE_EVENT_TYPE, "type"},
	{NODE_ROOT, NODE_OUTPUT, "delta"},
	{NODE_ROOT, NODE_RESPONSE, "response"},
	{NODE_RESPONSE, NODE_ID, "id"},
	{NODE_RESPONSE, NODE_MODEL, "model"},
	{NODE_RESPONSE, NODE_TIER, "service_tier"},
	{NODE_RESPONSE, NODE_USAGE, "usage"},
	{NODE_RESPONSE, NODE_ERROR, "error"},
	{NODE_RESPONSE, NODE_DONE, "status"},
	{NODE_RESPONSE, NODE_INCOMPLETE, "incomplete_details"},
	{NODE_INCOMPLETE, NODE_REASON, "reason"},
	{NODE_ROOT, NODE_CHOICES, "choices"},
	{NODE_CHOICES, NODE_CHOICE, JSON_ELEMENT},
	{NODE_CHOICE, NODE_FINISH, "finish_reason"},
	{NODE_CHOICE, NODE_OUTPUT, "text"},
	{NODE_CHOICE, NODE_DELTA, "delta"},
	{NODE_OUTPUT, NODE_OUTPUT, "text"}, /* these two of Anthropic */
	{NODE_OUTPUT, NODE_OUTPUT, "partial_json"},
	{NODE_DELTA, NODE_OUTPUT, "content"},
	{NODE_DELTA, NODE_OUTPUT, "refusal"},
	{NODE_DELTA, NODE_OUTPUT, "reasoning_content"},
};

static void tell(void *context, const struct json_part *part)
{
	struct response_reader *r = context;
	enum node node = (enum node)part->node;
	const struct text_piece piece = {
		.kind = node == NODE_OUTPUT || node == NODE_TEXT || node == NODE_REFUSAL ||
				 (node == NODE_DELTA && !r->streamed)
				? TEXT_OUTPUT
			: node == NODE_DATA			 ? TEXT_DATA
								 : TEXT_OTHER,
		.index = r->choice,
		.words = part->text,
		.first = part->first,
		.last = part->last,
		.placed = !r->streamed,
		.start = part->start,
		.end = part->end,
	};

	texts_tell(&r->told, &piece);
	r->facts.output_bytes = r->told.bytes[TEXT_OUTPUT];
}

/* Something of the messages does not fit: from now on, they are abridged. */
static void overflow(void *context, struct slice bytes)
{
	response_keep(context, bytes);
}

/* Keeps a message, resp. a text as one, behind those before it. */
static void keep_message(struct response_reader *r, struct json_scan *scan, bool text)
{
	if (!r->content_max || r->facts.output_truncated)
		return;
	response_keep(r, r->items++ ? SLICE(",") : SLICE("["));
	if (text)
		response_keep(r, SLICE("{\"role\":\"assistant\",\"content\":"));
	if (!r->facts.output_truncated)
		json_scan_keep_raw(scan, &r->keep_messages);
}

static void enter(void *context, struct json_scan *scan, const struct json_value *v)
{
	struct response_reader *r = context;

	switch ((enum node)v->node) {
	case NODE_ROOT:
		if (v->type != JSON_OBJECT)
			response_unreadable(r, "not a JSON object");
		break;
	case NODE_ID:
	case NODE_MODEL:
	case NODE_FINGERPRINT:
	case NODE_FINISH:
	case NODE_ERROR:
	case NODE_ERROR_MESSAGE:
	case NODE_ERROR_TYPE:
	case NODE_ERROR_CODE:
	case NODE_INNER_CODE:
	case NODE_TOP_MESSAGE:
	case NODE_TIER:
	case NODE_DONE:
	case NODE_REASON:
	case NODE_EVENT_TYPE:
	case NODE_FILTER_OF:
	case NODE_SEVERITY:
	case NODE_OBJECT:
	case NODE_FILE:
	case NODE_ENTRY_ID:
	case NODE_ENTRY_FILE:
		buf_clear(&r->text);
		json_scan_keep_text(scan, &r->keep_text);
		break;
	case NODE_MESSAGE:
		if (r->operation->family != FAMILY_COMPLETION)
			keep_message(r, scan, false);
		break;
	/* Those of chats are of the prompt, of Responses each says what it is of. */
	case NODE_FILTERS:
	case NODE_INNER:
		r->of_prompt = true;
		break;
	case NODE_CATEGORY:
		r->filter = json_text_copy(r->category, sizeof(r->category), v->key);
		break;
	case NODE_TEXT:
		if (r->operation->family != FAMILY_CHAT)
			keep_message(r, scan, true);
		break;
	default:
		break;
	}
}

static void leave_usage(struct response_reader *r, const struct json_value *v)
{
	struct response_facts *f = &r->facts;

	if (v->node >= NODE_PARTS_OF_USAGE) {
		struct usage_count *part = &f->parts[v->node - NODE_PARTS_OF_USAGE];

		part->told |= json_value_count(v, &part->tokens);
		return;
	}
	switch ((enum node)v->node) {
	case NODE_INPUT:
		f->has_input |= json_value_count(v, &r->uncached);
		f->input_tokens = r->uncached;
		break;
	case NODE_OUTPUT_TOKENS:
		f->has_output |= json_value_count(v, &f->output_tokens);
		break;
	case NODE_TOTAL:
		f->has_total |= json_value_count(v, &f->total_tokens);
		break;
	case NODE_SECONDS:
		response_seconds(f, v->number);
		break;
	case NODE_USAGE:
		response_usage(r);
		break;
	default:
		break;
	}
}

static void leave_error(struct response_reader *r, const struct json_value *v, struct slice text)
{
	struct response_facts *f = &r->facts;

	switch ((enum node)v->node) {
	case NODE_ERROR:
		f->has_error = f->has_error || v->type != JSON_NULL;
		/* fall through */
	case NODE_ERROR_MESSAGE:
	case NODE_TOP_MESSAGE:
		response_set(&f->error_message, r->error_message, sizeof(r->error_message), text);
		break;
	case NODE_ERROR_TYPE:
		response_set(&f->error_type, r->error_type, sizeof(r->error_type), text);
		break;
	case NODE_ERROR_CODE:
		response_set(&f->error_code, r->error_code, sizeof(r->error_code),
			v->type == JSON_NUMBER ? v->number : text);
		break;
	case NODE_INNER_CODE:
		response_set(&r->inner, r->inner_code, sizeof(r->inner_code), text);
		break;
	case NODE_STATUS:
		f->has_error = f->has_error || v->type == JSON_NUMBER;
		response_set(&f->error_code, r->error_code, sizeof(r->error_code), v->number);
		break;
	default:
		break;
	}
}

/* Files of at most this many batches of a list are told. */
#define MADE_MAX 64

/* That a batch made a file. */
static void response_made(struct response_reader *r, struct slice id, struct slice file)
{
	if (!id.len || !file.len || buf_len(&r->made) > MADE_MAX * 2 * RESPONSE_TEXT ||
		slice_index(id, ' ') != id.len || slice_index(file, '\n') != file.len)
		return;
	if (buf_append_slice(&r->made, id) < 0 || buf_append_slice(&r->made, SLICE(" ")) < 0 ||
		buf_append_slice(&r->made, file) < 0 || buf_append_slice(&r->made, SLICE("\n")) < 0)
		buf_clear(&r->made);
}

/* Closes the message that keep_message began. */
static void leave_text(struct response_reader *r)
{
	struct response_facts *f = &r->facts;

	if (r->operation->family == FAMILY_CHAT || !r->content_max || f->output_truncated)
		return;
	f->output_truncated = r->keep_messages.cut;
	if (!f->output_truncated)
		response_keep(r, SLICE("}"));
}

static void leave(void *context, struct json_scan *scan, const struct json_value *v)
{
	struct response_reader *r = context;
	struct response_facts *f = &r->facts;
	struct slice text = v->type == JSON_STRING ? buf_slice(&r->text) : SLICE_NONE;
	struct output_choice *choice;

	(void)scan;
	switch ((enum node)v->node) {
	case NODE_ID:
		response_set(&f->id, r->id, sizeof(r->id), text);
		break;
	case NODE_MODEL:
		response_set(&f->model, r->model, sizeof(r->model), text);
		break;
	case NODE_FINGERPRINT:
		response_set(&f->system_fingerprint, r->system_fingerprint,
			sizeof(r->system_fingerprint), text);
		break;
	case NODE_TIER:
		response_set(&f->service_tier, r->service_tier, sizeof(r->service_tier), text);
		break;
	case NODE_REASON:
		r->finish = SLICE_NONE; /* it says more than the status, wherever that stands */
		response_set(&r->finish, r->finish_memory, sizeof(r->finish_memory), text);
		break;
	case NODE_FILTERS:
	case NODE_INNER:
		r->of_prompt = false;
		break;
	case NODE_FILTER_OF:
		r->of_prompt = slice_equal(text, SLICE("prompt"));
		break;
	case NODE_FILTERED:
	case NODE_DETECTED:
		if (v->type == JSON_TRUE)
			response_verdict(r, r->of_prompt, r->filter,
				v->node == NODE_FILTERED ? SLICE("filtered") : SLICE("detected"));
		break;
	case NODE_SEVERITY:
		response_verdict(r, r->of_prompt, r->filter, text);
		break;
	case NODE_REFUSAL:
		f->refused |= v->type == JSON_STRING && v->end - v->start > 2;
		break;
	case NODE_OBJECT:
		f->object = json_text_copy(r->object, sizeof(r->object), text);
		break;
	case NODE_BACKGROUND:
		f->background = v->type == JSON_TRUE;
		break;
	case NODE_FILE:
	case NODE_ENTRY_FILE:
		r->file = json_text_copy(r->entry_file, sizeof(r->entry_file), text);
		break;
	case NODE_ENTRY_ID:
		r->entry = json_text_copy(r->entry_id, sizeof(r->entry_id), text);
		break;
	case NODE_ENTRY:
		response_made(r, r->entry, r->file);
		r->entry = r->file = SLICE_NONE;
		break;
	case NODE_ROOT:
		response_made(r, f->id, r->file);
		break;
	case NODE_DONE:
		f->unfinished = slice_equal(text, SLICE("queued")) ||
				slice_equal(text, SLICE("in_progress"));
		response_set(&r->finish, r->finish_memory, sizeof(r->finish_memory), text);
		break;
	case NODE_EVENT_TYPE:
		r->event_type = json_text_copy(r->event_memory, sizeof(r->event_memory), text);
		break;
	case NODE_CHOICE:
		r->choice++;
		break;
	case NODE_FINISH:
		choice = output_choice(&r->output, r->choice);
		if (choice && text.len)
			output_finish(choice, text);
		break;
	case NODE_TEXT:
		leave_text(r);
		break;
	case NODE_OUTPUT:
		/* What its strings are told as is no count of it. */
		if (v->type == JSON_OBJECT && r->operation->family == FAMILY_MESSAGES && !r->streamed)
			r->told.bytes[TEXT_OUTPUT] += v->end - v->start;
		f->output_bytes = r->told.bytes[TEXT_OUTPUT];
		break;
	case NODE_MESSAGE:
		r->choice += r->operation->family == FAMILY_RESPONSES;
		f->output_truncated = f->output_truncated || r->keep_messages.cut;
		break;
	default:
		leave_usage(r, v);
		leave_error(r, v, text);
	}
}

#define HANDLER(rules) {rules, sizeof(rules) / sizeof((rules)[0]), enter, leave, NULL, tell}

int response_body_init(struct response_reader *r)
{
	static const struct json_handler handlers[FAMILY_COUNT] = {
		[FAMILY_CHAT] = HANDLER(chat_rules),
		[FAMILY_COMPLETION] = HANDLER(chat_rules),
		[FAMILY_RESPONSES] = HANDLER(responses_rules),
		[FAMILY_EMBEDDINGS] = HANDLER(media_rules),
		[FAMILY_MODERATION] = HANDLER(media_rules),
		[FAMILY_IMAGES] = HANDLER(media_rules),
		[FAMILY_SPEECH] = HANDLER(media_rules),
		[FAMILY_TRANSCRIPTION] = HANDLER(media_rules),
		[FAMILY_MESSAGES] = HANDLER(messages_rules),
		[FAMILY_THREADS] = HANDLER(threads_rules),
		[FAMILY_ITEMS] = HANDLER(threads_rules),
		[FAMILY_JOBS] = HANDLER(jobs_rules),
		[FAMILY_FILES] = HANDLER(jobs_rules),
	};

	r->keep_text = (struct json_keep){.into = &r->text, .max = RESPONSE_MESSAGE};
	r->keep_messages = (struct json_keep){
		.into = &r->messages, .max = r->content_max, .overflow = overflow, .context = r};
	r->scan = json_scan_new(&handlers[r->operation->family], r);
	return r->scan ? 0 : -ENOMEM;
}

void response_body_end(struct response_reader *r)
{
	enum json_problem problem = json_scan_end(r->scan);
	struct response_facts *f = &r->facts;

	if (problem)
		response_unreadable(r, json_problem_name(problem));
	f->complete = problem == JSON_FINE;
	f->output_truncated = f->output_truncated || r->keep_messages.cut;
	response_keep_end(r, problem != JSON_FINE);
	if (buf_len(&r->messages) && json_scan_met_lone_surrogate(r->scan) && json_mend_surrogates(&r->messages) < 0)
		f->output_truncated = true;
}

void response_long_begin(struct response_reader *r)
{
	static const struct json_handler handler = HANDLER(event_rules);

	json_scan_free(r->scan);
	r->scan = json_scan_new(&handler, r);
	r->keep_text = (struct json_keep){.into = &r->text, .max = RESPONSE_MESSAGE};
	r->event_type = SLICE_NONE;
	r->choice = 0;
	r->facts.nevents++;
	if (!r->scan)
		response_unreadable(r, "no memory for a long event");
}

void response_long_feed(struct response_reader *r, struct slice data)
{
	if (!r->scan)
		return;
	json_scan_feed(r->scan, data);
	r->facts.output_cut += data.len;
}

static bool event_is(const struct response_reader *r, struct slice end)
{
	return r->event_type.len >= end.len &&
	       slice_equal(slice_after(r->event_type, r->event_type.len - end.len), end);
}

unsigned response_long_end(struct response_reader *r)
{
	struct response_facts *f = &r->facts;
	enum json_problem problem = r->scan ? json_scan_end(r->scan) : JSON_FINE;
	bool responses = r->operation->family == FAMILY_RESPONSES;
	unsigned flags = problem || !r->scan ? RESPONSE_EVENT_UNREADABLE : 0;

	if (problem)
		response_unreadable(r, json_problem_name(problem));
	json_scan_free(r->scan);
	r->scan = NULL;
	f->output_truncated |= r->content_max > 0;
	if (flags)
		return flags;
	if (responses && (event_is(r, SLICE("response.completed")) ||
				 event_is(r, SLICE("response.incomplete")) ||
				 event_is(r, SLICE("response.failed")))) {
		f->complete = true;
		return RESPONSE_EVENT_DONE;
	}
	f->whole |= !responses && (event_is(r, SLICE(".completed")) || event_is(r, SLICE(".done")));
	return 0;
}
