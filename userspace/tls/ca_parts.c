// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/ca_parts.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/pkcs7.h>
#include <openssl/provider.h>
#include <openssl/x509v3.h>

#include "tls/certificate.h"
#include "tls/pem.h"

#define CHAIN_MAX 8

/* A file while it is read. */
struct source {
	struct ca_parts *parts;
	struct slice content;
	const char *path;
	ca_password *password;
	void *context;
	struct why *why;
	int error; /* of the asking for the password */
	bool asked;
	char text[CA_PASSWORD_SIZE];
};

static int parts_add(struct ca_parts *parts, X509 *certificate)
{
	if (!parts->certificates)
		parts->certificates = sk_X509_new_null();
	if (!parts->certificates || !X509_up_ref(certificate))
		return -ENOMEM;
	if (sk_X509_push(parts->certificates, certificate))
		return 0;
	X509_free(certificate);
	return -ENOMEM;
}

static int parts_add_all(struct ca_parts *parts, STACK_OF(X509) *certificates)
{
	int error = 0;

	for (int i = 0; !error && i < sk_X509_num(certificates); i++)
		error = parts_add(parts, sk_X509_value(certificates, i));
	return error;
}

static void parts_take_key(struct ca_parts *parts, EVP_PKEY *key)
{
	if (parts->key)
		EVP_PKEY_free(key);
	else
		parts->key = key;
}

/* ---- passwords ---- */

static bool source_ask(struct source *source)
{
	if (!source->asked)
		source->error =
			source->password(source->context, source->path, source->text, source->why);
	source->asked = true;
	return !source->error;
}

static int source_password(char *memory, int size, int writing, void *context)
{
	struct source *source = context;
	size_t len;

	(void)writing;
	if (!source_ask(source))
		return -1;
	len = strlen(source->text);
	if (len > (size_t)size)
		return -1;
	memcpy(memory, source->text, len);
	return (int)len;
}

static int source_fail(struct source *source, const char *what)
{
	if (source->error)
		return source->error;
	if (source->asked)
		return why_set(source->why, EINVAL, "%s: the password does not open %s (%s)",
			source->path, what, pem_openssl_reason());
	return why_set(source->why, EINVAL, "%s: %s cannot be read: %s", source->path, what,
		pem_openssl_reason());
}

/* ---- what is binary ---- */

/* What Windows exports may be encrypted with RC2, which OpenSSL 3 has aside. To load it must not
 * take the place of the default provider, nor leave none behind when it goes. */
static int read_pkcs12(struct source *source, PKCS12 *pkcs12)
{
	OSSL_PROVIDER *legacy = OSSL_PROVIDER_try_load(NULL, "legacy", 1);
	STACK_OF(X509) *above = NULL;
	X509 *certificate = NULL;
	EVP_PKEY *key = NULL;
	const char *password = "";
	int error = 0;

	ERR_clear_error();
	if (PKCS12_verify_mac(pkcs12, NULL, 0))
		password = NULL;
	else if (!PKCS12_verify_mac(pkcs12, "", 0))
		password = source_ask(source) ? source->text : NULL;
	if (source->error) {
		error = source->error;
		goto out;
	}
	ERR_clear_error();
	if (!PKCS12_parse(pkcs12, password, &key, &certificate, &above)) {
		error = source_fail(source, "the PKCS#12 file");
		if (!legacy)
			error = why_set(source->why, EINVAL,
				"%s: the PKCS#12 file is encrypted in an old way; install "
				"openssl-provider-legacy, or convert it: openssl pkcs12 -legacy "
				"-in OLD.pfx -out NEW.pem",
				source->path);
		goto out;
	}
	if (certificate)
		error = parts_add(source->parts, certificate);
	if (!error)
		error = parts_add_all(source->parts, above);
	if (error)
		why_set(source->why, ENOMEM, "out of memory");
	if (key)
		parts_take_key(source->parts, key);
out:
	X509_free(certificate);
	sk_X509_pop_free(above, X509_free);
	OSSL_PROVIDER_unload(legacy);
	ERR_clear_error();
	return error;
}

static int read_pkcs7(struct source *source, const PKCS7 *pkcs7)
{
	if (!PKCS7_type_is_signed(pkcs7) || !pkcs7->d.sign || sk_X509_num(pkcs7->d.sign->cert) <= 0)
		return why_set(source->why, EINVAL,
			"%s: there is no certificate in the PKCS#7 file", source->path);
	return parts_add_all(source->parts, pkcs7->d.sign->cert) ? -ENOMEM : 0;
}

/* A DER key, encrypted (RFC 5958 section 3) or not. 1: it is none. */
static int read_der_key(struct source *source)
{
	const unsigned char *at = (const unsigned char *)source->content.data;
	long len = (long)source->content.len;
	EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &at, len);
	X509_SIG *encrypted = NULL;
	BIO *bio;

	if (!key) {
		at = (const unsigned char *)source->content.data;
		encrypted = d2i_X509_SIG(NULL, &at, len);
		if (!encrypted)
			return 1;
		X509_SIG_free(encrypted);
		bio = BIO_new_mem_buf(source->content.data, (int)len);
		key = bio ? d2i_PKCS8PrivateKey_bio(bio, NULL, source_password, source) : NULL;
		BIO_free(bio);
		if (!key)
			return source_fail(source, "the encrypted key");
	}
	parts_take_key(source->parts, key);
	return 0;
}

/* Each form is told from the others by whether it can be decoded. */
static int read_der(struct source *source)
{
	const unsigned char *start = (const unsigned char *)source->content.data, *at;
	long len = (long)source->content.len;
	X509 *certificate;
	PKCS12 *pkcs12;
	PKCS7 *pkcs7;
	X509_REQ *request;
	int error;

	at = start;
	certificate = d2i_X509(NULL, &at, len);
	if (certificate) {
		error = parts_add(source->parts, certificate);
		X509_free(certificate);
		return error;
	}
	at = start;
	pkcs12 = d2i_PKCS12(NULL, &at, len);
	if (pkcs12) {
		error = read_pkcs12(source, pkcs12);
		PKCS12_free(pkcs12);
		return error;
	}
	at = start;
	pkcs7 = d2i_PKCS7(NULL, &at, len);
	if (pkcs7) {
		error = read_pkcs7(source, pkcs7);
		PKCS7_free(pkcs7);
		return error;
	}
	error = read_der_key(source);
	if (error <= 0)
		return error;
	at = start;
	request = d2i_X509_REQ(NULL, &at, len);
	X509_REQ_free(request);
	ERR_clear_error();
	if (request)
		return why_set(source->why, EINVAL,
			"%s: it is a certificate request: have the CA sign it, and import what it "
			"gives back",
			source->path);
	return why_set(source->why, EINVAL,
		"%s: it is binary, but no certificate (.cer), PKCS#12 (.pfx, .p12), PKCS#7 (.p7b) "
		"or private key, or it is cut short",
		source->path);
}

/* ---- what is text ---- */

static bool ends_with(const char *name, const char *end)
{
	size_t len = strlen(name), tail = strlen(end);

	return len >= tail && !strcmp(name + len - tail, end);
}

/* One block, decoded from base64, but for keys. */
static int read_block(struct source *source, const char *name, const unsigned char *der, long len,
	const char **seen)
{
	struct source inner = *source;
	int error = 0;

	if (!strcmp(name, PEM_STRING_X509) || !strcmp(name, PEM_STRING_X509_OLD) ||
		!strcmp(name, PEM_STRING_PKCS7) || !strcmp(name, "CMS")) {
		inner.content = slice_of((const char *)der, (size_t)len);
		error = read_der(&inner);
	} else if (!strcmp(name, "OPENSSH PRIVATE KEY")) {
		*seen = "a key of OpenSSH: convert a copy of it: ssh-keygen -p -m PKCS8 -f COPY";
	} else if (!strcmp(name, PEM_STRING_X509_REQ) || !strcmp(name, PEM_STRING_X509_REQ_OLD)) {
		*seen = "a certificate request: have the CA sign it, and import what it gives back";
	} else if (!strcmp(name, PEM_STRING_PUBLIC)) {
		*seen = "a public key: the certificate and the private key are needed";
	} else if (!strcmp(name, PEM_STRING_X509_CRL)) {
		*seen = "a revocation list, and no certificate";
	}
	return error;
}

static int read_pem_key(struct source *source)
{
	BIO *bio = BIO_new_mem_buf(source->content.data, (int)source->content.len);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, source_password, source) : NULL;

	BIO_free(bio);
	if (!key)
		return source_fail(source, "the private key");
	parts_take_key(source->parts, key);
	return 0;
}

static int read_pem(struct source *source)
{
	BIO *bio = BIO_new_mem_buf(source->content.data, (int)source->content.len);
	const char *seen = NULL;
	bool has_key = false, any = false;
	char *name, *header;
	unsigned char *der;
	int error = 0;
	long len;

	while (!error && bio && PEM_read_bio(bio, &name, &header, &der, &len)) {
		has_key = has_key || (ends_with(name, "PRIVATE KEY") &&
					     strcmp(name, "OPENSSH PRIVATE KEY") != 0);
		any = true;
		error = read_block(source, name, der, len, &seen);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, (size_t)len);
	}
	if (!error && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		error = why_set(source->why, EINVAL, "%s: broken PEM: %s", source->path,
			pem_openssl_reason());
	BIO_free(bio);
	ERR_clear_error();
	if (!error && has_key)
		error = read_pem_key(source);
	if (!error && any && !has_key && seen && !source->parts->certificates)
		error = why_set(source->why, EINVAL, "%s: it is %s", source->path, seen);
	return error;
}

/* What is neither PEM nor ASN.1, told by its first bytes. */
static int tell_kind(struct source *source)
{
	static const struct {
		struct slice magic;
		const char *told;
	} kinds[] = {
		{{"\xfe\xed\xfe\xed", 4},
			"a Java key store: convert it: keytool -importkeystore -srckeystore OLD "
			"-destkeystore NEW.p12 -deststoretype PKCS12"},
		{{"PuTTY-User-Key-File", 19}, "a key of PuTTY: convert it: puttygen OLD -O "
					      "private-openssh-new -o NEW, then "
					      "ssh-keygen -p -m PKCS8 -f NEW"},
		{{"\x1e\xf1\xb5\xb0", 4}, "a key in Microsoft's PVK form: convert it: openssl rsa "
					  "-inform PVK -in OLD "
					  "-out NEW.pem"},
		{{"\xff\xfe", 2},
			"text in UTF-16: convert it: iconv -f UTF-16 -t UTF-8 OLD > NEW.pem"},
		{{"\xfe\xff", 2},
			"text in UTF-16: convert it: iconv -f UTF-16 -t UTF-8 OLD > NEW.pem"},
		{{"PK\3\4", 4}, "a ZIP archive: unpack it first"},
	};

	if (!source->content.len)
		return why_set(source->why, EINVAL, "%s: it is empty", source->path);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (slice_starts_with(source->content, kinds[i].magic))
			return why_set(
				source->why, EINVAL, "%s: it is %s", source->path, kinds[i].told);
	return why_set(source->why, EINVAL,
		"%s: it holds neither a certificate nor a private key (expected: PEM, DER, PKCS#12 "
		"or "
		"PKCS#7)",
		source->path);
}

int ca_parts_read(struct ca_parts *parts, struct slice content, const char *path,
	ca_password *password, void *context, struct why *why)
{
	struct source source = {.parts = parts,
		.content = content,
		.path = path,
		.password = password,
		.context = context,
		.why = why};
	int error;

	ERR_clear_error();
	if (content.len > INT_MAX)
		return why_set(why, EFBIG, "%s: it is too long", path);
	if (content.len && memmem(content.data, content.len, "-----BEGIN ", 11))
		error = read_pem(&source);
	else if (content.len && content.data[0] == 0x30)
		error = read_der(&source);
	else
		error = tell_kind(&source);
	if (error == -ENOMEM)
		why_set(why, ENOMEM, "out of memory");
	OPENSSL_cleanse(source.text, sizeof(source.text));
	ERR_clear_error();
	return error;
}

/* ---- all of it together ---- */

static X509 *find_of_key(const struct ca_parts *parts)
{
	for (int i = 0; i < sk_X509_num(parts->certificates); i++) {
		X509 *certificate = sk_X509_value(parts->certificates, i);

		if (X509_check_private_key(certificate, parts->key) == 1)
			return certificate;
	}
	return NULL;
}

/* The next one above; NULL: below is a root, or its issuer did not come along. */
static X509 *find_issuer(const struct ca_parts *parts, X509 *below)
{
	if (X509_get_extension_flags(below) & EXFLAG_SS)
		return NULL;
	for (int i = 0; i < sk_X509_num(parts->certificates); i++) {
		X509 *certificate = sk_X509_value(parts->certificates, i);

		if (X509_cmp(certificate, below) &&
			!X509_NAME_cmp(
				X509_get_subject_name(certificate), X509_get_issuer_name(below)) &&
			X509_verify(below, X509_get0_pubkey(certificate)) == 1)
			return certificate;
	}
	return NULL;
}

static bool is_in(const struct ca *ca, const X509 *certificate)
{
	bool found = !X509_cmp(ca->certificate, certificate);

	for (int i = 0; !found && i < sk_X509_num(ca->chain); i++)
		found = !X509_cmp(sk_X509_value(ca->chain, i), certificate);
	return found;
}

int ca_parts_join(const struct ca_parts *parts, void (*left_out)(const X509 *certificate),
	struct ca **ca, struct why *why)
{
	struct ca *made;
	X509 *at;
	int error = -ENOMEM;

	*ca = NULL;
	if (sk_X509_num(parts->certificates) <= 0)
		return why_set(why, EINVAL, "there is no certificate in the files");
	if (!parts->key)
		return why_set(why, EINVAL,
			"there is no private key in the files: give it with --key FILE");
	at = find_of_key(parts);
	ERR_clear_error();
	if (!at)
		return why_set(why, EINVAL,
			"the private key does not belong to any of the certificates (the first is "
			"%s)",
			certificate_subject(sk_X509_value(parts->certificates, 0)).text);
	made = calloc(1, sizeof(*made));
	if (!made || !X509_up_ref(at) || !EVP_PKEY_up_ref(parts->key))
		goto out;
	made->certificate = at;
	made->key = parts->key;
	made->chain = sk_X509_new_null();
	while (made->chain && sk_X509_num(made->chain) < CHAIN_MAX &&
		(at = find_issuer(parts, at)) && !is_in(made, at))
		if (!X509_up_ref(at) || !sk_X509_push(made->chain, at))
			goto out;
	ERR_clear_error();
	for (int i = 0; made->chain && i < sk_X509_num(parts->certificates); i++)
		if (!is_in(made, sk_X509_value(parts->certificates, i)))
			left_out(sk_X509_value(parts->certificates, i));
	error = made->chain ? 0 : -ENOMEM;
out:
	if (error) {
		ca_free(made);
		return why_set(why, ENOMEM, "out of memory");
	}
	*ca = made;
	return 0;
}

void ca_parts_free(struct ca_parts *parts)
{
	sk_X509_pop_free(parts->certificates, X509_free);
	EVP_PKEY_free(parts->key);
	*parts = (struct ca_parts){0};
}
