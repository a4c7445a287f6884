// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/forge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "tls/certificate.h"
#include "tls/pem.h"

/* Made once, because that takes seconds. */
static const char dsa_parameters[] =
	"-----BEGIN DSA PARAMETERS-----\n"
	"MIICKAKCAQEAx2cC5DHOH6rdN6/jmme7Dr08IfH6WxxStxgtaWtABbtvGTGNsUwg\n"
	"FTc1KP4XKmVii7AKMDqnBew3f3XKxJYN3MDCPwtyy8hzxDzOGrlMkzrhDLg+pihb\n"
	"TS/wVnEGcyvw6qRUGFCUH1SsIa+Ad4tturx4hp4obMYy8nKuPgeCivT6ElwTUT9c\n"
	"jfk3epip7ezUVNJ9p1I1eD3GvG7Llz8zfQ1KHQRTyqZayDA9j0+LbL8up/+uojld\n"
	"T1cO+kc+M82VbEHXvmtkA1UQx+XYtaoktrMa+xsL+upcnmwnGDRud8hu1fELHcAv\n"
	"Xo7qSqD08WOKdt3UmAd6wsYR+UJKCrS5hwIdAKW97SuZyBsPHoPXumNf87TohLLP\n"
	"Bi5h0SAxRXECggEAI6+NuH+KSnWF9LCnEAAl6zYn1TS8UW1ODQw4xYSx8UdT7d+S\n"
	"g7oF1n1ud9yT/mL3OV+1oYjb1ZsJb7kEK1HFrx5ugwqVF7u/v/BOF5aXg4vx8/xg\n"
	"0HEc+2VKs73BCCLYma4/tvLkSJGzNktyGpyIgYvk0M80Ha1qiwxcuEN9Y19//cr3\n"
	"rjlFdrBMMlgdrF5Z5HnzcDxCRtR1+OGVUMyOx3PGrYkPFIvtCgVT9F99zqnVqMib\n"
	"vBqmmPCM27/yt9AtNJz9OuM4cpXdlSFKgLfME/l91cUjFKFue8SRh2veIy/rFjyo\n"
	"lYJgFWx2CcTOClpMnT6P/AB4QleHzDSWBRZMgA==\n"
	"-----END DSA PARAMETERS-----\n";

static void demand(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "forge: %s\n", what);
	ERR_print_errors_fp(stderr);
	abort();
}

static EVP_PKEY *forge_dsa_key(void)
{
	BIO *bio = BIO_new_mem_buf(dsa_parameters, -1);
	EVP_PKEY *parameters = PEM_read_bio_Parameters(bio, NULL), *key = NULL;
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(parameters, NULL);

	demand(context && EVP_PKEY_keygen_init(context) == 1 && EVP_PKEY_keygen(context, &key) == 1,
		"DSA key");
	EVP_PKEY_CTX_free(context);
	EVP_PKEY_free(parameters);
	BIO_free(bio);
	return key;
}

static EVP_PKEY *forge_pss_key(void)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
	EVP_PKEY *key = NULL;

	demand(context && EVP_PKEY_keygen_init(context) == 1 && EVP_PKEY_keygen(context, &key) == 1,
		"RSASSA-PSS key");
	EVP_PKEY_CTX_free(context);
	return key;
}

EVP_PKEY *forge_key(const char *kind)
{
	EVP_PKEY *key;

	if (!kind)
		key = EVP_EC_gen("P-256");
	else if (!strcmp(kind, "DSA"))
		key = forge_dsa_key();
	else if (!strcmp(kind, "RSA-PSS"))
		key = forge_pss_key();
	else if (!strncmp(kind, "RSA-", 4))
		key = EVP_RSA_gen((unsigned)atoi(kind + 4));
	else if (!strcmp(kind, "ED25519"))
		key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	else
		key = EVP_EC_gen(kind);
	demand(key, kind ? kind : "P-256");
	return key;
}

static void forge_extension(
	X509V3_CTX *context, X509 *certificate, int nid, const char *text, const char *otherwise)
{
	X509_EXTENSION *extension;

	if (!text)
		text = otherwise;
	if (!text || !*text)
		return;
	extension = X509V3_EXT_conf_nid(NULL, context, nid, text);
	demand(extension && X509_add_ext(certificate, extension, -1), text);
	X509_EXTENSION_free(extension);
}

/* Points to the issuer's key also where the issuer does not name it. */
static void forge_authority_id(
	X509V3_CTX *context, X509 *certificate, const struct forge *wanted, X509 *issuer)
{
	AUTHORITY_KEYID *above;

	if (wanted->authority_id || !issuer || X509_get0_subject_key_id(issuer)) {
		forge_extension(context, certificate, NID_authority_key_identifier,
			wanted->authority_id, issuer ? "keyid:always" : NULL);
		return;
	}
	above = AUTHORITY_KEYID_new();
	above->keyid = certificate_key_id(issuer);
	demand(certificate_add(certificate, NID_authority_key_identifier, false, above), "AKI");
	AUTHORITY_KEYID_free(above);
}

static void forge_names(X509V3_CTX *context, X509 *certificate, const struct forge *wanted)
{
	GENERAL_NAMES *names;
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();

	if (!wanted->raw_name.len) {
		GENERAL_NAME_free(name);
		ASN1_IA5STRING_free(text);
		forge_extension(
			context, certificate, NID_subject_alt_name, wanted->alternative, NULL);
		return;
	}
	names = sk_GENERAL_NAME_new_null();
	ASN1_STRING_set(text, wanted->raw_name.data, (int)wanted->raw_name.len);
	GENERAL_NAME_set0_value(name, GEN_DNS, text);
	sk_GENERAL_NAME_push(names, name);
	demand(X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0) == 1, "raw name");
	GENERAL_NAMES_free(names);
}

static void forge_unknown(X509 *certificate, const char *oid)
{
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
	X509_EXTENSION *extension;

	ASN1_OCTET_STRING_set(value, (const unsigned char *)"\5", 2);
	extension = X509_EXTENSION_create_by_OBJ(NULL, object, 1, value);
	demand(extension && X509_add_ext(certificate, extension, -1), oid);
	X509_EXTENSION_free(extension);
	ASN1_OBJECT_free(object);
	ASN1_OCTET_STRING_free(value);
}

static void forge_extensions(
	X509 *certificate, const struct forge *wanted, const struct forged *issuer)
{
	X509V3_CTX context;
	bool ca = wanted->authority;

	X509V3_set_ctx(
		&context, issuer ? issuer->certificate : certificate, certificate, NULL, NULL, 0);
	forge_extension(&context, certificate, NID_basic_constraints, wanted->basic,
		ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	forge_extension(&context, certificate, NID_key_usage, wanted->usage,
		ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
	forge_extension(&context, certificate, NID_ext_key_usage, wanted->extended,
		ca ? NULL : "serverAuth");
	forge_extension(
		&context, certificate, NID_subject_key_identifier, wanted->subject_id, "hash");
	forge_authority_id(&context, certificate, wanted, issuer ? issuer->certificate : NULL);
	forge_extension(&context, certificate, NID_name_constraints, wanted->constraints, NULL);
	forge_extension(&context, certificate, NID_tlsfeature, wanted->feature, NULL);
	forge_names(&context, certificate, wanted);
	if (wanted->unknown)
		forge_unknown(certificate, wanted->unknown);
}

struct forged forge(const struct forge *wanted, const struct forged *issuer)
{
	struct forged made = {X509_new(), forge_key(wanted->key)};
	X509_NAME *subject = X509_get_subject_name(made.certificate);
	const struct forged *signer = issuer ? issuer : &made;
	EVP_PKEY *other = wanted->other_key ? forge_key(NULL) : NULL;
	bool timed = wanted->from_days || wanted->until_days;
	const EVP_MD *digest = wanted->digest ? wanted->digest : EVP_sha256();
	BIGNUM *serial = BN_new();

	BN_rand(serial, 120, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY);
	BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(made.certificate));
	BN_free(serial);
	X509_set_version(made.certificate, wanted->version ? wanted->version - 1 : X509_VERSION_3);
	if (wanted->name && *wanted->name)
		X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
			(const unsigned char *)wanted->name, -1, -1, 0);
	X509_set_issuer_name(made.certificate, X509_get_subject_name(signer->certificate));
	X509_time_adj_ex(
		X509_getm_notBefore(made.certificate), timed ? wanted->from_days : -1, 0, NULL);
	X509_time_adj_ex(
		X509_getm_notAfter(made.certificate), timed ? wanted->until_days : 30, 0, NULL);
	X509_set_pubkey(made.certificate, made.key);
	if (!wanted->version || wanted->version == 3)
		forge_extensions(made.certificate, wanted, issuer);
	if (EVP_PKEY_is_a(other ? other : signer->key, "ED25519"))
		digest = NULL;
	demand(X509_sign(made.certificate, other ? other : signer->key, digest) > 0, "signature");
	EVP_PKEY_free(other);
	return made;
}

void forged_free(struct forged *forged)
{
	X509_free(forged->certificate);
	EVP_PKEY_free(forged->key);
	*forged = (struct forged){NULL, NULL};
}

struct forge_file forge_file(struct slice content)
{
	struct forge_file file = {.fd = memfd_create("forged", MFD_CLOEXEC)};

	demand(file.fd >= 0 && write(file.fd, content.data, content.len) == (ssize_t)content.len,
		"memfd");
	snprintf(file.path, sizeof(file.path), "/proc/self/fd/%d", file.fd);
	return file;
}

struct forge_file forge_certificates(const X509 *const *certificates, size_t n)
{
	struct buf pem = BUF_EMPTY;
	struct forge_file file;

	for (size_t i = 0; i < n; i++)
		demand(pem_write_certificate(certificates[i], &pem) == 0, "PEM");
	file = forge_file(buf_slice(&pem));
	buf_free(&pem);
	return file;
}
