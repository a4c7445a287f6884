// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/ca_files.h"
#include "cli/command.h"
#include "tests/support/forge.h"
#include "tls/pem.h"

#define ARGUMENTS 16

/* A directory of its own; what the command prints goes to files in it. */
struct scene {
	char directory[64];
	char certificate[80], key[80];
};

static int set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	snprintf(scene->directory, sizeof(scene->directory), "/tmp/sallyport-ca-XXXXXX");
	assert_non_null(mkdtemp(scene->directory));
	snprintf(scene->certificate, sizeof(scene->certificate), "%s/new/ca.pem", scene->directory);
	snprintf(scene->key, sizeof(scene->key), "%s/new/ca.key", scene->directory);
	*state = scene;
	return 0;
}

static void remove_all(const char *directory)
{
	DIR *entries = opendir(directory);
	struct dirent *entry;
	char path[400];

	while (entries && (entry = readdir(entries))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		if (entry->d_type == DT_DIR)
			remove_all(path);
		else
			unlink(path);
	}
	if (entries)
		closedir(entries);
	rmdir(directory);
}

static int tear_down(void **state)
{
	struct scene *scene = *state;

	remove_all(scene->directory);
	free(scene);
	return 0;
}

/* Runs "ca" with these words and hands out what it printed, both streams in one. */
static int run(struct buf *printed, const char *const *words)
{
	char *argv[ARGUMENTS] = {(char *)(uintptr_t) "ca"};
	int argc = 1, status, out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
	FILE *file = tmpfile();
	struct why why;

	for (; words[argc - 1]; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc - 1];
	optind = 0; /* getopt(3): from the start again */
	fflush(stdout);
	fflush(stderr);
	dup2(fileno(file), STDOUT_FILENO);
	dup2(fileno(file), STDERR_FILENO);
	status = cmd_ca(argc, argv);
	fflush(stdout);
	fflush(stderr);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	close(out);
	close(err);
	if (printed) {
		assert_int_equal(pem_read_fd(fileno(file), 65536, printed, &why), 0);
		assert_int_equal(buf_append(printed, "", 1), 0);
	}
	fclose(file);
	return status;
}

#define RUN(printed, ...) run(printed, (const char *const[]){__VA_ARGS__, NULL})
#define OUT		  "--out-cert", scene->certificate, "--out-key", scene->key

static mode_t mode_of(const char *path)
{
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	return status.st_mode & 07777;
}

static size_t count_files(const char *directory)
{
	DIR *entries = opendir(directory);
	size_t n = 0;

	while (readdir(entries))
		n++;
	closedir(entries);
	return n - 2;
}

static void init_makes_two_files_and_shows_no_key(void **state)
{
	struct scene *scene = *state;
	struct buf printed = BUF_EMPTY, key = BUF_EMPTY;
	mode_t before = umask(077);
	char directory[80];
	struct ca *ca;
	struct why why;

	assert_int_equal(RUN(&printed, "init", "--name", "Our CA", "--days", "30", "--permit-name",
				 "openai.azure.com", OUT),
		0);
	umask(before);
	assert_int_equal(mode_of(scene->key), 0600);
	assert_int_equal(mode_of(scene->certificate), 0644);
	snprintf(directory, sizeof(directory), "%s/new", scene->directory);
	assert_int_equal(count_files(directory), 2);
	assert_non_null(strstr(buf_slice(&printed).data, "Our CA"));
	assert_null(strstr(buf_slice(&printed).data, "PRIVATE"));

	assert_int_equal(ca_files_read_own(&(struct ca_files){.certificate = scene->certificate,
						   .key = scene->key},
				 &ca, &why),
		0);
	assert_true(X509_get_ext_by_NID(ca->certificate, NID_name_constraints, -1) >= 0);
	ca_free(ca);
	assert_int_equal(RUN(NULL, "lint", "--cert", scene->certificate, "--key", scene->key), 0);
	buf_free(&printed);
	buf_free(&key);
}

static struct buf content(const char *path)
{
	struct buf b = BUF_EMPTY;

	assert_int_equal(file_read(path, 65536, &b, NULL), 0);
	return b;
}

static void init_replaces_nothing_unless_forced(void **state)
{
	struct scene *scene = *state;
	struct buf first, second, third, printed = BUF_EMPTY;

	assert_int_equal(RUN(NULL, "init", OUT), 0);
	first = content(scene->key);
	assert_int_equal(RUN(&printed, "init", OUT), 1);
	assert_non_null(strstr(buf_slice(&printed).data, "--force"));
	second = content(scene->key);
	assert_true(slice_equal(buf_slice(&first), buf_slice(&second)));
	/* A certificate alone is not replaced either. */
	assert_int_equal(unlink(scene->key), 0);
	assert_int_equal(RUN(NULL, "init", OUT), 1);
	assert_int_equal(access(scene->key, F_OK), -1);
	assert_int_equal(RUN(NULL, "init", "--force", OUT), 0);
	third = content(scene->key);
	assert_false(slice_equal(buf_slice(&first), buf_slice(&third)));
	assert_int_equal(mode_of(scene->key), 0600);
	assert_int_equal(RUN(NULL, "lint", "--cert", scene->certificate, "--key", scene->key), 0);
	buf_wipe(&first);
	buf_wipe(&second);
	buf_wipe(&third);
	buf_free(&printed);
}

static void export_gives_the_certificate_clients_need(void **state)
{
	struct scene *scene = *state;
	struct buf printed = BUF_EMPTY, fingerprint = BUF_EMPTY;
	struct buf certificate;

	assert_int_equal(RUN(NULL, "init", OUT), 0);
	certificate = content(scene->certificate);
	assert_int_equal(RUN(&printed, "export", "--cert", scene->certificate), 0);
	assert_true(slice_starts_with(buf_slice(&printed), buf_slice(&certificate)) ||
		    strstr(buf_slice(&printed).data, "-----BEGIN CERTIFICATE-----"));
	assert_null(strstr(buf_slice(&printed).data, "PRIVATE"));
	assert_int_equal(
		RUN(&fingerprint, "export", "--fingerprint", "--cert", scene->certificate), 0);
	assert_int_equal(buf_len(&fingerprint), 32 * 3 + 1);
	assert_non_null(strstr(buf_slice(&printed).data, "SHA-256 "));
	buf_free(&printed);
	buf_free(&fingerprint);
	buf_free(&certificate);
}

static struct forge_file key_file(EVP_PKEY *key)
{
	struct buf pem = BUF_EMPTY;
	struct forge_file file;

	assert_int_equal(pem_write_key(key, &pem), 0);
	file = forge_file(buf_slice(&pem));
	buf_wipe(&pem);
	return file;
}

static void import_takes_an_intermediate_with_its_chain(void **state)
{
	struct scene *scene = *state;
	struct forged root = forge(&(struct forge){.authority = true, .name = "Root"}, NULL);
	struct forged middle = forge(&(struct forge){.authority = true, .name = "Issuing"}, &root);
	const X509 *certificates[] = {middle.certificate}, *roots[] = {root.certificate};
	struct forge_file certificate = forge_certificates(certificates, 1);
	struct forge_file chain = forge_certificates(roots, 1), key = key_file(middle.key);
	struct buf printed = BUF_EMPTY;
	struct why why;
	struct ca *ca;

	assert_int_equal(RUN(&printed, "import", "--cert", certificate.path, "--key", key.path,
				 "--chain", chain.path, OUT),
		0);
	assert_int_equal(mode_of(scene->key), 0600);
	assert_int_equal(ca_files_read(scene->certificate, scene->key, &ca, &why), 0);
	assert_int_equal(X509_cmp(ca->certificate, middle.certificate), 0);
	assert_int_equal(sk_X509_num(ca->chain), 1);
	ca_free(ca);
	buf_clear(&printed);
	/* Clients trust the root. */
	assert_int_equal(RUN(&printed, "export", "--cert", scene->certificate), 0);
	assert_int_equal(ca_read(buf_slice(&printed), SLICE_NONE, &ca, &why), 0);
	assert_int_equal(X509_cmp(ca->certificate, root.certificate), 0);
	ca_free(ca);
	buf_free(&printed);
	close(certificate.fd);
	close(chain.fd);
	close(key.fd);
	forged_free(&middle);
	forged_free(&root);
}

static void import_refuses_what_strict_clients_refuse(void **state)
{
	struct scene *scene = *state;
	struct forged bad =
		forge(&(struct forge){.authority = true, .name = "a", .subject_id = ""}, NULL);
	struct forged other = forge(&(struct forge){.authority = true, .name = "b"}, NULL);
	const X509 *certificates[] = {bad.certificate};
	struct forge_file certificate = forge_certificates(certificates, 1);
	struct forge_file key = key_file(bad.key), foreign = key_file(other.key);
	struct buf printed = BUF_EMPTY;

	assert_int_equal(
		RUN(&printed, "import", "--cert", certificate.path, "--key", key.path, OUT), 1);
	assert_non_null(strstr(buf_slice(&printed).data, "subjectKeyIdentifier is missing"));
	assert_int_equal(access(scene->key, F_OK), -1);
	buf_clear(&printed);
	assert_int_equal(
		RUN(&printed, "import", "--cert", certificate.path, "--key", foreign.path, OUT), 1);
	assert_non_null(strstr(buf_slice(&printed).data, "does not belong"));
	buf_free(&printed);
	close(certificate.fd);
	close(key.fd);
	close(foreign.fd);
	forged_free(&bad);
	forged_free(&other);
}

static void renew_replaces_the_certificate_alone(void **state)
{
	struct scene *scene = *state;
	struct forged old = forge(&(struct forge){.authority = true,
					  .name = "Old CA",
					  .basic = "critical,DER:30:03:01:01:01"},
		NULL);
	const struct ca ca = {.certificate = old.certificate, .key = old.key};
	const struct ca_files files = {.certificate = scene->certificate, .key = scene->key};
	struct buf printed = BUF_EMPTY, key_before, key_after, before, after;
	char directory[80];
	struct why why;

	assert_int_equal(ca_files_write(&files, &ca, false, &why), 0);
	key_before = content(scene->key);
	before = content(scene->certificate);
	assert_int_equal(
		RUN(&printed, "lint", "--cert", scene->certificate, "--key", scene->key), 1);
	assert_non_null(strstr(buf_slice(&printed).data, "sallyport ca renew"));
	assert_int_equal(RUN(NULL, "renew", "--cert", scene->certificate, "--key", scene->key), 0);
	assert_int_equal(RUN(NULL, "lint", "--cert", scene->certificate, "--key", scene->key), 0);
	key_after = content(scene->key);
	after = content(scene->certificate);
	assert_true(slice_equal(buf_slice(&key_before), buf_slice(&key_after)));
	assert_false(slice_equal(buf_slice(&before), buf_slice(&after)));
	assert_int_equal(mode_of(scene->certificate), 0644);
	snprintf(directory, sizeof(directory), "%s/new", scene->directory);
	assert_int_equal(count_files(directory), 2);
	buf_wipe(&key_before);
	buf_wipe(&key_after);
	buf_free(&before);
	buf_free(&after);
	buf_free(&printed);
	forged_free(&old);
}

static void wrong_words_are_usage_errors(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(RUN(NULL, "destroy"), 2);
	assert_int_equal(RUN(NULL, "init", "--days", "x", OUT), 2);
	assert_int_equal(RUN(NULL, "init", "--der", OUT), 2);
	assert_int_equal(RUN(NULL, "init", "left over", OUT), 2);
	assert_int_equal(RUN(NULL, "import", OUT), 2);
	assert_int_equal(RUN(NULL, "renew", "--cert", scene->certificate), 2);
	assert_int_equal(RUN(NULL, "init", "--days", "0", OUT), 1);
	assert_int_equal(RUN(NULL, "--help"), 0);
	assert_int_equal(access(scene->key, F_OK), -1);
}

static void a_key_that_others_may_read_is_no_key(void **state)
{
	struct scene *scene = *state;
	struct ca_files files = {.certificate = scene->certificate, .key = scene->key};
	struct why why;
	struct ca *ca;

	assert_int_equal(RUN(NULL, "init", OUT), 0);
	assert_int_equal(chmod(scene->key, 0640), 0);
	assert_true(ca_files_read_own(&files, &ca, &why) < 0);
	assert_null(ca);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(init_makes_two_files_and_shows_no_key),
		ROW(init_replaces_nothing_unless_forced),
		ROW(export_gives_the_certificate_clients_need),
		ROW(import_takes_an_intermediate_with_its_chain),
		ROW(import_refuses_what_strict_clients_refuse),
		ROW(renew_replaces_the_certificate_alone),
		ROW(wrong_words_are_usage_errors),
		ROW(a_key_that_others_may_read_is_no_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
