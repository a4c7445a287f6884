// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <yyjson.h>

#include "base/clock.h"
#include "cli/status_report.h"
#include "tests/support/printed.h"

#define ENDPOINTS 12

struct machine {
	struct config *config;
	struct datapath_status kernel;
	struct datapath_known_endpoint endpoints[ENDPOINTS];
	struct datapath_source source;
	struct datapath_admission admission[2];
	struct record_state record;
	struct open_record open;
	yyjson_doc *credentials;
	struct printed printed;
};

/* Its endpoints, its source, and who may send. */
static void machine_fill(struct machine *m)
{
	for (int i = 0; i < ENDPOINTS; i++) {
		char text[32];

		snprintf(text, sizeof(text), "198.51.100.%d", i);
		prefix_parse(text, &m->endpoints[i].prefix);
		m->endpoints[i].source = ENDPOINT_RESOLVED;
		m->endpoints[i].expires_ns = clock_monotonic_ns() + 300 * NS_PER_S;
	}
	prefix_parse("10.20.0.0/24", &m->endpoints[0].prefix);
	m->endpoints[0].source = ENDPOINT_CONFIGURED;
	m->endpoints[0].expires_ns = 0;
	address_parse("192.0.2.7", &m->source.address);
	prefix_parse("192.0.2.0/24", &m->admission[0].prefix);
	m->admission[0].rule = ADMISSION_ALLOW;
	prefix_parse("192.0.2.64/28", &m->admission[1].prefix);
	m->admission[1].rule = ADMISSION_DENY;
	m->endpoints[1].fail = FAIL_OPEN;
	m->source.active = 6;
	m->source.counters = (struct source_counters){.packets = 5,
		.bytes = 1234,
		.bytes_to = 99,
		.syns = 1,
		.seen_ns = clock_monotonic_ns()};
	m->source.counters.drops[DROP_FLAGS] = 4;
}

/* An appliance at work: everything attached, two workers, twelve endpoints, one source. */
static int machine_make(void **state)
{
	struct machine *m = calloc(1, sizeof(*m));
	struct datapath_status *k = &m->kernel;

	if (config_parse("f", SLICE("appliance: {name: gate}\ndatapath: {inside: eth1}\n"),
		    &m->config, NULL) < 0)
		return -1;
	*k = (struct datapath_status){.inside = "eth1",
		.ifindex = 3,
		.pinned = true,
		.admit = {.attached = true, .mode = "native", .id = 11, .name = "admit"},
		.steer = {.attached = true, .id = 12, .name = "steer"},
		.select = {.attached = true, .id = 13, .name = "select"},
		.rule4 = true,
		.route4 = true,
		.workers = 2,
		.listening4 = 2,
		.alive = 2,
		.settings = {.heartbeat_ns = 800 * NS_PER_MS,
			.admission = 1,
			.syn_interval_ns = NS_PER_S / 50,
			.syn_burst_ns = 2 * NS_PER_S,
			.connections_max = 300},
		.read_ns = 100 * NS_PER_S,
		.heartbeats = {[0] = 100 * NS_PER_S - 20 * NS_PER_MS,
			[HEARTBEAT_SCOUT] = 100 * NS_PER_S - 30 * NS_PER_MS},
		.flows = {.all = 9,
			.steered = 4,
			.active = 5,
			.steered_active = 3,
			.states = {[FLOW_OPEN] = 5}},
		.admission = m->admission,
		.nadmission = 2,
		.endpoints = m->endpoints,
		.nendpoints = ENDPOINTS,
		.sources = &m->source,
		.nsources = 1};
	machine_fill(m);
	k->outcomes[OUTCOME_STEERED] = 77;
	*state = m;
	return 0;
}

static int machine_free(void **state)
{
	struct machine *m = *state;

	config_free(m->config);
	printed_free(&m->printed);
	free(m);
	return 0;
}

static const char *shown(struct machine *m, bool json, size_t most)
{
	const struct status_report report = {
		m->config, &m->kernel, NULL, most, m->record, m->credentials, m->open};
	FILE *out = printed_begin(&m->printed);

	if (json)
		assert_int_equal(status_report_json(&report, out), 0);
	else
		status_report_text(&report, out);
	return printed_end(&m->printed);
}

static void what_is_attached_is_shown(void **state)
{
	const char *text = shown(*state, false, 10);

	assert_shown(text, "Kernel, interface eth1 (3)\n");
	assert_shown(text, "  admit      XDP native, program 11, loaded ");
	assert_shown(text, "  select     sk_lookup, program 13, ");
	assert_shown(text, "  rules      IPv4 only\n");
	assert_shown(text, "  workers    2, listening: 2 on IPv4, 0 on IPv6\n");
	assert_shown(text, "  fail       closed, after 800 ms without a sign of life\n");
	assert_shown(text, "  alive      2 of 2; last seen worker 0 20 ms ago, scout 30 ms ago\n");
	assert_shown(text, "  flows      9, of these steered 4; active 5, of these steered 3\n");
	assert_shown(text, "  steered                                77  ");
	assert_shown(text, "sallyportd does not run\n");
}

static void what_is_not_attached_is_shown(void **state)
{
	struct machine *m = *state;
	const char *text;

	m->kernel.ifindex = 0;
	m->kernel.admit.attached = false;
	m->kernel.admit.foreign = true;
	m->kernel.steer.attached = false;
	m->kernel.rule4 = false;
	text = shown(m, false, 10);
	assert_shown(text, "interface eth1, which does not exist\n");
	assert_shown(text, "  admit      not attached: a foreign program (11 admit) is on XDP\n");
	assert_shown(text, "  steer      not attached\n");
	assert_shown(text, "  rules      none\n");
}

static void sources_are_shown_with_their_drops(void **state)
{
	const char *text = shown(*state, false, 10);

	assert_shown(text, "Source addresses: 1\n");
	assert_shown(text, "  192.0.2.7 ");
	assert_shown(text, " 1234               99         1       6  0 s ago, dropped 4 flags\n");
}

static void admission_in_force_is_shown(void **state)
{
	struct machine *m = *state;
	const char *text = shown(m, false, 10);

	assert_shown(text, "Admission: 2 prefixes\n"
			   "  50 SYNs per second and source, 100 at once\n"
			   "  300 connections per source\n"
			   "  192.0.2.0/24                             allow\n"
			   "  192.0.2.64/28                            deny\n");
	m->kernel.admission_unread = true;
	assert_shown(shown(m, false, 10), "Admission: prefixes that may not be read\n");
}

static void an_endpoint_that_fails_open_says_so(void **state)
{
	const char *text = shown(*state, false, 10);

	assert_shown(text,
		"  198.51.100.1                             resolved, for 4 min, fails open\n");
	assert_shown(text, "  198.51.100.2                             resolved, for 4 min\n");
}

static void long_tables_are_cut_unless_all_is_asked(void **state)
{
	const char *text = shown(*state, false, 10);

	assert_shown(text, "Endpoints: 12\n  10.20.0.0/24 ");
	assert_shown(text, "  198.51.100.9 ");
	assert_shown(text, "  and 2 more (--all)\n");
	assert_null(strstr(text, "198.51.100.10"));
	text = shown(*state, false, 0);
	assert_shown(text, "198.51.100.11");
	assert_null(strstr(text, "more (--all)"));
}

static void json_has_it_all(void **state)
{
	const char *text = shown(*state, true, 1);
	yyjson_doc *doc = yyjson_read(text, strlen(text), 0);
	yyjson_val *root = yyjson_doc_get_root(doc);

	assert_non_null(root);
	assert_string_equal(yyjson_get_str(yyjson_obj_get(root, "name")), "gate");
	assert_true(yyjson_get_bool(yyjson_obj_get(root, "inspecting")));
	assert_int_equal(yyjson_get_uint(yyjson_doc_ptr_get(doc, "/kernel/programs/admit/id")), 11);
	assert_int_equal(yyjson_get_uint(yyjson_doc_ptr_get(doc, "/kernel/packets/steered")), 77);
	assert_int_equal(yyjson_arr_size(yyjson_obj_get(root, "endpoints")), ENDPOINTS);
	assert_string_equal(
		yyjson_get_str(yyjson_doc_ptr_get(doc, "/endpoints/0/prefix")), "10.20.0.0/24");
	assert_int_equal(yyjson_get_uint(yyjson_doc_ptr_get(doc, "/sources/0/drops/flags")), 4);
	assert_int_equal(yyjson_get_uint(yyjson_doc_ptr_get(doc, "/sources/0/bytes_to")), 99);
	assert_int_equal(yyjson_get_uint(yyjson_doc_ptr_get(doc, "/sources/0/active")), 6);
	assert_int_equal(yyjson_get_uint(yyjson_doc_ptr_get(doc, "/kernel/flows/states/open")), 5);
	assert_int_equal(
		yyjson_get_uint(yyjson_doc_ptr_get(doc, "/kernel/heartbeats/worker_age_ns/0")),
		20 * NS_PER_MS);
	assert_true(yyjson_is_null(yyjson_doc_ptr_get(doc, "/kernel/heartbeats/worker_age_ns/1")));
	assert_string_equal(
		yyjson_get_str(yyjson_doc_ptr_get(doc, "/admission/prefixes/1/rule")), "deny");
	assert_string_equal(yyjson_get_str(yyjson_obj_get(root, "fail")), "closed");
	assert_string_equal(yyjson_get_str(yyjson_doc_ptr_get(doc, "/endpoints/1/fail")), "open");
	assert_null(yyjson_obj_get(root, "counters"));
	yyjson_doc_free(doc);
}

static void whether_the_record_arrives_is_shown(void **state)
{
	struct machine *m = *state;
	yyjson_doc *doc;

	assert_shown(shown(m, false, 10), "\nRecord: unknown\n\nEndpoints");
	m->record = (struct record_state){.told = true,
		.connected = true,
		.events = 12,
		.bytes = 3456,
		.oldest_ns = clock_realtime_ns() - 90 * NS_PER_S,
		.spool = 10 << 20,
		.limit = 1 << 30};
	assert_shown(shown(m, false, 10), "\nRecord: arrives\n"
					  "  collector  /run/sallyport-collector/socket, connected\n"
					  "  waiting    12 events, 3456 bytes, the oldest for 90 s\n"
					  "  spool      1.0 % of 1024 MiB\n");
	m->record.connected = false;
	m->record.counting = true;
	assert_shown(shown(m, false, 10), "\nRecord: waits\n"
					  "  collector  /run/sallyport-collector/socket, not connected\n"
					  "  waiting    at least 12 events, ");
	m->record.blocked = true;
	assert_shown(shown(m, false, 10), "\nRecord: BLOCKED\n");
	assert_shown(shown(m, false, 10), " MiB; nothing can be spooled: calls wait, or will\n");
	assert_false(record_state_good(&m->record));
	doc = yyjson_read(shown(m, true, 10), strlen(shown(m, true, 10)), 0);
	assert_false(yyjson_get_bool(yyjson_doc_ptr_get(doc, "/recording")));
	assert_true(yyjson_get_bool(yyjson_doc_ptr_get(doc, "/record/blocked")));
	assert_int_equal(yyjson_get_uint(yyjson_doc_ptr_get(doc, "/record/waiting_events")), 12);
	yyjson_doc_free(doc);
	m->record.blocked = false;
	m->record.age_ns = RECORD_SILENT_NS - 1;
	assert_true(record_state_good(&m->record));
	m->record.age_ns = RECORD_SILENT_NS;
	assert_false(record_state_good(&m->record));
	assert_shown(shown(m, false, 10), "\nRecord: STOPPED\n");
	assert_shown(shown(m, false, 10), "\n  shipper    told this 30 s ago, and nothing since\n");
}

static void what_passed_unseen_is_shown(void **state)
{
	struct machine *m = *state;
	uint64_t now_ns = clock_realtime_ns();

	assert_null(strstr(shown(m, false, 10), "passed unseen"));
	assert_shown(shown(m, true, 10), "\"open\": null");
	/* Not known to the daemon, which is not there. */
	m->kernel.outcomes[OUTCOME_FAILED_OPEN] = 3;
	assert_shown(shown(m, false, 10),
		"\n  open       3 connections passed unseen since the daemon looked\n");
	m->open = (struct open_record){3, now_ns - 90 * NS_PER_S, now_ns - 60 * NS_PER_S, 2};
	assert_shown(shown(m, false, 10), " ago, for 30.0 s: 2 connections passed unseen\n");
	assert_shown(shown(m, true, 10), "\"passed\": 2,\n    \"passed_since\": 0");
	m->open.end_ns = 0;
	m->kernel.outcomes[OUTCOME_FAILED_OPEN] = 4;
	assert_shown(shown(m, false, 10), ": 3 connections passed unseen\n");
	assert_shown(shown(m, true, 10), "\"now\": true");
	m->kernel.outcomes[OUTCOME_FAILED_OPEN] = 0;
}

static void inspecting_takes_programs_routing_and_a_worker_that_is_alive(void **state)
{
	struct machine *m = *state;
	const struct status_report report = {
		m->config, &m->kernel, NULL, 0, m->record, m->credentials, m->open};

	assert_true(status_report_inspecting(&report));
	m->kernel.admit.attached = false; /* xdp: off inspects as well */
	assert_true(status_report_inspecting(&report));
	m->kernel.alive = 0;
	assert_false(status_report_inspecting(&report));
	m->kernel.alive = 1;
	m->kernel.rule4 = false;
	assert_false(status_report_inspecting(&report));
	m->kernel.rule4 = true;
	m->kernel.select.attached = false;
	assert_false(status_report_inspecting(&report));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, machine_make, machine_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_attached_is_shown),
		TEST(what_is_not_attached_is_shown),
		TEST(sources_are_shown_with_their_drops),
		TEST(admission_in_force_is_shown),
		TEST(an_endpoint_that_fails_open_says_so),
		TEST(long_tables_are_cut_unless_all_is_asked),
		TEST(json_has_it_all),
		TEST(whether_the_record_arrives_is_shown),
		TEST(what_passed_unseen_is_shown),
		TEST(inspecting_takes_programs_routing_and_a_worker_that_is_alive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
