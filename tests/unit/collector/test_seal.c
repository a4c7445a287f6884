// SPDX-License-Identifier: GPL-2.0-or-later
/* What was said is not in the files of a store whose contents are sealed, and who has the key reads it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/seal.h"
#include "tests/support/store_scene.h"

#define SECRET "a-word-that-nobody-else-says"

static void make_key(struct store_scene *f, const char *name, char digit, char path[96])
{
	FILE *file;

	snprintf(path, 96, "%s/%s", f->directory, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fchmod(fileno(file), 0600), 0);
	for (int i = 0; i < 64; i++)
		fputc(digit, file);
	fputc('\n', file);
	fclose(file);
}

/* The scene's store with a key. */
static void seal(struct store_scene *f, char digit)
{
	char path[96];
	struct why why = {""};

	make_key(f, "content.key", digit, path);
	store_close(f->store);
	f->store = NULL;
	if (store_seal(f->path, path, &why) < 0)
		fail_msg("%s", why.text);
}

static void reopen(struct store_scene *f)
{
	struct why why = {""};

	store_close(f->store);
	if (store_open(f->path, &f->store, &why) < 0)
		fail_msg("%s", why.text);
}

static void send_words(struct store_scene *f, uint64_t sequence, uint64_t day)
{
	char text[256];
	struct event event = {.kind = SLICE("exchange"), .observer = SLICE("gate")};

	snprintf(text, sizeof(text), "[{\"role\":\"user\",\"content\":\"%llu " SECRET " and more\"}]",
		(unsigned long long)sequence);
	event.input_messages = slice_of_string(text);
	event.error_message = SLICE("told " SECRET);
	event.time_ns = 1700000000000000000u + day * SCENE_DAY_NS;
	scene_send(f->store, sequence, &event);
}

static bool is_in_files(struct store_scene *f, const char *word)
{
	char command[256];

	snprintf(command, sizeof(command), "grep -qraF -e '%s' %s", word, f->path);
	return system(command) == 0;
}

static unsigned read_all(struct store_scene *f, struct why *why)
{
	const struct query_filter all = {0};
	struct scene_seen seen = {0};
	struct query *query = query_open(f->path, why);

	assert_non_null(query);
	query_events(query, &all, 0, scene_see_event, &seen, why);
	query_close(query);
	return seen.rows;
}

static int ignore(void *context, const char *what)
{
	(void)context;
	print_message("%s\n", what);
	return 0;
}

static int ignore_head(void *context, const struct query_head *head)
{
	(void)context;
	(void)head;
	return 0;
}

static int ignore_gap(void *context, const struct query_gap *gap)
{
	(void)context;
	(void)gap;
	return 0;
}

static struct query_integrity verify(struct store_scene *f)
{
	static const struct query_integrity_ops ops = {
		.damaged = ignore, .broken = ignore, .head = ignore_head, .gap = ignore_gap};
	const struct query_filter all = {0};
	struct query_integrity found;
	struct why why = {""};
	struct query *query = query_open(f->path, &why);

	if (query_verify(query, &all, &ops, NULL, &found, &why) < 0)
		fail_msg("%s", why.text);
	query_close(query);
	return found;
}

static void send_many(struct store_scene *f)
{
	for (uint64_t i = 1; i <= 1500; i++) {
		send_words(f, i, i / 1200);
		if (i % 250 == 0)
			scene_commit(f->store);
	}
}

/* Enough events that dictionaries are learned, which are made of contents, and are taken along. */
static void what_was_said_is_in_no_file(void **state)
{
	struct store_scene *f = *state;
	struct query_integrity found;
	struct why why = {""};
	char command[128];

	/* Without a seal it is, in the dictionaries at least. */
	send_many(f);
	assert_true(is_in_files(f, SECRET));
	store_close(f->store);
	snprintf(command, sizeof(command), "rm -r %s", f->path);
	assert_int_equal(system(command), 0);
	f->store = NULL;
	seal(f, 'a');
	reopen(f);
	assert_true(store_is_sealed(f->store));
	send_many(f);
	assert_int_equal(scene_ask(f, "SELECT count(*) FROM (SELECT data FROM block UNION ALL"
				      " SELECT data FROM dictionary UNION ALL SELECT record FROM event)"
				      " WHERE substr(data, 1, 1) <> x'01'"),
		0);
	assert_int_equal(scene_ask(f, "SELECT count(*) FROM dictionary WHERE learned"), 2);
	assert_false(is_in_files(f, SECRET));
	assert_false(is_in_files(f, "that-nobody"));
	/* The same contents, sent again, are the same blocks. */
	reopen(f);
	for (uint64_t i = 1; i <= 1500; i++)
		send_words(f, i, i / 1200);
	scene_commit(f->store);
	assert_int_equal(store_duplicates(f->store), 1500);
	assert_int_equal(read_all(f, &why), 1500);
	found = verify(f);
	assert_int_equal(found.events, 1500);
	assert_int_equal(found.damaged + found.broken, 0);
}

/* A store that was open before: from then on, and what is there stays readable. */
static void a_store_is_sealed_later(void **state)
{
	struct store_scene *f = *state;
	struct query_integrity found;
	struct stat status;
	char path[96];
	struct why why = {""};

	send_words(f, 1, 0);
	scene_commit(f->store);
	store_close(f->store);
	f->store = NULL;
	seal(f, 'b');
	reopen(f);
	send_words(f, 1, 0);
	send_words(f, 2, 0);
	scene_commit(f->store);
	assert_int_equal(store_duplicates(f->store), 1);
	assert_int_equal(read_all(f, &why), 2);
	snprintf(path, sizeof(path), "%s/key", f->path);
	assert_int_equal(stat(path, &status), 0);
	assert_int_not_equal(status.st_size, 16);
	found = verify(f);
	assert_int_equal(found.damaged + found.broken, 0);
}

static void without_the_key_nothing_is_read(void **state)
{
	static const char *const words[] = {SECRET};
	const struct query_filter all = {0};
	const char *const by[] = {"model"};
	struct store_scene *f = *state;
	struct scene_seen seen = {0};
	struct query_usage total;
	struct query_lag lag;
	struct query *query;
	char path[96];
	uint64_t rows;
	struct why why = {""};

	seal(f, 'c');
	reopen(f);
	send_words(f, 1, 0);
	scene_commit(f->store);
	store_close(f->store);
	f->store = NULL;
	/* No words are kept, and that is said. */
	query = query_open(f->path, &why);
	assert_int_equal(
		query_search(query, words, 1, &all, 9, scene_see_event, &seen, &lag, &why), -EINVAL);
	assert_non_null(strstr(why.text, "--searchable"));
	query_close(query);
	/* another key */
	make_key(f, "content.key", 'd', path);
	assert_int_equal(read_all(f, &why), 0);
	assert_non_null(strstr(why.text, "damaged"));
	assert_int_not_equal(store_open(f->path, &f->store, &why), 0);
	assert_non_null(strstr(why.text, "encrypted with another key file"));
	f->store = NULL;
	/* one that others may read, none, and no link */
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(read_all(f, &why), 0);
	assert_non_null(strstr(why.text, path));
	unlink(path);
	assert_int_equal(read_all(f, &why), 0);
	assert_non_null(strstr(why.text, "content.key"));
	snprintf(path, sizeof(path), "%s/" SEAL_LINK, f->path);
	unlink(path);
	assert_int_equal(read_all(f, &why), 0);
	assert_non_null(strstr(why.text, "link to the key file"));
	assert_int_not_equal(store_open(f->path, &f->store, &why), 0);
	assert_non_null(strstr(why.text, "is encrypted"));
	f->store = NULL;
	/* Numbers are nobody's words. */
	query = query_open(f->path, &why);
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(query_usage(query, by, 1, &all, 0, scene_see_usage, &seen, &total, &rows, &why),
		0);
	assert_int_equal(total.calls, 1);
	query_close(query);
}

static void a_key_file_is_64_digits(void **state)
{
	static const char *const wrong[] = {"", "aa", "zz", "0x"};
	struct store_scene *f = *state;
	struct seal_key key;
	struct why why = {""};
	char path[96];

	make_key(f, "k", '0', path);
	assert_int_equal(seal_key_read(path, geteuid(), &key, &why), 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		FILE *file = fopen(path, "w");

		fprintf(file, "%s%062d\n", wrong[i], 0);
		fclose(file);
		assert_int_equal(seal_key_read(path, geteuid(), &key, &why),
			strcmp(wrong[i], "aa") == 0 ? 0 : -EINVAL);
	}
	/* one digit more or less */
	for (int n = 63; n <= 65; n++) {
		FILE *file = fopen(path, "w");

		fprintf(file, "%0*d", n, 0);
		fclose(file);
		assert_int_equal(
			seal_key_read(path, geteuid(), &key, &why) == 0, n == 64);
	}
}

/* Each bit counts, and what is cut off. */
static void what_was_changed_does_not_open(void **state)
{
	static const uint8_t salt[SEAL_SALT] = {1}, other_salt[SEAL_SALT] = {2};
	const struct seal_key key = {{7}};
	struct seal *one = seal_new(&key, salt), *other = seal_new(&key, other_salt);
	struct buf sealed = BUF_EMPTY, again = BUF_EMPTY, opened = BUF_EMPTY;
	struct slice blob;

	(void)state;
	assert_int_equal(seal_close(one, SLICE("word"), &sealed), 0);
	assert_int_equal(seal_close(one, SLICE("word"), &again), 0);
	blob = buf_slice(&sealed);
	assert_false(slice_equal(blob, buf_slice(&again)));
	for (size_t bit = 0; bit < 8 * blob.len; bit++) {
		sealed.memory[bit / 8] ^= (char)(1 << bit % 8);
		assert_int_equal(seal_open(one, blob, &opened), -EBADMSG);
		sealed.memory[bit / 8] ^= (char)(1 << bit % 8);
	}
	for (size_t len = 0; len < blob.len; len++)
		assert_int_equal(seal_open(one, slice_first(blob, len), &opened), -EBADMSG);
	assert_int_equal(seal_open(other, blob, &opened), -EBADMSG);
	assert_int_equal(buf_len(&opened), 0);
	assert_int_equal(seal_open(one, blob, &opened), 0);
	assert_true(slice_equal(buf_slice(&opened), SLICE("word")));
	buf_free(&sealed);
	buf_free(&again);
	buf_free(&opened);
	assert_int_equal(seal_close(one, SLICE(""), &sealed), 0);
	assert_int_equal(seal_open(one, buf_slice(&sealed), &opened), 0);
	assert_int_equal(buf_len(&opened), 0);
	buf_free(&sealed);
	buf_free(&opened);
	seal_free(one);
	seal_free(other);
}

/* Root verifies what belongs to the collector's user. */
static void a_store_of_another_user_is_verified(void **state)
{
	struct store_scene *f = *state;
	char command[128];

	if (geteuid() != 0)
		skip();
	seal(f, 'e');
	reopen(f);
	send_words(f, 1, 0);
	scene_commit(f->store);
	store_close(f->store);
	f->store = NULL;
	snprintf(command, sizeof(command), "chown -R nobody %s", f->directory);
	assert_int_equal(system(command), 0);
	assert_int_equal(verify(f).events, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_scene_setup, store_scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_said_is_in_no_file),
		TEST(a_store_is_sealed_later),
		TEST(without_the_key_nothing_is_read),
		TEST(a_key_file_is_64_digits),
		cmocka_unit_test(what_was_changed_does_not_open),
		TEST(a_store_of_another_user_is_verified),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
