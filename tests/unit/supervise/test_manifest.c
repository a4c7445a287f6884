// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/ipc.h"
#include "bpf/abi.h"
#include "supervise/manifest.h"
#include "supervise/role.h"
#include "supervise/takeover.h"

/* Where the head has what. */
#define AT_VERSION 8
#define AT_ABI	   12
#define AT_NUMBER  20
#define AT_EPOCH   24
#define HEAD	   48

/* The records of a small daemon: what each is, by index. */
enum {
	PARENT,
	OLDER,
	LISTENER,
	GATEWAY,
	RING,
	CURRENT,
	SIGNER,
	WORKER,
	SHIPPER,
	DRAINING,
	OLD_WORKER,
	RECORDS
};

static const struct manifest_record records[RECORDS] = {
	[PARENT] = {.kind = MANIFEST_PARENT, .fds = {10, 11, 12, -1}},
	[OLDER] = {.kind = MANIFEST_COUNTERS_OLDER, .fds = {14, -1, -1, -1}},
	[LISTENER] = {.kind = MANIFEST_LISTENER, .fds = {15, 16, -1, -1}},
	[GATEWAY] = {.kind = MANIFEST_GATEWAY, .fds = {40, -1, -1, -1}},
	[RING] = {.kind = MANIFEST_RING, .number = 7, .fds = {17, 18, 19, 20}},
	[CURRENT] = {.kind = MANIFEST_GENERATION, .fds = {21, 22, 28, 29}},
	[SIGNER] = {.kind = MANIFEST_PROCESS,
		.role = ROLE_SIGNER,
		.number = 2,
		.pid = 102,
		.ready = 1,
		.fds = {24, -1, -1, -1},
		.started_ns = 5},
	[WORKER] = {.kind = MANIFEST_PROCESS,
		.role = ROLE_WORKER,
		.number = 7,
		.pid = 103,
		.fds = {25, -1, -1, -1}},
	[SHIPPER] = {.kind = MANIFEST_PROCESS,
		.role = ROLE_SHIPPER,
		.number = 8,
		.pid = 104,
		.ready = 1,
		.fds = {26, -1, -1, -1}},
	[DRAINING] = {.kind = MANIFEST_GENERATION,
		.draining = 1,
		.relieved = 1,
		.fds = {-1, -1, -1, -1}},
	[OLD_WORKER] = {.kind = MANIFEST_PROCESS,
		.role = ROLE_WORKER,
		.index = 255,
		.number = 1,
		.pid = 101,
		.ready = 1,
		.draining = 1,
		.fds = {27, -1, -1, -1},
		.overdue_ns = 99},
};

static struct manifest small(void)
{
	struct manifest manifest = {.epoch = "0123456789abcdef", .next_number = 9};

	for (size_t i = 0; i < RECORDS; i++)
		manifest_add(&manifest, &records[i]);
	return manifest;
}

/* What manifest_seal writes, to be damaged. */
static struct buf written(const struct manifest *manifest)
{
	struct buf bytes = BUF_EMPTY;
	struct why why = {""};
	int fd = manifest_seal(manifest, &why);

	assert_true(fd >= 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(file_read_fd(fd, 1 << 20, &bytes, &why), 0);
	close(fd);
	return bytes;
}

static void expect_refused(struct slice bytes, const char *reason)
{
	struct manifest manifest;
	struct why why = {""};

	assert_int_equal(manifest_decode(bytes, &manifest, &why), -EINVAL);
	assert_null(manifest.records);
	if (!strstr(why.text, reason)) {
		print_error("expected \"%s\" in: %s\n", reason, why.text);
		fail();
	}
}

static void what_is_sealed_is_read_again(void **state)
{
	struct manifest manifest = small(), again;
	struct why why = {""};
	int fd = manifest_seal(&manifest, &why);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	/* The trial of the new program has read it before. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(manifest_read(fd, &again, &why), 0);
		assert_string_equal(again.epoch, "0123456789abcdef");
		assert_int_equal(again.next_number, 9);
		assert_int_equal(again.n, RECORDS);
		assert_memory_equal(again.records, records, sizeof(records));
		manifest_free(&again);
	}
	assert_true(pwrite(fd, "x", 1, 0) < 0);
	close(fd);
	manifest_free(&manifest);
}

static void each_cut_is_refused(void **state)
{
	struct manifest manifest = small();
	struct buf bytes = written(&manifest);

	(void)state;
	for (size_t n = 0; n < buf_len(&bytes); n++) {
		/* Exactly as long, so that a sanitizer sees one byte too many. */
		char *cut = malloc(n + 1);

		memcpy(cut, buf_slice(&bytes).data, n);
		expect_refused(slice_of(cut, n), n < 12 ? "no manifest" : "cut off");
		free(cut);
	}
	assert_int_equal(buf_append(&bytes, "", 1), 0);
	expect_refused(buf_slice(&bytes), "too long");
	buf_free(&bytes);
	manifest_free(&manifest);
}

static void another_version_is_refused_before_anything_else(void **state)
{
	struct manifest manifest = small();
	struct buf bytes = written(&manifest);
	char *at = (char *)(uintptr_t)buf_slice(&bytes).data;
	const uint32_t next = MANIFEST_VERSION + 1, before = 1; /* had the leaf key in its parent */

	(void)state;
	memcpy(at + AT_VERSION, &next, sizeof(next));
	expect_refused(buf_slice(&bytes), "its version is 6");
	/* Whatever its records are like. */
	expect_refused(slice_first(buf_slice(&bytes), 13), "takes over version 5 only");
	memcpy(at + AT_VERSION, &before, sizeof(before));
	expect_refused(buf_slice(&bytes), "its version is 1, and ");
	expect_refused(buf_slice(&bytes), "restart instead");
	buf_free(&bytes);
	manifest_free(&manifest);
}

static void other_kernel_programs_are_refused(void **state)
{
	struct manifest manifest = small();
	struct buf bytes = written(&manifest);
	const uint32_t next = SALLYPORT_ABI + 1;

	(void)state;
	memcpy((char *)(uintptr_t)buf_slice(&bytes).data + AT_ABI, &next, sizeof(next));
	expect_refused(buf_slice(&bytes), "the kernel programs are of version");
	buf_free(&bytes);
	manifest_free(&manifest);
}

static void an_epoch_is_16_hex_digits(void **state)
{
	static const char *const bad[] = {
		"", "0123456789abcde", "0123456789abcdeg", "0123456789abcdef0", "0123456789ABCDEF"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct manifest manifest = small();
		struct buf bytes = written(&manifest);
		char *at = (char *)(uintptr_t)buf_slice(&bytes).data + AT_EPOCH;

		memset(at, 0, HEAD - AT_EPOCH);
		memcpy(at, bad[i], strlen(bad[i]));
		expect_refused(buf_slice(&bytes), "no epoch");
		buf_free(&bytes);
		manifest_free(&manifest);
	}
}

/* Each is the small daemon with one thing changed. */
static void what_does_not_fit_together_is_refused(void **state)
{
#define CHANGED(index, member, value, reason)                                                      \
	{                                                                                          \
		index, offsetof(struct manifest_record, member), value, reason                     \
	}
	static const struct {
		size_t index, at;
		int32_t value;
		const char *reason;
	} cases[] = {
		CHANGED(OLDER, kind, 0, "of no known kind"),
		CHANGED(OLDER, kind, MANIFEST_KINDS, "of no known kind"),
		CHANGED(OLDER, kind, MANIFEST_PARENT, "record 1 (parent)"),
		CHANGED(PARENT, kind, MANIFEST_RING, "record 0 (ring)"),
		CHANGED(PARENT, fds[3], 13, "record 0 (parent)"),
		CHANGED(PARENT, fds[0], 2, "record 0 (parent)"),
		CHANGED(PARENT, fds[0], -1, "record 0 (parent)"),
		CHANGED(OLDER, fds[1], 30, "record 1 (older counters)"),
		CHANGED(LISTENER, fds[0], -1, "record 2 (listener)"),
		CHANGED(LISTENER, fds[1], 10, "named twice"),
		CHANGED(LISTENER, fds[1], -2, "record 2 (listener)"),
		CHANGED(LISTENER, relieved, 1, "record 2 (listener)"),
		CHANGED(CURRENT, relieved, 1, "record 5 (generation)"),
		CHANGED(DRAINING, relieved, 2, "record 9 (generation)"),
		CHANGED(RING, number, 9, "record 4 (ring)"),
		CHANGED(CURRENT, draining, 1, "record 5 (generation)"),
		CHANGED(CURRENT, draining, 2, "record 5 (generation)"),
		CHANGED(CURRENT, fds[1], -1, "record 5 (generation)"),
		CHANGED(CURRENT, fds[2], -1, "record 5 (generation)"),
		CHANGED(CURRENT, fds[3], -1, "record 5 (generation)"),
		CHANGED(CURRENT, kind, MANIFEST_LISTENER, "record 5 (listener)"),
		CHANGED(SIGNER, role, ROLE_KINDS, "record 6 (process)"),
		CHANGED(SIGNER, index, 1, "record 6 (process)"),
		CHANGED(SIGNER, number, 9, "record 6 (process)"),
		CHANGED(SIGNER, pid, 1, "record 6 (process)"),
		CHANGED(SIGNER, pid, -1, "record 6 (process)"),
		CHANGED(SIGNER, ready, 2, "record 6 (process)"),
		CHANGED(SIGNER, fds[0], -1, "record 6 (process)"),
		CHANGED(WORKER, index, WORKERS_MAX, "record 7 (process)"),
		CHANGED(WORKER, role, ROLE_SIGNER, "record 7 (process)"),
		CHANGED(DRAINING, draining, 0, "record 9 (generation)"),
		CHANGED(DRAINING, fds[0], 30, "record 9 (generation)"),
		CHANGED(DRAINING, kind, MANIFEST_PROCESS, "record 9 (process)"),
		CHANGED(OLD_WORKER, role, ROLE_SHIPPER, "record 10 (process)"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct manifest manifest = small();
		struct buf bytes;

		memcpy((char *)&manifest.records[cases[i].index] + cases[i].at, &cases[i].value,
			sizeof(cases[i].value));
		bytes = written(&manifest);
		expect_refused(buf_slice(&bytes), cases[i].reason);
		buf_free(&bytes);
		manifest_free(&manifest);
	}
}

static void one_generation_is_current(void **state)
{
	struct manifest manifest = small();
	struct buf bytes;

	(void)state;
	manifest.records[CURRENT] = manifest.records[DRAINING];
	manifest.n = CURRENT + 1;
	bytes = written(&manifest);
	expect_refused(buf_slice(&bytes), "0 generations are current");
	buf_free(&bytes);
	manifest.records[CURRENT] = records[CURRENT];
	manifest_add(&manifest,
		&(struct manifest_record){.kind = MANIFEST_GENERATION, .fds = {30, 31, 32, 33}});
	bytes = written(&manifest);
	expect_refused(buf_slice(&bytes), "2 generations are current");
	buf_free(&bytes);
	manifest_free(&manifest);
}

static void only_a_sealed_memory_file_of_root_is_read(void **state)
{
	struct manifest manifest = small(), again;
	struct buf bytes = written(&manifest);
	int pair[2], unsealed = memfd_create("handover", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct why why = {""};
	int others = manifest_seal(&manifest, &why);

	(void)state;
	assert_int_equal(pipe(pair), 0);
	assert_int_equal(write(unsealed, buf_slice(&bytes).data, buf_len(&bytes)), buf_len(&bytes));
	assert_int_equal(manifest_read(unsealed, &again, &why), -EINVAL);
	assert_int_equal(manifest_read(pair[0], &again, &why), -EINVAL);
	assert_int_equal(manifest_read(-1, &again, &why), -EINVAL);
	if (geteuid() == 0) {
		assert_int_equal(fchown(others, 1, 1), 0);
		assert_int_equal(manifest_read(others, &again, &why), -EINVAL);
	}
	assert_non_null(strstr(why.text, "not the memory file"));
	close(others);
	close(unsealed);
	close(pair[0]);
	close(pair[1]);
	buf_free(&bytes);
	manifest_free(&manifest);
}

/* ---- descriptors ---- */

static int memory(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	return fd;
}

static int stream_socket(int family, bool listening)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (listening)
		assert_int_equal(listen(fd, 1), 0);
	return fd;
}

enum {
	FILE_,
	MEMORY,
	UNSEALED,
	EVENT,
	PIPE,
	LISTENER4,
	LISTENER6,
	BOUND4,
	CONTROL,
	DATAGRAM,
	TYPES
};

static void open_all(int fds[TYPES])
{
	int pair[2];

	fds[FILE_] = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	fds[MEMORY] = memory();
	fds[UNSEALED] = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	fds[EVENT] = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	fds[PIPE] = pair[0];
	close(pair[1]);
	fds[LISTENER4] = stream_socket(AF_INET, true);
	fds[LISTENER6] = stream_socket(AF_INET6, true);
	fds[BOUND4] = stream_socket(AF_INET, false);
	assert_int_equal(ipc_pair(pair), 0);
	fds[CONTROL] = pair[0];
	close(pair[1]);
	fds[DATAGRAM] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (int i = 0; i < TYPES; i++)
		assert_true(fds[i] >= 0);
}

static void a_descriptor_is_what_its_record_says(void **state)
{
#define BIT(type) (1u << (type))
	static const struct {
		uint32_t kind;
		size_t place;
		unsigned types;
	} cases[] = {
		{MANIFEST_PARENT, 0, BIT(FILE_) | BIT(MEMORY) | BIT(UNSEALED)},
		{MANIFEST_PARENT, 1, BIT(FILE_) | BIT(MEMORY) | BIT(UNSEALED)},
		{MANIFEST_PARENT, 2, BIT(MEMORY)},
		{MANIFEST_COUNTERS_OLDER, 0, BIT(FILE_) | BIT(MEMORY) | BIT(UNSEALED)},
		{MANIFEST_LISTENER, 0, BIT(LISTENER4)},
		{MANIFEST_LISTENER, 1, BIT(LISTENER6)},
		{MANIFEST_GATEWAY, 0, BIT(LISTENER4) | BIT(LISTENER6)},
		{MANIFEST_RING, 0, BIT(MEMORY)},
		{MANIFEST_RING, 1, BIT(EVENT)},
		{MANIFEST_RING, 2, BIT(EVENT)},
		{MANIFEST_RING, 3, BIT(PIPE)},
		{MANIFEST_GENERATION, 0, BIT(MEMORY)},
		{MANIFEST_GENERATION, 1, BIT(FILE_) | BIT(MEMORY) | BIT(UNSEALED)},
		{MANIFEST_GENERATION, 2, BIT(MEMORY)},
		{MANIFEST_GENERATION, 3, BIT(MEMORY)},
		{MANIFEST_PROCESS, 0, BIT(CONTROL)},
	};
	int fds[TYPES];

	(void)state;
	open_all(fds);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int type = 0; type < TYPES; type++) {
			struct manifest_record record = {
				.kind = cases[i].kind, .fds = {-1, -1, -1, -1}};
			struct manifest manifest = {.records = &record, .n = 1};
			bool fits = cases[i].types & BIT(type);
			struct why why = {""};

			record.fds[cases[i].place] = fds[type];
			assert_int_equal(manifest_check_fds(&manifest, &why), fits ? 0 : -EINVAL);
			assert_true(fits || strstr(why.text, manifest_kind_name(record.kind)));
		}
	}
	for (int i = 0; i < TYPES; i++)
		close(fds[i]);
}

static void a_closed_descriptor_is_refused(void **state)
{
	struct manifest_record record = {.kind = MANIFEST_COUNTERS_OLDER, .fds = {-1, -1, -1, -1}};
	struct manifest manifest = {.records = &record, .n = 1};
	struct why why = {""};

	(void)state;
	record.fds[0] = memory();
	close(record.fds[0]);
	assert_int_equal(manifest_check_fds(&manifest, &why), -EINVAL);
}

static void descriptors_outlive_an_exec_only_when_told(void **state)
{
	struct manifest_record record = {.kind = MANIFEST_COUNTERS_OLDER, .fds = {-1, -1, -1, -1}};
	struct manifest manifest = {.records = &record, .n = 1};

	(void)state;
	record.fds[0] = memory();
	manifest_inherit(&manifest, true);
	assert_int_equal(fcntl(record.fds[0], F_GETFD), 0);
	manifest_inherit(&manifest, false);
	assert_int_equal(fcntl(record.fds[0], F_GETFD), FD_CLOEXEC);
	close(record.fds[0]);
}

/* ---- the environment ---- */

static void without_a_name_nothing_is_taken_over(void **state)
{
	struct manifest manifest;
	struct why why = {""};

	(void)state;
	unsetenv(MANIFEST_VARIABLE);
	assert_int_equal(takeover_read(&manifest, &why), 0);
	assert_null(manifest.records);
}

static void a_bad_name_is_refused_and_forgotten(void **state)
{
	static const char *const bad[] = {
		"", "x", "-1", "0", "2", "3x", "99999999999999999999", "1048575"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct manifest manifest;
		struct why why = {""};

		setenv(MANIFEST_VARIABLE, bad[i], 1);
		assert_int_equal(takeover_read(&manifest, &why), -EINVAL);
		assert_null(getenv(MANIFEST_VARIABLE));
	}
}

static void a_manifest_whose_descriptors_are_not_there_is_refused(void **state)
{
	struct manifest manifest = small(), again;
	struct why why = {""};
	int fd = manifest_seal(&manifest, &why);
	char name[16];

	(void)state;
	snprintf(name, sizeof(name), "%d", fd);
	setenv(MANIFEST_VARIABLE, name, 1);
	assert_int_equal(takeover_read(&again, &why), -EINVAL);
	assert_non_null(strstr(why.text, "descriptor 10 is not what record 0 (parent) says"));
	assert_null(getenv(MANIFEST_VARIABLE));
	manifest_free(&manifest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sealed_is_read_again),
		cmocka_unit_test(each_cut_is_refused),
		cmocka_unit_test(another_version_is_refused_before_anything_else),
		cmocka_unit_test(other_kernel_programs_are_refused),
		cmocka_unit_test(an_epoch_is_16_hex_digits),
		cmocka_unit_test(what_does_not_fit_together_is_refused),
		cmocka_unit_test(one_generation_is_current),
		cmocka_unit_test(only_a_sealed_memory_file_of_root_is_read),
		cmocka_unit_test(a_descriptor_is_what_its_record_says),
		cmocka_unit_test(a_closed_descriptor_is_refused),
		cmocka_unit_test(descriptors_outlive_an_exec_only_when_told),
		cmocka_unit_test(without_a_name_nothing_is_taken_over),
		cmocka_unit_test(a_bad_name_is_refused_and_forgotten),
		cmocka_unit_test(a_manifest_whose_descriptors_are_not_there_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
