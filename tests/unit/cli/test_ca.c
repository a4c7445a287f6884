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
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/pkcs7.h>

#include "base/file.h"
#include "cli/ca_files.h"
#include "cli/command.h"
#include "tests/support/forge.h"
#include "tls/pem.h"

#define ARGUMENTS 20

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

/* The certificate would take the key's place. */
static void one_file_for_both_is_refused(void **state)
{
	struct scene *scene = *state;
	struct buf before, after, printed = BUF_EMPTY;
	char spelled[160];

	assert_int_equal(RUN(NULL, "init", OUT), 0);
	before = content(scene->key);
	snprintf(spelled, sizeof(spelled), "%s/new/../new/./ca.key", scene->directory);
	assert_int_equal(
		RUN(&printed, "init", "--force", "--out-key", scene->key, "--out-cert", spelled), 1);
	assert_non_null(strstr(buf_slice(&printed).data, "found one for both"));
	after = content(scene->key);
	assert_true(slice_equal(buf_slice(&before), buf_slice(&after)));
	buf_free(&printed);
	buf_free(&before);
	buf_free(&after);
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

/* ---- what enterprises hand out ---- */

struct shapes {
	struct forged root, middle;
	char directory[80];
};

static const char *shape_path(struct shapes *shapes, const char *name)
{
	static char paths[4][160];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", shapes->directory, name);
	return path;
}

static void shape_write(struct shapes *shapes, const char *name, const void *data, size_t len)
{
	FILE *file = fopen(shape_path(shapes, name), "w");

	assert_int_equal(fwrite(data, 1, len, file), len);
	fclose(file);
}

static void shape_take(struct shapes *shapes, const char *name, BIO *bio, int written)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);

	assert_true(written > 0);
	shape_write(shapes, name, data, (size_t)len);
	BIO_free(bio);
}

static void shape_pkcs12(
	struct shapes *shapes, const char *name, const char *password, int key_nid, int nid)
{
	STACK_OF(X509) *above = sk_X509_new_null();
	BIO *bio = BIO_new(BIO_s_mem());
	PKCS12 *made;

	sk_X509_push(above, shapes->root.certificate);
	made = PKCS12_create(password, "ca", shapes->middle.key, shapes->middle.certificate, above,
		key_nid, nid, 0, 0, 0);
	assert_non_null(made);
	shape_take(shapes, name, bio, i2d_PKCS12_bio(bio, made));
	PKCS12_free(made);
	sk_X509_free(above);
}

static void shape_pkcs7(struct shapes *shapes, const char *der, const char *pem)
{
	PKCS7 *made = PKCS7_new();
	BIO *bio = BIO_new(BIO_s_mem());

	PKCS7_set_type(made, NID_pkcs7_signed);
	PKCS7_content_new(made, NID_pkcs7_data);
	PKCS7_add_certificate(made, shapes->root.certificate);
	PKCS7_add_certificate(made, shapes->middle.certificate);
	shape_take(shapes, der, bio, i2d_PKCS7_bio(bio, made));
	bio = BIO_new(BIO_s_mem());
	shape_take(shapes, pem, bio, PEM_write_bio_PKCS7(bio, made));
	PKCS7_free(made);
}

static void make_shapes(struct shapes *shapes, const struct scene *scene)
{
	EVP_PKEY *key;
	BIO *bio;

	snprintf(shapes->directory, sizeof(shapes->directory), "%s", scene->directory);
	shapes->root = forge(&(struct forge){.authority = true, .name = "Root"}, NULL);
	shapes->middle =
		forge(&(struct forge){.authority = true, .name = "Issuing"}, &shapes->root);
	key = shapes->middle.key;
	bio = BIO_new(BIO_s_mem());
	shape_take(shapes, "ca.cer", bio, i2d_X509_bio(bio, shapes->middle.certificate));
	bio = BIO_new(BIO_s_mem());
	shape_take(shapes, "root.cer", bio, i2d_X509_bio(bio, shapes->root.certificate));
	bio = BIO_new(BIO_s_mem());
	shape_take(shapes, "key.der", bio, i2d_PrivateKey_bio(bio, key));
	bio = BIO_new(BIO_s_mem());
	shape_take(shapes, "key.enc.der", bio,
		i2d_PKCS8PrivateKey_bio(bio, key, EVP_aes_256_cbc(), "right", 5, NULL, NULL));
	bio = BIO_new(BIO_s_mem());
	shape_take(shapes, "key.enc.pem", bio,
		PEM_write_bio_PKCS8PrivateKey(bio, key, EVP_aes_256_cbc(), "right", 5, NULL, NULL));
	/* The root first: what the file holds comes in any order. */
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(bio, shapes->root.certificate);
	PEM_write_bio_X509(bio, shapes->middle.certificate);
	shape_take(shapes, "all.pem", bio,
		PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL));
	shape_pkcs12(shapes, "ca.pfx", "right", 0, 0);
	shape_pkcs12(shapes, "empty.pfx", "", 0, 0);
	shape_pkcs12(shapes, "old.pfx", "right", NID_pbe_WithSHA1And3_Key_TripleDES_CBC,
		NID_pbe_WithSHA1And3_Key_TripleDES_CBC);
	shape_pkcs7(shapes, "chain.p7b", "chain.p7c");
	shape_write(shapes, "password", "right\r\nnot this", 15);
	shape_write(shapes, "wrong", "wrong\n", 6);
}

static void import_takes_what_is_handed_out(void **state)
{
	static const struct {
		const char *certificate, *key, *chain;
		bool password;
	} rows[] = {
		{"ca.cer", "key.der", "root.cer", false},
		{"ca.cer", "key.enc.der", "root.cer", true},
		{"ca.cer", "key.enc.pem", "root.cer", true},
		{"ca.cer", "key.der", "chain.p7b", false},
		{"chain.p7b", "key.der", NULL, false},
		{"chain.p7c", "key.der", NULL, false},
		{"all.pem", NULL, NULL, false},
		{"ca.pfx", NULL, NULL, true},
		{"empty.pfx", NULL, NULL, false},
		{"old.pfx", NULL, NULL, true},
	};
	struct scene *scene = *state;
	struct shapes shapes;

	make_shapes(&shapes, scene);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *words[16] = {
			"import", "--force", "--cert", shape_path(&shapes, rows[i].certificate), OUT};
		struct buf printed = BUF_EMPTY;
		size_t n = 8;
		struct why why;
		struct ca *ca;

		if (rows[i].key) {
			words[n++] = "--key";
			words[n++] = shape_path(&shapes, rows[i].key);
		}
		if (rows[i].chain) {
			words[n++] = "--chain";
			words[n++] = shape_path(&shapes, rows[i].chain);
		}
		if (rows[i].password) {
			words[n++] = "--password-file";
			words[n++] = shape_path(&shapes, "password");
		}
		if (run(&printed, words))
			fail_msg("%s: %s", rows[i].certificate, buf_slice(&printed).data);
		assert_int_equal(mode_of(scene->key), 0600);
		assert_int_equal(ca_files_read(scene->certificate, scene->key, &ca, &why), 0);
		assert_int_equal(X509_cmp(ca->certificate, shapes.middle.certificate), 0);
		assert_int_equal(sk_X509_num(ca->chain), 1);
		assert_int_equal(X509_cmp(sk_X509_value(ca->chain, 0), shapes.root.certificate), 0);
		assert_null(strstr(buf_slice(&printed).data, "right"));
		ca_free(ca);
		buf_free(&printed);
	}
	forged_free(&shapes.root);
	forged_free(&shapes.middle);
}

static void import_says_what_a_file_is_and_what_to_do(void **state)
{
	static const struct {
		const char *certificate, *password, *told;
		struct slice content; /* of the certificate's file; none: it is one of the shapes */
	} rows[] = {
		{"ca.pfx", "wrong", "the password does not open the PKCS#12 file", SLICE_NONE},
		{"ca.cer", NULL, "--key FILE", SLICE_NONE},
		{"key.der", NULL, "no certificate in the files", SLICE_NONE},
		{"x", NULL, "it is empty", {"", 0}},
		{"x", NULL, "keytool -importkeystore", SLICE("\xfe\xed\xfe\xed\0\0\0\2")},
		{"x", NULL, "iconv -f UTF-16", SLICE("\xff\xfe-\0-\0-\0")},
		{"x", NULL, "puttygen", SLICE("PuTTY-User-Key-File-3: ssh-rsa")},
		{"x", NULL, "openssl rsa -inform PVK", SLICE("\x1e\xf1\xb5\xb0\0\0\0\0")},
		{"x", NULL, "ssh-keygen -p -m PKCS8",
			SLICE("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"
			      "-----END OPENSSH PRIVATE KEY-----\n")},
		{"x", NULL, "a certificate request",
			SLICE("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"
			      "-----END CERTIFICATE REQUEST-----\n")},
		{"x", NULL, "or it is cut short", SLICE("\x30\x82\x01\x00\x30")},
		{"x", NULL, "expected: PEM, DER, PKCS#12", SLICE("hello")},
		{"x", NULL, "broken PEM", SLICE("-----BEGIN CERTIFICATE-----\n!!!!\n")},
	};
	struct scene *scene = *state;
	struct shapes shapes;

	make_shapes(&shapes, scene);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *words[16] = {
			"import", "--cert", shape_path(&shapes, rows[i].certificate), OUT};
		struct buf printed = BUF_EMPTY;

		if (!strcmp(rows[i].certificate, "x"))
			shape_write(&shapes, "x", rows[i].content.data, rows[i].content.len);
		if (rows[i].password) {
			words[7] = "--password-file";
			words[8] = shape_path(&shapes, rows[i].password);
		}
		assert_int_equal(run(&printed, words), 1);
		if (!strstr(buf_slice(&printed).data, rows[i].told))
			fail_msg("row %zu: %s, not %s", i, buf_slice(&printed).data, rows[i].told);
		assert_int_equal(access(scene->key, F_OK), -1);
		buf_free(&printed);
	}
	forged_free(&shapes.root);
	forged_free(&shapes.middle);
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
		ROW(one_file_for_both_is_refused),
		ROW(export_gives_the_certificate_clients_need),
		ROW(import_takes_an_intermediate_with_its_chain),
		ROW(import_refuses_what_strict_clients_refuse),
		ROW(import_takes_what_is_handed_out),
		ROW(import_says_what_a_file_is_and_what_to_do),
		ROW(renew_replaces_the_certificate_alone),
		ROW(wrong_words_are_usage_errors),
		ROW(a_key_that_others_may_read_is_no_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
