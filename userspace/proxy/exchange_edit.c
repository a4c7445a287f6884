// SPDX-License-Identifier: GPL-2.0-or-later
/* What is added to a request, and what becomes of a request that is refused for it: an edit of ours
 * must never make a call fail. */
#include "proxy/exchange.h"

#include <string.h>

/* An error that is longer has other things to say. */
#define EDIT_ERROR_MAX 65536
/* The longest value of stream_options that is edited where the beginning of the body has gone. */
#define EDIT_MAX 4096

static struct edit_model exchange_model(const struct exchange *ex)
{
	struct slice deployment = ex->match.deployment;

	if (!deployment.len)
		deployment = reader_request_facts(ex->request.reader)->model;
	return (struct edit_model){
		slice_of_string(ex->attempt.target.host ? ex->attempt.target.host : ex->sni),
		deployment, exchange_form(ex).api_version};
}

bool exchange_may_edit(const struct exchange *ex)
{
	const struct reader *reader = ex->request.reader;
	const struct exchange_form form = exchange_form(ex);

	return ex->worker->config->http.inject_usage && reader &&
	       ex->edit_known != EDIT_REFUSED && !reader_is_coded(reader) &&
	       ex->match.operation->asks_usage && operation_allows_usage(form.dialect, form.api_version);
}

size_t exchange_hold_max(const struct exchange *ex)
{
	const struct config_http *http = &ex->worker->config->http;
	bool edit = ((exchange_may_edit(ex) &&
			     request_may_inject_later(reader_json_request(ex->request.reader))) ||
			    exchange_awaits_model(ex)) &&
		    (ex->head->framing != HEAD_LENGTH || ex->head->length <= http->edit_window);

	return edit && http->edit_window > http->request_window && replay_may_grow(&ex->replay)
		       ? http->edit_window
		       : http->request_window;
}

static void exchange_edit(struct exchange *ex, const struct request_splice *splice)
{
	if (edits_add(&ex->attempt.edits, splice) == 0)
		ex->attempt.edit = ATTEMPT_EDITED;
}

void exchange_choose_edit(struct exchange *ex)
{
	struct request_splice splice;
	struct edit_model model;

	if (!exchange_may_edit(ex))
		return;
	model = exchange_model(ex);
	ex->edit_known = edit_memory_find(&ex->worker->edits, &model);
	if (ex->edit_known == EDIT_REFUSED)
		return;
	if (exchange_request_is_whole(ex)) {
		if (request_inject_usage(reader_json_request(ex->request.reader), &splice))
			exchange_edit(ex, &splice);
	} else if (ex->edit_known == EDIT_TAKEN &&
		   request_may_inject_later(reader_json_request(ex->request.reader))) {
		/* What is not kept cannot be sent again without the edit: only to a model that
		 * takes it. */
		ex->attempt.edit = ATTEMPT_MAY_EDIT;
	}
}

uint64_t exchange_settle_edit(struct exchange *ex)
{
	uint64_t end = replay_end(&ex->replay), settled;
	const struct request_reader *reader;
	struct request_splice splice;

	if (ex->attempt.edit != ATTEMPT_MAY_EDIT)
		return end;
	reader = reader_json_request(ex->request.reader);
	if (request_inject_later(reader, ex->attempt.sent, &splice)) {
		exchange_edit(ex, &splice);
		return end;
	}
	settled = request_settled(reader);
	return exchange_request_is_whole(ex) || end - settled > EDIT_MAX ? end : settled;
}

/* ---- the answer to an edited request ---- */

bool exchange_judges(const struct exchange *ex, const struct head *head)
{
	return ex->attempt.edit == ATTEMPT_EDITED && replay_is_whole(&ex->replay) &&
	       (ex->phase == EXCHANGE_AWAITING || ex->phase == EXCHANGE_JUDGING) && ex->client &&
	       (head->status == 400 || head->status == 422);
}

static void exchange_remember_edit(struct exchange *ex, enum edit_known known)
{
	struct edit_model model = exchange_model(ex);

	edit_memory_set(&ex->worker->edits, &model, known);
}

/* Only a success says that it was the edit that was refused: whoever sends what is refused in any case
 * would else keep the usage of others from being asked for. */
void exchange_edit_succeeded(struct exchange *ex)
{
	if (ex->attempt.edit == ATTEMPT_EDITED && ex->edit_known != EDIT_TAKEN)
		exchange_remember_edit(ex, EDIT_TAKEN);
	else if (ex->tries > 1 && ex->tried[ex->tries - 2].left == ATTEMPT_EDIT_REFUSED)
		exchange_remember_edit(ex, EDIT_REFUSED);
}

static bool names(struct slice body, struct slice word)
{
	return body.len && memmem(body.data, body.len, word.data, word.len) != NULL;
}

/* Such an answer had no effect: the request may go once more, as the client wrote it. */
bool exchange_edit_was_refused(struct exchange *ex)
{
	struct slice body = buf_slice(&ex->attempt.hold.body);

	if (body.len > EDIT_ERROR_MAX ||
		(!names(body, SLICE("stream_options")) && !names(body, SLICE("include_usage"))))
		return false;
	ex->edit_known = EDIT_REFUSED;
	counter_add(ex->worker->counters, COUNTER_EDIT_REFUSED, 1);
	return true;
}
