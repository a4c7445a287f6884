// SPDX-License-Identifier: GPL-2.0-or-later
/* Who looks goes by what the daemon runs by, also when the file on disk is broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/observed.h"

struct scene {
	char directory[64], disk[96], lock[96], running[96];
	int lock_fd;
	struct config *config;
	struct observed observed;
	struct why why;
};

static void put(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int scene_setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	*state = s;
	strcpy(s->directory, "/tmp/sallyport-observed.XXXXXX");
	if (!mkdtemp(s->directory))
		return -1;
	snprintf(s->disk, sizeof(s->disk), "%s/sallyport.yaml", s->directory);
	snprintf(s->lock, sizeof(s->lock), "%s/lock", s->directory);
	snprintf(s->running, sizeof(s->running), "%s/" CONFIG_RUNNING_FILE, s->directory);
	s->lock_fd = -1;
	return 0;
}

static int scene_teardown(void **state)
{
	struct scene *s = *state;

	config_free(s->config);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	unlink(s->disk);
	unlink(s->lock);
	unlink(s->running);
	rmdir(s->directory);
	free(s);
	return 0;
}

/* The text of a configuration with this interface, and its run directory. */
static const char *text_of(const struct scene *s, const char *inside)
{
	static char text[256];

	snprintf(text, sizeof(text),
		"appliance: {run_directory: %s}\ndatapath: {inside: %s}\n", s->directory, inside);
	return text;
}

/* A daemon that runs by this interface, and read it from that file. */
static void daemon_runs(struct scene *s, const char *inside, const char *from)
{
	char text[512];

	snprintf(text, sizeof(text), CONFIG_RUNNING_HEAD "%s\n%s", from, text_of(s, inside));
	put(s->running, text);
	put(s->lock, "1\n");
	s->lock_fd = open(s->lock, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(s->lock_fd, LOCK_EX), 0);
}

static int look(struct scene *s)
{
	config_free(s->config);
	return observed_config(s->disk, &s->config, &s->observed, &s->why);
}

static void without_a_daemon_the_file_counts(void **state)
{
	struct scene *s = *state;

	/* There is none, or nothing in it. */
	assert_true(look(s) < 0);
	assert_non_null(strstr(s->why.text, s->disk));
	put(s->disk, "");
	assert_true(look(s) < 0);
	put(s->disk, text_of(s, "disk0"));
	assert_int_equal(look(s), 0);
	assert_false(s->observed.running);
	assert_string_equal(s->config->datapath.inside, "disk0");
	put(s->disk, "datapath: {insid: a}\n");
	assert_true(look(s) < 0);
	assert_null(s->config);
	/* One that was killed has left its own. */
	daemon_runs(s, "gone0", s->disk);
	close(s->lock_fd);
	s->lock_fd = -1;
	put(s->disk, text_of(s, "disk0"));
	assert_int_equal(look(s), 0);
	assert_string_equal(s->config->datapath.inside, "disk0");
}

static void a_daemon_counts_more_than_the_file(void **state)
{
	struct scene *s = *state;
	char broken[512];

	put(s->disk, text_of(s, "run0"));
	daemon_runs(s, "run0", s->disk);
	assert_int_equal(look(s), 0);
	assert_true(s->observed.running && !s->observed.changed);
	put(s->disk, text_of(s, "disk0"));
	assert_int_equal(look(s), 0);
	assert_true(s->observed.changed);
	assert_string_equal(s->config->datapath.inside, "run0");
	assert_string_equal(s->observed.refused.text, "");
	snprintf(broken, sizeof(broken), "%stls: on\n", text_of(s, "disk0"));
	put(s->disk, broken);
	assert_int_equal(look(s), 0);
	assert_string_equal(s->config->datapath.inside, "run0");
	assert_non_null(strstr(s->observed.refused.text, ":3: tls: expected keys"));
}

static void the_daemon_of_another_file_is_another_daemon(void **state)
{
	struct scene *s = *state;

	put(s->disk, text_of(s, "disk0"));
	daemon_runs(s, "run0", "/etc/sallyport/other.yaml");
	assert_int_equal(look(s), 0);
	assert_false(s->observed.running);
	assert_string_equal(s->config->datapath.inside, "disk0");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_a_daemon_the_file_counts),
		TEST(a_daemon_counts_more_than_the_file),
		TEST(the_daemon_of_another_file_is_another_daemon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
