// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_text.h"
#include "base/log.h"
#include "collector/api_internal.h"
#include "collector/filter.h"
#include "collector/when.h"

#define API_PATIENCE (3 * NS_PER_S) /* of one question: others wait for it */
#define API_LIMIT    50

/* What may be asked, and what besides filters it takes, by the letters of api_takes. */
static const struct api_question_kind {
	const char *name, *takes;
	enum role role; /* that is needed */
	uint64_t limit_max;
	api_run *run;
} api_kinds[] = {
	{"whoami", "", ROLE_OPERATOR, 0, api_whoami},
	{"usage", "flbc", ROLE_OPERATOR, 10000, api_usage},
	{"facets", "flk", ROLE_OPERATOR, 100, api_facets},
	{"events", "flkwptxs", ROLE_OPERATOR, 200, api_events},
	{"event", "i", ROLE_REVIEWER, 1, api_event},
	{"sources", "fl", ROLE_OPERATOR, 1000, api_sources},
	{"conversations", "fl", ROLE_REVIEWER, 200, api_conversations},
	{"health", "", ROLE_OPERATOR, 0, api_health},
	{"access", "lp", ROLE_REVIEWER, 500, api_access},
};

/* ---- the answer ---- */

void api_put(struct api_question *q, yyjson_mut_val *object, const char *name, struct slice text)
{
	yyjson_mut_obj_add(object, yyjson_mut_str(q->doc, name),
		yyjson_mut_strncpy(q->doc, text.len ? text.data : "", text.len));
}

void api_rows(struct api_question *q, const char *name)
{
	q->rows = yyjson_mut_arr(q->doc);
	yyjson_mut_obj_add_val(q->doc, q->root, name, q->rows);
}

yyjson_mut_val *api_row(struct api_question *q)
{
	q->told++;
	return yyjson_mut_arr_add_obj(q->doc, q->rows);
}

void api_time(struct api_question *q, yyjson_mut_val *object, const char *name, uint64_t time_ns)
{
	api_put(q, object, name, slice_of_string(when_format(time_ns).text));
}

int api_look(struct api_question *q, const char *what)
{
	struct buf detail = BUF_EMPTY;
	struct access_look look = {.who = slice_of_string(q->call->who),
		.by = slice_of_string(q->call->by),
		.what = slice_of_string(what)};
	int error = 0;

	for (size_t i = 0; i < q->call->n && !error; i++)
		error = buf_printf(&detail, "%s%s=%s", i ? " " : "", q->call->parameters[i].name,
			q->call->parameters[i].value);
	look.detail = buf_slice(&detail);
	error = error ? why_set(&q->why, ENOMEM, "out of memory")
		      : access_record(q->api->access, &look, &q->why);
	buf_free(&detail);
	return error;
}

/* ---- the question ---- */

static int api_number(const char *text, uint64_t most, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 10);
	return errno || *text < '0' || *text > '9' || *end || *number > most ? -EINVAL : 0;
}

/* Where a page ended: "TIME.ID", or an id. */
static int api_place(struct api_question *q, const char *value)
{
	const char *dot = strchr(value, '.');
	uint64_t id, time_ns = 0;
	char time[24];

	if (dot && (size_t)snprintf(time, sizeof(time), "%.*s", (int)(dot - value), value) >=
			   sizeof(time))
		return -EINVAL;
	if (api_number(dot ? dot + 1 : value, INT64_MAX, &id) < 0 ||
		(dot && api_number(time, INT64_MAX, &time_ns) < 0) || !id)
		return -EINVAL;
	q->below = (int64_t)id;
	if (dot) {
		q->filter.until_ns = time_ns;
		q->filter.before_id = (int64_t)id;
	}
	return 0;
}

static int api_flag(const char *value, bool *flag)
{
	*flag = strcmp(value, "1") == 0;
	return *flag || strcmp(value, "0") == 0 ? 0 : -EINVAL;
}

static int api_word(struct api_question *q, const char *value)
{
	if (q->nwords == API_WORDS || !*value)
		return -EINVAL;
	q->words[q->nwords++] = value;
	return 0;
}

/* 1: the question does not take such a thing. */
static int api_parameter(struct api_question *q, const struct api_question_kind *kind,
	const char *name, const char *value, uint64_t now_ns, const char **expected)
{
	const struct filter_field *field = filter_field(name);
	static const char *const groups[] = {[FILTER_ALWAYS] = "f",
		[FILTER_CALLS] = "f",
		[FILTER_KIND] = "k",
		[FILTER_ID] = "i"};
	static const struct {
		const char *name, letter, *expected;
	} others[] = {{"limit", 'l', "a number"}, {"by", 'b', "names"},
		{"completions", 'c', "0 or 1"}, {"word", 'w', "words"},
		{"before", 'p', "where a page ended"}, {"content", 't', "0 or 1"},
		{"export", 'x', "0 or 1"}, {"slowest", 's', "0 or 1"}};
	const size_t n = sizeof(others) / sizeof(others[0]);
	size_t i = 0;

	if (field) {
		*expected = field->expected;
		return strchr(kind->takes, groups[field->group][0])
			       ? field->read(&q->filter, value, now_ns)
			       : 1;
	}
	while (i < n && strcmp(others[i].name, name) != 0)
		i++;
	if (i == n || !strchr(kind->takes, others[i].letter))
		return 1;
	*expected = others[i].expected;
	switch (others[i].letter) {
	case 'l':
		return api_number(value, kind->limit_max, &q->limit);
	case 'b':
		q->by = value;
		return 0;
	case 'c':
		return api_flag(value, &q->completions);
	case 'w':
		return api_word(q, value);
	case 'p':
		return api_place(q, value);
	case 'x':
		return api_flag(value, &q->export);
	case 's':
		return api_flag(value, &q->slowest);
	default:
		return api_flag(value, &q->content);
	}
}

/* Of what is there twice one alone would count, and the other fill the record of the look. */
static bool api_is_twice(const struct api_call *call, size_t i)
{
	const char *name = call->parameters[i].name;

	for (size_t j = 0; j < i && strcmp(name, "word") != 0; j++)
		if (strcmp(call->parameters[j].name, name) == 0)
			return true;
	return false;
}

static int api_read(struct api_question *q, const struct api_question_kind *kind)
{
	uint64_t now_ns = clock_realtime_ns();

	for (size_t i = 0; i < q->call->n; i++) {
		const char *name = q->call->parameters[i].name, *value =
			q->call->parameters[i].value, *expected = "";
		int error = api_parameter(q, kind, name, value, now_ns, &expected);

		if (error > 0)
			return why_set(&q->why, EINVAL, "%s: not a parameter of %s",
				log_quote(slice_of_string(name)).text, kind->name);
		if (error)
			return why_set(&q->why, EINVAL, "%s %s: expected %s", name,
				log_quote(slice_of_string(value)).text, expected);
		if (api_is_twice(q->call, i))
			return why_set(&q->why, EINVAL, "%s: given twice", name);
	}
	if (!filter_is_possible(&q->filter))
		return why_set(&q->why, EINVAL,
			"since is not before until: no event lies between them");
	return 0;
}

static const struct api_question_kind *api_kind(const char *name)
{
	for (size_t i = 0; i < sizeof(api_kinds) / sizeof(api_kinds[0]); i++)
		if (strcmp(api_kinds[i].name, name) == 0)
			return &api_kinds[i];
	return NULL;
}

static unsigned api_status(int error)
{
	switch (error) {
	case 0:
		return 200;
	case -EINVAL:
		return 400;
	case -EACCES:
		return 403;
	case -ENOENT:
		return 404;
	default:
		return 500;
	}
}

static int api_ask(struct api_question *q)
{
	const struct api_question_kind *kind = api_kind(q->call->name);
	int error;

	if (!kind)
		return why_set(&q->why, ENOENT, "there is no such question");
	if (q->call->role < kind->role)
		return why_set(&q->why, EACCES,
			"this shows what was said: a link for a reviewer is needed "
			"(sallyport review)");
	q->limit = kind->limit_max < API_LIMIT ? kind->limit_max : API_LIMIT;
	error = api_read(q, kind);
	return error ? error : kind->run(q);
}

unsigned api_answer(struct api *api, const struct api_call *call, struct buf *out)
{
	struct api_question q = {.api = api,
		.call = call,
		.filter = {.kind = "exchange"},
		.content = call->role == ROLE_REVIEWER,
		.doc = yyjson_mut_doc_new(NULL)};
	int error;

	q.root = yyjson_mut_obj(q.doc);
	if (!q.root) {
		yyjson_mut_doc_free(q.doc);
		return 500;
	}
	yyjson_mut_doc_set_root(q.doc, q.root);
	error = api_ask(&q);
	if (error) {
		/* Of an answer that broke off nothing is shown. */
		q.root = yyjson_mut_obj(q.doc);
		yyjson_mut_doc_set_root(q.doc, q.root);
		if (q.root)
			api_put(&q, q.root, "error",
				slice_of_string(q.why.text[0] ? q.why.text : "out of memory"));
	}
	return json_text(q.doc, 0, out) < 0 ? 500 : api_status(error);
}

struct api *api_new(const struct api_options *options, struct why *why)
{
	struct api *api = calloc(1, sizeof(*api));

	if (!api) {
		why_set(why, ENOMEM, "out of memory");
		return NULL;
	}
	api->options = *options;
	api->query = query_open(options->store, why);
	api->access = api->query ? access_open(options->store, why) : NULL;
	if (!api->access) {
		api_free(api);
		return NULL;
	}
	query_patience(api->query, API_PATIENCE);
	return api;
}

void api_free(struct api *api)
{
	if (!api)
		return;
	query_close(api->query);
	access_close(api->access);
	free(api);
}
