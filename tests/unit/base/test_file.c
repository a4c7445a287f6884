// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

struct place {
	char directory[64], file[96], link[96];
};

static int place_make(void **state)
{
	struct place *place = calloc(1, sizeof(*place));
	int fd;

	strcpy(place->directory, "/tmp/sallyport-test-file-XXXXXX");
	if (!mkdtemp(place->directory))
		return -1;
	snprintf(place->file, sizeof(place->file), "%s/file", place->directory);
	snprintf(place->link, sizeof(place->link), "%s/link", place->directory);
	fd = open(place->file, O_CREAT | O_WRONLY, 0600);
	if (fd < 0 || write(fd, "content", 7) != 7 || symlink(place->file, place->link) < 0)
		return -1;
	close(fd);
	*state = place;
	return 0;
}

static int place_remove(void **state)
{
	struct place *place = *state;

	unlink(place->link);
	unlink(place->file);
	rmdir(place->directory);
	free(place);
	return 0;
}

static void a_file_is_read_whole(void **state)
{
	struct place *place = *state;
	struct buf b = BUF_EMPTY;

	buf_append(&b, "before ", 7);
	assert_int_equal(file_read(place->file, 7, &b, NULL), 0);
	assert_int_equal(buf_len(&b), 14);
	assert_memory_equal(buf_slice(&b).data, "before content", 14);
	buf_free(&b);
}

static void a_file_longer_than_allowed_is_refused(void **state)
{
	struct place *place = *state;
	struct buf b = BUF_EMPTY;
	struct why why;

	buf_append(&b, "kept", 4);
	assert_int_equal(file_read(place->file, 6, &b, &why), -EFBIG);
	assert_non_null(strstr(why.text, "has more than 6 bytes"));
	assert_int_equal(buf_len(&b), 4);
	assert_int_equal(file_read("/dev/zero", 100000, &b, &why), -EFBIG);
	assert_int_equal(buf_len(&b), 4);
	buf_free(&b);
}

static void a_missing_file_is_named(void **state)
{
	struct buf b = BUF_EMPTY;
	struct why why;

	(void)state;
	assert_int_equal(file_read("/nowhere/file", 10, &b, &why), -ENOENT);
	assert_string_equal(
		why.text, "/nowhere/file: cannot be opened: No such file or directory");
	assert_int_equal(file_read("/", 10, &b, &why), -EISDIR);
	buf_free(&b);
}

static void a_descriptor_is_read_from_where_it_stands(void **state)
{
	struct place *place = *state;
	struct buf b = BUF_EMPTY;
	int fd = open(place->file, O_RDONLY);

	lseek(fd, 3, SEEK_SET);
	assert_int_equal(file_read_fd(fd, 100, &b, NULL), 0);
	assert_int_equal(buf_len(&b), 4);
	assert_memory_equal(buf_slice(&b).data, "tent", 4);
	close(fd);
	assert_int_equal(file_read_fd(fd, 100, &b, NULL), -EBADF);
	buf_free(&b);
}

static void a_secret_of_its_owner_is_opened(void **state)
{
	struct place *place = *state;
	int fd = file_secret_open(place->file, geteuid(), NULL);

	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	assert_int_equal(chmod(place->file, 0400), 0);
	fd = file_secret_open(place->file, geteuid(), NULL);
	assert_true(fd >= 0);
	close(fd);
}

static void a_secret_that_others_can_read_is_refused(void **state)
{
	static const mode_t modes[] = {0640, 0604, 0620, 0601, 0777};
	struct place *place = *state;
	struct why why;

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		assert_int_equal(chmod(place->file, modes[i]), 0);
		assert_int_equal(file_secret_open(place->file, geteuid(), &why), -EPERM);
	}
	assert_non_null(strstr(why.text, "has mode 0777"));
}

static void a_secret_of_another_owner_is_refused(void **state)
{
	struct place *place = *state;
	struct why why;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(place->file, 4711, 0), 0);
	assert_int_equal(file_secret_open(place->file, 4712, &why), -EPERM);
	assert_non_null(strstr(why.text, "is owned by uid 4711, and must be by root or uid 4712"));
}

static void a_secret_behind_a_link_is_refused(void **state)
{
	struct place *place = *state;

	assert_int_equal(file_secret_open(place->link, geteuid(), NULL), -ELOOP);
}

static void what_is_not_a_file_is_no_secret(void **state)
{
	struct place *place = *state;
	char fifo[128];

	assert_int_equal(file_secret_open(place->directory, geteuid(), NULL), -EPERM);
	snprintf(fifo, sizeof(fifo), "%s/fifo", place->directory);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(file_secret_open(fifo, geteuid(), NULL), -EPERM);
	unlink(fifo);
	assert_int_equal(file_secret_open(fifo, geteuid(), NULL), -ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, place_make, place_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_is_read_whole),
		TEST(a_file_longer_than_allowed_is_refused),
		TEST(a_missing_file_is_named),
		TEST(a_descriptor_is_read_from_where_it_stands),
		TEST(a_secret_of_its_owner_is_opened),
		TEST(a_secret_that_others_can_read_is_refused),
		TEST(a_secret_of_another_owner_is_refused),
		TEST(a_secret_behind_a_link_is_refused),
		TEST(what_is_not_a_file_is_no_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
