// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/operation.h"

#include "http/percent.h"
#include "openai/operation_table.h"

#define API	   OPERATION_IN_API
#define DEPLOYMENT OPERATION_IN_DEPLOYMENT
#define AGENT	   OPERATION_IN_AGENT
#define PROJECT	   OPERATION_IN_PROJECT
#define MODELS	   OPERATION_IN_MODELS
#define ANTHROPIC  OPERATION_IN_ANTHROPIC

#define MEMBERS(...) __VA_ARGS__
#define ROW(ID, NAME, PATH, METHOD, PLACES, FAMILY, members, help)                                 \
	{OPERATION_##ID, NAME, PATH, METHOD, PLACES, .family = FAMILY_##FAMILY, MEMBERS members},

static const struct operation operations[] = {OPERATIONS(ROW)};

#define OPERATION_ROWS (sizeof(operations) / sizeof(operations[0]))

/* Takes the path and query out of a target in absolute-form. */
static struct slice origin_form(struct slice target)
{
	size_t colon = slice_index(target, ':');
	struct slice rest = slice_after(target, colon), authority;
	size_t path;

	if (!target.len || target.data[0] == '/' || !slice_starts_with(rest, SLICE("://")))
		return target;
	authority = slice_after(rest, 3);
	path = slice_index(authority, '/');
	return slice_after(authority, path);
}

static bool segment_is_canonical(struct slice segment)
{
	return !slice_equal(segment, SLICE(".")) && !slice_equal(segment, SLICE("..")) &&
	       slice_index(segment, '\\') == segment.len && slice_index(segment, ';') == segment.len;
}

/* Whether every reader splits the path, in which nothing is percent-encoded, into the same segments.
 * One empty segment at the end, as in "/v1/models/", is harmless. */
static bool path_is_canonical(struct slice path)
{
	if (!path.len || path.data[0] != '/')
		return false;
	while (path.len) {
		size_t len = slice_index(slice_after(path, 1), '/');
		struct slice segment = slice_first(slice_after(path, 1), len);

		path = slice_after(path, 1 + len);
		if ((!len && path.len) || !segment_is_canonical(segment))
			return false;
	}
	return true;
}

/* A character that says the same, percent-encoded or not, and has no meaning in a target. */
static bool is_plain(char c)
{
	return c > ' ' && c < 0x7f && !memchr("/\\%;?#", c, 7);
}

/* Decodes the path into m->decoded. Empty: it is too long, or readers may differ in it. */
static struct slice decode_path(struct slice path, struct operation_match *m)
{
	size_t len = 0;

	if (path.len > sizeof(m->decoded))
		return SLICE_NONE;
	while (path.len) {
		bool coded = path.data[0] == '%';
		char c = percent_next(&path);

		if (coded && !is_plain(c))
			return SLICE_NONE;
		m->decoded[len++] = c;
	}
	return slice_of(m->decoded, len);
}

/* Takes prefix, and the slash or end after it, off the front of *path. */
static bool take_prefix(struct slice *path, struct slice prefix)
{
	if (!slice_equal_nocase(slice_first(*path, prefix.len), prefix) ||
		(path->len > prefix.len && path->data[prefix.len] != '/'))
		return false;
	*path = slice_after(*path, prefix.len + 1);
	return true;
}

/* Takes one segment, not empty, off the front of *path. */
static bool take_segment(struct slice *path, struct slice *segment)
{
	size_t len = slice_index(*path, '/');

	*segment = slice_first(*path, len);
	*path = slice_after(*path, len + 1);
	return len != 0;
}

/* The parts of a path. */
struct parts {
	struct slice project, rest; /* behind the operation's own path: a name, and what follows */
	enum operation_place place;
};

/* Behind "/api/projects/". */
static bool take_project(struct slice *path, struct operation_match *m, struct parts *parts)
{
	struct slice before;

	if (!take_segment(path, &parts->project))
		return false;
	before = *path;
	if (take_prefix(path, SLICE("agents")) && take_segment(path, &m->agent) &&
		take_prefix(path, SLICE("endpoint/protocols/openai"))) {
		parts->place = OPERATION_IN_AGENT;
	} else {
		m->agent = SLICE_NONE;
		*path = before;
		parts->place = take_prefix(path, SLICE("openai")) ? OPERATION_IN_API
								  : OPERATION_IN_PROJECT;
	}
	if (parts->place != OPERATION_IN_PROJECT && take_prefix(path, SLICE("v1")))
		m->dialect = DIALECT_AZURE_V1;
	return true;
}

/* Leaves in *path what names the operation and sets dialect, agent and deployment. */
static bool take_dialect(enum config_provider provider, struct slice *path, struct operation_match *m,
	struct parts *parts)
{
	parts->place = OPERATION_IN_API;
	*path = slice_after(*path, 1);
	if (provider == CONFIG_PROVIDER_OPENAI)
		return take_prefix(path, SLICE("v1"));
	if (take_prefix(path, SLICE("api/projects")))
		return take_project(path, m, parts);
	if (take_prefix(path, SLICE("openai"))) {
		if (take_prefix(path, SLICE("v1"))) {
			m->dialect = DIALECT_AZURE_V1;
			return true;
		}
		if (!take_prefix(path, SLICE("deployments")))
			return true;
		parts->place = OPERATION_IN_DEPLOYMENT;
		return take_segment(path, &m->deployment);
	}
	if (take_prefix(path, SLICE("models"))) {
		parts->place = OPERATION_IN_MODELS;
		return true;
	}
	parts->place = OPERATION_IN_ANTHROPIC;
	m->dialect = take_prefix(path, SLICE("anthropic")) ? DIALECT_ANTHROPIC : m->dialect;
	return m->dialect == DIALECT_ANTHROPIC;
}

static bool fits(const struct operation *o, struct slice method, struct slice path,
	struct parts *parts)
{
	if (!(o->places & parts->place))
		return false;
	if (o->method && !slice_equal(method, slice_of_string(o->method)))
		return false;
	if (!take_prefix(&path, slice_of_string(o->path)) || !(o->subtree || !path.len))
		return false;
	parts->rest = path;
	return true;
}

static bool holds(struct slice outer, struct slice inner)
{
	return outer.len && inner.data >= outer.data &&
	       inner.data + inner.len <= outer.data + outer.len;
}

/* Goes through the path as it was written and as it was decoded: whether what is percent-encoded is
 * a name, and nothing that we, or others, tell operations by. */
static bool only_names_are_coded(
	struct slice written, struct slice decoded, struct operation_match *m, const struct parts *parts)
{
	bool good = true;

	while (written.len) {
		size_t len = slice_index(slice_after(written, 1), '/');
		struct slice segment = slice_first(slice_after(written, 1), len), plain;

		plain = slice_first(slice_after(decoded, 1), slice_index(slice_after(decoded, 1), '/'));
		written = slice_after(written, 1 + len);
		decoded = slice_after(decoded, 1 + plain.len);
		if (m->deployment.len && plain.data == m->deployment.data)
			m->deployment_written = segment;
		else if (!holds(parts->project, plain) && !holds(m->agent, plain) &&
			 !holds(parts->rest, plain))
			good = good && slice_index(segment, '%') == segment.len;
	}
	return good;
}

/* Whether any reader takes the text for that name. */
static bool is_named(struct slice text, struct slice name)
{
	for (; text.len && name.len; name = slice_after(name, 1)) {
		char c = percent_next(&text);

		if (!slice_equal_nocase(slice_of(&c, 1), slice_first(name, 1)))
			return false;
	}
	return !text.len && !name.len;
}

static bool is_coded(struct slice text)
{
	return slice_index(text, '%') != text.len || slice_index(text, '+') != text.len;
}

/* False when it is there already, or in a coding that not every reader undoes. */
static bool take_parameter(struct slice name, struct slice value, struct slice *into)
{
	if (into->data || is_coded(name) || is_coded(value))
		return false;
	*into = value;
	return true;
}

/* Reads what the query says of the call. False when readers may differ in what that is. */
static bool read_query(struct slice query, struct operation_match *m)
{
	bool good = true;

	while (query.len && good) {
		size_t len = slice_index(query, '&'), equals;
		struct slice pair = slice_first(query, len), name, value;

		query = slice_after(query, len + 1);
		equals = slice_index(pair, '=');
		name = slice_first(pair, equals);
		value = slice_after(pair, equals + 1);
		if (is_named(name, SLICE("api-version")))
			good = take_parameter(name, value, &m->api_version);
		/* To all others it says nothing: the model is in the path, or in the body. */
		else if (m->operation->id == OPERATION_REALTIME &&
			 (is_named(name, SLICE("deployment")) || is_named(name, SLICE("model"))))
			good = take_parameter(name, value, &m->deployment);
	}
	return good;
}

enum config_provider operation_provider(struct slice target)
{
	struct slice path = slice_after(origin_form(target), 1);

	path = slice_first(path, slice_index(path, '?'));
	return take_prefix(&path, SLICE("v1")) ? CONFIG_PROVIDER_OPENAI : CONFIG_PROVIDER_AZURE;
}

/* The row of the path; NULL: there is none, or readers may differ in it. */
static const struct operation *find_path(enum config_provider provider, struct slice method,
	struct slice written, struct operation_match *m)
{
	bool coded = slice_index(written, '%') != written.len;
	struct slice decoded = coded ? decode_path(written, m) : written, path = decoded;
	const struct operation *found = NULL;
	struct parts parts = {.rest = SLICE_NONE};

	m->canonical = path_is_canonical(decoded);
	if (!m->canonical)
		return NULL;
	if (take_dialect(provider, &path, m, &parts)) {
		if (parts.place & (OPERATION_IN_API | OPERATION_IN_DEPLOYMENT) && !parts.project.len)
			m->rest = path;
		for (size_t i = 0; i < OPERATION_ROWS && !found; i++)
			if (fits(&operations[i], method, path, &parts))
				found = &operations[i];
	}
	m->deployment_written = m->deployment;
	m->name = found ? slice_first(parts.rest, slice_index(parts.rest, '/')) : SLICE_NONE;
	if (coded)
		m->canonical = only_names_are_coded(written, decoded, m, &parts);
	return m->canonical ? found : NULL;
}

void operation_match(enum config_provider provider, struct slice method, struct slice target,
	struct operation_match *m)
{
	struct slice query;
	size_t len;

	*m = (struct operation_match){
		.dialect = provider == CONFIG_PROVIDER_OPENAI ? DIALECT_OPENAI : DIALECT_AZURE};
	target = slice_first(target, slice_index(target, '#'));
	target = origin_form(target);
	len = slice_index(target, '?');
	query = slice_after(target, len + 1);
	m->operation = find_path(provider, method, slice_first(target, len), m);
	if (!m->operation)
		return;
	m->canonical = read_query(query, m);
	/* Of the stream alone: what makes sessions and secrets has a body that says the model. */
	if (m->operation->id == OPERATION_REALTIME && !slice_equal(method, SLICE("GET")))
		m->deployment = SLICE_NONE;
	if (m->operation->id == OPERATION_REALTIME)
		m->deployment_written = m->deployment;
	if (!m->canonical)
		m->operation = NULL;
}

struct slice operation_name(const struct operation_match *m)
{
	return m->operation ? slice_of_string(m->operation->name) : SLICE("unknown");
}

bool operation_allows_usage(enum dialect dialect, struct slice api_version)
{
	static const char first[] = "2024-09-01";
	size_t i;

	if (dialect != DIALECT_AZURE)
		return true;
	if (api_version.len < sizeof(first) - 1)
		return slice_equal(api_version, SLICE("preview")) ||
		       slice_equal(api_version, SLICE("latest")) ||
		       slice_equal(api_version, SLICE("v1"));
	/* Digits and dashes stand at fixed places, so that dates order as text does. */
	for (i = 0; i < sizeof(first) - 1; i++) {
		char c = api_version.data[i];

		if (first[i] == '-' ? c != '-' : c < '0' || c > '9')
			return false;
	}
	return memcmp(api_version.data, first, sizeof(first) - 1) >= 0;
}

bool operation_is_named(struct slice pattern)
{
	for (size_t i = 0; i < OPERATION_ROWS; i++) {
		struct slice name = slice_of_string(operations[i].name);

		if (slice_matches(pattern, name))
			return true;
	}
	return false;
}
