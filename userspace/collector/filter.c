// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/when.h"

/* One of a list that ends with NULL; *member is the value itself. */
static int filter_choice(const char *const *choices, const char *text, const char **member)
{
	*member = NULL;
	for (; *choices; choices++)
		if (strcmp(text, *choices) == 0)
			*member = *choices;
	return *member ? 0 : -EINVAL;
}

static int filter_since(struct query_filter *filter, const char *text, uint64_t now_ns)
{
	return when_read(text, now_ns, &filter->since_ns);
}

static int filter_until(struct query_filter *filter, const char *text, uint64_t now_ns)
{
	return when_read(text, now_ns, &filter->until_ns);
}

static int filter_ip(struct query_filter *filter, const char *text, uint64_t now_ns)
{
	(void)now_ns;
	filter->has_source = true;
	return prefix_parse(text, &filter->source);
}

static int filter_status(struct query_filter *filter, const char *text, uint64_t now_ns)
{
	char *end;
	long long number;

	(void)now_ns;
	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno || *text < '0' || *text > '9' || *end || number < 100 || number > 999)
		return -EINVAL;
	filter->status = number;
	return 0;
}

static int filter_attempts(struct query_filter *filter, const char *text, uint64_t now_ns)
{
	char *end;
	long long number = strtoll(text, &end, 10);

	(void)now_ns;
	if (*text < '0' || *text > '9' || *end || number < 1 || number > 1000)
		return -EINVAL;
	filter->attempts = number;
	return 0;
}

static int filter_outcome(struct query_filter *filter, const char *text, uint64_t now_ns)
{
	static const char *const outcomes[] = {"success", "failure", "unknown", NULL};

	(void)now_ns;
	return filter_choice(outcomes, text, &filter->outcome);
}

static int filter_kind(struct query_filter *filter, const char *text, uint64_t now_ns)
{
	static const char *const kinds[] = {"exchange", "handshake", "bypass", "source.summary",
		"source.drop", "datapath.state", "datapath.open", NULL};

	(void)now_ns;
	filter->kind = NULL;
	return strcmp(text, "all") == 0 ? 0 : filter_choice(kinds, text, &filter->kind);
}

#define FILTER_TEXT(member)                                                                        \
	static int filter_##member(                                                                \
		struct query_filter *filter, const char *text, uint64_t now_ns)                    \
	{                                                                                          \
		(void)now_ns;                                                                      \
		filter->member = text;                                                             \
		return *text ? 0 : -EINVAL;                                                        \
	}
FILTER_TEXT(model)
FILTER_TEXT(host)
FILTER_TEXT(backend)
FILTER_TEXT(operation)
FILTER_TEXT(user)
FILTER_TEXT(subject)
FILTER_TEXT(action)
FILTER_TEXT(error)
FILTER_TEXT(event_id)

const struct filter_field filter_fields[FILTER_FIELDS] = {
	{"since", FILTER_ALWAYS, WHEN_EXPECTED, filter_since},
	{"until", FILTER_ALWAYS, WHEN_EXPECTED, filter_until},
	{"ip", FILTER_ALWAYS,
		"an address or a prefix such as 10.20.0.0/16, no bit set beyond its length",
		filter_ip},
	{"model", FILTER_CALLS, "a name", filter_model},
	{"host", FILTER_CALLS, "a name", filter_host},
	{"backend", FILTER_CALLS, "a name", filter_backend},
	{"operation", FILTER_CALLS, "a name", filter_operation},
	{"user", FILTER_CALLS, "a name", filter_user},
	{"subject", FILTER_CALLS, "a name", filter_subject},
	{"attempts", FILTER_CALLS, "a number, 1 to 1000", filter_attempts},
	{"status", FILTER_CALLS, "a status code, 100 to 999", filter_status},
	{"outcome", FILTER_CALLS, "success, failure or unknown", filter_outcome},
	{"action", FILTER_CALLS, "a verdict, such as allow or deny", filter_action},
	{"error", FILTER_CALLS, "a name", filter_error},
	{"kind", FILTER_KIND,
		"exchange, handshake, bypass, source.summary, source.drop, datapath.state, "
		"datapath.open or all",
		filter_kind},
	{"id", FILTER_ID, "an event.id", filter_event_id},
};

const struct filter_field *filter_field(const char *name)
{
	for (size_t i = 0; i < FILTER_FIELDS; i++)
		if (strcmp(filter_fields[i].name, name) == 0)
			return &filter_fields[i];
	return NULL;
}

bool filter_is_possible(const struct query_filter *filter)
{
	return !filter->until_ns || filter->since_ns < filter->until_ns;
}
