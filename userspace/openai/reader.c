// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "http/coding.h"
#include "http/multipart.h"
#include "http/sse.h"
#include "http/sse_data.h"
#include "openai/form.h"
#include "openai/json_scan.h"
#include "openai/response_body.h"

/* An event of a stream longer than this passes unread. */
#define READER_EVENT_MAX (1u << 20)
/* Bytes of JSON read between two looks at the work that is left. */
#define READER_PIECE 16384
/* What an event costs besides its bytes, and each byte of its data: it is parsed into a tree. */
#define READER_EVENT_WORK 64
#define READER_DATA_WORK  4

/* A kind of body. */
struct reader_class {
	void (*feed)(struct reader *reader, struct slice piece, struct work *work);
	/* The body cannot be read any further. */
	void (*fail)(struct reader *reader, const char *problem);
	/* The facts become final. */
	void (*conclude)(struct reader *reader);
	void (*free)(struct reader *reader);
};

struct reader {
	const struct reader_class *class;
	struct coding *coding;	/* NULL: none */
	struct work *work;	/* during coding_decode */
	size_t taken;		/* bytes at the front of the input that the decoder has already */
	bool failed;		/* the rest passes unread */
	bool concluded;		/* likewise */
	bool coded;
	bool hides;
	bool until_close, truncated;
	const char *mark;	/* where [DONE] began, in memory that may be gone */
	bool long_event;	/* one is being read that is too long to be kept */
	struct sse_data long_data;
	struct request_reader *request;
	struct form_reader *form; /* in its place */
	struct response_reader *response;
	struct sse_reader *sse;
	uint64_t events; /* the offset in the body behind the last event */
};

static void reader_fail(struct reader *r, const char *problem)
{
	if (!r->failed)
		r->class->fail(r, problem);
	r->failed = true;
}

/* ---- requests: one JSON text ---- */

static void request_feed(struct reader *r, struct slice piece, struct work *work)
{
	work_spend(work, piece.len);
	if (request_reader_feed(r->request, piece) < 0)
		r->failed = true;
	work_spend(work, request_reader_spent(r->request));
}

static void request_fail(struct reader *r, const char *problem)
{
	request_reader_fail(r->request, problem);
}

static void request_conclude(struct reader *r)
{
	request_reader_end(r->request);
}

static void request_free(struct reader *r)
{
	request_reader_free(r->request);
}

/* ---- answers: one JSON text ---- */

static void response_feed(struct reader *r, struct slice piece, struct work *work)
{
	work_spend(work, piece.len);
	if (response_reader_body(r->response, piece) < 0)
		r->failed = true;
	work_spend(work, response_reader_spent(r->response));
}

static void response_fail(struct reader *r, const char *problem)
{
	response_reader_fail(r->response, problem);
}

static void response_conclude(struct reader *r)
{
	response_reader_end(r->response);
}

static void response_free(struct reader *r)
{
	response_reader_free(r->response);
	sse_reader_free(r->sse);
}

/* ---- answers: a stream of events ---- */

/* What the flags of an event that was read mean for the stream. */
static void stream_took(struct reader *r, unsigned flags, const char *raw)
{
	if (!(flags & RESPONSE_EVENT_DONE))
		return;
	r->mark = raw;
	reader_conclude(r);
}

/* An event that was too long to be kept has ended. */
static void stream_long_end(struct reader *r, const char *raw)
{
	if (r->long_event && !r->concluded)
		stream_took(r, response_long_end(r->response), raw);
	r->long_event = false;
}

/* A part of an event that is too long to be kept: its data is read as it passes. */
static void stream_long_part(struct reader *r, const struct sse_event *event, struct work *work)
{
	struct slice part = event->raw, data;

	if (event->first) {
		r->long_event = true;
		r->long_data = (struct sse_data){SSE_DATA_NAME, 0};
		response_long_begin(r->response);
	}
	while (sse_data_next(&r->long_data, &part, &data)) {
		work_spend(work, data.len);
		response_long_feed(r->response, data);
	}
	if (event->last)
		stream_long_end(r, event->raw.data);
}

/* Where the data of an event stands in the body. */
static uint64_t stream_place(const struct reader *r, const struct sse_event *event)
{
	const struct slice raw = event->raw, data = event->data;
	bool inside = data.data >= raw.data && data.data <= raw.data + raw.len;

	return inside ? r->events - (uint64_t)(raw.data + raw.len - data.data) : RESPONSE_UNPLACED;
}

/* Reads an event; true: it is one to hide. */
static bool stream_event(
	struct reader *r, enum sse_result result, const struct sse_event *event, struct work *work)
{
	unsigned flags = 0;

	work_spend(work, READER_EVENT_WORK + READER_DATA_WORK * event->data.len);
	r->events += event->raw.len;
	if (result != SSE_TOO_LONG || event->first)
		stream_long_end(r, event->raw.data);
	if (r->concluded)
		return false;
	if (result == SSE_TOO_LONG)
		stream_long_part(r, event, work);
	else if (result == SSE_NO_MEMORY)
		response_reader_skipped(r->response);
	else if (event->data.data)
		flags = response_reader_event(r->response, event->data, stream_place(r, event));
	work_spend(work, response_reader_spent(r->response));
	stream_took(r, flags, event->raw.data);
	return flags & RESPONSE_EVENT_USAGE_ONLY;
}

static void stream_feed(struct reader *r, struct slice piece, struct work *work)
{
	struct sse_event event;
	enum sse_result result;
	size_t consumed;

	while ((result = sse_read(r->sse, piece, work, &consumed, &event)) != SSE_MORE) {
		piece = slice_after(piece, consumed);
		stream_event(r, result, &event, work);
	}
}

/* Events that lie one after another in the input go on as one span. */
static enum reader_result stream_feed_hiding(
	struct reader *r, struct slice *input, struct work *work, struct slice *pass)
{
	struct sse_event event;
	enum sse_result result;
	size_t consumed;

	while (input->len && work_left(work)) {
		result = sse_read(r->sse, *input, work, &consumed, &event);
		*input = slice_after(*input, consumed);
		if (result == SSE_MORE)
			break;
		if (stream_event(r, result, &event, work)) {
			if (pass->len)
				return READER_AGAIN;
			continue;
		}
		if (!pass->len)
			pass->data = event.raw.data;
		pass->len += event.raw.len;
		/* What the event's reader keeps itself is valid until its next call only. */
		if (event.raw.data + event.raw.len != input->data)
			return READER_AGAIN;
	}
	return input->len ? READER_SPENT : READER_ALL;
}

/* What the events' reader still holds; an event that is complete is read. */
static struct slice stream_rest(struct reader *r)
{
	struct slice rest = sse_rest(r->sse);
	struct sse_event event;

	stream_long_end(r, NULL);
	if (sse_finish(r->sse, &event) == SSE_EVENT)
		rest = stream_event(r, SSE_EVENT, &event, NULL) ? SLICE_NONE : event.raw;
	return r->hides ? rest : SLICE_NONE;
}

/* ---- requests: a form ---- */

static void form_feed(struct reader *r, struct slice piece, struct work *work)
{
	work_spend(work, piece.len);
	if (form_reader_feed(r->form, piece) < 0)
		r->failed = true;
	work_spend(work, form_reader_spent(r->form));
}

static void form_fail(struct reader *r, const char *problem)
{
	form_reader_fail(r->form, problem);
}

static void form_conclude(struct reader *r)
{
	form_reader_end(r->form);
}

static void form_free(struct reader *r)
{
	form_reader_free(r->form);
}

/* ---- answers: text as it is, and what is no text ---- */

static void text_feed(struct reader *r, struct slice piece, struct work *work)
{
	work_spend(work, piece.len);
	response_reader_text(r->response, piece);
	work_spend(work, response_reader_spent(r->response));
}

static void lines_feed(struct reader *r, struct slice piece, struct work *work)
{
	work_spend(work, piece.len);
	response_reader_lines(r->response, piece);
	work_spend(work, response_reader_spent(r->response));
}

static void opaque_feed(struct reader *r, struct slice piece, struct work *work)
{
	(void)r;
	work_spend(work, piece.len);
}

/* ---- all kinds ---- */

static const struct reader_class request_class = {
	request_feed, request_fail, request_conclude, request_free};
static const struct reader_class response_class = {
	response_feed, response_fail, response_conclude, response_free};
static const struct reader_class stream_class = {
	stream_feed, response_fail, response_conclude, response_free};
static const struct reader_class form_class = {
	form_feed, form_fail, form_conclude, form_free};
static const struct reader_class text_class = {
	text_feed, response_fail, response_conclude, response_free};
static const struct reader_class lines_class = {
	lines_feed, response_fail, response_conclude, response_free};
static const struct reader_class opaque_class = {
	opaque_feed, response_fail, response_conclude, response_free};

static int reader_decoded(void *context, struct slice piece)
{
	struct reader *r = context;

	if (!r->failed && !r->concluded)
		r->class->feed(r, piece, r->work);
	return r->failed || r->concluded ? -EBADMSG : 0;
}

/* What the decoder takes may be read much later: the input is used when all of it was read. */
static enum reader_result reader_decode(struct reader *r, struct slice *input, struct work *work)
{
	struct slice rest = slice_after(*input, r->taken);
	int error;

	r->work = work;
	error = coding_decode_some(r->coding, &rest, work, reader_decoded, r);
	r->taken = error == -EAGAIN ? input->len - rest.len : 0;
	if (error == -EAGAIN)
		return READER_SPENT;
	*input = slice_after(*input, input->len);
	if (error && !r->failed && !r->concluded)
		reader_fail(r, coding_problem(error));
	return READER_ALL;
}

static bool reader_passes(const struct reader *r)
{
	return r->failed || r->concluded;
}

enum reader_result reader_feed(
	struct reader *r, struct slice *input, struct work *work, struct slice *pass)
{
	struct slice all = *input;

	*pass = SLICE_NONE;
	if (r->hides)
		return stream_feed_hiding(r, input, work, pass);
	if (r->coding && !reader_passes(r) && reader_decode(r, input, work) == READER_SPENT)
		return READER_SPENT;
	while (!r->coding && !reader_passes(r) && input->len && work_left(work)) {
		struct slice piece = slice_first(*input, READER_PIECE);

		*input = slice_after(*input, piece.len);
		r->class->feed(r, piece, work);
	}
	if (reader_passes(r))
		*input = slice_after(all, all.len);
	*pass = slice_first(all, all.len - input->len);
	return input->len ? READER_SPENT : READER_ALL;
}

void reader_conclude(struct reader *r)
{
	if (r->concluded)
		return;
	r->concluded = true;
	r->class->conclude(r);
}

/* Before the facts become final; error: of the coding. */
static bool stream_is_truncated(const struct reader *r, int error)
{
	const struct response_facts *facts = response_reader_facts(r->response);

	return !facts->complete && !facts->whole && !facts->has_error && !r->failed &&
	       (!error || error == -ENODATA);
}

static bool body_is_truncated(const struct reader *r)
{
	const struct response_facts *facts = response_reader_facts(r->response);

	return r->until_close && facts->problem &&
	       strcmp(facts->problem, json_problem_name(JSON_UNFINISHED)) == 0;
}

struct slice reader_end(struct reader *r)
{
	int error = r->coding && !r->failed && !r->concluded ? coding_finish(r->coding) : 0;
	struct slice rest = SLICE_NONE;

	if (r->sse) {
		rest = stream_rest(r);
		r->truncated = stream_is_truncated(r, error);
	}
	if (error)
		reader_fail(r, coding_problem(error));
	if (r->class == &lines_class && !r->failed && !r->concluded)
		response_reader_lines_whole(r->response);
	reader_conclude(r);
	if (r->response && !r->sse)
		r->truncated = body_is_truncated(r);
	return rest;
}

bool reader_is_done(const struct reader *r)
{
	return r->sse && response_reader_facts(r->response)->complete;
}

size_t reader_before_mark(const struct reader *r, struct slice pass)
{
	bool inside = !r->coded && r->mark >= pass.data && r->mark < pass.data + pass.len;

	return inside ? (size_t)(r->mark - pass.data) : 0;
}

bool reader_is_truncated(const struct reader *r)
{
	return r->truncated;
}

bool reader_is_coded(const struct reader *r)
{
	return r->coded;
}

bool reader_hides(const struct reader *r)
{
	return r->hides;
}

const struct request_reader *reader_json_request(const struct reader *r)
{
	return r->request;
}

const struct request_facts *reader_request_facts(const struct reader *r)
{
	return r->form ? form_reader_facts(r->form) : request_reader_facts(r->request);
}

bool reader_rename_model(
	const struct reader *r, struct slice name, struct request_splice *splice)
{
	return r->form ? form_rename_model(r->form, name, splice)
		       : request_rename_model(r->request, name, splice);
}

uint64_t reader_estimate_request(const struct reader *r)
{
	return r->form ? form_estimate_tokens(r->form) : request_estimate_tokens(r->request);
}

const struct response_reader *reader_response(const struct reader *r)
{
	return r->response;
}

void reader_free(struct reader *r)
{
	if (!r)
		return;
	r->class->free(r);
	coding_free(r->coding);
	free(r);
}

/* Decodes as the head says. False without memory. */
static bool reader_open_coding(
	struct reader *r, const struct head *head, const struct reader_options *options)
{
	int error;

	r->coding = coding_of(head, &error);
	if (error == -ENOMEM)
		return false;
	if (r->coding)
		coding_bound(r->coding, options->expansion_max);
	r->coded = r->coding || error;
	if (error)
		reader_fail(r, coding_problem(error));
	return true;
}

struct reader *reader_open_request(const struct head *head, const struct reader_options *options)
{
	const struct header *type = head_find(head, SLICE("content-type"));
	bool form = options->operation->form && type && multipart_is_form(type->value);
	struct reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->class = form ? &form_class : &request_class;
	if (form)
		r->form = form_reader_new(
			options->operation, type->value, options->content_max);
	else
		r->request = request_reader_new(options->operation, options->content_max);
	if (r->form) {
		form_reader_tell(r->form, options->sink);
		form_reader_digest(r->form, options->digest);
	}
	if (r->request) {
		request_reader_tell(r->request, options->sink);
		request_reader_digest(r->request, options->digest);
	}
	if ((r->form || r->request) && reader_open_coding(r, head, options))
		return r;
	reader_free(r);
	return NULL;
}

enum media { MEDIA_JSON, MEDIA_EVENTS, MEDIA_OTHER };

/* By the Content-Type; what has none is read as JSON. */
static enum media media_of(const struct head *head)
{
	const struct header *type = head_find(head, SLICE("content-type"));
	struct slice media;

	if (!type)
		return MEDIA_JSON;
	media = slice_trim(slice_first(type->value, slice_index(type->value, ';')));
	if (slice_equal_nocase(media, SLICE("text/event-stream")))
		return MEDIA_EVENTS;
	return slice_equal_nocase(media, SLICE("application/json")) ? MEDIA_JSON : MEDIA_OTHER;
}

struct reader *reader_open_response(const struct head *head, const struct reader_options *options)
{
	enum media media = media_of(head);
	bool stream = media == MEDIA_EVENTS;
	/* Speech may be sound, its transcription plain text, a video is one; whatever else is there
	 * where JSON should be is told as unreadable. */
	bool opaque = media == MEDIA_OTHER && (options->operation->family == FAMILY_SPEECH ||
						      options->operation->id == OPERATION_VIDEOS);
	bool text = media == MEDIA_OTHER && options->operation->family == FAMILY_TRANSCRIPTION;
	bool lines = options->operation->family == FAMILY_FILES &&
		     (options->file || media == MEDIA_OTHER);
	struct reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->class = stream   ? &stream_class
		   : opaque ? &opaque_class
		   : text   ? &text_class
		   : lines  ? &lines_class
			    : &response_class;
	r->until_close = head->framing == HEAD_UNTIL_CLOSE;
	r->response = response_reader_new(
		options->operation, options->content_max, stream || opaque || text || lines);
	if (r->response)
		response_reader_tell(r->response, options->sink);
	if (stream)
		r->sse = sse_reader_new(READER_EVENT_MAX);
	if (r->response && (!stream || r->sse) && reader_open_coding(r, head, options)) {
		r->hides = options->hide_usage && stream && !r->coded;
		return r;
	}
	reader_free(r);
	return NULL;
}
