// SPDX-License-Identifier: GPL-2.0-or-later
/* datapath.forward: xdp, in network namespaces: what XDP forwards by itself, and what it leaves to
 * the stack. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bpf/parse.h"
#include "tests/support/gate.h"
#include "tests/support/packet.h"

#define CLIENT_INTERFACE "c0"
#define SERVER_INTERFACE "s0"

/* veth takes redirected frames only for a peer that has XDP. */
static void server_takes_frames(bool on)
{
	static const struct bpf_insn pass[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int program = bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "GPL", pass, 2, NULL);

	namespaces_enter(&gate_net, PLACE_SERVER);
	assert_int_equal(bpf_xdp_attach((int)if_nametoindex(SERVER_INTERFACE), on ? program : -1,
				 XDP_FLAGS_DRV_MODE, NULL),
		0);
	namespaces_enter(&gate_net, PLACE_GATE);
	close(program);
}

/* A frame that XDP redirects has no device that would finish its checksum. */
static void client_sums(bool itself)
{
	struct ethtool_value value = {.cmd = ETHTOOL_STXCSUM, .data = !itself};
	struct ifreq request = {.ifr_name = CLIENT_INTERFACE, .ifr_data = (char *)&value};
	int fd;

	namespaces_enter(&gate_net, PLACE_CLIENT);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(ioctl(fd, SIOCETHTOOL, &request), 0);
	close(fd);
	namespaces_enter(&gate_net, PLACE_GATE);
}

static int setup(void **state)
{
	struct config config = gate_configuration();

	server_takes_frames(true);
	client_sums(true);
	config.datapath.xdp = CONFIG_XDP_NATIVE;
	config.datapath.forward = CONFIG_FORWARD_XDP;
	*state = gate_open(config);
	return 0;
}

static int teardown(void **state)
{
	gate_close(*state);
	client_sums(false);
	server_takes_frames(false);
	return 0;
}

static uint64_t forwarded(struct gate *gate)
{
	struct datapath_status *status = gate_status(gate);
	uint64_t n = status->outcomes[OUTCOME_FORWARDED];

	datapath_status_free(status);
	return n;
}

static void connections_that_are_not_steered_are_carried_by_xdp(void **state)
{
	struct gate *gate = *state;

	for (int family = 0; family < 2; family++) {
		uint64_t before = forwarded(gate);
		struct datapath_status *status;
		uint64_t packets;
		int ends[2];

		pair_open(gate->origins[family], gate_others[family], 0, ends);
		assert_true(namespaces_carries(ends[0], ends[1], 200000));
		assert_true(namespaces_carries(ends[1], ends[0], 200000));
		assert_true(forwarded(gate) > before + 100);
		/* They are counted like all others. */
		status = gate_status(gate);
		packets = source_of(status, family ? CLIENT6 : CLIENT4)->counters.packets;
		assert_true(packets > 130);
		assert_true(source_of(status, family ? CLIENT6 : CLIENT4)->counters.bytes > 200000);
		datapath_status_free(status);
		/* Their end is the stack's, so that it is seen. */
		close(ends[0]);
		assert_true(namespaces_ended(ends[1]));
		close(ends[1]);
	}
}

static void steered_connections_are_not_forwarded(void **state)
{
	struct gate *gate = *state;

	for (int family = 0; family < 2; family++) {
		uint64_t before = forwarded(gate);

		gate_steers(gate, family, gate_endpoints[family]);
		assert_int_equal(forwarded(gate), before);
	}
}

struct xdp_run {
	int action;
	uint8_t out[PACKET_BYTES_MAX];
};

static struct xdp_run xdp(struct gate *gate, const struct packet_bytes *packet)
{
	struct datapath_status *status = gate_status(gate);
	int program = bpf_prog_get_fd_by_id(status->admit.id);
	struct xdp_md context = {
		.data_end = (uint32_t)packet->len, .ingress_ifindex = (uint32_t)status->ifindex};
	struct xdp_run run = {0};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet->bytes,
		.data_size_in = (uint32_t)packet->len, .data_out = run.out,
		.data_size_out = sizeof(run.out), .ctx_in = &context,
		.ctx_size_in = sizeof(context), .repeat = 1);

	assert_true(program >= 0);
	assert_int_equal(bpf_prog_test_run_opts(program, &options), 0);
	run.action = (int)options.retval;
	close(program);
	datapath_status_free(status);
	return run;
}

/* Of the open connection, and each in one way a case for the stack. */
static void what_takes_more_than_a_header_is_left_to_the_stack(void **state)
{
	struct gate *gate = *state;

	for (int family = 0; family < 2; family++) {
		struct packet_plan plan = {.flags = TCP_ACK, .payload = 100, .sequence = 7},
				   changed;
		struct packet_bytes packet;
		uint8_t *ttl = packet.bytes + 14 + (family ? 7 : 8);
		struct xdp_run run;
		int ends[2];

		pair_open(gate->origins[family], gate_others[family], 0, ends);
		plan.source = family ? CLIENT6 : CLIENT4;
		plan.destination = gate_others[family];
		plan.source_port = name_of(ends[0], false).port;
		plan.destination_port = 443;
		packet_build(&plan, &packet);
		run = xdp(gate, &packet);
		assert_int_equal(run.action, XDP_REDIRECT);
		assert_int_equal(run.out[14 + (family ? 7 : 8)], *ttl - 1);
		if (!family)
			assert_int_equal(packet_ipv4_sum(run.out), 0xffff);
		assert_memory_not_equal(run.out, packet.bytes, 12);
		/* Its last hop. */
		*ttl = 1;
		if (family)
			assert_int_equal(xdp(gate, &packet).action, XDP_PASS);
		changed = plan;
		changed.flags = TCP_ACK | TCP_FIN;
		packet_build(&changed, &packet);
		assert_int_equal(xdp(gate, &packet).action, XDP_PASS);
		changed = plan;
		changed.source_port++;
		packet_build(&changed, &packet);
		assert_int_equal(xdp(gate, &packet).action, XDP_PASS);
		changed = plan;
		changed.vlans = 1;
		packet_build(&changed, &packet);
		assert_int_equal(xdp(gate, &packet).action, XDP_PASS);
		changed = plan;
		changed.ip_options = family ? 0 : 8;
		changed.extensions = family ? 1 : 0;
		packet_build(&changed, &packet);
		assert_int_equal(xdp(gate, &packet).action, XDP_PASS);
		/* Longer than the way out. */
		namespaces_run(&gate_net, PLACE_GATE, "ip link set outside mtu 1280");
		changed = plan;
		changed.payload = 1300;
		packet_build(&changed, &packet);
		assert_int_equal(xdp(gate, &packet).action, XDP_PASS);
		namespaces_run(&gate_net, PLACE_GATE, "ip link set outside mtu 1500");
		pair_close(ends);
	}
}

#define WITH_GATE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_GATE(connections_that_are_not_steered_are_carried_by_xdp),
		WITH_GATE(steered_connections_are_not_forwarded),
		WITH_GATE(what_takes_more_than_a_header_is_left_to_the_stack),
	};

	return cmocka_run_group_tests(tests, gate_group_setup, gate_group_teardown);
}
