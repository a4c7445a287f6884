// SPDX-License-Identifier: GPL-2.0-or-later
/* The same frames are counted and dropped the same with XDP native, generic and off: put on the
 * wire before the gate, of every shape, and merged ones that only some ways to receive take apart.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bpf/parse.h"
#include "tests/support/gate.h"
#include "tests/support/wire.h"

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define SOMEBODY4     "203.0.113.1"
#define SOMEBODY6     "2001:db8:4::1"
#define DENIED4	      "10.66.0.9"

/* Sent in this order, three times each, from a source of each row's own. */
static const struct row {
	const char *name;
	struct packet_plan plan;
	uint16_t gso_size; /* not 0: one skb that stands for segments of this size */
	unsigned packets;  /* that one of them counts as */
	enum drop drop;
} rows[] = {
	{"datagram", {.source = "10.77.9.1", .destination = SOMEBODY4, .protocol = IPPROTO_UDP}, 0,
		1, DROP_NONE},
	{"datagram, IPv6",
		{.source = "fd77:9::1", .destination = SOMEBODY6, .protocol = IPPROTO_UDP}, 0, 1,
		DROP_NONE},
	{"IP options",
		{.source = "10.77.9.2",
			.destination = SOMEBODY4,
			.flags = TCP_ACK,
			.ip_options = 40},
		0, 1, DROP_NONE},
	{"extension headers",
		{.source = "fd77:9::2",
			.destination = SOMEBODY6,
			.flags = TCP_ACK,
			.extensions = 6},
		0, 1, DROP_NONE},
	{"tagged",
		{.source = "10.77.9.3",
			.destination = SOMEBODY4,
			.flags = TCP_ACK,
			.vlans = 1,
			.vlan = 5},
		0, 1, DROP_NONE},
	{"tagged twice",
		{.source = "fd77:9::3",
			.destination = SOMEBODY6,
			.flags = TCP_ACK,
			.vlans = 2,
			.vlan = 5},
		0, 1, DROP_NONE},
	{"tagged with a priority",
		{.source = "10.77.9.4", .destination = SOMEBODY4, .flags = TCP_SYN, .vlans = 1}, 0,
		1, DROP_NONE},
	{"first fragment",
		{.source = "10.77.9.5",
			.destination = SOMEBODY4,
			.flags = TCP_ACK,
			.payload = 600,
			.fragment = 0x2000},
		0, 1, DROP_NONE},
	{"later fragment", {.source = "fd77:9::5", .destination = SOMEBODY6, .fragment = 800}, 0, 1,
		DROP_NONE},
	{"SYN", {.source = "10.77.9.6", .destination = SOMEBODY4, .flags = TCP_SYN}, 0, 1,
		DROP_NONE},
	{"three segments",
		{.source = "10.77.9.7",
			.destination = SOMEBODY4,
			.flags = TCP_ACK,
			.payload = 1400},
		500, 3, DROP_NONE},
	{"three segments, IPv6",
		{.source = "fd77:9::7",
			.destination = SOMEBODY6,
			.flags = TCP_ACK,
			.payload = 1400},
		500, 3, DROP_NONE},
	{"denied SYN", {.source = "10.66.0.1", .destination = SOMEBODY4, .flags = TCP_SYN}, 0, 1,
		DROP_DENIED},
	{"denied segments",
		{.source = DENIED4, .destination = SOMEBODY4, .flags = TCP_ACK, .payload = 1400},
		500, 3, DROP_DENIED},
	{"denied datagram",
		{.source = "10.66.0.3", .destination = SOMEBODY4, .protocol = IPPROTO_UDP}, 0, 1,
		DROP_DENIED},
	{"malformed",
		{.source = "10.77.9.8",
			.destination = SOMEBODY4,
			.flags = TCP_ACK,
			.tcp_offset = 15},
		0, 1, DROP_MALFORMED},
	{"SYN and FIN",
		{.source = "fd77:9::8", .destination = SOMEBODY6, .flags = TCP_SYN | TCP_FIN}, 0, 1,
		DROP_FLAGS},
	{"hidden",
		{.source = "10.77.9.9",
			.destination = "10.77.3.2",
			.flags = TCP_SYN,
			.fragment = 0x2000},
		0, 1, DROP_HIDDEN},
};

/* What one frame of the row has on the wire, in all its segments. */
static uint64_t bytes_of(const struct row *row)
{
	struct packet_bytes packet;

	packet_build(&row->plan, &packet);
	return packet.len + (row->packets - 1) * (packet.len - row->plan.payload);
}

static void assert_counted(struct gate *gate, const char *mode, const struct row *row)
{
	struct datapath_status *status = gate_status(gate);
	const struct datapath_source *source = source_of(status, row->plan.source);
	bool syn = row->drop == DROP_NONE && (row->plan.flags & TCP_SYN);
	uint64_t packets, bytes, drops = 0;

	if (!source)
		fail_msg("%s, %s: not counted", mode, row->name);
	packets = source->counters.packets;
	bytes = source->counters.bytes;
	for (enum drop drop = 0; drop < DROP_COUNT; drop++)
		drops += source->counters.drops[drop];
	if (packets != 3 * row->packets || bytes != 3 * bytes_of(row))
		fail_msg("%s, %s: %llu packets and %llu bytes, not %u and %llu", mode, row->name,
			(unsigned long long)packets, (unsigned long long)bytes, 3 * row->packets,
			3 * (unsigned long long)bytes_of(row));
	if (source->counters.syns != syn || source->counters.syns_again != 2 * syn)
		fail_msg("%s, %s: %llu SYNs, %llu again", mode, row->name,
			(unsigned long long)source->counters.syns,
			(unsigned long long)source->counters.syns_again);
	if (row->drop == DROP_NONE ? drops != 0
				   : drops == 0 || drops != source->counters.drops[row->drop])
		fail_msg("%s, %s: %llu drops", mode, row->name, (unsigned long long)drops);
	datapath_status_free(status);
}

static void each_way_to_receive_counts_and_drops_the_same(void **state)
{
	static const struct {
		const char *name;
		enum config_xdp xdp;
	} modes[] = {{"native", CONFIG_XDP_NATIVE}, {"generic", CONFIG_XDP_GENERIC},
		{"off", CONFIG_XDP_OFF}};
	static struct prefix denied;

	(void)state;
	assert_int_equal(prefix_parse("10.66.0.0/16", &denied), 0);
	for (size_t i = 0; i < COUNT(modes); i++) {
		struct config config = gate_configuration();
		struct gate *gate;
		int wire;

		config.datapath.xdp = modes[i].xdp;
		config.admission.deny = &denied;
		config.admission.ndeny = 1;
		gate = gate_open(config);
		wire = wire_open(&gate_net);
		for (int round = 0; round < 3; round++)
			for (size_t row = 0; row < COUNT(rows); row++)
				wire_send(wire, &rows[row].plan, rows[row].gso_size);
		close(wire);
		usleep(100000);
		for (size_t row = 0; row < COUNT(rows); row++)
			assert_counted(gate, modes[i].name, &rows[row]);
		gate_close(gate);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_way_to_receive_counts_and_drops_the_same),
	};

	return cmocka_run_group_tests(tests, gate_group_setup, gate_group_teardown);
}
