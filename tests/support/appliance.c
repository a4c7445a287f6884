// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/appliance.h"

#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"

static char file_path[256];

const char *appliance_path(const struct appliance *a, const char *name)
{
	snprintf(file_path, sizeof(file_path), "%s/%s", a->directory, name);
	return file_path;
}

void appliance_write(const struct appliance *a, const char *name, mode_t mode, const char *text)
{
	int fd = open(appliance_path(a, name), O_WRONLY | O_CREAT | O_TRUNC, mode);

	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

void appliance_configure(const struct appliance *a, unsigned workers, const char *drain)
{
	char text[2048];
	const char *d = a->directory;

	snprintf(text, sizeof(text),
		"appliance:\n  run_directory: %s/run/deep\n  workers: %u\n"
		"endpoints:\n  learn: off\n"
		"datapath:\n  inside: lo\n  bpf_directory: %s/bpf/sallyport\n  listen_base: %d\n"
		"hosts:\n  - pattern: api.openai.com\n    provider: openai\n    backend: main\n"
		"backends:\n  - name: main\n    key_file: %s/service.key\n"
		"tls:\n  ca_certificate: %s/ca.pem\n  ca_key: %s/ca.key\n"
		"audit:\n  spool_directory: %s/spool\n  ring_size: 64KiB\n  content_max: 1KiB\n"
		"processes:\n  worker: 4001:4101\n  signer: 4002:4102\n  shipper: 4003:4103\n"
		"  scout: 4004:4104\n  keeper: 4005:4105\n  drain_timeout: %s\n",
		d, workers, d, APPLIANCE_PORT, d, d, d, d, drain);
	appliance_write(a, "config.yaml", 0644, text);
}

int appliance_namespaces(void **state)
{
	struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd, error;

	(void)state;
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	error = ioctl(fd, SIOCSIFFLAGS, &loopback);
	close(fd);
	return error;
}

int appliance_setup(void **state)
{
	struct appliance *a = calloc(1, sizeof(*a));
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	*state = a;
	strcpy(a->directory, "/tmp/sallyport-parent.XXXXXX");
	if (!mkdtemp(a->directory) || chmod(a->directory, 0755) < 0)
		return -1;
	if (mkdir(appliance_path(a, "bpf"), 0700) < 0 ||
		mount("bpf", file_path, "bpf", 0, NULL) < 0)
		return -1;
	appliance_write(a, "ca.pem", 0644, "-----BEGIN CERTIFICATE-----\n");
	appliance_write(a, "ca.key", 0600, "good");
	appliance_write(a, "service.key", 0600, "open-sesame");
	appliance_configure(a, 2, "20s");
	a->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", a->directory);
	return bind(a->notify, (void *)&address, sizeof(address));
}

int appliance_teardown(void **state)
{
	struct appliance *a = *state;
	char command[128];
	int status;

	if (a->parent > 0) {
		kill(a->parent, SIGTERM);
		kill(a->parent, SIGTERM);
		waitpid(a->parent, &status, 0);
	}
	close(a->notify);
	umount2(appliance_path(a, "bpf"), MNT_DETACH);
	snprintf(command, sizeof(command), "rm -rf %s", a->directory);
	free(a);
	return system(command);
}

void appliance_start_as(struct appliance *a, uid_t uid)
{
	a->parent = fork();
	if (a->parent == 0) {
		int log = open(appliance_path(a, "log"), O_WRONLY | O_CREAT | O_APPEND, 0644);

		dup2(log, STDERR_FILENO);
		setenv("NOTIFY_SOCKET", appliance_path(a, "notify"), 1);
		setenv("SECRET", "of the caller", 1);
		if (uid && setresuid(uid, uid, uid) < 0)
			_exit(126);
		execl("/proc/self/exe", "test_parent", "--parent", appliance_path(a, "config.yaml"),
			NULL);
		_exit(127);
	}
}

char *file_text(const char *path)
{
	static char text[65536];
	struct buf b = BUF_EMPTY;

	text[0] = '\0';
	if (file_read(path, sizeof(text) - 1, &b, NULL) == 0)
		snprintf(text, sizeof(text), "%.*s", SLICE_ARG(buf_slice(&b)));
	buf_free(&b);
	return text;
}

void appliance_start(struct appliance *a)
{
	appliance_start_as(a, 0);
}

bool appliance_log_has(const struct appliance *a, const char *text)
{
	return strstr(file_text(appliance_path(a, "log")), text) != NULL;
}

void appliance_expect_log(const struct appliance *a, const char *text)
{
	uint64_t until = clock_monotonic_ns() + APPLIANCE_PATIENCE_NS;

	while (!appliance_log_has(a, text) && clock_monotonic_ns() < until)
		usleep(10000);
	if (!appliance_log_has(a, text)) {
		print_error("not in the log: %s\n%s", text, file_text(appliance_path(a, "log")));
		fail();
	}
}

bool process_runs(pid_t pid)
{
	char path[64], *text;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	text = file_text(path);
	return text[0] && !strstr(text, ") Z ");
}

/* The next message of the parent to the service manager that has the text; returned whole. */
const char *appliance_expect_notify(const struct appliance *a, const char *text)
{
	static char got[512];
	struct pollfd readable = {.fd = a->notify, .events = POLLIN};

	for (unsigned ms = 0; ms < APPLIANCE_PATIENCE_NS / NS_PER_MS && process_runs(a->parent);
		ms += 100) {
		ssize_t n;

		if (poll(&readable, 1, 100) <= 0)
			continue;
		n = recv(a->notify, got, sizeof(got) - 1, 0);

		got[n > 0 ? n : 0] = '\0';
		if (strstr(got, text))
			return got;
	}
	print_error("no notification %s\n%s", text, file_text(appliance_path(a, "log")));
	fail();
	return NULL;
}

int appliance_expect_end(struct appliance *a)
{
	uint64_t until = clock_monotonic_ns() + APPLIANCE_PATIENCE_NS;
	int status = -1;

	while (waitpid(a->parent, &status, WNOHANG) == 0) {
		if (clock_monotonic_ns() > until) {
			print_error("does not end\n%s", file_text(appliance_path(a, "log")));
			fail();
		}
		usleep(10000);
	}
	a->parent = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- looking at processes ---- */

/* The running child of that name, other than not; 0: none. */
static pid_t child_not(const struct appliance *a, const char *title, pid_t not )
{
	DIR *proc = opendir("/proc");
	char path[300], comm[32];
	struct dirent *entry;
	pid_t found = 0;
	int pid, ppid;
	char status;

	while (!found && (entry = readdir(proc))) {
		snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
		if (atoi(entry->d_name) > 0 &&
			sscanf(file_text(path), "%d (%31[^)]) %c %d", &pid, comm, &status, &ppid) ==
				4 &&
			ppid == a->parent && pid != not &&strcmp(comm, title) == 0)
			found = pid;
	}
	closedir(proc);
	return found;
}

pid_t appliance_child_after(const struct appliance *a, const char *title, pid_t not )
{
	uint64_t until = clock_monotonic_ns() + APPLIANCE_PATIENCE_NS;
	pid_t pid;

	while (!(pid = child_not(a, title, not ))) {
		if (clock_monotonic_ns() > until) {
			print_error("no %s\n%s", title, file_text(appliance_path(a, "log")));
			fail();
		}
		usleep(10000);
	}
	return pid;
}

pid_t appliance_child_now(const struct appliance *a, const char *title)
{
	return child_not(a, title, 0);
}

pid_t appliance_child(const struct appliance *a, const char *title)
{
	return appliance_child_after(a, title, 0);
}

void appliance_expect_gone(const struct appliance *a, pid_t pid)
{
	uint64_t until = clock_monotonic_ns() + APPLIANCE_PATIENCE_NS;

	while (process_runs(pid)) {
		if (clock_monotonic_ns() > until) {
			print_error(
				"%d does not end\n%s", pid, file_text(appliance_path(a, "log")));
			fail();
		}
		usleep(10000);
	}
}

void process_expect_status(pid_t pid, const char *field, const char *value)
{
	char path[64], line[128];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	snprintf(line, sizeof(line), "\n%s:\t%s\n", field, value);
	if (!strstr(file_text(path), line)) {
		print_error("expected %sin:\n%s", line, file_text(path));
		fail();
	}
}
