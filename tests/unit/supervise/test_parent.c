// SPDX-License-Identifier: GPL-2.0-or-later
/* The real parent with roles of tests/support/roles.c: processes, privileges, reload, end. The
 * kernel's datapath has tests of its own; here workers have plain listeners. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "supervise/child.h"
#include "supervise/parent.h"
#include "supervise/supervisor.h"
#include "tests/support/appliance.h"
#include "tests/support/roles.h"
#include "tests/support/worker_call.h"

static int loopback_listener(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1, error;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (void *)&address, sizeof(address)) == 0 && listen(fd, 64) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

/* ---- in place of the kernel ---- */

const struct map_fds *datapath_maps(const struct datapath *datapath)
{
	(void)datapath;
	return NULL;
}

int datapath_open(const struct config *config, struct datapath **datapath, struct why *why)
{
	(void)config;
	(void)datapath;
	(void)why;
	return 0;
}

int datapath_listener(const struct config *config, unsigned worker, int family, struct why *why)
{
	uint16_t port = (uint16_t)(config->datapath.listen_base + worker);
	int fd = family == AF_INET ? loopback_listener(port) : -EAFNOSUPPORT;

	return fd < 0 ? why_set(why, -fd, "port %u: %s", port, strerror(-fd)) : fd;
}

int datapath_gateway(const struct config *config, const struct address_port *at, struct why *why)
{
	int fd = loopback_listener(at->port);

	(void)config;
	return fd < 0 ? why_set(why, -fd, "port %u: %s", at->port, strerror(-fd)) : fd;
}

int datapath_worker_set(struct datapath *datapath, unsigned worker, int fd4, int fd6)
{
	(void)datapath;
	(void)worker;
	return fd4 >= 0 && fd6 == -1 ? 0 : -EINVAL;
}

int datapath_workers(struct datapath *datapath, unsigned n)
{
	(void)datapath;
	return n ? 0 : -EINVAL;
}

/* A page, as the map would be. */
int datapath_heartbeats(const struct datapath *datapath)
{
	static int page = -1;

	(void)datapath;
	if (page < 0) {
		page = memfd_create("heartbeats", MFD_CLOEXEC);
		assert_int_equal(ftruncate(page, getpagesize()), 0);
	}
	return page;
}

void datapath_guard(struct datapath *datapath, int ifindex)
{
	(void)datapath;
	(void)ifindex;
}

int datapath_judge_fds(const struct datapath *datapath, int *flows, int *judgements)
{
	(void)datapath;
	*flows = memfd_create("flows", MFD_CLOEXEC);
	*judgements = memfd_create("judgements", MFD_CLOEXEC);
	return *flows >= 0 && *judgements >= 0 ? 0 : -EMFILE;
}

int datapath_endpoint_learn(struct datapath *datapath, const struct address *address,
	uint64_t expires_ns, enum endpoint_source source, enum fail fail)
{
	(void)datapath;
	(void)address;
	(void)expires_ns;
	(void)source;
	(void)fail;
	return 0;
}

void datapath_endpoint_fail(struct datapath *datapath, const struct config *config)
{
	(void)datapath;
	(void)config;
}

void datapath_endpoints(struct datapath *datapath,
	void (*each)(void *context, const struct address *address, const struct endpoint *endpoint),
	void *context)
{
	(void)datapath;
	(void)each;
	(void)context;
}

size_t datapath_endpoint_sweep(struct datapath *datapath, uint64_t now_ns)
{
	(void)datapath;
	(void)now_ns;
	return 0;
}

uint64_t datapath_outcome(const struct datapath *datapath, enum outcome outcome)
{
	(void)datapath;
	(void)outcome;
	return 0;
}

void datapath_on_forgotten(struct datapath *datapath,
	void (*forgotten)(void *context, const struct address *address), void *context)
{
	(void)datapath;
	(void)forgotten;
	(void)context;
}

int datapath_reconfigure(struct datapath *datapath, const struct config *config, struct why *why)
{
	(void)datapath;
	(void)config;
	(void)why;
	return 0;
}

void datapath_close(struct datapath *datapath)
{
	(void)datapath;
}

/* ---- the tests ---- */

static void children_have_given_their_privileges_up(void **state)
{
	static const struct {
		const char *title, *uid, *gid;
	} children[] = {
		{"worker 0", "4001\t4001\t4001\t4001", "4101\t4101\t4101\t4101"},
		{"worker 1", "4001\t4001\t4001\t4001", "4101\t4101\t4101\t4101"},
		{"signer", "4002\t4002\t4002\t4002", "4102\t4102\t4102\t4102"},
		{"shipper", "4003\t4003\t4003\t4003", "4103\t4103\t4103\t4103"},
		{"scout", "4004\t4004\t4004\t4004", "4104\t4104\t4104\t4104"},
	};
	static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};
	struct appliance *a = *state;
	char path[64];

	appliance_start(a);
	appliance_expect_notify(a, "READY=1");
	for (size_t i = 0; i < sizeof(children) / sizeof(children[0]); i++) {
		pid_t pid = appliance_child(a, children[i].title);

		process_expect_status(pid, "Uid", children[i].uid);
		process_expect_status(pid, "Gid", children[i].gid);
		process_expect_status(pid, "Groups", " ");
		process_expect_status(pid, "NoNewPrivs", "1");
		process_expect_status(pid, "Seccomp", "2");
		for (size_t j = 0; j < sizeof(sets) / sizeof(sets[0]); j++)
			process_expect_status(pid, sets[j], "0000000000000000");
		snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
		assert_non_null(strstr(file_text(path), "Max core file size        0          "));
		snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
		assert_null(strstr(file_text(path), "SECRET"));
	}
}

/* The kernel gives what belongs to an undumpable process to root. */
static void nobody_else_may_look_into_a_child(void **state)
{
	struct appliance *a = *state;
	char path[64];
	struct stat st;

	appliance_start(a);
	appliance_expect_notify(a, "READY=1");
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)appliance_child(a, "signer"));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 0);
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)a->parent);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 0);
}

static void a_worker_gets_what_it_needs_and_no_more(void **state)
{
	struct appliance *a = *state;

	appliance_start(a);
	appliance_expect_notify(a, "READY=1");
	assert_string_equal(worker_ask(0, 'n'),
		"listener4 ring wake_shipper keeper ca_certificate tickets sources standing "
		"wake_worker signer policy issued_keys heartbeats");
	assert_string_equal(worker_ask(0, 'k'), "open-sesame");
	assert_string_equal(worker_ask(1, 'k'), "open-sesame");
}

static void await_key(unsigned worker, const char *part)
{
	for (int i = 0; i < 600 && !strstr(worker_ask(worker, 'k'), part); i++)
		usleep(50000);
	if (!strstr(worker_ask(worker, 'k'), part))
		fail_msg("worker %u: no %s in %s", worker, part, worker_ask(worker, 'k'));
}

static void a_key_file_that_changes_reaches_the_keeper_without_a_reload(void **state)
{
	struct appliance *a = *state;
	char path[256], new_path[256];

	appliance_start(a);
	appliance_expect_notify(a, "READY=1");
	/* In place. */
	appliance_write(a, "service.key", 0600, "second-key");
	await_key(0, "second-key");
	await_key(1, "second-key");
	/* Another file under its name. */
	appliance_write(a, "service.key.new", 0600, "third-key");
	strcpy(new_path, appliance_path(a, "service.key.new"));
	strcpy(path, appliance_path(a, "service.key"));
	assert_int_equal(rename(new_path, path), 0);
	await_key(0, "third-key");
	/* One that others could read is not opened; when it is put right, it is. */
	assert_int_equal(chmod(path, 0644), 0);
	await_key(0, "chmod 0600");
	assert_int_equal(chmod(path, 0600), 0);
	await_key(0, "third-key");
	assert_int_equal(unlink(path), 0);
	await_key(1, "cannot be opened");
	appliance_write(a, "service.key", 0600, "open-sesame");
	await_key(1, "open-sesame");
}

static void a_keeper_that_died_is_replaced_and_workers_hear_from_it(void **state)
{
	struct appliance *a = *state;
	pid_t keeper;

	appliance_start(a);
	appliance_expect_notify(a, "READY=1");
	assert_string_equal(worker_ask(0, 'k'), "open-sesame");
	keeper = appliance_child(a, "keeper");
	assert_int_equal(kill(keeper, SIGKILL), 0);
	/* What the worker has stays; it has another keeper when it hears of the change. */
	assert_string_equal(worker_ask(0, 'k'), "open-sesame");
	appliance_write(a, "service.key", 0600, "fourth-key");
	await_key(0, "fourth-key");
	assert_int_not_equal(appliance_child(a, "keeper"), keeper);
}

static void files_are_out_of_reach(void **state)
{
	struct appliance *a = *state;

	appliance_start(a);
	appliance_expect_notify(a, "READY=1");
#ifdef SALLYPORT_SANITIZE
	skip(); /* a report reads /proc/self */
#endif
	if (appliance_log_has(a, "landlock is not there"))
		skip();
	assert_int_equal(atoi(worker_ask(0, 'o')), EACCES);
}

static void whoever_is_killed_is_started_again(void **state)
{
	static const char *const titles[] = {"worker 0", "signer", "scout", "shipper", "worker 1"};
	struct appliance *a = *state;

	appliance_start(a);
	appliance_expect_notify(a, "READY=1");
	for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
		pid_t before = appliance_child(a, titles[i]);

		kill(before, SIGKILL);
		appliance_child_after(a, titles[i], before);
	}
	/* A connection waits in the listener while there is no worker. */
	assert_int_equal(worker_pid_in(worker_ask(0, 'i')), appliance_child(a, "worker 0"));
	assert_int_equal(worker_pid_in(worker_ask(1, 'i')), appliance_child(a, "worker 1"));
	appliance_expect_log(a, "killed by signal 9 (Killed)");
}

static void a_refused_call_ends_the_process_and_is_named(void **state)
{
	struct appliance *a = *state;
	pid_t before;

	appliance_start(a);
	appliance_expect_notify(a, "READY=1");
	before = appliance_child(a, "worker 1");
	assert_string_equal(worker_ask(1, 'u'), "");
	appliance_child_after(a, "worker 1", before);
	appliance_expect_log(a, "which its role may not make");
	if (access("/dev/kmsg", R_OK) == 0)
		appliance_expect_log(a, "(getpgid)");
}

static void a_record_outlives_worker_and_shipper(void **state)
{
	struct appliance *a = *state;
	uint64_t until = clock_monotonic_ns() + APPLIANCE_PATIENCE_NS;
	unsigned number, index;
	char record[64];
	pid_t shipper;

	appliance_start(a);
	appliance_expect_notify(a, "READY=1");
	shipper = appliance_child(a, "shipper");
	kill(shipper, SIGSTOP);
	assert_int_equal(sscanf(worker_ask(0, 'i'), "%u %u", &index, &number), 2);
	assert_string_equal(worker_ask(0, 'r'), "ok");
	kill(appliance_child(a, "worker 0"), SIGKILL);
	kill(shipper, SIGKILL);
	snprintf(record, sizeof(record), "record of %u\n", number);
	while (strcmp(file_text(appliance_path(a, "spool/records")), record) != 0) {
		assert_true(clock_monotonic_ns() < until);
		usleep(10000);
	}
}

static void the_workers_signs_of_life_are_told(void **state)
{
	struct appliance *a = *state;
	pid_t workers[2];

	appliance_start(a);
	appliance_expect_notify(a, "READY=1");
	workers[0] = appliance_child(a, "worker 0");
	workers[1] = appliance_child(a, "worker 1");
	/* Without a signer nobody takes their place. */
	unlink(appliance_path(a, "ca.key"));
	kill(appliance_child(a, "signer"), SIGKILL);
	appliance_expect_log(a, "ca.key");
	kill(workers[0], SIGSTOP);
	appliance_expect_log(a, "worker 0: hangs");
	assert_false(appliance_log_has(a, "worker 1: hangs"));
	assert_false(appliance_log_has(a, "no worker is alive"));
	kill(workers[1], SIGSTOP);
	appliance_expect_log(a, "no worker is alive");
	kill(workers[0], SIGCONT);
	kill(workers[1], SIGCONT);
	appliance_expect_log(a, "worker 0: alive again");
	appliance_expect_log(a, "worker 1: alive again");
	appliance_expect_log(a, "are inspected again");
	assert_int_equal(worker_pid_in(worker_ask(0, 'i')), workers[0]);
}

static void a_worker_that_hangs_is_replaced(void **state)
{
	struct appliance *a = *state;
	pid_t before;

	appliance_start(a);
	appliance_expect_notify(a, "READY=1");
	before = appliance_child(a, "worker 0");
	kill(before, SIGSTOP);
	appliance_expect_log(a, "worker 0 gives no sign of life: another one takes its place");
	appliance_child_after(a, "worker 0", before);
	assert_true(process_runs(before));
	appliance_expect_log(a, "has not answered for 10 seconds and is killed");
	assert_int_not_equal(worker_pid_in(worker_ask(0, 'i')), before);
	assert_false(appliance_log_has(a, "no worker is alive"));
}

static void a_reload_cuts_nothing(void **state)
{
	struct appliance *a = *state;
	const char *reloading;
	pid_t old, old_signer;
	int held;

	appliance_start(a);
	appliance_expect_notify(a, "READY=1");
	old = appliance_child(a, "worker 0");
	old_signer = appliance_child(a, "signer");
	held = worker_call(0);
	assert_int_equal(worker_pid_in(worker_order(held, 'i')), old);
	appliance_configure(a, 3, "20s");
	kill(a->parent, SIGHUP);
	reloading = appliance_expect_notify(a, "RELOADING=1");
	assert_non_null(strstr(reloading, "\nMONOTONIC_USEC="));
	appliance_expect_notify(a, "READY=1");
	/* The old one may still accept until the order to drain reaches it. */
	while (worker_pid_in(worker_ask(0, 'i')) == old)
		usleep(10000);
	assert_int_not_equal(worker_pid_in(worker_ask(2, 'i')), 0);
	assert_int_equal(worker_pid_in(worker_order(held, 'i')), old);
	assert_true(process_runs(old_signer));
	close(held);
	appliance_expect_gone(a, old);
	appliance_expect_gone(a, old_signer);
	assert_int_not_equal(worker_pid_in(worker_ask(1, 'i')), 0);
}

static void a_reload_to_fewer_workers_cuts_nothing(void **state)
{
	struct appliance *a = *state;
	int held, port;
	pid_t old;

	appliance_start(a);
	appliance_expect_notify(a, "READY=1");
	old = appliance_child(a, "worker 1");
	appliance_configure(a, 1, "20s");
	kill(a->parent, SIGHUP);
	appliance_expect_notify(a, "READY=1\nSTATUS=reloaded");
	/* A handshake that had begun before is still completed. */
	held = worker_call(1);
	assert_int_equal(worker_pid_in(worker_order(held, 'i')), old);
	while ((port = loopback_listener(APPLIANCE_PORT + 1)) == -EADDRINUSE)
		usleep(10000);
	close(port);
	assert_int_equal(worker_pid_in(worker_order(held, 'i')), old);
	close(held);
	appliance_expect_gone(a, old);
}

static void expect_refused_reload(struct appliance *a, const char *reason)
{
	pid_t before = appliance_child(a, "worker 0");

	kill(a->parent, SIGHUP);
	appliance_expect_notify(a, "RELOADING=1");
	appliance_expect_notify(a, "READY=1\nSTATUS=the last reload was refused");
	appliance_expect_log(a, reason);
	assert_int_equal(worker_pid_in(worker_ask(0, 'i')), before);
	assert_int_not_equal(worker_pid_in(worker_ask(1, 'i')), 0);
}

static void a_failing_reload_keeps_the_old(void **state)
{
	struct appliance *a = *state;

	appliance_start(a);
	appliance_expect_notify(a, "READY=1");
	appliance_write(a, "config.yaml", 0644, "appliance:\n  nonsense: 1\n");
	expect_refused_reload(a, "nonsense");
	appliance_configure(a, 1, "20s");
	appliance_write(a, "service.key", 0644, "open-sesame");
	expect_refused_reload(a, "service.key");
	appliance_write(a, "service.key", 0600, "open-sesame");
	assert_int_equal(chown(appliance_path(a, "spool"), 0, 0), 0);
	expect_refused_reload(a, "belongs to user 0");
	assert_int_equal(chown(appliance_path(a, "spool"), 4003, 4103), 0);
}

static void a_setting_that_needs_a_restart_is_named(void **state)
{
	struct appliance *a = *state;
	char text[2048];

	appliance_start(a);
	appliance_expect_notify(a, "READY=1");
	snprintf(text, sizeof(text), "%s", file_text(appliance_path(a, "config.yaml")));
	memcpy(strstr(text, "15100"), "15200", 5);
	appliance_write(a, "config.yaml", 0644, text);
	expect_refused_reload(a, "datapath.listen_base differs");
}

static void a_reload_whose_processes_fail_is_undone(void **state)
{
	struct appliance *a = *state;
	pid_t worker;

	appliance_start(a);
	appliance_expect_notify(a, "READY=1");
	worker = appliance_child(a, "worker 0");
	appliance_write(a, "ca.key", 0600, "bad");
	kill(a->parent, SIGHUP);
	appliance_expect_notify(a, "READY=1\nSTATUS=the last reload was refused");
	appliance_expect_log(a, "the key is bad");
	assert_true(process_runs(worker));
	appliance_write(a, "ca.key", 0600, "good");
	kill(a->parent, SIGHUP);
	appliance_expect_notify(a, "READY=1\nSTATUS=reloaded");
	appliance_expect_gone(a, worker);
}

static void the_end_waits_for_what_is_open(void **state)
{
	struct appliance *a = *state;
	pid_t pids[5];
	int held;

	appliance_start(a);
	appliance_expect_notify(a, "READY=1");
	pids[0] = appliance_child(a, "worker 0");
	pids[1] = appliance_child(a, "worker 1");
	pids[2] = appliance_child(a, "signer");
	pids[3] = appliance_child(a, "shipper");
	pids[4] = appliance_child(a, "scout");
	held = worker_call(0);
	worker_order(held, 'i');
	kill(a->parent, SIGTERM);
	appliance_expect_notify(a, "STOPPING=1");
	appliance_expect_gone(a, pids[1]);
	assert_string_equal(worker_order(held, 'r'), "ok");
	assert_true(process_runs(pids[3]));
	close(held);
	assert_int_equal(appliance_expect_end(a), 0);
	for (int i = 0; i < 5; i++)
		assert_false(process_runs(pids[i]));
	assert_non_null(strstr(file_text(appliance_path(a, "spool/records")), "record of "));
}

static void the_deadline_ends_what_is_open(void **state)
{
	struct appliance *a = *state;
	uint64_t before;
	int held;

	appliance_configure(a, 1, "1s");
	appliance_start(a);
	appliance_expect_notify(a, "READY=1");
	held = worker_call(0);
	worker_order(held, 'i');
	before = clock_monotonic_ns();
	kill(a->parent, SIGTERM);
	assert_int_equal(appliance_expect_end(a), 0);
	assert_in_range(clock_monotonic_ns() - before, NS_PER_S - 100 * NS_PER_MS, 8 * NS_PER_S);
	close(held);
}

static void a_second_signal_hurries(void **state)
{
	struct appliance *a = *state;
	uint64_t before = clock_monotonic_ns();
	int held;

	appliance_start(a);
	appliance_expect_notify(a, "READY=1");
	held = worker_call(0);
	worker_order(held, 'i');
	before = clock_monotonic_ns();
	kill(a->parent, SIGTERM);
	appliance_expect_notify(a, "STOPPING=1");
	kill(a->parent, SIGTERM);
	assert_int_equal(appliance_expect_end(a), 0);
	assert_true(clock_monotonic_ns() - before < 15 * NS_PER_S);
	close(held);
}

static void a_killed_parent_takes_its_children_along_and_can_be_started_again(void **state)
{
	struct appliance *a = *state;
	pid_t worker, shipper, orphaned;
	int held;

	appliance_start(a);
	appliance_expect_notify(a, "READY=1");
	worker = appliance_child(a, "worker 0");
	orphaned = appliance_child(a, "worker 1");
	shipper = appliance_child(a, "shipper");
	held = worker_call(0);
	worker_order(held, 'i');
	kill(a->parent, SIGKILL);
	waitpid(a->parent, NULL, 0);
	appliance_start(a);
	appliance_expect_gone(a, orphaned);
	assert_int_not_equal(appliance_child(a, "worker 0"), worker);
	/* What is open goes on, and its record is still taken by the one owner of the spool. */
	assert_int_not_equal(worker_pid_in(worker_ask(0, 'i')), worker);
	assert_int_equal(worker_pid_in(worker_order(held, 'i')), worker);
	assert_string_equal(worker_order(held, 'r'), "ok");
	assert_true(process_runs(shipper));
	assert_int_equal(appliance_child_now(a, "shipper"), 0);
	close(held);
	appliance_expect_notify(a, "READY=1");
	assert_false(process_runs(worker));
	assert_false(process_runs(shipper));
	assert_non_null(strstr(file_text(appliance_path(a, "spool/records")), "record of "));
}

static void a_second_instance_is_refused(void **state)
{
	struct appliance *a = *state;
	struct appliance second;
	char pid[32];

	appliance_start(a);
	appliance_expect_notify(a, "READY=1");
	second = *a;
	appliance_start(&second);
	assert_int_equal(appliance_expect_end(&second), 1);
	snprintf(pid, sizeof(pid), "(pid %d)", (int)a->parent);
	appliance_expect_log(a, "another sallyportd");
	appliance_expect_log(a, pid);
	assert_int_not_equal(worker_pid_in(worker_ask(0, 'i')), 0);
}

static void expect_no_start(struct appliance *a, const char *reason)
{
	appliance_start(a);
	assert_int_equal(appliance_expect_end(a), 1);
	appliance_expect_log(a, reason);
}

static void what_hinders_the_start_is_said(void **state)
{
	struct appliance *a = *state;
	int port;

	appliance_write(a, "ca.key", 0640, "good");
	expect_no_start(a, "ca.key");
	appliance_write(a, "ca.key", 0600, "bad");
	expect_no_start(a, "signer (pid ");
	appliance_expect_log(a, "cannot start: the key is bad");
	appliance_write(a, "ca.key", 0600, "good");
	port = loopback_listener(APPLIANCE_PORT + 1);
	assert_true(port >= 0);
	expect_no_start(a, "port 15101");
	close(port);
}

static void root_is_needed(void **state)
{
	struct appliance *a = *state;

	appliance_start_as(a, 65534);
	assert_int_equal(appliance_expect_end(a), 1);
	appliance_expect_log(a, "must be started as root");
}

static void a_role_may_not_be_root(void **state)
{
	struct appliance *a = *state;
	char text[2048];

	snprintf(text, sizeof(text), "%s", file_text(appliance_path(a, "config.yaml")));
	memcpy(strstr(text, "4001:4101"), "0:0      ", 9);
	appliance_write(a, "config.yaml", 0644, text);
	expect_no_start(a, "root");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, appliance_setup, appliance_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(children_have_given_their_privileges_up),
		TEST(nobody_else_may_look_into_a_child),
		TEST(a_worker_gets_what_it_needs_and_no_more),
		TEST(a_key_file_that_changes_reaches_the_keeper_without_a_reload),
		TEST(a_keeper_that_died_is_replaced_and_workers_hear_from_it),
		TEST(files_are_out_of_reach),
		TEST(whoever_is_killed_is_started_again),
		TEST(a_refused_call_ends_the_process_and_is_named),
		TEST(a_record_outlives_worker_and_shipper),
		TEST(the_workers_signs_of_life_are_told),
		TEST(a_worker_that_hangs_is_replaced),
		TEST(a_reload_cuts_nothing),
		TEST(a_reload_to_fewer_workers_cuts_nothing),
		TEST(a_failing_reload_keeps_the_old),
		TEST(a_setting_that_needs_a_restart_is_named),
		TEST(a_reload_whose_processes_fail_is_undone),
		TEST(the_end_waits_for_what_is_open),
		TEST(the_deadline_ends_what_is_open),
		TEST(a_second_signal_hurries),
		TEST(a_killed_parent_takes_its_children_along_and_can_be_started_again),
		TEST(a_second_instance_is_refused),
		TEST(what_hinders_the_start_is_said),
		TEST(root_is_needed),
		TEST(a_role_may_not_be_root),
	};
	struct parent_options options = {.log_level = LOG_LEVEL_INFO, .table = &test_roles};

	if (argc == 3 && strcmp(argv[1], "--child") == 0)
		return child_main(&test_roles, argv[2]);
	if (argc == 3 && strcmp(argv[1], "--parent") == 0) {
		options.config_path = argv[2];
		return supervisor_main(&options);
	}
	return cmocka_run_group_tests(tests, appliance_namespaces, NULL);
}
