// SPDX-License-Identifier: GPL-2.0-or-later
/* log.c and why.c: what people read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/why.h"

/* Standard error goes into a file while a test runs; said() is what it has got since. */
static struct {
	int file, stderr_before;
	char text[4096];
} ear;

static int ear_open(void **state)
{
	(void)state;
	ear.file = memfd_create("stderr", 0);
	ear.stderr_before = dup(STDERR_FILENO);
	return dup2(ear.file, STDERR_FILENO) < 0;
}

static int ear_close(void **state)
{
	(void)state;
	dup2(ear.stderr_before, STDERR_FILENO);
	close(ear.stderr_before);
	return close(ear.file);
}

static const char *said(void)
{
	ssize_t got = pread(ear.file, ear.text, sizeof(ear.text) - 1, 0);

	ear.text[got > 0 ? got : 0] = '\0';
	if (ftruncate(ear.file, 0) < 0)
		return NULL;
	lseek(ear.file, 0, SEEK_SET);
	return ear.text;
}

/* As systemd tells that standard error is its journal. */
static void is_journal(bool yes)
{
	struct stat st;
	char stream[64];

	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		(unsigned long long)st.st_ino + !yes);
	assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
}

static void a_line_for_people_has_no_priority(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM");
	log_open("worker 1", LOG_LEVEL_INFO);
	log_error("bad");
	/* Redirected, after systemd had given it the journal. */
	is_journal(false);
	log_open("worker 1", LOG_LEVEL_INFO);
	log_error("worse");
	assert_string_equal(said(), "worker 1: bad\nworker 1: worse\n");
	unsetenv("JOURNAL_STREAM");
}

static void a_line_for_the_journal_has_priority_and_speaker(void **state)
{
	(void)state;
	is_journal(true);
	log_open("worker 1", LOG_LEVEL_INFO);
	log_warning("%s: %d", "what", 5);
	assert_string_equal(said(), "<4>worker 1: what: 5\n");
	log_error("bad");
	log_info("fine");
	assert_string_equal(said(), "<3>worker 1: bad\n<6>worker 1: fine\n");
	unsetenv("JOURNAL_STREAM");
}

static void what_is_too_quiet_is_not_said(void **state)
{
	(void)state;
	log_open("x", LOG_LEVEL_WARNING);
	log_info("not this");
	log_debug("nor this");
	assert_string_equal(said(), "");
	log_open("x", LOG_LEVEL_DEBUG);
	log_debug("this");
	assert_string_equal(said(), "x: this\n");
}

static void a_long_line_is_cut_and_ends(void **state)
{
	char long_text[3000];
	const char *line;

	(void)state;
	memset(long_text, 'a', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	log_open("x", LOG_LEVEL_INFO);
	log_info("%s", long_text);
	line = said();
	assert_true(strlen(line) < 1024);
	assert_string_equal(line + strlen(line) - 2, "a\n");
	assert_null(memchr(line, '\n', strlen(line) - 1));
}

static void input_is_quoted(void **state)
{
	(void)state;
	assert_string_equal(log_quote(SLICE("plain text ~")).text, "plain text ~");
	assert_string_equal(
		log_quote(SLICE("a\n<3>forged\0\x1b[2J\\\xff")).text,
		"a\\x0a<3>forged\\x00\\x1b[2J\\x5c\\xff");
	assert_string_equal(log_quote(SLICE_NONE).text, "");
}

static void quoted_input_is_cut(void **state)
{
	char input[500];

	(void)state;
	for (int filler = 0; filler < 256; filler++) {
		for (size_t len = 0; len < sizeof(input); len += 7) {
			struct log_quoted quoted;

			memset(input, filler, len);
			quoted = log_quote(slice_of(input, len));
			assert_true(strnlen(quoted.text, sizeof(quoted.text)) <
				sizeof(quoted.text));
			if (len > 127)
				assert_non_null(strstr(quoted.text, "..."));
		}
	}
}

static void a_reason_is_set_and_its_error_negated(void **state)
{
	struct why why;

	(void)state;
	assert_int_equal(why_set(&why, ENOENT, "%s: missing", "file"), -ENOENT);
	assert_string_equal(why.text, "file: missing");
	assert_int_equal(why_set(NULL, EPERM, "nobody asks"), -EPERM);
}

static void a_long_reason_is_cut(void **state)
{
	char long_text[3000];
	struct why why;

	(void)state;
	memset(long_text, 'a', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	why_set(&why, EINVAL, "%s", long_text);
	assert_int_equal(strlen(why.text), sizeof(why.text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_line_for_people_has_no_priority, ear_open, ear_close),
		cmocka_unit_test_setup_teardown(
			a_line_for_the_journal_has_priority_and_speaker, ear_open, ear_close),
		cmocka_unit_test_setup_teardown(what_is_too_quiet_is_not_said, ear_open, ear_close),
		cmocka_unit_test_setup_teardown(a_long_line_is_cut_and_ends, ear_open, ear_close),
		cmocka_unit_test(input_is_quoted),
		cmocka_unit_test(quoted_input_is_cut),
		cmocka_unit_test(a_reason_is_set_and_its_error_negated),
		cmocka_unit_test(a_long_reason_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
