// SPDX-License-Identifier: GPL-2.0-or-later
/* The datapath as the parent uses it, in network namespaces, with sockets in place of workers. */
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
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "kernel/datapath.h"
#include "kernel/datapath_status.h"
#include "tests/support/namespaces.h"

#define PATIENCE_MS 3000
#define FAST_MS	    700 /* below the first retransmission of a SYN */
#define LATER_NS    (clock_monotonic_ns() + 3600 * NS_PER_S)

static struct namespaces net;
static uint16_t ports[] = {443};
static struct prefix prefixes[2];
static char bpf_directory[128];
static char inside[] = "inside", plain[] = "plain", loopback[] = "lo", nowhere[] = "nowhere";
static char other_directory[] = "/run/netns/bpf/second", no_bpffs[] = "/tmp/sallyport-no-bpffs";

static const char *const endpoints[] = {SERVER4, SERVER6};
/* Of the prefixes below. */
static const char *const prefixed[] = {"10.77.3.9", "fd77:3::9"};
static const char *const others[] = {"10.77.3.3", "fd77:3::3"};

struct gate {
	struct config config;
	struct datapath *datapath;
	int listeners[2]; /* worker 0: IPv4, IPv6 */
	int origins[2];	  /* port 443 of the server */
};

static struct config configuration(void)
{
	return (struct config){
		.datapath =
			{
				.inside = inside,
				.xdp = CONFIG_XDP_AUTO,
				.bpf_directory = bpf_directory,
				.mark = 0x5a11,
				.table = 5111,
				.listen_base = 15100,
				.max_sources = 4096,
				.max_flows = 4096,
				.max_endpoints = 256,
			},
		.endpoints =
			{
				.ports = ports,
				.nports = 1,
				.prefixes = prefixes,
				.nprefixes = 2,
			},
	};
}

static struct address parsed(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(text, &address), 0);
	return address;
}

static void learn(struct gate *gate, const char *text)
{
	struct address address = parsed(text);

	assert_int_equal(
		datapath_endpoint_learn(gate->datapath, &address, LATER_NS, ENDPOINT_RESOLVED), 0);
}

static void open_or_fail(struct gate *gate)
{
	struct why why = {""};

	if (datapath_open(&gate->config, &gate->datapath, &why) < 0)
		fail_msg("%s", why.text);
}

static void listen_or_fail(struct gate *gate)
{
	struct why why = {""};

	for (int i = 0; i < 2; i++) {
		gate->listeners[i] =
			datapath_listener(&gate->config, 0, i ? AF_INET6 : AF_INET, &why);
		if (gate->listeners[i] < 0)
			fail_msg("%s", why.text);
	}
	assert_int_equal(
		datapath_worker_set(gate->datapath, 0, gate->listeners[0], gate->listeners[1]), 0);
	assert_int_equal(datapath_workers(gate->datapath, 1), 0);
}

static struct gate *gate_open(struct config config)
{
	static struct gate gate;

	gate = (struct gate){.config = config};
	open_or_fail(&gate);
	listen_or_fail(&gate);
	for (int i = 0; i < 2; i++) {
		learn(&gate, endpoints[i]);
		gate.origins[i] = namespaces_listen(&net, PLACE_SERVER, i, 443);
	}
	return &gate;
}

static void gate_close(struct gate *gate)
{
	for (int i = 0; i < 2; i++) {
		close(gate->listeners[i]);
		close(gate->origins[i]);
	}
	datapath_close(gate->datapath);
}

/* Most tests run with the datapath as configured by default. */
static int setup(void **state)
{
	*state = gate_open(configuration());
	return 0;
}

static int teardown(void **state)
{
	gate_close(*state);
	return 0;
}

static bool nothing_arrives(int listener)
{
	return accept4(listener, NULL, NULL, 0) < 0 && errno == EAGAIN;
}

/* Connects and takes the connection off the listener; both ends are given back. */
static void pair_open(int listener, const char *to, uint16_t source_port, int ends[2])
{
	ends[0] = namespaces_connect(&net, to, 443, source_port, PATIENCE_MS);
	if (ends[0] < 0)
		fail_msg("connect to %s: %s", to, strerror(-ends[0]));
	ends[1] = namespaces_accept(listener);
	if (ends[1] < 0)
		fail_msg("%s does not arrive: %s", to, strerror(-ends[1]));
}

static void pair_close(int ends[2])
{
	close(ends[0]);
	close(ends[1]);
}

static struct address_port name_of(int fd, bool peer)
{
	struct sockaddr_storage storage;
	socklen_t len = sizeof(storage);
	struct address_port name;

	if (peer)
		assert_int_equal(getpeername(fd, (struct sockaddr *)&storage, &len), 0);
	else
		assert_int_equal(getsockname(fd, (struct sockaddr *)&storage, &len), 0);
	assert_int_equal(address_port_from_sockaddr(&name, (struct sockaddr *)&storage), 0);
	return name;
}

static void assert_steered(struct gate *gate, int family, const char *to)
{
	struct address destination = parsed(to);
	struct address client = parsed(family ? CLIENT6 : CLIENT4);
	struct address_port name;
	int ends[2];

	pair_open(gate->listeners[family], to, 0, ends);
	name = name_of(ends[1], false);
	assert_true(address_equal(&name.address, &destination));
	assert_int_equal(name.port, 443);
	name = name_of(ends[1], true);
	assert_true(address_equal(&name.address, &client));
	assert_true(namespaces_carries(ends[0], ends[1], 100000));
	assert_true(namespaces_carries(ends[1], ends[0], 300000));
	assert_true(nothing_arrives(gate->origins[family]));
	pair_close(ends);
}

static void an_accepted_connection_tells_its_original_destination(void **state)
{
	for (int family = 0; family < 2; family++) {
		assert_steered(*state, family, endpoints[family]);
		assert_steered(*state, family, prefixed[family]);
	}
}

static void everything_else_passes(void **state)
{
	struct gate *gate = *state;

	for (int family = 0; family < 2; family++) {
		struct address client = parsed(family ? CLIENT6 : CLIENT4);
		int web = namespaces_listen(&net, PLACE_SERVER, family, 80);
		struct address_port name;
		int ends[2];

		pair_open(gate->origins[family], others[family], 0, ends);
		name = name_of(ends[1], true);
		assert_true(address_equal(&name.address, &client));
		assert_true(namespaces_carries(ends[0], ends[1], 100000));
		pair_close(ends);
		/* Another port of an endpoint. */
		ends[0] = namespaces_connect(&net, endpoints[family], 80, 0, PATIENCE_MS);
		assert_true(ends[0] >= 0);
		ends[1] = namespaces_accept(web);
		assert_true(ends[1] >= 0);
		pair_close(ends);
		close(web);
		assert_true(nothing_arrives(gate->listeners[family]));
	}
	namespaces_run(&net, PLACE_CLIENT, "ping -c1 -W2 -s 4000 -q " SERVER4 " >/dev/null");
	namespaces_run(&net, PLACE_CLIENT, "ping -c1 -W2 -s 4000 -q " SERVER6 " >/dev/null");
}

/* The proxy closes first and keeps the TIME_WAIT; the client's next connection comes from the same
 * port. */
static void a_four_tuple_can_be_used_again(void **state)
{
	struct gate *gate = *state;

	for (int family = 0; family < 2; family++)
		for (int round = 0; round < 3; round++) {
			int ends[2];

			pair_open(gate->listeners[family], endpoints[family], 33333, ends);
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
		assert_int_equal(namespaces_connect(&net, endpoints[family], 443, 0, FAST_MS),
			-ECONNREFUSED);
		assert_true(nothing_arrives(gate->origins[family]));
	}
	assert_int_equal(
		datapath_worker_set(gate->datapath, 0, gate->listeners[0], gate->listeners[1]), 0);
	assert_steered(gate, 0, endpoints[0]);
}

static void a_closed_listener_refuses_and_keeps_its_connections(void **state)
{
	struct gate *gate = *state;

	for (int family = 0; family < 2; family++) {
		int ends[2];

		pair_open(gate->listeners[family], endpoints[family], 0, ends);
		close(gate->listeners[family]);
		gate->listeners[family] = -1;
		assert_int_equal(namespaces_connect(&net, endpoints[family], 443, 0, FAST_MS),
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

		pair_open(gate->listeners[family], endpoints[family], 0, ends);
		close(gate->listeners[family]);
		gate->listeners[family] = -1;
		/* The worker's own reset does not arrive: the client learns by its next word. */
		namespaces_run(&net, PLACE_HOP, "ip link set c1 down");
		setsockopt(ends[1], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(ends[1]);
		namespaces_run(&net, PLACE_HOP,
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

	pair_open(gate->origins[0], others[0], 0, direct);
	learn(gate, others[0]);
	assert_true(namespaces_carries(direct[0], direct[1], 50000));
	assert_true(namespaces_carries(direct[1], direct[0], 50000));
	pair_open(gate->listeners[0], others[0], 0, steered);
	/* And out again. */
	assert_int_equal(datapath_endpoint_sweep(gate->datapath, UINT64_MAX), 3);
	assert_true(namespaces_carries(steered[0], steered[1], 50000));
	pair_close(direct);
	pair_close(steered);
	pair_open(gate->origins[0], others[0], 0, direct);
	pair_close(direct);
}

static void endpoints_last_as_long_as_they_were_learned_for(void **state)
{
	struct gate *gate = *state;
	static const char *const never[] = {"127.0.0.1", "0.0.0.0", "169.254.169.254", "224.0.0.1",
		"255.255.255.255", "::", "::1", "fe80::1", "ff02::1"};
	struct address address = parsed("192.0.2.1");
	uint64_t now = clock_monotonic_ns();

	assert_int_equal(
		datapath_endpoint_learn(gate->datapath, &address, now + 10, ENDPOINT_RESOLVED), 0);
	/* Learned again for less: not shortened. */
	assert_int_equal(
		datapath_endpoint_learn(gate->datapath, &address, now + 5, ENDPOINT_RESOLVED), 0);
	assert_int_equal(datapath_endpoint_sweep(gate->datapath, now + 7), 0);
	assert_int_equal(datapath_endpoint_sweep(gate->datapath, now + 10), 1);
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		address = parsed(never[i]);
		assert_int_equal(datapath_endpoint_learn(
					 gate->datapath, &address, LATER_NS, ENDPOINT_RESOLVED),
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
			gate->datapath, &address, LATER_NS, ENDPOINT_RESOLVED);
	}
	assert_int_equal(error, -ENOSPC);
}

/* The sysctls that break other transparent proxies silently, and SYN cookies. */
static void odd_settings_of_the_host_do_no_harm(void **state)
{
	namespaces_run(&net, PLACE_GATE,
		"sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.inside.rp_filter=1 "
		"net.ipv4.conf.all.src_valid_mark=1 net.ipv4.tcp_fwmark_accept=1 "
		"net.ipv4.tcp_syncookies=2");
	for (int family = 0; family < 2; family++)
		assert_steered(*state, family, endpoints[family]);
	namespaces_run(&net, PLACE_GATE,
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

		pair_open(gate->listeners[family], endpoints[family], 0, ends);
		namespaces_run(&net, PLACE_HOP, "ip link set c1 mtu 1300");
		assert_true(namespaces_carries(ends[1], ends[0], 200000));
		pair_close(ends);
		namespaces_run(&net, PLACE_HOP, "ip link set c1 mtu 1500");
	}
}

static struct datapath_status *status_of(const struct gate *gate)
{
	struct datapath_status *status;
	struct why why = {""};

	if (datapath_status_read(&gate->config, &status, &why) < 0)
		fail_msg("%s", why.text);
	return status;
}

static const struct datapath_source *source_of(
	const struct datapath_status *status, const char *text)
{
	struct address address = parsed(text);

	for (size_t i = 0; i < status->nsources; i++)
		if (address_equal(&status->sources[i].address, &address))
			return &status->sources[i];
	return NULL;
}

static void the_status_tells_what_is_attached(void **state)
{
	struct gate *gate = *state;
	struct datapath_status *status;
	int ends[2];

	pair_open(gate->listeners[0], endpoints[0], 0, ends);
	status = status_of(gate);
	assert_true(status->pinned);
	assert_true(status->account.attached);
	assert_string_equal(status->account.mode, "native");
	assert_true(status->steer.attached);
	assert_true(status->select.attached);
	assert_true(status->rule4 && status->rule6 && status->route4 && status->route6);
	assert_int_equal(status->workers, 1);
	assert_int_equal(status->listening4, 1);
	assert_int_equal(status->listening6, 1);
	assert_int_equal(status->flows, 1);
	assert_int_equal(status->flows_active, 1);
	assert_int_equal(status->outcomes[OUTCOME_OPENED], 1);
	assert_int_equal(status->outcomes[OUTCOME_SELECTED], 1);
	assert_int_equal(status->nendpoints, 4);
	assert_non_null(source_of(status, CLIENT4));
	assert_int_equal(source_of(status, CLIENT4)->counters.syns, 1);
	datapath_status_free(status);
	pair_close(ends);
	usleep(50000);
	status = status_of(gate);
	assert_int_equal(status->flows, 1);
	assert_int_equal(status->flows_active, 0);
	datapath_status_free(status);
}

static void a_reload_changes_ports_and_prefixes_alone(void **state)
{
	struct gate *gate = *state;
	struct config changed = gate->config;
	static uint16_t other_ports[] = {8443};
	struct why why = {""};
	int web = namespaces_listen(&net, PLACE_SERVER, false, 8443), fd, client;

	changed.endpoints.ports = other_ports;
	changed.endpoints.nprefixes = 0;
	assert_int_equal(datapath_reconfigure(gate->datapath, &changed, &why), 0);
	client = namespaces_connect(&net, endpoints[0], 8443, 0, PATIENCE_MS);
	assert_true(client >= 0);
	fd = namespaces_accept(gate->listeners[0]);
	assert_true(fd >= 0);
	close(fd);
	close(client);
	client = namespaces_connect(&net, prefixed[0], 8443, 0, PATIENCE_MS);
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

/* ---- starting and stopping ---- */

static void assert_nothing_is_left(void)
{
	struct stat st;

	assert_int_not_equal(namespaces_try(&net, PLACE_GATE, "ip rule | grep 5111"), 0);
	assert_int_not_equal(namespaces_try(&net, PLACE_GATE, "ip -6 rule | grep 5111"), 0);
	assert_int_not_equal(
		namespaces_try(&net, PLACE_GATE, "ip route show table 5111 | grep local"), 0);
	assert_int_not_equal(
		namespaces_try(&net, PLACE_GATE, "ip -6 route show table 5111 | grep local"), 0);
	assert_int_not_equal(
		namespaces_try(&net, PLACE_GATE, "tc qdisc show dev inside | grep clsact"), 0);
	assert_int_not_equal(
		namespaces_try(&net, PLACE_GATE, "ip link show dev inside | grep xdp"), 0);
	assert_int_not_equal(stat(bpf_directory, &st), 0);
}

static void a_clean_stop_leaves_nothing(void **state)
{
	(void)state;
	for (int round = 0; round < 2; round++) {
		struct gate *gate = gate_open(configuration());

		assert_steered(gate, 0, endpoints[0]);
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
		pair_open(gate->listeners[0], endpoints[0], 40404, (int[2]){0, 0});
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
	die_after_start(configuration());
	origin = namespaces_listen(&net, PLACE_SERVER, false, 443);
	for (int family = 0; family < 2; family++)
		assert_int_equal(namespaces_connect(&net, endpoints[family], 443, 0, FAST_MS),
			-ECONNREFUSED);
	assert_true(nothing_arrives(origin));
	close(origin);
	/* The next start takes over endpoints, flows and counters. */
	die_after_start(configuration());
	gate = gate_open(configuration());
	status = status_of(gate);
	assert_true(source_of(status, CLIENT4)->counters.syns >= 3);
	assert_true(status->flows >= 1);
	datapath_status_free(status);
	assert_steered(gate, 0, endpoints[0]);
	assert_steered(gate, 1, endpoints[1]);
	gate_close(gate);
	assert_nothing_is_left();
}

static void after_a_kill_another_configuration_replaces_all(void **state)
{
	struct config config = configuration();
	struct datapath_status *status;
	struct gate *gate;

	(void)state;
	die_after_start(config);
	config.datapath.mark = 0x77;
	config.datapath.table = 5112;
	config.datapath.xdp = CONFIG_XDP_GENERIC;
	config.datapath.max_flows = 8192;
	gate = gate_open(config);
	status = status_of(gate);
	assert_string_equal(status->account.mode, "generic");
	assert_true(status->rule4 && status->rule6);
	datapath_status_free(status);
	assert_int_not_equal(namespaces_try(&net, PLACE_GATE, "ip rule | grep 0x5a11"), 0);
	/* Generic XDP hands TC copies that begin at another header. */
	for (int family = 0; family < 2; family++) {
		assert_steered(gate, family, endpoints[family]);
		assert_int_equal(datapath_workers(gate->datapath, 0), 0);
		assert_int_equal(namespaces_connect(&net, endpoints[family], 443, 0, FAST_MS),
			-ECONNREFUSED);
		assert_int_equal(datapath_workers(gate->datapath, 1), 0);
	}
	gate_close(gate);
	assert_nothing_is_left();
}

static void with_xdp_off_tc_accounts(void **state)
{
	struct config config = configuration();
	struct datapath_status *status;
	struct gate *gate;

	(void)state;
	die_after_start(config);
	config.datapath.xdp = CONFIG_XDP_OFF;
	gate = gate_open(config);
	status = status_of(gate);
	assert_false(status->account.attached);
	datapath_status_free(status);
	for (int family = 0; family < 2; family++) {
		assert_steered(gate, family, endpoints[family]);
		assert_int_equal(datapath_worker_set(gate->datapath, 0, -1, -1), 0);
		/* Here the checksum of a reset is left to the device. */
		assert_int_equal(namespaces_connect(&net, endpoints[family], 443, 0, FAST_MS),
			-ECONNREFUSED);
		assert_int_equal(datapath_worker_set(
					 gate->datapath, 0, gate->listeners[0], gate->listeners[1]),
			0);
	}
	status = status_of(gate);
	assert_true(source_of(status, CLIENT6)->counters.bytes > 100000);
	assert_true(source_of(status, CLIENT6)->counters.packets > 60);
	assert_int_equal(source_of(status, CLIENT6)->counters.drops[DROP_NO_WORKER], 1);
	datapath_status_free(status);
	gate_close(gate);
	assert_nothing_is_left();
}

static void an_interface_without_native_xdp_gets_generic(void **state)
{
	struct gate gate = {.config = configuration()};
	struct datapath_status *status;

	(void)state;
	namespaces_run(&net, PLACE_GATE, "ip link add plain type bridge; ip link set plain up");
	gate.config.datapath.inside = plain;
	open_or_fail(&gate);
	status = status_of(&gate);
	assert_string_equal(status->account.mode, "generic");
	datapath_status_free(status);
	datapath_close(gate.datapath);
	gate.config.datapath.xdp = CONFIG_XDP_NATIVE;
	assert_true(datapath_open(&gate.config, &gate.datapath, NULL) < 0);
	namespaces_run(&net, PLACE_GATE, "ip link delete plain");
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
	struct config config = configuration();
	struct gate *gate;
	int filter;

	(void)state;
	/* A routing table in use. */
	namespaces_run(&net, PLACE_GATE, "ip route add 192.0.2.0/24 dev outside table 5111");
	refused(config, -EBUSY, "table 5111");
	assert_int_equal(
		namespaces_try(&net, PLACE_GATE, "ip route show table 5111 | grep 192"), 0);
	namespaces_run(&net, PLACE_GATE, "ip route flush table 5111");
	/* A clsact qdisc that was there before. */
	namespaces_run(&net, PLACE_GATE, "tc qdisc add dev inside clsact");
	gate = gate_open(config);
	gate_close(gate);
	assert_int_equal(
		namespaces_try(&net, PLACE_GATE, "tc qdisc show dev inside | grep clsact"), 0);
	namespaces_run(&net, PLACE_GATE, "tc qdisc delete dev inside clsact");
	/* One of ours with filters of others in it. */
	gate = gate_open(config);
	filter = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "other", "GPL", pass, 2, NULL);
	filter_add(filter, BPF_TC_EGRESS, 9, 1);
	close(filter);
	gate_close(gate);
	assert_int_equal(
		namespaces_try(&net, PLACE_GATE, "tc filter show dev inside egress | grep bpf"), 0);
	namespaces_run(&net, PLACE_GATE, "tc qdisc delete dev inside clsact");
	assert_nothing_is_left();
}

/* Another appliance on the same interface, with pins and routing of its own. */
static void a_second_appliance_does_the_first_no_harm(void **state)
{
	struct config config = configuration();
	struct gate *gate = gate_open(config);

	(void)state;
	config.datapath.bpf_directory = other_directory;
	config.datapath.table = 5112;
	refused(config, -EBUSY, "another appliance");
	config.datapath.xdp = CONFIG_XDP_OFF;
	refused(config, -EBUSY, "another appliance");
	assert_steered(gate, 0, endpoints[0]);
	gate_close(gate);
	assert_nothing_is_left();
}

static void foreign_programs_are_not_replaced(void **state)
{
	struct config config = configuration();
	struct gate *gate = gate_open(config);
	int xdp = bpf_prog_load(BPF_PROG_TYPE_XDP, "other", "GPL", pass, 2, NULL);
	int tc = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "other", "GPL", pass, 2, NULL);
	int ifindex = (int)if_nametoindex(GATE_INSIDE);

	(void)state;
	gate_close(gate);
	assert_int_equal(bpf_xdp_attach(ifindex, xdp, 0, NULL), 0);
	refused(config, -EBUSY, "other");
	/* Accounting in TC lives with it. */
	config.datapath.xdp = CONFIG_XDP_OFF;
	gate = gate_open(config);
	assert_steered(gate, 0, endpoints[0]);
	gate_close(gate);
	assert_int_equal(bpf_xdp_detach(ifindex, 0, NULL), 0);
	namespaces_run(&net, PLACE_GATE, "tc qdisc add dev inside clsact");
	filter_add(tc, BPF_TC_INGRESS, 1, 0x5a11);
	refused(config, -EBUSY, "other");
	namespaces_run(&net, PLACE_GATE, "tc qdisc delete dev inside clsact");
	assert_nothing_is_left();
	close(xdp);
	close(tc);
}

static void pins_belong_to_one_appliance(void **state)
{
	struct gate gate = {.config = configuration()};

	(void)state;
	open_or_fail(&gate);
	refused(configuration(), -EBUSY, "bpf_directory");
	/* The first is unharmed. */
	listen_or_fail(&gate);
	learn(&gate, endpoints[0]);
	gate.origins[0] = namespaces_listen(&net, PLACE_SERVER, false, 443);
	assert_steered(&gate, 0, endpoints[0]);
	close(gate.origins[0]);
	close(gate.listeners[0]);
	close(gate.listeners[1]);
	datapath_close(gate.datapath);
	assert_nothing_is_left();
}

static void what_is_missing_is_told(void **state)
{
	struct config config = configuration();

	(void)state;
	config.datapath.inside = nowhere;
	refused(config, -ENODEV, "nowhere");
	config = configuration();
	config.datapath.inside = loopback;
	refused(config, -EMEDIUMTYPE, "Ethernet");
	config = configuration();
	config.datapath.bpf_directory = no_bpffs;
	refused(config, -EINVAL, "mount -t bpf");
	assert_nothing_is_left();
}

static int group_setup(void **state)
{
	(void)state;
	log_open("test", LOG_LEVEL_ERROR);
	namespaces_open(&net);
	snprintf(bpf_directory, sizeof(bpf_directory), "%s/sallyport", net.bpf);
	assert_int_equal(prefix_parse("10.77.3.8/31", &prefixes[0]), 0);
	assert_int_equal(prefix_parse("fd77:3::8/125", &prefixes[1]), 0);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	namespaces_close(&net);
	return 0;
}

#define WITH_GATE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

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
		cmocka_unit_test(a_clean_stop_leaves_nothing),
		cmocka_unit_test(after_a_kill_connections_are_refused),
		cmocka_unit_test(after_a_kill_another_configuration_replaces_all),
		cmocka_unit_test(with_xdp_off_tc_accounts),
		cmocka_unit_test(an_interface_without_native_xdp_gets_generic),
		cmocka_unit_test(what_others_attached_stays_theirs),
		cmocka_unit_test(a_second_appliance_does_the_first_no_harm),
		cmocka_unit_test(foreign_programs_are_not_replaced),
		cmocka_unit_test(pins_belong_to_one_appliance),
		cmocka_unit_test(what_is_missing_is_told),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
