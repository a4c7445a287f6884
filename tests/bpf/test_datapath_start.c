// SPDX-License-Identifier: GPL-2.0-or-later
/* Starts and stops of the datapath: clean, killed, refused, beside others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/gate.h"

enum { TCX_INGRESS = 46, TCX_EGRESS = 47, TCX_PLACES = 64 };

static char plain[] = "plain", loopback[] = "lo", nowhere[] = "nowhere";
static char other_directory[] = "/run/netns/bpf/second", no_bpffs[] = "/tmp/sallyport-no-bpffs";

/* Programs at a TCX hook of the inside interface; none on kernels before it. */
static unsigned tcx_programs(int hook)
{
	unsigned ids[64], n = 64;

	return bpf_prog_query((int)if_nametoindex(GATE_INSIDE), (enum bpf_attach_type)hook, 0, NULL,
		       ids, &n) < 0
		       ? 0
		       : n;
}

static bool has_tcx(struct gate *gate)
{
	struct datapath_status *status = gate_status(gate);
	bool tcx = strcmp(status->steer.mode, "tcx") == 0;

	datapath_status_free(status);
	return tcx;
}

static void assert_nothing_is_left(void)
{
	const struct config directory = gate_configuration();
	struct stat st;

	assert_int_equal(tcx_programs(TCX_INGRESS) + tcx_programs(TCX_EGRESS), 0);
	assert_int_not_equal(namespaces_try(&gate_net, PLACE_GATE, "ip rule | grep 5111"), 0);
	assert_int_not_equal(namespaces_try(&gate_net, PLACE_GATE, "ip -6 rule | grep 5111"), 0);
	assert_int_not_equal(
		namespaces_try(&gate_net, PLACE_GATE, "ip route show table 5111 | grep local"), 0);
	assert_int_not_equal(
		namespaces_try(&gate_net, PLACE_GATE, "ip -6 route show table 5111 | grep local"),
		0);
	assert_int_not_equal(
		namespaces_try(&gate_net, PLACE_GATE, "tc qdisc show dev inside | grep clsact"), 0);
	assert_int_not_equal(
		namespaces_try(&gate_net, PLACE_GATE, "ip link show dev inside | grep xdp"), 0);
	assert_int_not_equal(stat(directory.datapath.bpf_directory, &st), 0);
}

static void a_clean_stop_leaves_nothing(void **state)
{
	(void)state;
	for (int round = 0; round < 2; round++) {
		struct gate *gate = gate_open(gate_configuration());

		gate_steers(gate, 0, gate_endpoints[0]);
		gate_close(gate);
		assert_nothing_is_left();
	}
}

/* Starts one that is killed; its kernel state stays. */
static void die_after_start(struct config config)
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		/* A failure must not go on with the other tests here. */
		setenv("CMOCKA_TEST_ABORT", "1", 1);
		struct gate *gate = gate_open(config);

		/* A connection that stays in the flow table. */
		pair_open(gate->listeners[0], gate_endpoints[0], 40404, (int[2]){0, 0});
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void after_a_kill_connections_are_refused(void **state)
{
	struct datapath_status *status;
	struct gate *gate;
	int origin;

	(void)state;
	die_after_start(gate_configuration());
	origin = namespaces_listen(&gate_net, PLACE_SERVER, false, 443);
	for (int family = 0; family < 2; family++)
		assert_int_equal(
			namespaces_connect(&gate_net, gate_endpoints[family], 443, 0, FAST_MS),
			-ECONNREFUSED);
	assert_true(nothing_arrives(origin));
	close(origin);
	/* The next start takes over endpoints, flows and counters. */
	die_after_start(gate_configuration());
	gate = gate_open(gate_configuration());
	status = gate_status(gate);
	assert_true(source_of(status, CLIENT4)->counters.syns >= 3);
	assert_true(status->flows.all >= 1);
	datapath_status_free(status);
	gate_steers(gate, 0, gate_endpoints[0]);
	gate_steers(gate, 1, gate_endpoints[1]);
	gate_close(gate);
	assert_nothing_is_left();
}

static void after_a_kill_another_configuration_replaces_all(void **state)
{
	struct config config = gate_configuration();
	struct datapath_status *status;
	struct gate *gate;

	(void)state;
	die_after_start(config);
	config.datapath.mark = 0x77;
	config.datapath.table = 5112;
	config.datapath.xdp = CONFIG_XDP_GENERIC;
	config.datapath.max_flows = 8192;
	gate = gate_open(config);
	status = gate_status(gate);
	assert_string_equal(status->admit.mode, "generic");
	assert_true(status->rule4 && status->rule6);
	datapath_status_free(status);
	assert_int_not_equal(namespaces_try(&gate_net, PLACE_GATE, "ip rule | grep 0x5a11"), 0);
	/* Generic XDP hands TC copies that begin at another header. */
	for (int family = 0; family < 2; family++) {
		gate_steers(gate, family, gate_endpoints[family]);
		assert_int_equal(datapath_workers(gate->datapath, 0), 0);
		assert_int_equal(
			namespaces_connect(&gate_net, gate_endpoints[family], 443, 0, FAST_MS),
			-ECONNREFUSED);
		assert_int_equal(datapath_workers(gate->datapath, 1), 0);
	}
	gate_close(gate);
	assert_nothing_is_left();
}

static void with_xdp_off_tc_accounts(void **state)
{
	struct config config = gate_configuration();
	struct datapath_status *status;
	struct gate *gate;

	(void)state;
	die_after_start(config);
	config.datapath.xdp = CONFIG_XDP_OFF;
	gate = gate_open(config);
	status = gate_status(gate);
	assert_false(status->admit.attached);
	datapath_status_free(status);
	for (int family = 0; family < 2; family++) {
		gate_steers(gate, family, gate_endpoints[family]);
		assert_int_equal(datapath_worker_set(gate->datapath, 0, -1, -1), 0);
		/* Here the checksum of a reset is left to the device. */
		assert_int_equal(
			namespaces_connect(&gate_net, gate_endpoints[family], 443, 0, FAST_MS),
			-ECONNREFUSED);
		assert_int_equal(datapath_worker_set(
					 gate->datapath, 0, gate->listeners[0], gate->listeners[1]),
			0);
	}
	status = gate_status(gate);
	assert_true(source_of(status, CLIENT6)->counters.bytes > 100000);
	assert_true(source_of(status, CLIENT6)->counters.packets > 60);
	assert_int_equal(source_of(status, CLIENT6)->counters.drops[DROP_NO_WORKER], 1);
	datapath_status_free(status);
	gate_close(gate);
	assert_nothing_is_left();
}

static void an_interface_without_native_xdp_leaves_it_to_tc(void **state)
{
	struct gate gate = {.config = gate_configuration()};
	struct datapath_status *status;

	(void)state;
	namespaces_run(
		&gate_net, PLACE_GATE, "ip link add plain type bridge; ip link set plain up");
	gate.config.datapath.inside = plain;
	gate_start(&gate);
	status = gate_status(&gate);
	assert_false(status->admit.attached);
	assert_true(status->steer.attached);
	datapath_status_free(status);
	datapath_close(gate.datapath);
	gate.config.datapath.xdp = CONFIG_XDP_NATIVE;
	assert_true(datapath_open(&gate.config, &gate.datapath, NULL) < 0);
	namespaces_run(&gate_net, PLACE_GATE, "ip link delete plain");
	assert_nothing_is_left();
}

/* A program that does nothing: XDP_PASS, or for TC TC_ACT_SHOT, which nothing of ours survives. */
static const struct bpf_insn pass[] = {
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 2},
	{.code = BPF_JMP | BPF_EXIT},
};

static void filter_add(
	int program, enum bpf_tc_attach_point point, uint32_t priority, uint32_t handle)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex(GATE_INSIDE),
		.attach_point = point);
	LIBBPF_OPTS(
		bpf_tc_opts, options, .handle = handle, .priority = priority, .prog_fd = program);

	assert_int_equal(bpf_tc_attach(&hook, &options), 0);
}

static void refused(struct config config, int error, const char *word)
{
	struct datapath *datapath;
	struct why why = {""};

	assert_int_equal(datapath_open(&config, &datapath, &why), error);
	assert_null(datapath);
	if (!strstr(why.text, word))
		fail_msg("'%s' does not speak of %s", why.text, word);
}

static void what_others_attached_stays_theirs(void **state)
{
	struct config config = gate_configuration();
	struct gate *gate;
	int filter;

	(void)state;
	/* A routing table in use. */
	namespaces_run(&gate_net, PLACE_GATE, "ip route add 192.0.2.0/24 dev outside table 5111");
	refused(config, -EBUSY, "table 5111");
	assert_int_equal(
		namespaces_try(&gate_net, PLACE_GATE, "ip route show table 5111 | grep 192"), 0);
	namespaces_run(&gate_net, PLACE_GATE, "ip route flush table 5111");
	/* A clsact qdisc that was there before. */
	namespaces_run(&gate_net, PLACE_GATE, "tc qdisc add dev inside clsact");
	gate = gate_open(config);
	gate_close(gate);
	assert_int_equal(
		namespaces_try(&gate_net, PLACE_GATE, "tc qdisc show dev inside | grep clsact"), 0);
	namespaces_run(&gate_net, PLACE_GATE, "tc qdisc delete dev inside clsact");
	/* One of ours, or of theirs, with filters of others in it. */
	gate = gate_open(config);
	if (has_tcx(gate))
		namespaces_run(&gate_net, PLACE_GATE, "tc qdisc add dev inside clsact");
	filter = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "other", "GPL", pass, 2, NULL);
	filter_add(filter, BPF_TC_EGRESS, 9, 1);
	close(filter);
	gate_close(gate);
	assert_int_equal(namespaces_try(&gate_net, PLACE_GATE,
				 "tc filter show dev inside egress | grep bpf"),
		0);
	namespaces_run(&gate_net, PLACE_GATE, "tc qdisc delete dev inside clsact");
	assert_nothing_is_left();
}

/* TCX_NEXT: whoever comes behind it goes on. */
static const struct bpf_insn next[] = {
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = -1},
	{.code = BPF_JMP | BPF_EXIT},
};

/* The way of kernels before TCX (6.1), taken as well where others have all its places. */
static void without_tcx_filters_do_it(void **state)
{
	static const int hooks[] = {TCX_INGRESS, TCX_EGRESS};
	static const char *const interfaces[] = {GATE_INSIDE, "outside"};
	struct config config = gate_configuration();
	struct datapath_status *status;
	int links[2][2][TCX_PLACES];
	struct gate *gate;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		for (unsigned n = 0; n < TCX_PLACES; n++) {
			int program = bpf_prog_load(
				BPF_PROG_TYPE_SCHED_CLS, "other", "GPL", next, 2, NULL);

			links[i / 2][i % 2][n] =
				bpf_link_create(program, (int)if_nametoindex(interfaces[i / 2]),
					(enum bpf_attach_type)hooks[i % 2], NULL);
			close(program);
		}
	for (int round = 0; round < 2; round++) {
		gate = gate_open(config);
		status = gate_status(gate);
		assert_string_equal(status->steer.mode, "clsact");
		assert_string_equal(status->reply.mode, "clsact");
		assert_true(status->guard.attached);
		assert_string_equal(status->guard.mode, "clsact");
		assert_int_equal(status->guarded, status->guardable);
		datapath_status_free(status);
		gate_steers(gate, 0, gate_endpoints[0]);
		gate_steers(gate, 1, gate_endpoints[1]);
		gate_close(gate);
		for (unsigned i = 0; i < 2; i++) {
			char command[80];

			snprintf(command, sizeof(command), "tc qdisc show dev %s | grep clsact",
				interfaces[i]);
			assert_int_not_equal(namespaces_try(&gate_net, PLACE_GATE, command), 0);
		}
	}
	for (unsigned i = 0; i < 4; i++)
		for (unsigned n = 0; n < TCX_PLACES; n++)
			if (links[i / 2][i % 2][n] >= 0)
				close(links[i / 2][i % 2][n]);
	assert_nothing_is_left();
}

/* Another appliance on the same interface, with pins and routing of its own. */
static void a_second_appliance_does_the_first_no_harm(void **state)
{
	struct config config = gate_configuration();
	struct gate *gate = gate_open(config);

	(void)state;
	config.datapath.bpf_directory = other_directory;
	config.datapath.table = 5112;
	refused(config, -EBUSY, "another appliance");
	config.datapath.xdp = CONFIG_XDP_OFF;
	refused(config, -EBUSY, "another appliance");
	gate_steers(gate, 0, gate_endpoints[0]);
	gate_close(gate);
	assert_nothing_is_left();
}

static void foreign_programs_are_not_replaced(void **state)
{
	struct config config = gate_configuration();
	struct gate *gate = gate_open(config);
	int xdp = bpf_prog_load(BPF_PROG_TYPE_XDP, "other", "GPL", pass, 2, NULL);
	int tc = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "other", "GPL", pass, 2, NULL);
	int ifindex = (int)if_nametoindex(GATE_INSIDE);
	bool tcx;

	(void)state;
	gate_close(gate);
	assert_int_equal(bpf_xdp_attach(ifindex, xdp, 0, NULL), 0);
	refused(config, -EBUSY, "other");
	/* Accounting in TC lives with it. */
	config.datapath.xdp = CONFIG_XDP_OFF;
	gate = gate_open(config);
	gate_steers(gate, 0, gate_endpoints[0]);
	tcx = has_tcx(gate);
	gate_close(gate);
	assert_int_equal(bpf_xdp_detach(ifindex, 0, NULL), 0);
	namespaces_run(&gate_net, PLACE_GATE, "tc qdisc add dev inside clsact");
	filter_add(tc, BPF_TC_INGRESS, 1, 0x5a11);
	/* TCX has a place for everybody. */
	if (tcx)
		gate_close(gate_open(config));
	else
		refused(config, -EBUSY, "other");
	assert_int_equal(namespaces_try(&gate_net, PLACE_GATE,
				 "tc filter show dev inside ingress | grep other"),
		0);
	namespaces_run(&gate_net, PLACE_GATE, "tc qdisc delete dev inside clsact");
	assert_nothing_is_left();
	close(xdp);
	close(tc);
}

static void pins_belong_to_one_appliance(void **state)
{
	struct gate gate = {.config = gate_configuration()};

	(void)state;
	gate_start(&gate);
	refused(gate_configuration(), -EBUSY, "bpf_directory");
	/* The first is unharmed. */
	gate_listen(&gate);
	gate_learn(&gate, gate_endpoints[0]);
	gate.origins[0] = namespaces_listen(&gate_net, PLACE_SERVER, false, 443);
	gate_steers(&gate, 0, gate_endpoints[0]);
	close(gate.origins[0]);
	close(gate.listeners[0]);
	close(gate.listeners[1]);
	datapath_close(gate.datapath);
	assert_nothing_is_left();
}

/* An upgrade that changes what is shared with the kernel programs. */
static void another_version_that_died_is_taken_over(void **state)
{
	struct config config = gate_configuration();
	char ours[128], other[128];
	struct gate *gate;
	struct stat st;
	bool tcx;

	(void)state;
	snprintf(ours, sizeof(ours), "%s/v%d", config.datapath.bpf_directory, SALLYPORT_ABI);
	snprintf(other, sizeof(other), "%s/v%d", config.datapath.bpf_directory, SALLYPORT_ABI - 1);
	die_after_start(config);
	assert_int_equal(rename(ours, other), 0);
	gate = gate_open(config);
	assert_int_not_equal(stat(other, &st), 0);
	gate_steers(gate, 0, gate_endpoints[0]);
	tcx = has_tcx(gate);
	gate_close(gate);
	/* Whose qdisc it is was written down in the maps that went. */
	if (!tcx)
		namespaces_run(&gate_net, PLACE_GATE, "tc qdisc delete dev inside clsact");
	assert_nothing_is_left();
}

static void another_version_that_runs_is_left_alone(void **state)
{
	struct config config = gate_configuration();
	char ours[128], other[128];
	struct gate *gate = gate_open(config);

	(void)state;
	snprintf(ours, sizeof(ours), "%s/v%d", config.datapath.bpf_directory, SALLYPORT_ABI);
	snprintf(other, sizeof(other), "%s/v%d", config.datapath.bpf_directory, SALLYPORT_ABI - 1);
	assert_int_equal(rename(ours, other), 0);
	refused(config, -EBUSY, "another running appliance");
	gate_steers(gate, 0, gate_endpoints[0]);
	assert_int_equal(rename(other, ours), 0);
	gate_close(gate);
	assert_nothing_is_left();
}

static void what_is_missing_is_told(void **state)
{
	struct config config = gate_configuration();

	(void)state;
	config.datapath.inside = nowhere;
	refused(config, -ENODEV, "nowhere");
	config = gate_configuration();
	config.datapath.inside = loopback;
	refused(config, -EMEDIUMTYPE, "Ethernet");
	config = gate_configuration();
	config.datapath.bpf_directory = no_bpffs;
	refused(config, -EINVAL, "mount -t bpf");
	assert_nothing_is_left();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_clean_stop_leaves_nothing),
		cmocka_unit_test(after_a_kill_connections_are_refused),
		cmocka_unit_test(after_a_kill_another_configuration_replaces_all),
		cmocka_unit_test(with_xdp_off_tc_accounts),
		cmocka_unit_test(an_interface_without_native_xdp_leaves_it_to_tc),
		cmocka_unit_test(what_others_attached_stays_theirs),
		cmocka_unit_test(without_tcx_filters_do_it),
		cmocka_unit_test(a_second_appliance_does_the_first_no_harm),
		cmocka_unit_test(foreign_programs_are_not_replaced),
		cmocka_unit_test(pins_belong_to_one_appliance),
		cmocka_unit_test(another_version_that_died_is_taken_over),
		cmocka_unit_test(another_version_that_runs_is_left_alone),
		cmocka_unit_test(what_is_missing_is_told),
	};

	return cmocka_run_group_tests(tests, gate_group_setup, gate_group_teardown);
}
