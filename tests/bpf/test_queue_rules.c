// SPDX-License-Identifier: GPL-2.0-or-later
/* The netfilter rules that show packets to the scout, and its queues, in a kernel: what reaches a
 * reader, what becomes of the rest, and what stays when a process dies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/address.h"
#include "bpf/abi.h"
#include "kernel/queue_rules.h"
#include "scout/nfqueue.h"
#include "tests/support/namespaces.h"

#define QUEUE_BASE  700
#define PATIENCE_MS 5000
#define FAST_MS	    700 /* below the first retransmission of a SYN */

static struct namespaces net;
static char inside[] = GATE_INSIDE;
static uint16_t ports[] = {443};
static const char *const servers[] = {SERVER4, SERVER6};
static const char *const clients[] = {CLIENT4, CLIENT6};

static struct config configuration(enum config_learn learn, enum config_fail fail)
{
	return (struct config){
		.datapath = {.inside = inside,
			.fail = fail,
			.queue_base = QUEUE_BASE,
			.mark = 0x5a11},
		.endpoints = {.learn = learn, .ports = ports, .nports = 1},
	};
}

static struct queue_rules *rules_add(const struct config *config)
{
	struct queue_rules *rules;
	struct why why = {""};

	if (queue_rules_add(config, &rules, &why))
		fail_msg("%s", why.text);
	return rules;
}

static bool tables_are(int n)
{
	char command[96];

	snprintf(command, sizeof(command), "test $(nft list tables | grep -c sallyport_%s) -eq %d",
		inside, n);
	return namespaces_try(&net, PLACE_GATE, command) == 0;
}

/* --- a process that reads the queues --- */

struct seen {
	atomic_bool reads, pass;
	atomic_uint packets[QUEUE_RULES_KINDS], longest;
};

struct reader {
	struct nfqueue *queue;
	struct seen *seen;
	pid_t pid;
};

static void on_packet(void *context, const struct nfqueue_packet *packet, char *bytes, size_t len)
{
	struct reader *reader = context;
	unsigned kind = packet->queue / queue_rules_queues();

	(void)bytes;
	atomic_fetch_add(&reader->seen->packets[kind], 1);
	if (len > atomic_load(&reader->seen->longest))
		atomic_store(&reader->seen->longest, (unsigned)len);
	nfqueue_verdict(reader->queue, packet, atomic_load(&reader->seen->pass), SLICE_NONE);
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct reader *reader = timer->data;

	(void)loop;
	(void)events;
	atomic_store(&reader->seen->reads, nfqueue_reads(reader->queue));
}

static void reader_run(struct reader *reader, const struct config *config)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_NOENV);
	struct nfqueue_options options = {
		.first = QUEUE_BASE,
		.n = (uint16_t)queue_rules_queues(),
		.each = on_packet,
		.context = reader,
	};
	struct why why = {""};
	ev_timer look;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	for (int kind = 0; kind < QUEUE_RULES_KINDS; kind++)
		options.fail_open[kind] = queue_rules_pass(config, (enum queue_rules_kind)kind);
	if (!loop || nfqueue_open(loop, &options, NULL, &reader->queue, &why)) {
		fprintf(stderr, "%s\n", why.text);
		_exit(1);
	}
	ev_timer_init(&look, on_look, 0.01, 0.01);
	look.data = reader;
	ev_timer_start(loop, &look);
	ev_run(loop, 0);
	_exit(0);
}

static void reader_start(struct reader *reader, const struct config *config)
{
	reader->seen = mmap(NULL, sizeof(*reader->seen), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(reader->seen != MAP_FAILED);
	atomic_store(&reader->seen->pass, true);
	reader->pid = fork();
	if (reader->pid == 0)
		reader_run(reader, config);
	assert_true(reader->pid > 0);
	for (int i = 0; i < PATIENCE_MS && !atomic_load(&reader->seen->reads); i += 10)
		poll(NULL, 0, 10);
	assert_true(atomic_load(&reader->seen->reads));
}

/* As when it crashes. */
static void reader_stop(struct reader *reader)
{
	kill(reader->pid, SIGKILL);
	assert_int_equal(waitpid(reader->pid, NULL, 0), reader->pid);
	munmap(reader->seen, sizeof(*reader->seen));
}

/* --- traffic --- */

/* Whether a connection of the client arrives at the server. */
static bool connection_passes(int family, int milliseconds)
{
	int listener = namespaces_listen(&net, PLACE_SERVER, family, ports[0]);
	int fd = namespaces_connect(&net, servers[family], ports[0], 0, milliseconds);

	close(listener);
	if (fd < 0) {
		assert_int_equal(fd, -ETIMEDOUT);
		return false;
	}
	close(fd);
	return true;
}

static int datagram_socket(enum place place, const char *text, uint16_t port)
{
	struct address_port name = {.port = port};
	struct sockaddr_storage address;
	socklen_t len;
	int fd;

	assert_int_equal(address_parse(text, &name.address), 0);
	len = address_port_to_sockaddr(&name, &address);
	namespaces_enter(&net, place);
	fd = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	namespaces_enter(&net, PLACE_GATE);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	return fd;
}

/* Whether a datagram of the server's port 53 arrives at the client. */
static bool reply_passes(int family, size_t len)
{
	int from = datagram_socket(PLACE_SERVER, servers[family], 53);
	int to = datagram_socket(PLACE_CLIENT, clients[family], 5353);
	struct pollfd arrives = {.fd = to, .events = POLLIN};
	static char bytes[4096];
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	bool passes;

	assert_int_equal(getsockname(to, (struct sockaddr *)&address, &size), 0);
	assert_int_equal(sendto(from, bytes, len, 0, (struct sockaddr *)&address, size), len);
	passes = poll(&arrives, 1, FAST_MS) == 1 &&
		 recv(to, bytes, sizeof(bytes), 0) == (ssize_t)len;
	close(from);
	close(to);
	return passes;
}

/* --- tests --- */

static int group_setup(void **state)
{
	(void)state;
	namespaces_open(&net);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	namespaces_close(&net);
	return 0;
}

static const struct row {
	enum config_learn learn;
	enum config_fail fail;
	bool replies, connections; /* pass while nobody reads */
} rows[] = {
	{CONFIG_LEARN_BOTH, CONFIG_FAIL_OPEN, true, true},
	{CONFIG_LEARN_BOTH, CONFIG_FAIL_CLOSED, true, false},
	{CONFIG_LEARN_SNI, CONFIG_FAIL_CLOSED, true, false},
	{CONFIG_LEARN_DNS, CONFIG_FAIL_OPEN, true, true},
	{CONFIG_LEARN_DNS, CONFIG_FAIL_CLOSED, false, true}, /* it queues no connections */
};

static void what_nobody_reads_passes_or_not(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config config = configuration(rows[i].learn, rows[i].fail);
		struct queue_rules *rules = rules_add(&config);

		for (int family = 0; family < 2; family++) {
			if (reply_passes(family, 100) != rows[i].replies)
				fail_msg("row %zu, family %d: a reply", i, family);
			if (connection_passes(family, FAST_MS) != rows[i].connections)
				fail_msg("row %zu, family %d: a connection", i, family);
		}
		queue_rules_remove(rules);
		assert_true(tables_are(0));
	}
}

static void a_reader_decides(void **state)
{
	struct config config = configuration(CONFIG_LEARN_BOTH, CONFIG_FAIL_CLOSED);
	struct queue_rules *rules = rules_add(&config);
	struct reader reader;

	(void)state;
	reader_start(&reader, &config);
	for (int family = 0; family < 2; family++) {
		atomic_store(&reader.seen->pass, true);
		assert_true(connection_passes(family, PATIENCE_MS));
		assert_true(reply_passes(family, 100));
		atomic_store(&reader.seen->pass, false);
		assert_false(connection_passes(family, FAST_MS));
		assert_false(reply_passes(family, 100));
		/* Each in its own queues. */
		assert_int_equal(atomic_exchange(&reader.seen->packets[QUEUE_RULES_DNS], 0), 2);
		assert_true(atomic_exchange(&reader.seen->packets[QUEUE_RULES_FIRST], 0) >= 2);
	}
	reader_stop(&reader);
	/* It is gone, and so are its verdicts. */
	assert_true(reply_passes(0, 100));
	assert_false(connection_passes(0, FAST_MS));
	queue_rules_remove(rules);
	assert_true(connection_passes(0, PATIENCE_MS));
}

/* However many they are: until steer, here a rule, says that nobody need see them. */
static void what_is_not_marked_as_seen_is_shown(void **state)
{
	struct config config = configuration(CONFIG_LEARN_BOTH, CONFIG_FAIL_CLOSED);
	struct queue_rules *rules = rules_add(&config);
	struct reader reader;
	int listener, from, to;
	unsigned shown;

	(void)state;
	reader_start(&reader, &config);
	listener = namespaces_listen(&net, PLACE_SERVER, false, ports[0]);
	from = namespaces_connect(&net, SERVER4, ports[0], 0, PATIENCE_MS);
	to = namespaces_accept(listener);
	assert_true(from >= 0 && to >= 0);
	for (int i = 0; i < 100; i++)
		assert_true(namespaces_carries(from, to, 1));
	assert_true(atomic_load(&reader.seen->packets[QUEUE_RULES_FIRST]) >= 100);
	namespaces_run(&net, PLACE_GATE,
		"nft 'add table ip marks; add chain ip marks c { type filter hook prerouting "
		"priority -200; }; add rule ip marks c iifname %s meta mark set %u'",
		inside, MARK_UNSEEN(config.datapath.mark));
	/* What is under way already. */
	assert_true(namespaces_carries(from, to, 1));
	shown = atomic_load(&reader.seen->packets[QUEUE_RULES_FIRST]);
	for (int i = 0; i < 10; i++)
		assert_true(namespaces_carries(from, to, 1));
	assert_int_equal(atomic_load(&reader.seen->packets[QUEUE_RULES_FIRST]), shown);
	namespaces_run(&net, PLACE_GATE, "nft delete table ip marks");
	close(from);
	close(to);
	close(listener);
	reader_stop(&reader);
	queue_rules_remove(rules);
}

/* Also when no port is steered, and so nothing else makes the kernel track connections. */
static void fragments_are_shown_as_one(void **state)
{
	struct config config = configuration(CONFIG_LEARN_DNS, CONFIG_FAIL_CLOSED);
	struct queue_rules *rules;
	struct reader reader;

	(void)state;
	config.endpoints.nports = 0;
	rules = rules_add(&config);
	reader_start(&reader, &config);
	for (int family = 0; family < 2; family++) {
		assert_true(reply_passes(family, 3000));
		assert_int_equal(atomic_exchange(&reader.seen->packets[QUEUE_RULES_DNS], 0), 1);
		assert_true(atomic_exchange(&reader.seen->longest, 0) > 3000);
	}
	reader_stop(&reader);
	queue_rules_remove(rules);
}

/* Adds rules, changes them if there is another configuration, and dies. */
static void die_with_rules(const struct config *config, const struct config *change)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct queue_rules *rules;
		struct why why = {""};
		int error = queue_rules_add(config, &rules, &why);

		if (!error && change)
			error = queue_rules_change(&rules, change, &why);
		if (error)
			fprintf(stderr, "%s\n", why.text);
		_exit(error ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void what_stays_behind_is_the_modes_to_say(void **state)
{
	struct config open = configuration(CONFIG_LEARN_BOTH, CONFIG_FAIL_OPEN);
	struct config closed = configuration(CONFIG_LEARN_BOTH, CONFIG_FAIL_CLOSED);
	struct config off = configuration(CONFIG_LEARN_OFF, CONFIG_FAIL_CLOSED);
	struct queue_rules *rules;

	(void)state;
	die_with_rules(&open, NULL);
	assert_true(tables_are(0));
	die_with_rules(&closed, &open);
	assert_true(tables_are(0));
	die_with_rules(&closed, &off);
	assert_true(tables_are(0));
	die_with_rules(&open, &closed);
	assert_true(tables_are(2));
	assert_false(connection_passes(0, FAST_MS));
	/* The next life takes them over, in either mode … */
	die_with_rules(&closed, NULL);
	assert_true(tables_are(2));
	rules = rules_add(&open);
	assert_true(tables_are(2));
	assert_true(connection_passes(0, PATIENCE_MS));
	queue_rules_remove(rules);
	assert_true(tables_are(0));
	/* … or away. */
	die_with_rules(&closed, NULL);
	assert_null(rules_add(&off));
	assert_true(tables_are(0));
}

static void a_table_of_somebody_else_stays(void **state)
{
	struct config config = configuration(CONFIG_LEARN_BOTH, CONFIG_FAIL_OPEN);
	struct config off = configuration(CONFIG_LEARN_OFF, CONFIG_FAIL_OPEN);
	struct queue_rules *rules = rules_add(&config), *second;
	struct why why = {""};

	(void)state;
	assert_int_equal(queue_rules_add(&config, &second, &why), -EPERM);
	assert_null(second);
	assert_non_null(strstr(why.text, "somebody else's"));
	assert_null(rules_add(&off));
	assert_true(tables_are(2));
	queue_rules_remove(rules);
	assert_true(tables_are(0));
}

static void other_tables_are_left_alone(void **state)
{
	struct config config = configuration(CONFIG_LEARN_BOTH, CONFIG_FAIL_CLOSED);

	(void)state;
	namespaces_run(&net, PLACE_GATE,
		"nft 'add table ip others; add chain ip others c "
		"{ type filter hook forward priority 0; }'");
	queue_rules_remove(rules_add(&config));
	assert_int_equal(namespaces_try(&net, PLACE_GATE, "nft list chain ip others c"), 0);
	namespaces_run(&net, PLACE_GATE, "nft delete table ip others");
	assert_true(tables_are(0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_nobody_reads_passes_or_not),
		cmocka_unit_test(a_reader_decides),
		cmocka_unit_test(what_is_not_marked_as_seen_is_shown),
		cmocka_unit_test(fragments_are_shown_as_one),
		cmocka_unit_test(what_stays_behind_is_the_modes_to_say),
		cmocka_unit_test(a_table_of_somebody_else_stays),
		cmocka_unit_test(other_tables_are_left_alone),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
