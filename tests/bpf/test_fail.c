// SPDX-License-Identifier: GPL-2.0-or-later
/* What becomes of connections to endpoints while their worker is not alive, or in a flood, on
 * hand-made packets (BPF_PROG_TEST_RUN). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <string.h>

#include "base/clock.h"
#include "tests/support/bench.h"

#define TIMEOUT_NS (3600 * NS_PER_S)

/* The endpoint the client calls, as a host would have it that fails this way. */
static void endpoint_fails(struct bench *bench, bool ipv6, enum fail fail)
{
	struct endpoint endpoint = {.source = ENDPOINT_RESOLVED, .fail = fail};
	struct address address;

	address_of(ipv6 ? ENDPOINT6 : ENDPOINT4, &address);
	assert_int_equal(
		bpf_map_update_elem(bench->programs.maps.endpoints, &address, &endpoint, BPF_ANY),
		0);
}

/* The worker's last sign of life was so long ago. */
static void beat(struct bench *bench, uint64_t ago_ns)
{
	const uint64_t stamp = clock_monotonic_ns() - ago_ns;
	const uint32_t worker = 0;

	assert_int_equal(
		bpf_map_update_elem(bench->programs.maps.heartbeats, &worker, &stamp, BPF_ANY), 0);
}

static int fresh(void **state)
{
	struct bench *bench = *state;

	bench_fresh(state);
	endpoint_fails(bench, false, FAIL_CLOSED);
	endpoint_fails(bench, true, FAIL_CLOSED);
	bench->settings.heartbeat_ns = TIMEOUT_NS;
	bench_settings(bench);
	beat(bench, 0);
	return 0;
}

static void hang(struct bench *bench)
{
	bench->settings.heartbeat_ns = NS_PER_MS;
	bench_settings(bench);
	beat(bench, 10 * NS_PER_MS);
}

/* --- who is not alive --- */

static void a_worker_without_a_sign_of_life_is_as_one_that_is_gone(void **state)
{
	struct bench *bench = *state;

	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		struct packet_plan syn = segment(ipv6, TCP_SYN);

		fresh(state);
		assert_int_equal(run(bench, &syn).mark, MARK);
		hang(bench);
		syn.source_port++;
		assert_int_equal(run(bench, &syn).action, TC_ACT_REDIRECT);
		beat(bench, 0);
		bench->settings.heartbeat_ns = TIMEOUT_NS;
		bench_settings(bench);
		assert_int_equal(run(bench, &syn).mark, MARK);
		slot_set(bench, ipv6, -1);
		syn.source_port++;
		assert_int_equal(run(bench, &syn).action, TC_ACT_REDIRECT);
	}
	assert_int_equal(counted_source(bench, CLIENT6).drops[DROP_NO_WORKER], 2);
}

static void before_its_first_sign_of_life_connections_wait_for_a_worker(void **state)
{
	struct bench *bench = *state;
	struct packet_plan syn = segment(false, TCP_SYN);
	const uint64_t never = 0;
	const uint32_t worker = 0;

	bench->settings.heartbeat_ns = NS_PER_MS;
	bench_settings(bench);
	assert_int_equal(
		bpf_map_update_elem(bench->programs.maps.heartbeats, &worker, &never, BPF_ANY), 0);
	assert_int_equal(run(bench, &syn).mark, MARK);
}

/* --- closed or open --- */

static void where_it_fails_open_a_connection_passes_and_stays_passed(void **state)
{
	struct bench *bench = *state;

	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		struct packet_plan syn = segment(ipv6, TCP_SYN), ack = segment(ipv6, TCP_ACK);
		uint64_t before = counted(bench, OUTCOME_FAILED_OPEN);
		struct run result;

		fresh(state);
		endpoint_fails(bench, ipv6, FAIL_OPEN);
		hang(bench);
		result = run(bench, &syn);
		assert_int_equal(result.action, PASSED);
		/* Nobody who reads the packet queues is waited for. */
		assert_int_equal(result.mark, MARK_UNSEEN(MARK));
		assert_int_equal(counted(bench, OUTCOME_FAILED_OPEN), before + 1);
		assert_int_equal(only_flow(bench).decision, FLOW_UNSEEN);
		/* The worker is back: this connection is not its own. */
		beat(bench, 0);
		bench->settings.heartbeat_ns = TIMEOUT_NS;
		bench_settings(bench);
		assert_int_equal(run(bench, &ack).mark, MARK_UNSEEN(MARK));
		syn.source_port++;
		assert_int_equal(run(bench, &syn).mark, MARK);
	}
}

static void each_endpoint_fails_its_own_way(void **state)
{
	struct bench *bench = *state;
	struct packet_plan closed = segment(false, TCP_SYN), open = segment(true, TCP_SYN);

	endpoint_fails(bench, true, FAIL_OPEN);
	hang(bench);
	assert_int_equal(run(bench, &closed).action, TC_ACT_REDIRECT);
	assert_int_equal(run(bench, &open).action, PASSED);
	/* Alive, both are steered. */
	fresh(state);
	endpoint_fails(bench, true, FAIL_OPEN);
	assert_int_equal(run(bench, &closed).mark, MARK);
	assert_int_equal(run(bench, &open).mark, MARK);
}

static void an_established_connection_keeps_its_decision(void **state)
{
	struct bench *bench = *state;
	struct packet_plan ack = segment(false, TCP_ACK);

	open_flow(bench, false);
	assert_int_equal(run(bench, &ack).mark, MARK);
	endpoint_fails(bench, false, FAIL_OPEN);
	hang(bench);
	assert_int_equal(run(bench, &ack).mark, MARK);
}

/* The worker took no notice of the first one, so that the second may go where it will. */
static void a_syn_sent_again_need_not_wait_for_a_worker_that_hangs(void **state)
{
	struct bench *bench = *state;
	struct packet_plan syn = segment(false, TCP_SYN);

	open_flow(bench, false);
	hang(bench);
	assert_int_equal(run(bench, &syn).action, TC_ACT_REDIRECT);
	endpoint_fails(bench, false, FAIL_OPEN);
	assert_int_equal(run(bench, &syn).action, PASSED);
	assert_int_equal(only_flow(bench).decision, FLOW_UNSEEN);
}

/* --- floods --- */

static unsigned flows(struct bench *bench)
{
	struct flow_key key, next;
	unsigned n = 0;
	bool more = bpf_map_get_next_key(bench->programs.maps.flows, NULL, &next) == 0;

	for (; more; n++) {
		key = next;
		more = bpf_map_get_next_key(bench->programs.maps.flows, &key, &next) == 0;
	}
	return n;
}

static void flood(struct bench *bench)
{
	const struct flood now = {
		.window = clock_monotonic_ns() >> 30, .now = 1000, .before = 1000};
	const uint32_t zero = 0;

	bench->settings.flood_rate = 100;
	bench_settings(bench);
	assert_int_equal(bpf_map_update_elem(bench->programs.maps.flood, &zero, &now, BPF_ANY), 0);
}

static void more_connections_than_the_flood_rate_are_not_recorded(void **state)
{
	struct bench *bench = *state;
	struct packet_plan syn = segment(false, TCP_SYN);

	bench->settings.flood_rate = 50;
	bench_settings(bench);
	syn.destination = OTHER4;
	/* Over two windows, should the first end meanwhile. */
	for (unsigned i = 0; i < 200; i++) {
		syn.source_port = (uint16_t)(1000 + i);
		syn.sequence = i;
		assert_int_equal(run(bench, &syn).action, PASSED);
	}
	assert_in_range(flows(bench), 50, 102);
	assert_int_equal(counted_source(bench, CLIENT4).syns, 200);
}

static void in_a_flood_calls_are_steered_without_a_record(void **state)
{
	struct bench *bench = *state;

	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		struct packet_plan syn = segment(ipv6, TCP_SYN), ack = segment(ipv6, TCP_ACK);
		uint64_t before = counted(bench, OUTCOME_FLOOD);

		fresh(state);
		flood(bench);
		assert_int_equal(run(bench, &syn).mark, MARK);
		assert_int_equal(flows(bench), 0);
		assert_int_equal(counted(bench, OUTCOME_FLOOD), before + 1);
		/* It answers the SYN cookie; nobody but the stack can tell whether it is right. */
		assert_int_equal(run(bench, &ack).mark, MARK);
		ack.destination = ipv6 ? OTHER6 : OTHER4;
		assert_int_equal(run(bench, &ack).mark, 0);
	}
}

static void in_a_flood_what_fails_open_passes_to_its_end(void **state)
{
	struct bench *bench = *state;
	struct packet_plan syn = segment(false, TCP_SYN), ack = segment(false, TCP_ACK);

	endpoint_fails(bench, false, FAIL_OPEN);
	flood(bench);
	hang(bench);
	assert_int_equal(run(bench, &syn).mark, MARK_UNSEEN(MARK));
	assert_int_equal(run(bench, &ack).mark, MARK_UNSEEN(MARK));
	assert_int_equal(run(bench, &ack).action, PASSED);
}

static void in_a_flood_what_is_recorded_stays_and_is_written_over(void **state)
{
	struct bench *bench = *state;
	struct packet_plan syn = segment(false, TCP_SYN), ack = segment(false, TCP_ACK);

	open_flow(bench, false);
	flood(bench);
	assert_int_equal(run(bench, &ack).mark, MARK);
	/* The same numbers for a new connection, to what is no endpoint any more. */
	forget(bench, ENDPOINT4);
	syn.sequence = 77777;
	assert_int_equal(run(bench, &syn).mark, 0);
	assert_int_equal(run(bench, &ack).mark, 0);
	assert_int_equal(only_flow(bench).decision, FLOW_DIRECT);
}

#define FRESH(test) cmocka_unit_test_setup(test, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRESH(a_worker_without_a_sign_of_life_is_as_one_that_is_gone),
		FRESH(before_its_first_sign_of_life_connections_wait_for_a_worker),
		FRESH(where_it_fails_open_a_connection_passes_and_stays_passed),
		FRESH(each_endpoint_fails_its_own_way),
		FRESH(an_established_connection_keeps_its_decision),
		FRESH(a_syn_sent_again_need_not_wait_for_a_worker_that_hangs),
		FRESH(more_connections_than_the_flood_rate_are_not_recorded),
		FRESH(in_a_flood_calls_are_steered_without_a_record),
		FRESH(in_a_flood_what_fails_open_passes_to_its_end),
		FRESH(in_a_flood_what_is_recorded_stays_and_is_written_over),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
