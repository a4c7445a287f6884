// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "collector/api_internal.h"

#define STATE_GAPS 200 /* that are told; the others are counted */

int api_whoami(struct api_question *q)
{
	api_put(q, q->root, "who", slice_of_string(q->call->who));
	api_put(q, q->root, "role", slice_of_string(role_name(q->call->role)));
	api_put(q, q->root, "version", SLICE(SALLYPORT_VERSION));
	api_time(q, q->root, "now", clock_realtime_ns());
	return 0;
}

/* ---- health ---- */

static int health_day(void *context, const struct query_day_state *day)
{
	struct api_question *q = context;
	yyjson_mut_val *row = api_row(q);

	api_put(q, row, "day", day->day);
	yyjson_mut_obj_add_uint(q->doc, row, "events", day->events);
	yyjson_mut_obj_add_uint(q->doc, row, "unindexed", day->unindexed);
	yyjson_mut_obj_add_uint(q->doc, row, "conflicts", day->conflicts);
	yyjson_mut_obj_add_uint(q->doc, row, "bytes", day->bytes);
	yyjson_mut_obj_add_uint(q->doc, row, "index_bytes", day->index_bytes);
	if (day->last_ns)
		api_time(q, row, "last", day->last_ns);
	return 0;
}

static int health_gap(void *context, const struct query_gap *gap)
{
	struct api_question *q = context;
	yyjson_mut_val *row;

	if (q->told >= STATE_GAPS)
		return 0;
	row = api_row(q);
	api_put(q, row, "observer", gap->observer);
	api_put(q, row, "epoch", gap->epoch);
	yyjson_mut_obj_add_sint(q->doc, row, "stream", gap->stream);
	yyjson_mut_obj_add_sint(q->doc, row, "first", gap->first);
	yyjson_mut_obj_add_sint(q->doc, row, "last", gap->last);
	yyjson_mut_obj_add_bool(q->doc, row, "twice", gap->twice);
	return 0;
}

int api_health(struct api_question *q)
{
	static const struct query_integrity_ops ops = {.gap = health_gap};
	struct query_integrity found;
	int error;

	api_put(q, q->root, "store", slice_of_string(q->api->options.store));
	yyjson_mut_obj_add_uint(q->doc, q->root, "retain_days", q->api->options.retain);
	api_rows(q, "days");
	error = query_days(q->api->query, health_day, q, &q->why);
	q->told = 0;
	api_rows(q, "gaps");
	if (error)
		return error;
	/* Of a store that is too large for this the rest is told still: sallyport audit verify has time. */
	if (query_verify(q->api->query, &q->filter, &ops, q, &found, &q->why) < 0) {
		api_put(q, q->root, "unchecked", slice_of_string(q->why.text));
		return 0;
	}
	yyjson_mut_obj_add_uint(q->doc, q->root, "streams", found.streams);
	yyjson_mut_obj_add_uint(q->doc, q->root, "missing", found.missing);
	yyjson_mut_obj_add_uint(q->doc, q->root, "twice", found.twice);
	yyjson_mut_obj_add_uint(q->doc, q->root, "removed", found.removed);
	return 0;
}

/* ---- access ---- */

static int access_row(void *context, const struct access_look *look)
{
	struct api_question *q = context;
	yyjson_mut_val *row = api_row(q);

	yyjson_mut_obj_add_sint(q->doc, row, "id", look->id);
	api_time(q, row, "time", look->time_ns);
	api_put(q, row, "who", look->who);
	api_put(q, row, "by", look->by);
	api_put(q, row, "what", look->what);
	api_put(q, row, "detail", look->detail);
	return 0;
}

int api_access(struct api_question *q)
{
	api_rows(q, "looks");
	return access_looks(q->api->access, q->below, q->limit, access_row, q, &q->why);
}
