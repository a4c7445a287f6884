// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <ev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "supervise/kernel_log.h"
#include "supervise/process.h"
#include "supervise/sandbox.h"

static void the_pause_doubles_from_100_ms_to_10_s(void **state)
{
	static const unsigned ms[] = {100, 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000};

	(void)state;
	for (unsigned failures = 0; failures < sizeof(ms) / sizeof(ms[0]); failures++)
		assert_int_equal(process_backoff_ns(failures), ms[failures] * NS_PER_MS);
	assert_int_equal(process_backoff_ns(UINT32_MAX), 10 * NS_PER_S);
}

static void thirty_seconds_of_life_are_a_fresh_start(void **state)
{
	(void)state;
	assert_int_equal(process_failures(0, 0), 1);
	assert_int_equal(process_failures(4, 30 * NS_PER_S - 1), 5);
	assert_int_equal(process_failures(4, 30 * NS_PER_S), 1);
	assert_true(process_failures(UINT32_MAX, 0) > 0);
}

static void the_kernel_log_names_the_refused_call(void **state)
{
	static const char line[] =
		"5,1203,1274500879,-;audit: type=1326 audit(1795558685.171:2): auid=4294967295 "
		"uid=0 gid=0 ses=4294967295 pid=8911 comm=\"worker 1\" "
		"exe=\"/usr/sbin/sallyportd\" "
		"sig=31 arch=c000003e syscall=110 compat=0 ip=0x7fe438e28829 code=0x80000000\n";
	static const char other[] =
		"5,1203,1274500879,-;audit: type=1326 audit(1.1:2): pid=8911 sig=0 syscall=110\n";

	(void)state;
	assert_int_equal(kernel_log_parse(SLICE(line), 8911), 110);
	assert_int_equal(kernel_log_parse(SLICE(line), 891), -1);
	for (size_t cut = 0; cut < (size_t)(strstr(line, "110 ") - line) + 3; cut++)
		assert_int_equal(kernel_log_parse(slice_first(SLICE(line), cut), 8911), -1);
	assert_int_equal(kernel_log_parse(SLICE(other), 8911), -1);
	assert_int_equal(kernel_log_parse(SLICE("6,1,1,-;device eth0 is up\n"), 1), -1);
	assert_int_equal(kernel_log_parse(SLICE_NONE, 1), -1);
}

static void a_call_has_its_name(void **state)
{
	(void)state;
	assert_string_equal(sandbox_call_name(SYS_read).name, "read");
	assert_string_equal(sandbox_call_name(999999).name, "?");
}

static void only_a_child_is_adopted(void **state)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct control_boot boot = {.kind = ROLE_WORKER, .index = 3};
	struct process_start start = {.loop = loop, .title = "worker", .boot = &boot};
	struct process_state known = {.pid = 1, .started_ns = 7, .overdue_ns = 0, .ready = true};
	struct process *process;
	struct why why = {""};
	int pair[2];

	(void)state;
	assert_int_equal(ipc_pair(pair), 0);
	known.control = pair[0];
	assert_int_equal(process_adopt(&start, &known, &process, &why), -ECHILD);
	assert_string_equal(why.text, "worker: process 1 is no child of this one");
	known.pid = fork();
	if (known.pid == 0) {
		pause();
		_exit(0);
	}
	assert_int_equal(process_adopt(&start, &known, &process, &why), 0);
	assert_true(process_is_ready(process));
	assert_memory_equal(strstr(process_name(process), "worker 3 (pid "), "worker 3 (pid ", 14);
	assert_int_equal(process_state(process).pid, known.pid);
	assert_int_equal(process_state(process).control, pair[0]);
	assert_int_equal(process_state(process).started_ns, 7);
	assert_int_equal(process_state(process).overdue_ns, 0);
	/* The next program is told of the deadline that an order set. */
	process_drain(process, 5 * NS_PER_S);
	assert_true(process_state(process).draining);
	assert_in_range(process_state(process).overdue_ns, clock_monotonic_ns(),
		clock_monotonic_ns() + 60 * NS_PER_S);
	process_drain(process, UINT64_MAX);
	assert_int_equal(process_state(process).overdue_ns, 0);
	process_free(process);
	assert_int_equal(waitpid(known.pid, NULL, 0), -1);
	close(pair[1]);
	ev_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_pause_doubles_from_100_ms_to_10_s),
		cmocka_unit_test(thirty_seconds_of_life_are_a_fresh_start),
		cmocka_unit_test(the_kernel_log_names_the_refused_call),
		cmocka_unit_test(a_call_has_its_name),
		cmocka_unit_test(only_a_child_is_adopted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
