// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/certificate.h"

#include <stdio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "tls/der.h"

static bool der_tell(char *problem, size_t size, const char *part, const char *what)
{
	snprintf(problem, size, "%s is not DER: %s", part, what);
	return false;
}

static bool der_check_part(
	const unsigned char *bytes, int len, const char *part, char *problem, size_t size)
{
	size_t offset;
	const char *what =
		der_problem(slice_of((const char *)bytes, len > 0 ? (size_t)len : 0), &offset);

	return what ? der_tell(problem, size, part, what) : true;
}

/* X.690 section 11.2.2: a list of named bits ends with one that is set. */
static bool der_check_usage(const ASN1_OCTET_STRING *value, char *problem, size_t size)
{
	const unsigned char *at = ASN1_STRING_get0_data(value);
	int len = ASN1_STRING_length(value); /* tag, length, unused bits, bits */

	if (len > 3 && !(at[len - 1] & (1U << at[2])))
		return der_tell(
			problem, size, "its keyUsage", "bits that are not set stand at its end");
	return true;
}

/* What der_problem cannot see: a default that is written out. */
static bool der_check_extension_again(
	X509_EXTENSION *extension, const char *part, char *problem, size_t size)
{
	const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(extension);
	const X509V3_EXT_METHOD *method = X509V3_EXT_get(extension);
	unsigned char *again = NULL;
	void *decoded;
	int len;
	bool same;

	if (!method || !method->it) /* none that OpenSSL knows */
		return true;
	decoded = X509V3_EXT_d2i(extension);
	if (!decoded)
		return der_tell(problem, size, part, "it cannot be decoded");
	len = ASN1_item_i2d(decoded, &again, ASN1_ITEM_ptr(method->it));
	same = len == ASN1_STRING_length(value) &&
	       !memcmp(again, ASN1_STRING_get0_data(value), (size_t)len);
	OPENSSL_free(again);
	ASN1_item_free(decoded, ASN1_ITEM_ptr(method->it));
	return same || der_tell(problem, size, part, "a value is written out that is the default");
}

static bool der_check_extension(X509_EXTENSION *extension, char *problem, size_t size)
{
	const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(extension);
	const unsigned char *bytes = ASN1_STRING_get0_data(value);
	ASN1_OBJECT *object = X509_EXTENSION_get_object(extension);
	char part[96] = "its ";

	OBJ_obj2txt(part + 4, sizeof(part) - 4, object, 0);
	if (!der_check_part(bytes, ASN1_STRING_length(value), part, problem, size) ||
		!der_check_extension_again(extension, part, problem, size))
		return false;
	return OBJ_obj2nid(object) != NID_key_usage || der_check_usage(value, problem, size);
}

/* What was signed, written by OpenSSL from what it read. */
static bool der_check_again(const X509 *certificate, char *problem, size_t size)
{
	X509 *copy = X509_dup(certificate);
	unsigned char *first = NULL, *again = NULL;
	int first_len = copy ? i2d_X509(copy, &first) : -1;
	int len = copy && i2d_re_X509_tbs(copy, &again) > 0 ? i2d_X509(copy, NULL) : -1;
	unsigned char *second = NULL;
	bool same;

	OPENSSL_free(again);
	if (len > 0)
		len = i2d_X509(copy, &second);
	same = len > 0 && len == first_len && !memcmp(first, second, (size_t)len);
	OPENSSL_free(first);
	OPENSSL_free(second);
	X509_free(copy);
	return same || der_tell(problem, size, "it", "a value is written out that is the default");
}

bool certificate_is_der(const X509 *certificate, char *problem, size_t size)
{
	const ASN1_BIT_STRING *signature;
	const X509_ALGOR *algorithm;
	unsigned char *der = NULL;
	int len = i2d_X509(certificate, &der), key;
	bool good = der_check_part(der, len, "it", problem, size);

	OPENSSL_free(der);
	for (int i = 0; good && i < X509_get_ext_count(certificate); i++)
		good = der_check_extension(X509_get_ext(certificate, i), problem, size);
	good = good && der_check_again(certificate, problem, size);
	X509_get0_signature(&signature, &algorithm, certificate);
	/* RFC 3279 section 2.2.3; an RSA signature is no ASN.1. */
	if (good && OBJ_find_sigid_algs(OBJ_obj2nid(algorithm->algorithm), NULL, &key) &&
		key == NID_X9_62_id_ecPublicKey)
		good = der_check_part(ASN1_STRING_get0_data(signature),
			ASN1_STRING_length(signature), "its signature", problem, size);
	ERR_clear_error();
	return good;
}
