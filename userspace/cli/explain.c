// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "cli/cell.h"
#include "cli/command.h"
#include "cli/keys_file.h"
#include "cli/option.h"
#include "cli/policy_case.h"
#include "cli/say.h"
#include "config/scalar.h"
#include "policy/condition.h"
#include "policy/limits.h"
#include "tls/issue.h"

#define BODY_MAX (64u << 20)

static const char usage[] =
	"usage: sallyport explain --source ADDRESS --url URL [OPTIONS]\n"
	"\n"
	"Says which rule of the policy decides about a call, and why; nothing is sent. It goes by the\n"
	"files that the configuration names, as they are now.\n"
	"\n"
	"  -s, --source ADDRESS   of the client\n"
	"  -u, --url URL          of the call, with its query\n"
	"  -r, --request FILE     its body; \"-\" is standard input\n"
	"  -m, --method METHOD    default: POST with --request, else GET\n"
	"  -k, --key ID           of the key that the client presents, or \"-\": the key itself comes\n"
	"                         by standard input\n"
	"  -t, --time TIME        such as \"mon 12:00\"; default: now\n"
	"  -a, --all              also why the rules before it do not fit\n"
	"  -c, --config FILE      default " CONFIG_DEFAULT_PATH "\n";

struct question {
	const char *source, *url, *request, *method, *key, *time, *config_path;
	bool all;
};

struct material {
	struct keys_file keys;
	struct config *config;
	struct policy_file *file;
	struct buf body;
	struct policy_case call;
};

/* ---- what it goes by ---- */

static int read_policy(struct material *m, struct why *why)
{
	const char *path = m->config->policy.file;
	struct buf text = BUF_EMPTY;
	int error = path ? config_read(path, &text, why) : 0;

	if (!error)
		error = policy_file_parse(path ? path : "policy", buf_slice(&text), &m->file, NULL,
			NULL, NULL, why);
	buf_free(&text);
	return error;
}

static int read_body(struct material *m, const char *path, struct why *why)
{
	return strcmp(path, "-") == 0 ? file_read_fd(STDIN_FILENO, BODY_MAX, &m->body, why)
				      : file_read(path, BODY_MAX, &m->body, why);
}

/* The key itself, from standard input: on a command line everybody could read it. */
static int present_key(struct material *m, struct why *why)
{
	const struct issued_key *key;
	struct buf text = BUF_EMPTY;
	enum key_state state = KEY_UNKNOWN;
	struct slice line;
	int error = file_read_fd(STDIN_FILENO, KEY_FILE_MAX, &text, why);

	line = buf_slice(&text);
	line = slice_trim(slice_first(line, slice_index(line, '\n')));
	if (!error)
		state = key_table_check(m->keys.table, line, issue_digest,
			clock_realtime_ns() / NS_PER_S, &key);
	buf_wipe(&text);
	if (!error && state != KEY_VALID)
		return why_set(why, EINVAL, "the key is %s: the call is answered by 401",
			key_state_name(state));
	m->call.key = key;
	return error;
}

static int find_key(struct material *m, const struct question *q, struct why *why)
{
	int error = keys_file_open(q->config_path, false, &m->keys, why);
	enum key_state state;

	if (error)
		return error;
	if (strcmp(q->key, "-") == 0)
		return present_key(m, why);
	m->call.key = key_table_find(m->keys.table, slice_of_string(q->key));
	if (!m->call.key)
		return why_set(why, ENOENT, "there is no key with the id \"%s\"", q->key);
	state = key_state(m->call.key, clock_realtime_ns() / NS_PER_S);
	return state == KEY_VALID ? 0
				  : why_set(why, EINVAL, "the key is %s: the call is answered by 401",
					    key_state_name(state));
}

static int set_time(struct material *m, const char *text, struct why *why)
{
	time_t now = time(NULL);
	uint32_t minute;
	struct tm tm;

	if (!text) {
		localtime_r(&now, &tm);
		m->call.minute = (unsigned)((tm.tm_wday + 6) % 7 * 24 * 60 + tm.tm_hour * 60 + tm.tm_min);
		return 0;
	}
	if (scalar_parse(SCALAR_WEEKTIME, "", text, NULL, &minute))
		return why_set(why, EINVAL, "--time: expected %s, found \"%s\"",
			scalar_expect(SCALAR_WEEKTIME, "", NULL).text, text);
	m->call.minute = minute;
	return 0;
}

static int gather(struct material *m, const struct question *q, struct why *why)
{
	int error = config_load(q->config_path, &m->config, why);

	m->call.url = q->url;
	m->call.method = q->method ? q->method : q->request ? "POST" : "GET";
	m->call.credential = RULE_CREDENTIAL_NONE;
	if (!error && address_parse(q->source, &m->call.source))
		error = why_set(why, EINVAL, "--source: expected an address, found \"%s\"", q->source);
	if (!error)
		error = set_time(m, q->time, why);
	if (!error)
		error = read_policy(m, why);
	if (!error && q->key)
		error = find_key(m, q, why);
	if (!error && q->request)
		error = read_body(m, q->request, why);
	m->call.body = buf_slice(&m->body);
	return error ? error : policy_case_decide(&m->call, m->config, m->file, why);
}

/* ---- the answer ---- */

static void print_condition(
	const struct condition *condition, const struct policy_facts *facts, const char *result)
{
	struct buf found = BUF_EMPTY;

	condition->found(facts, &found);
	printf("  %-13s ", condition->key);
	cell_text(stdout, buf_slice(&found), 100);
	printf(": %s\n", result);
	buf_free(&found);
}

static void print_rule(const struct rule *rule, const struct policy_facts *facts)
{
	static const char *const results[] = {
		"no", "not known yet", "never known, which counts against the call", "fits"};
	bool any = false;

	for (size_t i = 0; i < CONDITION_COUNT; i++)
		if (conditions[i].set(rule)) {
			print_condition(&conditions[i], facts,
				results[conditions[i].fit(rule, facts)]);
			any = true;
		}
	if (!any)
		printf("  it has no conditions: it fits every call\n");
}

static void print_before(const struct material *m)
{
	const struct rule_set *set = &m->file->set;

	for (size_t i = 0; i < set->nrules && &set->rules[i] != m->call.verdict.rule; i++) {
		printf("before: %s (line %u)\n", set->rules[i].name, set->rules[i].line);
		print_rule(&set->rules[i], &m->call.facts);
	}
}

static void print_subject(const struct material *m)
{
	const struct subject *subject = &m->call.subject;

	printf("subject: %s", subject->key ? subject->key->name
					   : address_format(&m->call.source).text);
	for (size_t i = 0; i < subject->ngroups; i++)
		printf("%s%.*s", i ? ", " : ", in the groups ", SLICE_ARG(subject->groups[i]));
	printf("\ncall: %.*s of %s\n", SLICE_ARG(m->call.facts.operation), m->call.host);
}

/* Those in which it counts, and for whom. */
static void print_limits(const struct material *m)
{
	const struct limit_set *set = &m->file->limits;
	const struct limit_call call = {
		.facts = &m->call.facts, .subject = m->call.facts.key_id};
	struct buf who = BUF_EMPTY;

	for (size_t i = 0; i < set->nlimits; i++) {
		struct limit_call counted = call;
		struct address_text address = address_format(&m->call.source);

		if (!limit_counts(&set->limits[i], &m->call.facts))
			continue;
		if (!counted.subject.len)
			counted.subject = slice_of_string(address.text);
		buf_clear(&who);
		printf("limit: %s (line %u)", set->limits[i].name, set->limits[i].line);
		if (limit_who(&set->limits[i], &counted, &who) == 0 && buf_len(&who)) {
			printf(", for ");
			cell_text(stdout, buf_slice(&who), 100);
		}
		printf("\n");
	}
	buf_free(&who);
}

static void answer(const struct material *m, bool all)
{
	static const char *const actions[] = {"allow", "deny"};
	static const char *const logs[] = {"content", "metadata", "none"};
	const struct policy_verdict *v = &m->call.verdict;

	print_subject(m);
	if (all)
		print_before(m);
	if (v->shadow) {
		printf("shadow: %s (line %u) would deny it\n", v->shadow->name, v->shadow->line);
		print_rule(v->shadow, &m->call.facts);
	}
	if (v->rule) {
		printf("rule: %s (line %u)\n", v->rule->name, v->rule->line);
		print_rule(v->rule, &m->call.facts);
	} else {
		printf("rule: %s: no rule fits\n", RULE_DEFAULT_NAME);
	}
	print_limits(m);
	printf("verdict: %s; log: %s\n", actions[v->deny], logs[v->deny && v->log == RULE_LOG_NONE ? RULE_LOG_METADATA : v->log]);
}

int cmd_explain(int argc, char **argv)
{
	struct question q = {.config_path = CONFIG_DEFAULT_PATH};
	const struct option_row rows[] = {{'s', "source", NULL, &q.source}, {'u', "url", NULL, &q.url},
		{'r', "request", NULL, &q.request}, {'m', "method", NULL, &q.method},
		{'k', "key", NULL, &q.key}, {'t', "time", NULL, &q.time},
		{'a', "all", &q.all, NULL}, {'c', "config", NULL, &q.config_path}};
	struct material m = {.keys = {.lock = -1}};
	int status = option_read(argc, argv, usage, rows, sizeof(rows) / sizeof(rows[0]));
	struct why why;

	if (status >= 0)
		return status;
	if (!q.source || !q.url) {
		fputs(usage, stderr);
		return 2;
	}
	status = gather(&m, &q, &why) ? 1 : 0;
	if (status)
		say("%s", why.text);
	else
		answer(&m, q.all);
	policy_case_free(&m.call);
	buf_free(&m.body);
	policy_file_free(m.file);
	config_free(m.config);
	keys_file_close(&m.keys);
	return status;
}
