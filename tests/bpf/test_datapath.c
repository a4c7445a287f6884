// SPDX-License-Identifier: GPL-2.0-or-later
/* The datapath as the parent uses it, in network namespaces, with sockets in place of workers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/support/gate.h"

#define LATER_NS (clock_monotonic_ns() + 3600 * NS_PER_S)

static void an_accepted_connection_tells_its_original_destination(void **state)
{
	for (int family = 0; family < 2; family++) {
		gate_steers(*state, family, gate_endpoints[family]);
		gate_steers(*state, family, gate_prefixed[family]);
	}
}

static void everything_else_passes(void **state)
{
	struct gate *gate = *state;

	for (int family = 0; family < 2; family++) {
		struct address client = parsed(family ? CLIENT6 : CLIENT4);
		int web = namespaces_listen(&gate_net, PLACE_SERVER, family, 80);
		struct address_port name;
		int ends[2];

		pair_open(gate->origins[family], gate_others[family], 0, ends);
		name = name_of(ends[1], true);
		assert_true(address_equal(&name.address, &client));
		assert_true(namespaces_carries(ends[0], ends[1], 100000));
		pair_close(ends);
		/* Another port of an endpoint. */
		ends[0] = namespaces_connect(&gate_net, gate_endpoints[family], 80, 0, PATIENCE_MS);
		assert_true(ends[0] >= 0);
		ends[1] = namespaces_accept(web);
		assert_true(ends[1] >= 0);
		pair_close(ends);
		close(web);
		assert_true(nothing_arrives(gate->listeners[family]));
	}
	namespaces_run(&gate_net, PLACE_CLIENT, "ping -c1 -W2 -s 4000 -q " SERVER4 " >/dev/null");
	namespaces_run(&gate_net, PLACE_CLIENT, "ping -c1 -W2 -s 4000 -q " SERVER6 " >/dev/null");
}

/* The proxy closes first and keeps the TIME_WAIT; the client's next connection comes from the same
 * port. */
static void a_four_tuple_can_be_used_again(void **state)
{
	struct gate *gate = *state;

	for (int family = 0; family < 2; family++)
		for (int round = 0; round < 3; round++) {
			int ends[2];

			pair_open(gate->listeners[family], gate_endpoints[family], 33333, ends);
			assert_true(namespaces_carries(ends[0], ends[1], 100));
			close(ends[1]);
			assert_true(namespaces_ended(ends[0]));
			close(ends[0]);
		}
}

static void without_a_worker_connections_are_refused_at_once(void **state)
{
	struct gate *gate = *state;

	assert_int_equal(datapath_worker_set(gate->datapath, 0, -1, -1), 0);
	for (int family = 0; family < 2; family++) {
		assert_int_equal(
			namespaces_connect(&gate_net, gate_endpoints[family], 443, 0, FAST_MS),
			-ECONNREFUSED);
		assert_true(nothing_arrives(gate->origins[family]));
	}
	assert_int_equal(
		datapath_worker_set(gate->datapath, 0, gate->listeners[0], gate->listeners[1]), 0);
	gate_steers(gate, 0, gate_endpoints[0]);
}

static void a_closed_listener_refuses_and_keeps_its_connections(void **state)
{
	struct gate *gate = *state;

	for (int family = 0; family < 2; family++) {
		int ends[2];

		pair_open(gate->listeners[family], gate_endpoints[family], 0, ends);
		close(gate->listeners[family]);
		gate->listeners[family] = -1;
		assert_int_equal(
			namespaces_connect(&gate_net, gate_endpoints[family], 443, 0, FAST_MS),
			-ECONNREFUSED);
		assert_true(namespaces_carries(ends[0], ends[1], 50000));
		assert_true(namespaces_carries(ends[1], ends[0], 50000));
		pair_close(ends);
	}
}

static void connections_that_a_dead_worker_left_are_reset(void **state)
{
	struct gate *gate = *state;

	for (int family = 0; family < 2; family++) {
		const struct linger reset = {.l_onoff = 1};
		int ends[2], error = 0;
		socklen_t len = sizeof(error);

		pair_open(gate->listeners[family], gate_endpoints[family], 0, ends);
		close(gate->listeners[family]);
		gate->listeners[family] = -1;
		/* The worker's own reset does not arrive: the client learns by its next word. */
		namespaces_run(&gate_net, PLACE_HOP, "ip link set c1 down");
		setsockopt(ends[1], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(ends[1]);
		namespaces_run(&gate_net, PLACE_HOP,
			"ip link set c1 up; ip address add fd77:1::1/64 dev c1 nodad");
		send(ends[0], "x", 1, MSG_NOSIGNAL);
		for (int i = 0; i < 50 && !error; i++) {
			usleep(100000);
			getsockopt(ends[0], SOL_SOCKET, SO_ERROR, &error, &len);
		}
		assert_int_equal(error, ECONNRESET);
		close(ends[0]);
	}
}

static void a_running_connection_keeps_its_way(void **state)
{
	struct gate *gate = *state;
	int direct[2], steered[2];

	pair_open(gate->origins[0], gate_others[0], 0, direct);
	gate_learn(gate, gate_others[0]);
	assert_true(namespaces_carries(direct[0], direct[1], 50000));
	assert_true(namespaces_carries(direct[1], direct[0], 50000));
	pair_open(gate->listeners[0], gate_others[0], 0, steered);
	/* And out again. */
	assert_int_equal(datapath_endpoint_sweep(gate->datapath, UINT64_MAX), 3);
	assert_true(namespaces_carries(steered[0], steered[1], 50000));
	pair_close(direct);
	pair_close(steered);
	pair_open(gate->origins[0], gate_others[0], 0, direct);
	pair_close(direct);
}

static void endpoints_last_as_long_as_they_were_learned_for(void **state)
{
	struct gate *gate = *state;
	static const char *const never[] = {"127.0.0.1", "0.0.0.0", "169.254.169.254", "224.0.0.1",
		"255.255.255.255", "::", "::1", "fe80::1", "ff02::1"};
	struct address address = parsed("192.0.2.1");
	uint64_t now = clock_monotonic_ns();

	assert_int_equal(datapath_endpoint_learn(gate->datapath, &address, now + 10,
				 ENDPOINT_RESOLVED, FAIL_CLOSED),
		0);
	/* Learned again for less: not shortened. */
	assert_int_equal(datapath_endpoint_learn(
				 gate->datapath, &address, now + 5, ENDPOINT_RESOLVED, FAIL_CLOSED),
		0);
	assert_int_equal(datapath_endpoint_sweep(gate->datapath, now + 7), 0);
	assert_int_equal(datapath_endpoint_sweep(gate->datapath, now + 10), 1);
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		address = parsed(never[i]);
		assert_int_equal(datapath_endpoint_learn(gate->datapath, &address, LATER_NS,
					 ENDPOINT_RESOLVED, FAIL_CLOSED),
			-EINVAL);
	}
}

static void the_endpoint_map_fills_up_with_an_error(void **state)
{
	struct gate *gate = *state;
	struct address address = parsed("192.0.2.0");
	int error = 0;

	for (unsigned i = 0; i <= gate->config.datapath.max_endpoints && !error; i++) {
		address.bytes[14] = (uint8_t)(i >> 8);
		address.bytes[15] = (uint8_t)i;
		error = datapath_endpoint_learn(
			gate->datapath, &address, LATER_NS, ENDPOINT_RESOLVED, FAIL_CLOSED);
	}
	assert_int_equal(error, -ENOSPC);
}

/* The sysctls that break other transparent proxies silently, and SYN cookies. */
static void odd_settings_of_the_host_do_no_harm(void **state)
{
	for (int rp_filter = 0; rp_filter <= 2; rp_filter++) {
		namespaces_run(&gate_net, PLACE_GATE,
			"sysctl -qw net.ipv4.conf.all.rp_filter=%d "
			"net.ipv4.conf.inside.rp_filter=%d net.ipv4.conf.all.src_valid_mark=1 "
			"net.ipv4.tcp_fwmark_accept=1 net.ipv4.tcp_syncookies=2",
			rp_filter, rp_filter);
		for (int family = 0; family < 2; family++)
			gate_steers(*state, family, gate_endpoints[family]);
	}
	namespaces_run(&gate_net, PLACE_GATE,
		"sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.inside.rp_filter=0 "
		"net.ipv4.conf.all.src_valid_mark=0 net.ipv4.tcp_fwmark_accept=0 "
		"net.ipv4.tcp_syncookies=1");
}

/* What we send in the server's name is too long for a hop: its complaint goes to the server. */
static void path_mtu_is_learned_from_errors_to_the_server(void **state)
{
	struct gate *gate = *state;

	for (int family = 0; family < 2; family++) {
		int ends[2];

		pair_open(gate->listeners[family], gate_endpoints[family], 0, ends);
		namespaces_run(&gate_net, PLACE_HOP, "ip link set c1 mtu %u", family ? 1280 : 1200);
		assert_true(namespaces_carries(ends[1], ends[0], 200000));
		pair_close(ends);
		/* Below 1280 the interface has lost its IPv6. */
		namespaces_run(&gate_net, PLACE_HOP,
			"ip link set c1 mtu 1500; ip address replace fd77:1::1/64 dev c1 nodad");
	}
}

static void the_status_tells_what_is_attached(void **state)
{
	struct gate *gate = *state;
	struct datapath_status *status;
	int ends[2];

	pair_open(gate->listeners[0], gate_endpoints[0], 0, ends);
	status = gate_status(gate);
	assert_true(status->pinned);
	assert_true(status->admit.attached);
	assert_string_equal(status->admit.mode, "native");
	assert_true(status->steer.attached);
	assert_true(status->select.attached);
	assert_true(status->rule4 && status->rule6 && status->route4 && status->route6);
	assert_int_equal(status->workers, 1);
	assert_int_equal(status->listening4, 1);
	assert_int_equal(status->listening6, 1);
	assert_int_equal(status->flows.steered, 1);
	assert_int_equal(status->flows.steered_active, 1);
	assert_int_equal(status->outcomes[OUTCOME_OPENED], 1);
	assert_int_equal(status->outcomes[OUTCOME_SELECTED], 1);
	assert_int_equal(status->nendpoints, 4);
	assert_non_null(source_of(status, CLIENT4));
	assert_int_equal(source_of(status, CLIENT4)->counters.syns, 1);
	datapath_status_free(status);
	pair_close(ends);
	usleep(50000);
	status = gate_status(gate);
	assert_int_equal(status->flows.steered, 1);
	assert_int_equal(status->flows.steered_active, 0);
	datapath_status_free(status);
}

static void a_reload_changes_ports_and_prefixes_alone(void **state)
{
	struct gate *gate = *state;
	struct config changed = gate->config;
	static uint16_t other_ports[] = {8443};
	struct why why = {""};
	int web = namespaces_listen(&gate_net, PLACE_SERVER, false, 8443), fd, client;

	changed.endpoints.ports = other_ports;
	changed.endpoints.nprefixes = 0;
	assert_int_equal(datapath_reconfigure(gate->datapath, &changed, &why), 0);
	client = namespaces_connect(&gate_net, gate_endpoints[0], 8443, 0, PATIENCE_MS);
	assert_true(client >= 0);
	fd = namespaces_accept(gate->listeners[0]);
	assert_true(fd >= 0);
	close(fd);
	close(client);
	client = namespaces_connect(&gate_net, gate_prefixed[0], 8443, 0, PATIENCE_MS);
	assert_true(client >= 0);
	fd = namespaces_accept(web);
	assert_true(fd >= 0);
	close(fd);
	close(client);
	close(web);
	changed.datapath.mark = 1;
	assert_int_equal(datapath_reconfigure(gate->datapath, &changed, &why), -ENOTSUP);
	assert_non_null(strstr(why.text, "datapath.mark"));
}

#define WITH_GATE(test) cmocka_unit_test_setup_teardown(test, gate_setup, gate_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_GATE(an_accepted_connection_tells_its_original_destination),
		WITH_GATE(everything_else_passes),
		WITH_GATE(a_four_tuple_can_be_used_again),
		WITH_GATE(without_a_worker_connections_are_refused_at_once),
		WITH_GATE(a_closed_listener_refuses_and_keeps_its_connections),
		WITH_GATE(connections_that_a_dead_worker_left_are_reset),
		WITH_GATE(a_running_connection_keeps_its_way),
		WITH_GATE(endpoints_last_as_long_as_they_were_learned_for),
		WITH_GATE(the_endpoint_map_fills_up_with_an_error),
		WITH_GATE(odd_settings_of_the_host_do_no_harm),
		WITH_GATE(path_mtu_is_learned_from_errors_to_the_server),
		WITH_GATE(the_status_tells_what_is_attached),
		WITH_GATE(a_reload_changes_ports_and_prefixes_alone),
	};

	return cmocka_run_group_tests(tests, gate_group_setup, gate_group_teardown);
}
