// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "keeper/assertion.h"

static const struct assertion_claims claims = {"client-1", "https://login.example/t/token", 1000};

/* A certificate and a key, PEM; what is NULL is left out. */
static struct buf pem_of(EVP_PKEY *certified, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct buf pem = BUF_EMPTY;
	char *text;
	long len;

	if (certified) {
		X509 *certificate = X509_new();

		ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
		X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
		X509_gmtime_adj(X509_getm_notAfter(certificate), 1000);
		X509_set_pubkey(certificate, certified);
		assert_true(X509_sign(certificate, certified, EVP_sha256()) > 0);
		assert_int_equal(PEM_write_bio_X509(bio, certificate), 1);
		X509_free(certificate);
	}
	if (key)
		assert_int_equal(
			PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
	len = BIO_get_mem_data(bio, &text);
	assert_int_equal(buf_append(&pem, text, (size_t)len), 0);
	BIO_free(bio);
	return pem;
}

static struct buf from_base64url(struct slice text)
{
	struct buf padded = BUF_EMPTY, out = BUF_EMPTY;
	char *room;
	int n;

	assert_int_equal(buf_append_slice(&padded, text), 0);
	while (buf_len(&padded) % 4)
		assert_int_equal(buf_append(&padded, "=", 1), 0);
	for (char *c = padded.memory; c < padded.memory + padded.end; c++)
		*c = *c == '-' ? '+' : *c == '_' ? '/' : *c;
	room = buf_reserve(&out, buf_len(&padded));
	n = EVP_DecodeBlock((unsigned char *)room, (unsigned char *)padded.memory,
		(int)buf_len(&padded));
	assert_true(n > 0);
	buf_commit(&out, (size_t)n - (buf_len(&padded) - text.len));
	buf_free(&padded);
	return out;
}

static bool holds(struct slice part, const char *text)
{
	struct buf json = from_base64url(part);
	bool found = memmem(buf_slice(&json).data, buf_len(&json), text, strlen(text));

	buf_free(&json);
	return found;
}

static void it_is_signed_by_the_certificates_key(void **state)
{
	EVP_PKEY *key = EVP_RSA_gen(2048);
	struct buf pem = pem_of(key, key), jwt = BUF_EMPTY, signature;
	EVP_MD_CTX *verify = EVP_MD_CTX_new();
	EVP_PKEY_CTX *parameters;
	struct slice header, body, signed_part;
	struct why why = {""};

	(void)state;
	assert_int_equal(assertion_check(buf_slice(&pem), &why), 0);
	assert_int_equal(assertion_make(buf_slice(&pem), &claims, &jwt, &why), 0);
	header = slice_first(buf_slice(&jwt), slice_index(buf_slice(&jwt), '.'));
	body = slice_after(buf_slice(&jwt), header.len + 1);
	body = slice_first(body, slice_index(body, '.'));
	signed_part = slice_first(buf_slice(&jwt), header.len + 1 + body.len);
	signature = from_base64url(slice_after(buf_slice(&jwt), signed_part.len + 1));
	assert_true(holds(header, "\"alg\":\"PS256\""));
	assert_true(holds(header, "\"x5t#S256\":\""));
	assert_true(holds(body, "\"iss\":\"client-1\",\"sub\":\"client-1\""));
	assert_true(holds(body, "\"nbf\":1000,\"exp\":1300"));
	assert_int_equal(
		EVP_DigestVerifyInit(verify, &parameters, EVP_sha256(), NULL, key), 1);
	EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING);
	EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST);
	assert_int_equal(EVP_DigestVerify(verify,
				 (const unsigned char *)buf_slice(&signature).data,
				 buf_len(&signature), (const unsigned char *)signed_part.data,
				 signed_part.len),
		1);
	EVP_MD_CTX_free(verify);
	buf_free(&signature);
	buf_free(&jwt);
	buf_wipe(&pem);
	EVP_PKEY_free(key);
}

static void refused(struct buf pem, const char *reason)
{
	struct buf jwt = BUF_EMPTY;
	struct why why = {""};

	assert_int_equal(assertion_check(buf_slice(&pem), &why), -EINVAL);
	assert_non_null(strstr(why.text, reason));
	assert_int_equal(assertion_make(buf_slice(&pem), &claims, &jwt, &why), -EINVAL);
	assert_int_equal(buf_len(&jwt), 0);
	buf_wipe(&pem);
}

static void what_proves_nothing_is_refused(void **state)
{
	EVP_PKEY *key = EVP_RSA_gen(2048), *other = EVP_RSA_gen(2048), *weak = EVP_RSA_gen(1024),
		 *curve = EVP_EC_gen("P-256");

	(void)state;
	refused(BUF_EMPTY, "there is no certificate");
	refused(pem_of(key, NULL), "there is no key");
	refused(pem_of(NULL, key), "there is no certificate");
	refused(pem_of(key, other), "not the certificate's");
	refused(pem_of(weak, weak), "at least 2048 bits");
	refused(pem_of(curve, curve), "an RSA key");
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	EVP_PKEY_free(weak);
	EVP_PKEY_free(curve);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_signed_by_the_certificates_key),
		cmocka_unit_test(what_proves_nothing_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
