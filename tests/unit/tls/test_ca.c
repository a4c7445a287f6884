// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "tests/support/forge.h"
#include "tls/ca.h"
#include "tls/certificate.h"
#include "tls/leaf.h"
#include "tls/pem.h"

#define DAY_NS (86400 * NS_PER_S)

/* What Python >= 3.13 does by default, and what its SDKs thereby do. */
static int verify_strictly(const struct ca *ca, X509 *leaf, const char *host)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	int n = sk_X509_num(ca->chain), error;
	X509 *root = n ? sk_X509_value(ca->chain, n - 1) : ca->certificate;
	STACK_OF(X509) *sent = sk_X509_new_null();
	X509_VERIFY_PARAM *parameters;

	X509_STORE_add_cert(store, root);
	sk_X509_push(sent, ca->certificate);
	X509_STORE_CTX_init(context, store, leaf, sent);
	parameters = X509_STORE_CTX_get0_param(context);
	X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT);
	X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_SSL_SERVER);
	X509_VERIFY_PARAM_set_auth_level(parameters, 2);
	X509_VERIFY_PARAM_set1_host(parameters, host, 0);
	X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	X509_verify_cert(context);
	error = X509_STORE_CTX_get_error(context);
	sk_X509_free(sent);
	X509_STORE_CTX_free(context);
	X509_STORE_free(store);
	return error;
}

static X509 *mint(const struct ca *ca, const char *host, EVP_PKEY *key)
{
	struct why why = {""};
	X509 *leaf;

	if (leaf_mint(
		    ca, slice_of_string(host), key, 30 * DAY_NS, clock_realtime_ns(), &leaf, &why))
		fail_msg("%s: %s", host, why.text);
	return leaf;
}

static struct ca *make(const char *const *permitted, size_t npermitted)
{
	struct ca_options options = {
		.name = "Test CA", .days = 365, .permitted = permitted, .npermitted = npermitted};
	struct why why = {""};
	struct ca *ca;

	if (ca_make(&options, clock_realtime_ns(), &ca, &why))
		fail_msg("%s", why.text);
	return ca;
}

static void no_warning(void *context, const char *problem)
{
	(void)context;
	fail_msg("%s", problem);
}

static void assert_good(const struct ca *ca)
{
	struct why why = {""};

	if (ca_check(ca, clock_realtime_ns(), no_warning, NULL, &why))
		fail_msg("%s", why.text);
}

static void a_made_ca_has_no_fault(void **state)
{
	struct ca *ca = make(NULL, 0);

	(void)state;
	assert_good(ca);
	assert_int_equal(X509_verify(ca->certificate, ca->key), 1);
	assert_int_equal(X509_get_pathlen(ca->certificate), 0);
	ca_free(ca);
}

static void strict_clients_accept_its_leaves(void **state)
{
	static const char *const hosts[] = {"api.openai.com", "a",
		"a-very-long-name-of-a-resource-that-does-not-fit-a-common-name.openai.azure.com"};
	struct ca *ca = make(NULL, 0);
	EVP_PKEY *key = forge_key(NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++) {
		X509 *leaf = mint(ca, hosts[i], key);

		assert_int_equal(verify_strictly(ca, leaf, hosts[i]), X509_V_OK);
		assert_int_equal(
			verify_strictly(ca, leaf, "other.example"), X509_V_ERR_HOSTNAME_MISMATCH);
		X509_free(leaf);
	}
	EVP_PKEY_free(key);
	ca_free(ca);
}

static void a_leaf_says_exactly_what_it_may(void **state)
{
	struct ca *ca = make(NULL, 0);
	EVP_PKEY *key = forge_key(NULL);
	X509 *leaf = mint(ca, "API.openai.com", key), *second = mint(ca, "api.openai.com", key);
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	const ASN1_OCTET_STRING *own = X509_get0_subject_key_id(leaf),
				*above = X509_get0_authority_key_id(leaf),
				*authority = X509_get0_subject_key_id(ca->certificate);

	(void)state;
	assert_int_equal(sk_GENERAL_NAME_num(names), 1);
	assert_int_equal(sk_GENERAL_NAME_value(names, 0)->type, GEN_DNS);
	assert_string_equal(
		(const char *)ASN1_STRING_get0_data(sk_GENERAL_NAME_value(names, 0)->d.dNSName),
		"api.openai.com");
	assert_int_equal(ASN1_OCTET_STRING_cmp(above, authority), 0);
	assert_int_not_equal(ASN1_OCTET_STRING_cmp(own, authority), 0);
	assert_int_equal(X509_check_ca(leaf), 0);
	assert_int_equal(X509_get_key_usage(leaf), KU_DIGITAL_SIGNATURE);
	assert_int_equal(X509_get_extended_key_usage(leaf), XKU_SSL_SERVER);
	assert_true(X509_EXTENSION_get_critical(
		X509_get_ext(leaf, X509_get_ext_by_NID(leaf, NID_key_usage, -1))));
	assert_int_not_equal(
		ASN1_INTEGER_cmp(X509_get0_serialNumber(leaf), X509_get0_serialNumber(second)), 0);
	assert_true(ASN1_STRING_length(X509_get0_serialNumber(leaf)) == 16);
	GENERAL_NAMES_free(names);
	X509_free(leaf);
	X509_free(second);
	EVP_PKEY_free(key);
	ca_free(ca);
}

static int64_t days_between(const ASN1_TIME *a, const ASN1_TIME *b, int *seconds)
{
	int days;

	assert_true(ASN1_TIME_diff(&days, seconds, a, b));
	return days;
}

static void a_leaf_lives_200_days_at_most_and_not_beyond_its_ca(void **state)
{
	struct ca *ca = make(NULL, 0);
	EVP_PKEY *key = forge_key(NULL);
	uint64_t now = clock_realtime_ns();
	struct why why;
	X509 *leaf;
	int seconds;

	(void)state;
	assert_int_equal(
		leaf_mint(ca, SLICE("a.example"), key, 1000 * DAY_NS, now, &leaf, &why), 0);
	/* Both ends count: a second less than 200 days between them. */
	assert_int_equal(
		days_between(X509_get0_notBefore(leaf), X509_get0_notAfter(leaf), &seconds), 199);
	assert_int_equal(seconds, 86399);
	X509_free(leaf);

	/* 350 days later there are 15 left. */
	assert_int_equal(leaf_mint(ca, SLICE("a.example"), key, 30 * DAY_NS, now + 350 * DAY_NS,
				 &leaf, &why),
		0);
	assert_int_equal(
		ASN1_TIME_compare(X509_get0_notAfter(leaf), X509_get0_notAfter(ca->certificate)),
		0);
	X509_free(leaf);

	assert_int_equal(leaf_mint(ca, SLICE("a.example"), key, 30 * DAY_NS, now + 365 * DAY_NS,
				 &leaf, &why),
		-EKEYEXPIRED);
	assert_null(leaf);
	assert_int_equal(
		leaf_mint(ca, SLICE("a.example"), key, 30 * DAY_NS, now - 2 * DAY_NS, &leaf, &why),
		-EKEYEXPIRED);
	EVP_PKEY_free(key);
	ca_free(ca);
}

static void no_leaf_for_what_is_no_host_name(void **state)
{
	static const struct slice names[] = {
		{"*.openai.com", 12}, {"a\0b", 3}, {"a,DNS:b", 7}, {"10.0.0.1", 8}, {"", 0}};
	struct ca *ca = make(NULL, 0);
	EVP_PKEY *key = forge_key(NULL);
	struct why why;
	X509 *leaf;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		assert_int_equal(
			leaf_mint(ca, names[i], key, 30 * DAY_NS, clock_realtime_ns(), &leaf, &why),
			-EINVAL);
	EVP_PKEY_free(key);
	ca_free(ca);
}

static void a_constrained_ca_keeps_to_its_domains(void **state)
{
	static const char *const permitted[] = {"openai.azure.com", "api.openai.com"};
	struct ca *ca = make(permitted, 2);
	EVP_PKEY *key = forge_key(NULL);
	X509 *leaf = mint(ca, "chat.openai.azure.com", key);
	int at = X509_get_ext_by_NID(ca->certificate, NID_name_constraints, -1);
	struct why why = {""};

	(void)state;
	assert_good(ca);
	assert_true(X509_EXTENSION_get_critical(X509_get_ext(ca->certificate, at)));
	assert_int_equal(verify_strictly(ca, leaf, "chat.openai.azure.com"), X509_V_OK);
	X509_free(leaf);
	assert_int_equal(leaf_mint(ca, SLICE("mail.example.com"), key, 30 * DAY_NS,
				 clock_realtime_ns(), &leaf, &why),
		-EPERM);
	assert_non_null(strstr(why.text, "nameConstraints"));
	EVP_PKEY_free(key);
	ca_free(ca);
}

/* What OpenSSL writes of a part that it read, beside what stands in the certificate. */
static void assert_same_again(const ASN1_ITEM *item, const void *part)
{
	unsigned char *first = NULL, *again = NULL;
	const unsigned char *at;
	int first_len = ASN1_item_i2d(part, &first, item), len;
	void *decoded;

	at = first;
	decoded = ASN1_item_d2i(NULL, &at, first_len, item);
	assert_non_null(decoded);
	assert_ptr_equal(at, first + first_len);
	len = ASN1_item_i2d(decoded, &again, item);
	assert_int_equal(len, first_len);
	assert_memory_equal(first, again, (size_t)len);
	ASN1_item_free(decoded, item);
	OPENSSL_free(first);
	OPENSSL_free(again);
}

static void assert_der(const X509 *certificate)
{
	char problem[160] = "";

	if (!certificate_is_der(certificate, problem, sizeof(problem)))
		fail_msg("%s: %s", certificate_subject(certificate).text, problem);
	assert_same_again(ASN1_ITEM_rptr(X509), certificate);
	assert_same_again(ASN1_ITEM_rptr(X509_NAME), X509_get_subject_name(certificate));
	assert_same_again(ASN1_ITEM_rptr(X509_NAME), X509_get_issuer_name(certificate));
	assert_same_again(ASN1_ITEM_rptr(ASN1_TIME), X509_get0_notBefore(certificate));
	assert_same_again(ASN1_ITEM_rptr(ASN1_TIME), X509_get0_notAfter(certificate));
	assert_same_again(ASN1_ITEM_rptr(ASN1_INTEGER), X509_get0_serialNumber(certificate));
	assert_same_again(ASN1_ITEM_rptr(X509_PUBKEY), X509_get_X509_PUBKEY(certificate));
	for (int i = 0; i < X509_get_ext_count(certificate); i++)
		assert_same_again(ASN1_ITEM_rptr(X509_EXTENSION), X509_get_ext(certificate, i));
}

/* The value of an extension, byte for byte. */
static struct slice extension_of(const X509 *certificate, int nid)
{
	X509_EXTENSION *extension =
		X509_get_ext(certificate, X509_get_ext_by_NID(certificate, nid, -1));
	const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(extension);

	return slice_of(
		(const char *)ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
}

static struct ca *renew(const struct ca *ca)
{
	struct why why = {""};
	struct ca *renewed;

	if (ca_renew(ca, 100, clock_realtime_ns(), &renewed, &why))
		fail_msg("%s", why.text);
	return renewed;
}

static void every_certificate_is_der_to_the_byte(void **state)
{
	static const char *const permitted[] = {"openai.azure.com", "api.openai.com"};
	struct ca *rows[] = {make(NULL, 0), make(permitted, 2), NULL, NULL};
	EVP_PKEY *keys[] = {forge_key(NULL), forge_key("RSA-2048")};

	(void)state;
	rows[2] = renew(rows[0]);
	rows[3] = renew(rows[1]);
	for (size_t i = 0; i < 4; i++) {
		assert_der(rows[i]->certificate);
		assert_true(slice_equal(extension_of(rows[i]->certificate, NID_basic_constraints),
			SLICE("\x30\x06\x01\x01\xff\x02\x01\x00")));
		for (size_t k = 0; k < 2; k++) {
			X509 *leaf = mint(rows[i], "api.openai.com", keys[k]);

			assert_der(leaf);
			X509_free(leaf);
			leaf = mint(rows[i],
				"a-very-long-name-of-a-resource-that-does-not-fit-a-common-name"
				".openai.azure.com",
				keys[k]);
			assert_der(leaf);
			X509_free(leaf);
		}
	}
	for (size_t i = 0; i < 4; i++)
		ca_free(rows[i]);
	EVP_PKEY_free(keys[0]);
	EVP_PKEY_free(keys[1]);
}

/* As "sallyport ca init" wrote it once. */
static struct ca *old_authority(struct forged *forged)
{
	struct ca *ca = calloc(1, sizeof(*ca));

	*forged = forge(&(struct forge){.authority = true,
				.name = "Old CA",
				.basic = "critical,DER:30:06:01:01:01:02:01:00",
				.constraints = "critical,permitted;DNS:openai.azure.com"},
		NULL);
	assert_int_equal(X509_up_ref(forged->certificate), 1);
	assert_int_equal(EVP_PKEY_up_ref(forged->key), 1);
	*ca = (struct ca){forged->certificate, forged->key, sk_X509_new_null()};
	return ca;
}

static void remember_warning(void *context, const char *problem)
{
	struct buf *all = context;

	assert_int_equal(buf_append_slice(all, slice_of_string(problem)), 0);
}

static void a_ca_that_is_not_der_goes_on_with_a_warning_that_names_the_cure(void **state)
{
	struct buf warned = BUF_EMPTY;
	struct why why = {""};
	struct forged forged;
	struct ca *ca = old_authority(&forged);

	(void)state;
	assert_int_equal(ca_check(ca, clock_realtime_ns(), remember_warning, &warned, &why), 0);
	assert_int_equal(buf_append(&warned, "", 1), 0);
	assert_non_null(strstr(buf_slice(&warned).data, "Basic Constraints is not DER"));
	assert_non_null(strstr(buf_slice(&warned).data, "sallyport ca renew"));
	buf_free(&warned);
	ca_free(ca);
	forged_free(&forged);
}

static void a_renewed_ca_is_the_same_authority(void **state)
{
	struct forged forged;
	struct ca *ca = old_authority(&forged), *renewed = renew(ca);
	EVP_PKEY *key = forge_key(NULL);
	X509 *before = mint(ca, "a.openai.azure.com", key);
	X509 *after = mint(renewed, "a.openai.azure.com", key), *none;
	struct buf warned = BUF_EMPTY;
	struct why why = {""};

	(void)state;
	assert_der(renewed->certificate);
	assert_int_equal(
		ca_check(renewed, clock_realtime_ns(), remember_warning, &warned, &why), 0);
	assert_int_equal(buf_len(&warned), 0);
	/* Clients with the old root, and with the new one. */
	assert_int_equal(verify_strictly(ca, after, "a.openai.azure.com"), X509_V_OK);
	assert_int_equal(verify_strictly(renewed, before, "a.openai.azure.com"), X509_V_OK);
	assert_int_equal(X509_cmp(ca->certificate, renewed->certificate) != 0, 1);
	assert_int_not_equal(ASN1_INTEGER_cmp(X509_get0_serialNumber(ca->certificate),
				     X509_get0_serialNumber(renewed->certificate)),
		0);
	assert_int_equal(X509_get_pathlen(renewed->certificate), 0);
	/* What it may not sign, it still may not. */
	assert_int_equal(leaf_mint(renewed, SLICE("mail.example.com"), key, 30 * DAY_NS,
				 clock_realtime_ns(), &none, &why),
		-EPERM);
	X509_free(before);
	X509_free(after);
	EVP_PKEY_free(key);
	ca_free(renewed);
	ca_free(ca);
	forged_free(&forged);
}

static void what_its_issuer_must_renew_is_not_renewed(void **state)
{
	struct forged root = forge(&(struct forge){.authority = true, .name = "root"}, NULL);
	struct forged middle = forge(&(struct forge){.authority = true, .name = "issuing"}, &root);
	struct ca ca = {middle.certificate, middle.key, sk_X509_new_null()}, *renewed;
	struct why why = {""};

	(void)state;
	assert_int_equal(ca_renew(&ca, 100, clock_realtime_ns(), &renewed, &why), -EINVAL);
	assert_non_null(strstr(why.text, "CN = root"));
	ca.key = NULL;
	ca.certificate = root.certificate;
	assert_int_equal(ca_renew(&ca, 100, clock_realtime_ns(), &renewed, &why), -EINVAL);
	ca.key = root.key;
	assert_int_equal(ca_renew(&ca, 0, clock_realtime_ns(), &renewed, &why), -EINVAL);
	assert_null(renewed);
	sk_X509_free(ca.chain);
	forged_free(&middle);
	forged_free(&root);
}

static void bad_options_are_refused(void **state)
{
	static const char *const wildcard[] = {"*.openai.com"};
	const struct ca_options rows[] = {{.name = "", .days = 1}, {.name = NULL, .days = 1},
		{.name = "a", .days = 0}, {.name = "a", .days = 7301}, {.name = "a\nb", .days = 1},
		{.name = "a", .days = 1, .permitted = wildcard, .npermitted = 1},
		{.name = "a name that has more than the sixty-four bytes that RFC 5280 allows for "
			 "it",
			.days = 1}};
	struct why why;
	struct ca *ca;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(ca_make(&rows[i], clock_realtime_ns(), &ca, &why), -EINVAL);
		assert_null(ca);
	}
}

static void a_ca_survives_its_files(void **state)
{
	struct ca *ca = make(NULL, 0), *again;
	struct buf certificate = BUF_EMPTY, key = BUF_EMPTY;
	struct forge_file certificate_file, key_file;
	struct why why = {""};

	(void)state;
	assert_int_equal(ca_write_certificates(ca, &certificate), 0);
	assert_int_equal(ca_write_key(ca, &key), 0);
	certificate_file = forge_file(buf_slice(&certificate));
	key_file = forge_file(buf_slice(&key));
	/* The offset of the descriptor is at the end, where the writer left it, and stays there. */
	if (ca_read_fd(certificate_file.fd, key_file.fd, &again, &why))
		fail_msg("%s", why.text);
	assert_int_equal(lseek(key_file.fd, 0, SEEK_CUR), (off_t)buf_len(&key));
	assert_int_equal(X509_cmp(ca->certificate, again->certificate), 0);
	assert_int_equal(EVP_PKEY_eq(ca->key, again->key), 1);
	close(certificate_file.fd);
	close(key_file.fd);
	buf_free(&certificate);
	buf_wipe(&key);
	ca_free(again);
	ca_free(ca);
}

/* ---- lint ---- */

static void remember(void *context, enum ca_refused refused, const char *problem)
{
	struct buf *all = context;

	(void)refused;
	assert_int_equal(buf_printf(all, "%s\n", problem), 0);
}

static struct buf lint(struct forged *issuing, struct forged *above)
{
	struct ca ca = {.certificate = issuing->certificate, .chain = sk_X509_new_null()};
	struct buf all = BUF_EMPTY;
	size_t problems;

	if (above)
		sk_X509_push(ca.chain, above->certificate);
	problems = ca_lint(&ca, clock_realtime_ns(), remember, &all);
	assert_int_equal(problems != 0, buf_len(&all) != 0);
	assert_int_equal(buf_append(&all, "", 1), 0);
	sk_X509_free(ca.chain);
	return all;
}

static void lint_names_what_is_missing(void **state)
{
	static const struct {
		struct forge ca;
		const char *problem; /* NULL: none */
	} rows[] = {
		{{.authority = true, .name = "good"}, NULL},
		{{.authority = true, .name = "good", .key = "RSA-2048"}, NULL},
		{{.authority = true, .name = "a", .basic = ""},
			"basicConstraints (CA:TRUE) is missing"},
		{{.authority = true, .name = "a", .basic = "CA:TRUE"},
			"basicConstraints (CA:TRUE) must be critical"},
		{{.authority = true, .name = "a", .basic = "critical,CA:FALSE"}, "CA:FALSE"},
		{{.authority = true, .name = "a", .usage = ""},
			"keyUsage (keyCertSign) is missing"},
		{{.authority = true, .name = "a", .usage = "critical,cRLSign"},
			"does not have keyCertSign"},
		{{.authority = true, .name = "a", .usage = "keyCertSign"}, NULL},
		{{.authority = true, .name = "a", .subject_id = ""},
			"subjectKeyIdentifier is missing"},
		{{.authority = true, .name = "a", .constraints = "permitted;DNS:a.b"},
			"nameConstraints must be critical"},
		{{.authority = true, .name = "a", .constraints = "critical,permitted;DNS:a.b"},
			NULL},
		{{.authority = true, .name = "a", .extended = "clientAuth"}, "serverAuth"},
		{{.authority = true, .name = "a", .extended = "serverAuth"}, NULL},
		{{.authority = true, .name = "a", .unknown = "1.2.3.4"},
			"critical extension that clients do not know"},
		{{.authority = true, .name = "a", .version = 1}, "not of version 3"},
		{{.authority = true, .name = "a", .key = "RSA-1024"}, "less than 2048"},
		{{.authority = true, .name = "a", .key = "secp256k1"}, "curve"},
		{{.authority = true, .name = "a", .key = "ED25519"}, "neither RSA nor ECDSA"},
		{{.authority = true, .name = "a", .from_days = -9, .until_days = -1},
			"has expired"},
		{{.authority = true, .name = "a", .from_days = 1, .until_days = 9},
			"not valid yet"},
		{{.authority = true, .name = ""}, "subject is empty"},
		{{.authority = true, .name = "a", .key = "P-521"}, "on P-521"},
		{{.authority = true, .name = "a", .key = "RSA-PSS"}, "RSASSA-PSS"},
		{{.authority = true, .name = "a", .basic = "critical,DER:30:03:01:01:01"},
			"a boolean that is true is not the byte FF"},
		{{.authority = true, .name = "a", .usage = "critical,DER:03:02:00:06"},
			"bits that are not set stand at its end"},
		{{.authority = true, .name = "a", .usage = "critical,DER:03:02:01:07"},
			"the unused bits of a bit string are not zero"},
		{{.authority = true, .name = "a", .extended = "critical,DER:30:80:00:00"},
			"a length is indefinite"},
		{{.authority = true, .name = "a", .basic = "critical,DER:30:03:01:01:00"},
			"a value is written out that is the default"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct forged ca = forge(&rows[i].ca, NULL);
		struct buf all = lint(&ca, NULL);
		const char *text = buf_slice(&all).data;

		if (rows[i].problem ? !strstr(text, rows[i].problem) : *text)
			fail_msg("row %zu (%s): %s", i,
				rows[i].problem ? rows[i].problem : "no problem", text);
		buf_free(&all);
		forged_free(&ca);
	}
}

static void lint_looks_at_the_chain(void **state)
{
	static const struct forge good = {.authority = true, .name = "root"};
	static const struct forge short_root = {
		.authority = true, .name = "root", .basic = "critical,CA:TRUE,pathlen:0"};
	static const struct {
		const struct forge *root;
		struct forge middle;
		bool own_root; /* else it signed itself */
		const char *problem;
	} rows[] = {
		{&good, {.authority = true, .name = "issuing"}, true, NULL},
		{&good, {.authority = true, .name = "issuing", .authority_id = ""}, true,
			"authorityKeyIdentifier is missing"},
		{&good, {.authority = true, .name = "issuing", .digest = NULL, .other_key = true},
			true, "but not the key"},
		{&short_root, {.authority = true, .name = "issuing"}, true, "pathlen of 0"},
		{&good, {.authority = true, .name = "issuing"}, false,
			"another certificate follows"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct forged root = forge(rows[i].root, NULL);
		struct forged middle = forge(&rows[i].middle, rows[i].own_root ? &root : NULL);
		struct buf all = lint(&middle, &root);
		const char *text = buf_slice(&all).data;

		if (rows[i].problem ? !strstr(text, rows[i].problem) : *text)
			fail_msg("row %zu (%s): %s", i,
				rows[i].problem ? rows[i].problem : "no problem", text);
		buf_free(&all);
		forged_free(&middle);
		forged_free(&root);
	}
}

static void lint_refuses_sha1_where_it_counts(void **state)
{
	struct forged root = forge(&(struct forge){.authority = true, .name = "root"}, NULL);
	struct forged old = forge(
		&(struct forge){.authority = true, .name = "old", .digest = EVP_sha1()}, NULL);
	struct forged middle = forge(
		&(struct forge){.authority = true, .name = "middle", .digest = EVP_sha1()}, &root);
	struct buf all;

	(void)state;
	all = lint(&middle, &root);
	assert_non_null(strstr(buf_slice(&all).data, "MD5 or SHA-1"));
	buf_free(&all);
	all = lint(&old, NULL);
	assert_string_equal(buf_slice(&all).data, "");
	buf_free(&all);
	forged_free(&middle);
	forged_free(&old);
	forged_free(&root);
}

/* Every CA that lint lets pass is one that a strict client accepts. */
static void an_intermediate_serves_as_well(void **state)
{
	struct forged root =
		forge(&(struct forge){.authority = true, .name = "root", .key = "RSA-2048"}, NULL);
	struct forged middle =
		forge(&(struct forge){.authority = true, .name = "issuing", .key = "P-384"}, &root);
	struct ca ca = {middle.certificate, middle.key, sk_X509_new_null()};
	EVP_PKEY *key = forge_key(NULL);
	X509 *leaf;

	(void)state;
	sk_X509_push(ca.chain, root.certificate);
	assert_good(&ca);
	leaf = mint(&ca, "api.openai.com", key);
	assert_int_equal(verify_strictly(&ca, leaf, "api.openai.com"), X509_V_OK);
	X509_free(leaf);
	EVP_PKEY_free(key);
	sk_X509_free(ca.chain);
	forged_free(&middle);
	forged_free(&root);
}

static void bad_files_are_refused_with_a_reason(void **state)
{
	struct ca *ca = make(NULL, 0), *other = make(NULL, 0), *read;
	struct buf certificate = BUF_EMPTY, key = BUF_EMPTY, foreign = BUF_EMPTY;
	BIO *encrypted = BIO_new(BIO_s_mem());
	struct why why = {""};
	char *text;
	long len;

	(void)state;
	ca_write_certificates(ca, &certificate);
	ca_write_key(ca, &key);
	ca_write_key(other, &foreign);
	assert_int_equal(PEM_write_bio_PKCS8PrivateKey(
				 encrypted, ca->key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL),
		1);
	len = BIO_get_mem_data(encrypted, &text);

	assert_int_equal(ca_read(SLICE("nothing"), buf_slice(&key), &read, &why), -EINVAL);
	assert_non_null(strstr(why.text, "there is no certificate"));
	assert_int_equal(ca_read(buf_slice(&key), buf_slice(&key), &read, &why), -EINVAL);
	assert_non_null(strstr(why.text, "there is no certificate"));
	assert_int_equal(
		ca_read(slice_first(buf_slice(&certificate), 200), SLICE_NONE, &read, &why),
		-EINVAL);
	assert_int_equal(ca_read(buf_slice(&certificate), SLICE("nothing"), &read, &why), -EINVAL);
	assert_non_null(strstr(why.text, "no private key"));
	assert_int_equal(
		ca_read(buf_slice(&certificate), buf_slice(&foreign), &read, &why), -EINVAL);
	assert_non_null(strstr(why.text, "does not belong"));
	assert_int_equal(ca_read(buf_slice(&certificate), slice_of(text, (size_t)len), &read, &why),
		-EINVAL);
	assert_non_null(strstr(why.text, "encrypted"));
	assert_null(read);
	BIO_free(encrypted);
	buf_free(&certificate);
	buf_free(&key);
	buf_free(&foreign);
	ca_free(ca);
	ca_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_made_ca_has_no_fault),
		cmocka_unit_test(strict_clients_accept_its_leaves),
		cmocka_unit_test(a_leaf_says_exactly_what_it_may),
		cmocka_unit_test(a_leaf_lives_200_days_at_most_and_not_beyond_its_ca),
		cmocka_unit_test(no_leaf_for_what_is_no_host_name),
		cmocka_unit_test(a_constrained_ca_keeps_to_its_domains),
		cmocka_unit_test(every_certificate_is_der_to_the_byte),
		cmocka_unit_test(a_ca_that_is_not_der_goes_on_with_a_warning_that_names_the_cure),
		cmocka_unit_test(a_renewed_ca_is_the_same_authority),
		cmocka_unit_test(what_its_issuer_must_renew_is_not_renewed),
		cmocka_unit_test(bad_options_are_refused),
		cmocka_unit_test(a_ca_survives_its_files),
		cmocka_unit_test(lint_names_what_is_missing),
		cmocka_unit_test(lint_looks_at_the_chain),
		cmocka_unit_test(lint_refuses_sha1_where_it_counts),
		cmocka_unit_test(an_intermediate_serves_as_well),
		cmocka_unit_test(bad_files_are_refused_with_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
