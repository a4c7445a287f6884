// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define LATER_NS (clock_monotonic_ns() + 3600 * NS_PER_S)

struct namespaces gate_net;
const char *const gate_endpoints[] = {SERVER4, SERVER6};
const char *const gate_prefixed[] = {"10.77.3.9", "fd77:3::9"}; /* of the prefixes below */
const char *const gate_others[] = {"10.77.3.3", "fd77:3::3"};

static uint16_t ports[] = {443};
static struct prefix prefixes[2];
static char bpf_directory[128], inside[] = GATE_INSIDE;

int gate_group_setup(void **state)
{
	(void)state;
	log_open("test", LOG_LEVEL_ERROR);
	namespaces_open(&gate_net);
	snprintf(bpf_directory, sizeof(bpf_directory), "%s/sallyport", gate_net.bpf);
	assert_int_equal(prefix_parse("10.77.3.8/31", &prefixes[0]), 0);
	assert_int_equal(prefix_parse("fd77:3::8/125", &prefixes[1]), 0);
	return 0;
}

int gate_group_teardown(void **state)
{
	(void)state;
	namespaces_close(&gate_net);
	return 0;
}

int gate_setup(void **state)
{
	*state = gate_open(gate_configuration());
	return 0;
}

int gate_teardown(void **state)
{
	gate_close(*state);
	return 0;
}

struct config gate_configuration(void)
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

struct address parsed(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(text, &address), 0);
	return address;
}

void gate_learn(struct gate *gate, const char *text)
{
	struct address address = parsed(text);

	assert_int_equal(datapath_endpoint_learn(gate->datapath, &address, LATER_NS,
				 ENDPOINT_RESOLVED, FAIL_CLOSED),
		0);
}

void gate_start(struct gate *gate)
{
	struct why why = {""};

	if (datapath_open(&gate->config, &gate->datapath, &why) < 0)
		fail_msg("%s", why.text);
}

void gate_listen(struct gate *gate)
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

struct gate *gate_open(struct config config)
{
	static struct gate gate;

	gate = (struct gate){.config = config};
	gate_start(&gate);
	gate_listen(&gate);
	for (int i = 0; i < 2; i++) {
		gate_learn(&gate, gate_endpoints[i]);
		gate.origins[i] = namespaces_listen(&gate_net, PLACE_SERVER, i, 443);
	}
	return &gate;
}

void gate_close(struct gate *gate)
{
	for (int i = 0; i < 2; i++) {
		close(gate->listeners[i]);
		close(gate->origins[i]);
	}
	datapath_close(gate->datapath);
}

bool nothing_arrives(int listener)
{
	return accept4(listener, NULL, NULL, 0) < 0 && errno == EAGAIN;
}

void pair_open(int listener, const char *to, uint16_t source_port, int ends[2])
{
	ends[0] = namespaces_connect(&gate_net, to, 443, source_port, PATIENCE_MS);
	if (ends[0] < 0)
		fail_msg("connect to %s: %s", to, strerror(-ends[0]));
	ends[1] = namespaces_accept(listener);
	if (ends[1] < 0)
		fail_msg("%s does not arrive: %s", to, strerror(-ends[1]));
}

void pair_close(int ends[2])
{
	close(ends[0]);
	close(ends[1]);
}

struct address_port name_of(int fd, bool peer)
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

void gate_steers(struct gate *gate, int family, const char *to)
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

struct datapath_status *gate_status(const struct gate *gate)
{
	struct datapath_status *status;
	struct why why = {""};

	if (datapath_status_read(&gate->config, &status, &why) < 0)
		fail_msg("%s", why.text);
	return status;
}

const struct datapath_source *source_of(const struct datapath_status *status, const char *text)
{
	struct address address = parsed(text);

	for (size_t i = 0; i < status->nsources; i++)
		if (address_equal(&status->sources[i].address, &address))
			return &status->sources[i];
	return NULL;
}
