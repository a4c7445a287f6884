// SPDX-License-Identifier: GPL-2.0-or-later
/* A full flow table, floods of SYNs, and limits of a source, in network namespaces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/support/gate.h"
#include "tests/support/wire.h"

#define FLOOD 20000

static uint64_t outcome(struct gate *gate, enum outcome which)
{
	struct datapath_status *status = gate_status(gate);
	uint64_t n = status->outcomes[which];

	datapath_status_free(status);
	return n;
}

/* SYNs from addresses that nobody has, to an endpoint or to somebody else. */
static void flood(const char *destination, unsigned n)
{
	int wire = wire_open(&gate_net);
	struct packet_plan plan = {
		.destination = destination, .destination_port = 443, .flags = 0x02};
	char source[64];

	for (unsigned i = 0; i < n; i++) {
		snprintf(source, sizeof(source), "10.99.%u.%u", (i >> 8) & 255, i & 255);
		plan.source = source;
		plan.source_port = (uint16_t)(1024 + (i >> 16));
		plan.sequence = i;
		wire_send(wire, &plan, 0);
	}
	close(wire);
}

/* The table holds 4096; a socket of the connection is there still. */
static void a_connection_that_the_table_forgot_goes_on(void **state)
{
	struct gate *gate = *state;

	for (int family = 0; family < 2; family++) {
		uint64_t before;
		int ends[2];

		pair_open(gate->listeners[family], gate_endpoints[family], 0, ends);
		assert_true(namespaces_carries(ends[0], ends[1], 50000));
		flood(gate_others[0], FLOOD);
		before = outcome(gate, OUTCOME_STEERED);
		assert_true(namespaces_carries(ends[0], ends[1], 50000));
		assert_true(namespaces_carries(ends[1], ends[0], 50000));
		assert_true(outcome(gate, OUTCOME_STEERED) > before + 30);
		pair_close(ends);
		gate_steers(gate, family, gate_endpoints[family]);
	}
}

/* The stack's queue of half-open connections is full, and it answers with cookies; nothing of it is
 * recorded, and calls come through all the same. */
static void calls_come_through_a_flood_of_syns(void **state)
{
	struct config config = gate_configuration();
	struct gate *gate;

	(void)state;
	config.admission.flood_rate = 500;
	gate = gate_open(config);
	namespaces_run(&gate_net, PLACE_GATE, "sysctl -qw net.ipv4.tcp_syncookies=2");
	for (int family = 0; family < 2; family++) {
		uint64_t unrecorded;

		flood(gate_endpoints[0], FLOOD);
		unrecorded = outcome(gate, OUTCOME_FLOOD);
		assert_true(unrecorded > FLOOD / 2);
		gate_steers(gate, family, gate_endpoints[family]);
		assert_true(outcome(gate, OUTCOME_FLOOD) > unrecorded);
	}
	namespaces_run(&gate_net, PLACE_GATE, "sysctl -qw net.ipv4.tcp_syncookies=1");
	gate_close(gate);
}

static void a_source_that_has_too_many_connections_gets_no_more(void **state)
{
	struct config config = gate_configuration();
	struct datapath_status *status;
	struct gate *gate;
	int ends[4][2];

	(void)state;
	config.admission.connections = 3;
	gate = gate_open(config);
	for (int i = 0; i < 3; i++)
		pair_open(i < 2 ? gate->listeners[0] : gate->origins[0],
			i < 2 ? gate_endpoints[0] : gate_others[0], 0, ends[i]);
	assert_int_equal(
		namespaces_connect(&gate_net, gate_endpoints[0], 443, 0, FAST_MS), -ETIMEDOUT);
	/* Another source has its own. */
	gate_steers(gate, 1, gate_endpoints[1]);
	status = gate_status(gate);
	assert_true(source_of(status, CLIENT4)->counters.drops[DROP_CONNECTIONS] >= 1);
	assert_int_equal(source_of(status, CLIENT6)->counters.drops[DROP_CONNECTIONS], 0);
	datapath_status_free(status);
	pair_close(ends[0]);
	usleep(50000);
	pair_open(gate->listeners[0], gate_endpoints[0], 0, ends[0]);
	for (int i = 0; i < 3; i++)
		pair_close(ends[i]);
	gate_close(gate);
}

static void who_is_denied_gets_nothing_through_and_a_reload_lets_him(void **state)
{
	struct config config = gate_configuration();
	struct why why = {""};
	struct prefix denied;
	struct gate *gate;

	(void)state;
	assert_int_equal(prefix_parse("10.77.1.0/24", &denied), 0);
	config.admission.deny = &denied;
	config.admission.ndeny = 1;
	gate = gate_open(config);
	assert_int_equal(
		namespaces_connect(&gate_net, gate_endpoints[0], 443, 0, FAST_MS), -ETIMEDOUT);
	assert_int_equal(
		namespaces_connect(&gate_net, gate_others[0], 443, 0, FAST_MS), -ETIMEDOUT);
	gate_steers(gate, 1, gate_endpoints[1]);
	config.admission.ndeny = 0;
	assert_int_equal(datapath_reconfigure(gate->datapath, &config, &why), 0);
	gate_steers(gate, 0, gate_endpoints[0]);
	gate_close(gate);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_connection_that_the_table_forgot_goes_on, gate_setup, gate_teardown),
		cmocka_unit_test(calls_come_through_a_flood_of_syns),
		cmocka_unit_test(a_source_that_has_too_many_connections_gets_no_more),
		cmocka_unit_test(who_is_denied_gets_nothing_through_and_a_reload_lets_him),
	};

	return cmocka_run_group_tests(tests, gate_group_setup, gate_group_teardown);
}
