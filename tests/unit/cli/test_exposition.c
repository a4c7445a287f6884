// SPDX-License-Identifier: GPL-2.0-or-later
/* What is in the exposition; tests/netns reads the whole of one strictly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/exposition.h"
#include "tests/support/printed.h"

#define SOURCES 5

struct scene {
	struct config *config;
	struct datapath_status kernel;
	struct datapath_source sources[SOURCES];
	struct datapath_known_endpoint endpoints[3];
	struct exposition exposition;
	struct printed printed;
};

static int scene_make(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	if (config_parse("f", SLICE("datapath: {inside: eth1}\n"), &s->config, NULL) < 0)
		return -1;
	s->kernel = (struct datapath_status){.read_ns = 100 * NS_PER_S,
		.swept_ns = 98 * NS_PER_S,
		.workers = 2,
		.alive = 1,
		.settings = {.heartbeat_ns = 800 * NS_PER_MS},
		.heartbeats = {[1] = 99 * NS_PER_S, [HEARTBEAT_SCOUT] = 100 * NS_PER_S},
		.flows = {.all = 9,
			.steered = 4,
			.active = 7,
			.steered_active = 3,
			.states = {[FLOW_OPEN] = 7, [FLOW_CLOSED] = 2}},
		.sources = s->sources,
		.nsources = SOURCES,
		.endpoints = s->endpoints,
		.nendpoints = 3};
	s->kernel.outcomes[OUTCOME_OPENED] = 11;
	/* Most bytes first, as they are read. */
	for (unsigned i = 0; i < SOURCES; i++) {
		address_parse("10.0.0.0", &s->sources[i].address);
		s->sources[i].address.bytes[15] = (uint8_t)i;
		s->sources[i].counters.bytes = 1000 - 100 * i;
		s->sources[i].counters.syns = i;
		s->sources[i].counters.drops[DROP_FLAGS] = 10 + i;
		s->sources[i].counters.seen_ns = 40 * NS_PER_S;
		s->sources[i].active = 1;
	}
	s->endpoints[0].source = ENDPOINT_DNS;
	s->endpoints[1].source = ENDPOINT_DNS;
	s->endpoints[2].source = ENDPOINT_SNI;
	s->endpoints[2].fail = FAIL_OPEN;
	s->exposition = (struct exposition){
		.config = s->config, .kernel = &s->kernel, .sources = 1000};
	*state = s;
	return 0;
}

static int scene_free(void **state)
{
	struct scene *s = *state;

	config_free(s->config);
	printed_free(&s->printed);
	free(s);
	return 0;
}

static const char *printed(struct scene *s)
{
	FILE *out = printed_begin(&s->printed);

	exposition_print(&s->exposition, out);
	return printed_end(&s->printed);
}

/* A whole line. */
static void assert_line(const char *text, const char *line)
{
	const char *at = text;
	size_t len = strlen(line);

	while ((at = strstr(at, line)) && !((at == text || at[-1] == '\n') && at[len] == '\n'))
		at++;
	if (!at)
		fail_msg("no line '%s' in:\n%s", line, text);
}

static void outcomes_states_and_reasons_come_from_their_tables(void **state)
{
	const char *text = printed(*state);
	char line[256];

	assert_line(text, "# TYPE sallyport_packets_total counter");
	assert_line(text, "sallyport_packets_total{outcome=\"opened\"} 11");
	for (enum outcome i = 0; i < OUTCOME_COUNT; i++) {
		snprintf(line, sizeof(line), "sallyport_packets_total{outcome=\"%s\"} %d",
			outcome_name(i), i == OUTCOME_OPENED ? 11 : 0);
		assert_line(text, line);
		assert_non_null(strstr(text, outcome_help(i)));
	}
	assert_line(text, "sallyport_flows{state=\"open\"} 7");
	assert_line(text, "sallyport_flows{state=\"closed\"} 2");
	assert_line(text, "sallyport_connections_active{steered=\"yes\"} 3");
	assert_line(text, "sallyport_connections_active{steered=\"no\"} 4");
	for (enum drop i = 0; i < DROP_COUNT; i++) {
		snprintf(line, sizeof(line),
			"sallyport_source_drops_total{address=\"10.0.0.2\",reason=\"%s\"} %d",
			drop_name(i), i == DROP_FLAGS ? 12 : 0);
		assert_line(text, line);
		assert_non_null(strstr(text, drop_help(i)));
	}
	for (enum source_count i = 0; i < SOURCE_COUNT_MAX; i++) {
		snprintf(line, sizeof(line), "# HELP sallyport_source_%s_total %s",
			source_count_name(i), source_count_help(i));
		assert_line(text, line);
	}
}

static void every_source_is_there_when_there_is_room(void **state)
{
	const char *text = printed(*state);

	assert_line(text, "sallyport_sources 5");
	assert_line(text, "sallyport_source_bytes_total{address=\"10.0.0.0\"} 1000");
	assert_line(text, "sallyport_source_bytes_total{address=\"10.0.0.4\"} 600");
	assert_line(text, "sallyport_source_connections_active{address=\"10.0.0.4\"} 1");
	assert_line(text, "sallyport_source_connections_age_seconds 2.000000000");
	assert_null(strstr(text, "address=\"other\""));
}

static void the_rest_is_summed_so_that_totals_add_up(void **state)
{
	struct scene *s = *state;
	const char *text;

	s->exposition.sources = 2;
	text = printed(s);
	assert_line(text, "sallyport_source_bytes_total{address=\"10.0.0.1\"} 900");
	assert_null(strstr(text, "10.0.0.2"));
	assert_line(text, "sallyport_source_bytes_total{address=\"other\"} 2100");
	assert_line(text, "sallyport_source_syns_total{address=\"other\"} 9");
	assert_line(text, "sallyport_source_connections_active{address=\"other\"} 3");
	assert_line(text, "sallyport_source_drops_total{address=\"other\",reason=\"flags\"} 39");
	s->exposition.sources = 0;
	assert_line(printed(s), "sallyport_source_bytes_total{address=\"other\"} 4000");
}

static void workers_and_fail_mode_are_told(void **state)
{
	struct scene *s = *state;
	const char *text = printed(s);

	assert_line(text, "sallyport_inspecting 0");
	assert_line(text, "sallyport_workers_alive 1");
	assert_line(text, "sallyport_worker_heartbeat_age_seconds{worker=\"1\"} 1.000000000");
	assert_null(strstr(text, "age_seconds{worker=\"0\"}"));
	assert_line(text, "sallyport_scout_heartbeat_age_seconds 0.000000000");
	assert_line(text, "sallyport_heartbeat_timeout_seconds 0.800000000");
	assert_line(text, "sallyport_fail_mode{mode=\"closed\"} 1");
	assert_line(text, "sallyport_fail_mode{mode=\"open\"} 0");
	s->config->datapath.fail = CONFIG_FAIL_OPEN;
	assert_line(printed(s), "sallyport_fail_mode{mode=\"open\"} 1");
}

static void endpoints_are_counted_by_origin_and_fail_mode(void **state)
{
	const char *text = printed(*state);

	assert_line(text, "sallyport_endpoints{source=\"dns\",fail=\"closed\"} 2");
	assert_line(text, "sallyport_endpoints{source=\"sni\",fail=\"open\"} 1");
	assert_line(text, "sallyport_endpoints{source=\"configured\",fail=\"closed\"} 0");
}

static void what_may_not_be_read_is_not_told_as_nothing(void **state)
{
	struct scene *s = *state;

	assert_line(printed(s), "sallyport_admission_prefixes{rule=\"deny\"} 0");
	s->kernel.admission_unread = true;
	assert_null(strstr(printed(s), "sallyport_admission_prefixes"));
}

static void backends_are_told_with_their_deployments(void **state)
{
	static char name[] = "east";
	struct scene *s = *state;
	struct config_backend backend = {.name = name}, *before = s->config->backends;
	struct standing *standing = standing_new();
	struct standing_row *row;

	assert_null(strstr(printed(s), "sallyport_backend"));
	standing_take(standing, SLICE("gone"), SLICE_NONE, 1);
	standing_take(standing, SLICE("east"), SLICE_NONE, 1)->calls = 7;
	row = standing_take(standing, SLICE("east"), SLICE("a\"b"), 1);
	row->calls = 3;
	row->open_until_ns = UINT64_MAX;
	s->config->backends = &backend;
	s->config->nbackends = 1;
	s->exposition.standing = standing;
	assert_line(printed(s), "sallyport_backend_calls_total{backend=\"east\",deployment=\"\"} 7");
	assert_line(printed(s), "sallyport_backend_calls_total{backend=\"east\",deployment=\"a\\\"b\"} 3");
	assert_line(printed(s), "sallyport_backend_asked{backend=\"east\",deployment=\"\"} 1");
	assert_line(printed(s), "sallyport_backend_asked{backend=\"east\",deployment=\"a\\\"b\"} 0");
	assert_null(strstr(printed(s), "gone"));
	s->config->backends = before;
	s->config->nbackends = 0;
	standing_free(standing);
}

static void all_counters_of_the_daemon_are_there(void **state)
{
	struct scene *s = *state;
	char path[] = "/tmp/test_exposition.XXXXXX", name[256];
	struct counters *counters;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	assert_line(printed(s), "sallyport_daemon_counters 0");
	assert_int_equal(counters_create(path, &counters, NULL), 0);
	counter_add(counters, COUNTER_LEARN_DNS_HELD, 42);
	s->exposition.counters = counters;
	printed(s);
	counters_close(counters);
	unlink(path);
	assert_line(s->printed.text, "sallyport_daemon_counters 1");
	assert_line(s->printed.text, "sallyport_learn_dns_held_total 42");
	for (enum counter i = 0; i < COUNTER_COUNT; i++) {
		int len = snprintf(name, sizeof(name), "# HELP sallyport_%s_total %s",
			counter_name(i), counter_help(i));

		for (char *c = name + 7; c < name + len && *c != ' '; c++)
			*c = *c == '.' ? '_' : *c;
		assert_line(s->printed.text, name);
	}
}

/* No family twice, and no name that Prometheus refuses. */
static void names_are_good_and_unique(void **state)
{
	struct scene *s = *state;
	const char *text = printed(s), *line, *end;

	for (line = text; *line; line = end + 1) {
		char family[128];
		size_t len;

		end = strchr(line, '\n');
		assert_non_null(end);
		if (strncmp(line, "# TYPE ", 7) != 0)
			continue;
		len = strcspn(line + 7, " ");
		for (size_t i = 0; i < len; i++)
			assert_true(isalnum((unsigned char)line[7 + i]) || line[7 + i] == '_');
		snprintf(family, sizeof(family), "# TYPE %.*s ", (int)len, line + 7);
		assert_null(strstr(end, family));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(outcomes_states_and_reasons_come_from_their_tables),
		TEST(every_source_is_there_when_there_is_room),
		TEST(the_rest_is_summed_so_that_totals_add_up),
		TEST(workers_and_fail_mode_are_told),
		TEST(endpoints_are_counted_by_origin_and_fail_mode),
		TEST(what_may_not_be_read_is_not_told_as_nothing),
		TEST(backends_are_told_with_their_deployments),
		TEST(all_counters_of_the_daemon_are_there),
		TEST(names_are_good_and_unique),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
