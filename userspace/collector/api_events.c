// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "collector/api_internal.h"
#include "collector/event_json.h"

#define API_SNIPPET 240 /* bytes of what was said that a row shows */

static void events_snippet(
	struct api_question *q, yyjson_mut_val *row, const char *name, const struct buf *text)
{
	api_put(q, row, name, utf8_cut(buf_slice(text), API_SNIPPET));
}

/* What was said, in short: what is new in the request, and how the answer begins. */
static void events_said(
	struct api_question *q, yyjson_mut_val *row, const struct query_event *event)
{
	struct buf prompt = BUF_EMPTY, answer = BUF_EMPTY;
	bool tool;

	event_json_last(event->content[CONTENT_INPUT], &prompt);
	tool = event_json_first(event->content[CONTENT_OUTPUT], &answer);
	events_snippet(q, row, "prompt", &prompt);
	events_snippet(q, row, tool ? "tool" : "answer", &answer);
	buf_free(&prompt);
	buf_free(&answer);
}

static yyjson_mut_val *events_object(
	struct api_question *q, const struct query_event *event, unsigned parts)
{
	yyjson_mut_val *row = event_json(q->doc, event, parts);

	if (!row)
		why_set(&q->why, EIO, "a record in the store cannot be read");
	return row;
}

static int events_row(void *context, const struct query_event *event)
{
	struct api_question *q = context;
	yyjson_mut_val *row;
	char place[48];

	if (q->told++ == q->limit) {
		yyjson_mut_obj_add_bool(q->doc, q->root, "more", true);
		return 0;
	}
	row = events_object(q, event, q->content ? EVENT_JSON_QUOTES : 0);
	if (!row)
		return -EIO;
	snprintf(place, sizeof(place), "%llu.%lld", (unsigned long long)event->time_ns,
		(long long)event->id);
	api_put(q, row, "place", slice_of_string(place));
	api_put(q, row, "event.id", event->event_id);
	if (q->content)
		events_said(q, row, event);
	yyjson_mut_arr_append(q->rows, row);
	return 0;
}

static int events_search(struct api_question *q)
{
	struct query_lag lag;
	int error = query_search(q->api->query, q->words, q->nwords, &q->filter, q->limit + 1,
		events_row, q, &lag, &q->why);

	if (!error && lag.events) {
		yyjson_mut_obj_add_uint(q->doc, q->root, "lag", lag.events);
		if (lag.until_ns)
			api_time(q, q->root, "searchable", lag.until_ns);
	}
	return error;
}

int api_events(struct api_question *q)
{
	int error = 0;

	if (q->call->role < ROLE_REVIEWER && (q->nwords || q->content))
		return why_set(&q->why, EACCES,
			"words are found in what was said: a link for a reviewer is needed "
			"(sallyport review)");
	/* Of what is found, or slow, the places do not descend. */
	if ((q->nwords || q->slowest) && q->below)
		return why_set(&q->why, EINVAL, "before: not with words, nor with slowest");
	if (q->nwords && q->slowest)
		return why_set(&q->why, EINVAL, "slowest: not with words");
	if (q->nwords || q->content || q->export)
		error = api_look(q, q->export ? "export" : q->nwords ? "search" : "list");
	api_rows(q, "events");
	if (error)
		return error;
	if (q->slowest)
		return query_slowest(q->api->query, &q->filter, q->limit + 1, events_row, q, &q->why);
	return q->nwords ? events_search(q)
			 : query_events(q->api->query, &q->filter, q->limit + 1, events_row, q,
				   &q->why);
}

/* ---- one event ---- */

struct event_shown {
	struct api_question *q;
	struct query_event event; /* without its texts */
	bool found;
};

static int event_row(void *context, const struct query_event *event)
{
	struct event_shown *shown = context;
	yyjson_mut_val *row = events_object(shown->q, event, EVENT_JSON_ALL);

	if (!row)
		return -EIO;
	shown->found = true;
	shown->event = (struct query_event){.id = event->id, .time_ns = event->time_ns};
	api_put(shown->q, row, "event.id", event->event_id);
	yyjson_mut_obj_add_val(shown->q->doc, shown->q->root, "event", row);
	return 0;
}

int api_event(struct api_question *q)
{
	struct event_shown shown = {.q = q};
	struct query_neighbours neighbours;
	int error;

	if (!q->filter.event_id)
		return why_set(&q->why, EINVAL, "id: which event is wanted?");
	q->filter.kind = NULL;
	error = api_look(q, "show");
	if (!error)
		error = query_events(q->api->query, &q->filter, 1, event_row, &shown, &q->why);
	if (!error && !shown.found)
		return why_set(&q->why, ENOENT, "there is no event with this id");
	if (error)
		return error;
	error = query_neighbours(q->api->query, &shown.event, &neighbours, &q->why);
	if (!error && buf_len(&neighbours.before)) {
		api_put(q, q->root, "previous", buf_slice(&neighbours.before));
		yyjson_mut_obj_add_uint(q->doc, q->root, "shared", neighbours.shared);
	}
	if (!error && buf_len(&neighbours.after))
		api_put(q, q->root, "next", buf_slice(&neighbours.after));
	buf_free(&neighbours.before);
	buf_free(&neighbours.after);
	return error;
}
