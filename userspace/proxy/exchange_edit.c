// SPDX-License-Identifier: GPL-2.0-or-later
/* What is added to a request, and what becomes of a request that is refused for it: an edit of ours
 * must never make a call fail. */
#include "proxy/exchange.h"

#include <string.h>

/* An error that is longer has other things to say. */
#define EDIT_ERROR_MAX 65536

static struct edit_model exchange_model(const struct exchange *ex)
{
	struct slice deployment = ex->match.deployment;

	if (!deployment.len)
		deployment = request_reader_facts(reader_request(ex->request))->model;
	return (struct edit_model){
		slice_of_string(ex->origin_target.host ? ex->origin_target.host : ex->sni),
		deployment, ex->match.api_version};
}

bool exchange_may_edit(const struct exchange *ex)
{
	return ex->worker->config->http.inject_usage && ex->request && !ex->edit_refused &&
	       !reader_is_coded(ex->request) && ex->match.operation->streams &&
	       operation_allows_usage(&ex->match);
}

size_t exchange_hold_max(const struct exchange *ex)
{
	const struct config_http *http = &ex->worker->config->http;
	bool edit = exchange_may_edit(ex) &&
		    request_may_inject_later(reader_request(ex->request)) &&
		    (ex->head->framing != HEAD_LENGTH || ex->head->length <= http->edit_window);

	return edit && http->edit_window > http->request_window ? http->edit_window
								 : http->request_window;
}

void exchange_choose_edit(struct exchange *ex, struct request_splice *splice)
{
	bool allowed = exchange_may_edit(ex);
	struct edit_model model;
	enum edit_known known;

	ex->injected = ex->may_inject = false;
	if (!allowed)
		return;
	model = exchange_model(ex);
	known = edit_memory_find(&ex->worker->edits, &model);
	if (known == EDIT_REFUSED)
		return;
	ex->edit_is_known = known == EDIT_TAKEN;
	if (ex->request_whole)
		ex->injected = request_inject_usage(reader_request(ex->request), splice);
	/* What is not kept cannot be sent again without the edit: only to a model that takes it. */
	ex->may_inject = ex->injected ||
			 (!ex->request_whole && ex->edit_is_known &&
				 request_may_inject_later(reader_request(ex->request)));
}

/* ---- the answer to an edited request ---- */

bool exchange_judges(const struct exchange *ex, const struct head *head)
{
	return ex->injected && ex->replayable && ex->phase == EXCHANGE_AWAITING && ex->client &&
	       (head->status == 400 || head->status == 422);
}

void exchange_edit_taken(struct exchange *ex)
{
	struct edit_model model;

	if (!ex->injected || ex->edit_is_known)
		return;
	model = exchange_model(ex);
	edit_memory_set(&ex->worker->edits, &model, EDIT_TAKEN);
}

static bool names(struct slice body, struct slice word)
{
	return body.len && memmem(body.data, body.len, word.data, word.len) != NULL;
}

/* The error is whole: is it about what was added? Then the request goes once more, as the client
 * wrote it; such an answer had no effect. */
bool exchange_edit_was_refused(struct exchange *ex)
{
	struct slice body = buf_slice(&ex->judged);
	struct edit_model model;

	if (!names(body, SLICE("stream_options")) && !names(body, SLICE("include_usage")))
		return false;
	model = exchange_model(ex);
	edit_memory_set(&ex->worker->edits, &model, EDIT_REFUSED);
	ex->edit_refused = true;
	counter_add(ex->worker->counters, COUNTER_EDIT_REFUSED, 1);
	buf_wipe(&ex->judged);
	return true;
}

bool exchange_judge_full(const struct exchange *ex)
{
	return buf_len(&ex->judged) > EDIT_ERROR_MAX;
}
