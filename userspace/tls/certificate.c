// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/certificate.h"

#include <string.h>
#include <time.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/clock.h"

#define KEY_ID_BYTES 20
#define SERIAL_BYTES 16
#define FAR_FUTURE_S 16725225600LL /* 2500-01-01 */

bool certificate_time(const ASN1_TIME *time, uint64_t *realtime_ns)
{
	struct tm parts;
	time_t seconds;

	if (!time || !ASN1_TIME_to_tm(time, &parts))
		return false;
	seconds = timegm(&parts);
	if (seconds < 0)
		*realtime_ns = 0;
	else
		*realtime_ns = seconds > FAR_FUTURE_S ? UINT64_MAX : (uint64_t)seconds * NS_PER_S;
	return true;
}

bool certificate_set_validity(X509 *certificate, uint64_t from_ns, uint64_t until_ns)
{
	return ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)(from_ns / NS_PER_S)) &&
	       ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)(until_ns / NS_PER_S));
}

bool certificate_set_serial(X509 *certificate)
{
	unsigned char bytes[SERIAL_BYTES];
	BIGNUM *number;
	bool done;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	/* Positive, and as long every time. */
	bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40);
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	done = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
	BN_free(number);
	return done;
}

bool certificate_add(X509 *certificate, int nid, bool critical, void *value)
{
	return X509_add1_ext_i2d(certificate, nid, value, critical, X509V3_ADD_APPEND) == 1;
}

bool certificate_add_key_usage(X509 *certificate, uint32_t bits)
{
	ASN1_BIT_STRING *usage = ASN1_BIT_STRING_new();
	bool done = usage;

	/* Bit 0 of the ASN.1 is the highest bit of the first byte; KU_… follow that order. */
	for (int i = 0; done && i < 8; i++)
		if (bits & (0x80U >> i))
			done = ASN1_BIT_STRING_set_bit(usage, i, 1);
	done = done && certificate_add(certificate, NID_key_usage, true, usage);
	ASN1_BIT_STRING_free(usage);
	return done;
}

ASN1_OCTET_STRING *certificate_key_id(X509 *certificate)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
	unsigned len;

	if (id && X509_pubkey_digest(certificate, EVP_sha256(), digest, &len) &&
		ASN1_OCTET_STRING_set(id, digest, KEY_ID_BYTES))
		return id;
	ASN1_OCTET_STRING_free(id);
	return NULL;
}

bool certificate_same_key(const X509 *a, const X509 *b)
{
	EVP_PKEY *key_a = X509_get0_pubkey(a), *key_b = X509_get0_pubkey(b);

	return key_a && key_b && EVP_PKEY_eq(key_a, key_b) == 1;
}

bool certificate_sign(X509 *certificate, EVP_PKEY *key)
{
	const EVP_MD *digest = EVP_sha256();

	if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) > 384)
		digest = EVP_sha512();
	else if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) > 256)
		digest = EVP_sha384();
	return X509_sign(certificate, key, digest) > 0;
}

const char *certificate_key_problem(EVP_PKEY *key)
{
	char curve[64];

	if (!key)
		return "of a kind that cannot be read";
	if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS"))
		return EVP_PKEY_get_bits(key) < 2048 ? "RSA with less than 2048 bits" : NULL;
	if (!EVP_PKEY_is_a(key, "EC"))
		return "neither RSA nor ECDSA";
	if (!EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL) ||
		(strcmp(curve, SN_X9_62_prime256v1) && strcmp(curve, SN_secp384r1) &&
			strcmp(curve, SN_secp521r1)))
		return "ECDSA on a curve other than P-256, P-384 and P-521";
	return NULL;
}

bool certificate_weak_signature(X509 *certificate)
{
	int digest, key, bits;
	uint32_t flags;

	/* 112 bits: what security level 2 asks of a signature, and SHA-1 does not have. */
	return !X509_get_signature_info(certificate, &digest, &key, &bits, &flags) || bits < 112;
}

static struct certificate_name name_print(const X509_NAME *printed)
{
	struct certificate_name name;
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len = 0;

	if (bio && X509_NAME_print_ex(bio, printed, 0,
			   XN_FLAG_ONELINE | ASN1_STRFLGS_ESC_CTRL | ASN1_STRFLGS_ESC_MSB) >= 0)
		len = BIO_get_mem_data(bio, &text);
	if (len >= (long)sizeof(name.text))
		len = (long)sizeof(name.text) - 1;
	if (len > 0)
		memcpy(name.text, text, (size_t)len);
	name.text[len > 0 ? len : 0] = '\0';
	BIO_free(bio);
	return name;
}

struct certificate_name certificate_subject(const X509 *certificate)
{
	return name_print(X509_get_subject_name(certificate));
}

struct certificate_name certificate_issuer(const X509 *certificate)
{
	return name_print(X509_get_issuer_name(certificate));
}
