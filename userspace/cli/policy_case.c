// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/policy_case.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "policy/call.h"

/* Cuts "https://host[:port]/path?query" into host and target. */
static int cut_url(struct policy_case *c, struct why *why)
{
	struct slice url = slice_of_string(c->url), authority, host;

	if (!slice_starts_with(url, SLICE("https://")))
		return why_set(why, EINVAL, "expected a URL such as \"https://api.openai.com/v1/…\", "
					    "found \"%s\"",
			log_quote(url).text);
	url = slice_after(url, 8);
	authority = slice_first(url, slice_index(url, '/'));
	host = slice_first(authority, slice_index(authority, ':'));
	c->target = slice_after(url, authority.len);
	if (!host.len || host.len >= sizeof(c->host))
		return why_set(why, EINVAL, "expected a URL with a host, found \"%s\"",
			log_quote(url).text);
	for (size_t i = 0; i < host.len; i++)
		c->host[i] = host.data[i] >= 'A' && host.data[i] <= 'Z' ? (char)(host.data[i] + 32)
									: host.data[i];
	c->host[host.len] = '\0';
	if (!c->target.len)
		c->target = SLICE("/");
	return 0;
}

static void add_group(struct subject *s, struct slice group)
{
	if (s->ngroups < SUBJECT_GROUPS)
		s->groups[s->ngroups++] = group;
}

static void find_subject(struct policy_case *c, const struct policy_file *file)
{
	struct subject_means means = {.policy = file->policy};
	struct credentials none = {.n = 0};

	subject_find(&means, &c->source, &none, 0, &c->subject);
	c->subject.key = c->key;
	c->subject.credential = c->key ? RULE_CREDENTIAL_ISSUED : c->credential;
	for (size_t i = 0; c->key && i < c->key->ngroups; i++)
		add_group(&c->subject, slice_of_string(c->key->groups[i]));
	for (size_t i = 0; i < c->ngroups; i++)
		add_group(&c->subject, slice_of_string(c->groups[i]));
}

static int read_body(struct policy_case *c)
{
	if (!c->body.len) {
		call_no_body(&c->facts);
		return 0;
	}
	if (c->match.operation && c->match.operation->family) {
		c->request = request_reader_new(c->match.operation, 0);
		if (!c->request)
			return -ENOMEM;
		request_reader_feed(c->request, c->body);
		request_reader_end(c->request);
	}
	call_body(&c->facts, c->request ? request_reader_facts(c->request) : NULL, c->body.len);
	return 0;
}

int policy_case_decide(struct policy_case *c, const struct config *config,
	const struct policy_file *file, struct why *why)
{
	const struct config_host *host;
	int error = cut_url(c, why);

	if (error)
		return error;
	host = config_host_called(
		config, slice_of_string(c->host), operation_provider(c->target));
	if (!host)
		return why_set(why, EINVAL,
			"expected a URL of a host of the configuration, found \"%s\", whose calls are "
			"not inspected",
			log_quote(slice_of_string(c->host)).text);
	operation_match(host->provider, slice_of_string(c->method), c->target, &c->match);
	find_subject(c, file);
	call_head(&c->facts, &c->source, &c->subject, &c->match, slice_of_string(c->host));
	if (!c->key)
		c->facts.key_id = c->key_id;
	c->facts.minute = c->minute;
	if (read_body(c))
		return why_set(why, ENOMEM, "no memory");
	policy_decide(file->policy, &c->facts, &c->verdict);
	return 0;
}

void policy_case_free(struct policy_case *c)
{
	request_reader_free(c->request);
	c->request = NULL;
}

/* ---- the tests of a policy ---- */

struct tests {
	const char *path;
	void (*told)(void *context, const char *problem);
	void *context;
	size_t problems;
};

__attribute__((format(printf, 4, 5))) static void tell(
	struct tests *tests, const struct policy_test *test, size_t i, const char *format, ...)
{
	char problem[1024], rest[700];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(rest, sizeof(rest), format, arguments);
	va_end(arguments);
	snprintf(problem, sizeof(problem), "%.200s:%u: tests[%zu]: %s", tests->path, test->line, i,
		rest);
	tests->told(tests->context, problem);
	tests->problems++;
}

static const char *name_of(const struct rule *rule)
{
	return rule ? rule->name : RULE_DEFAULT_NAME;
}

static void judge(struct tests *tests, const struct policy_test *test, size_t i,
	const struct policy_verdict *verdict)
{
	static const char *const actions[] = {"allow", "deny"};

	if (verdict->deny != (test->expect == 1) ||
		(test->rule && strcmp(test->rule, name_of(verdict->rule)) != 0))
		tell(tests, test, i, "\"%s\": expected %s%s%s, found %s by %s%s", test->name,
			actions[test->expect], test->rule ? " by " : "",
			test->rule ? test->rule : "", actions[verdict->deny],
			name_of(verdict->rule),
			verdict->unknown ? ", because what it asks for is never known" : "");
	if (test->shadow && (!verdict->shadow || strcmp(test->shadow, verdict->shadow->name) != 0))
		tell(tests, test, i, "\"%s\": expected that %s would have denied it, found %s",
			test->name, test->shadow,
			verdict->shadow ? verdict->shadow->name : "none that would");
}

size_t policy_case_tests(const char *path, const struct config *config,
	const struct policy_file *file, void (*told)(void *context, const char *problem),
	void *context)
{
	struct tests tests = {.path = path, .told = told, .context = context};

	for (size_t i = 0; i < file->ntests; i++) {
		const struct policy_test *test = &file->tests[i];
		struct policy_case call = {
			.source = test->source.address,
			.groups = test->groups,
			.ngroups = test->ngroups,
			.credential = (enum rule_credential)test->credential,
			.key_id = slice_of_string(test->key),
			.method = test->method,
			.url = test->url,
			.body = slice_of_string(test->body),
			.minute = test->minute,
		};
		struct why why;

		if (policy_case_decide(&call, config, file, &why))
			tell(&tests, test, i, "%s", why.text);
		else
			judge(&tests, test, i, &call.verdict);
		policy_case_free(&call);
	}
	return tests.problems;
}
