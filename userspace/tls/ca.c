// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/ca.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "tls/certificate.h"
#include "tls/host_name.h"
#include "tls/pem.h"

#define FILE_BYTES_MAX 262144
#define NAME_BYTES_MAX 64 /* RFC 5280 appendix A.1, ub-common-name */
#define DAYS_MAX       7300
#define DAY_NS	       (86400 * NS_PER_S)
/* Clients whose clock is behind accept the authority at once. */
#define BACKDATE_NS (DAY_NS)
#define DER_TRUE    0xff /* OpenSSL writes the byte as it stands (X.690 section 11.1) */

int ca_read(struct slice certificate_pem, struct slice key_pem, struct ca **ca, struct why *why)
{
	struct ca *made = calloc(1, sizeof(*made));
	int error;

	*ca = NULL;
	if (!made)
		return why_set(why, ENOMEM, "out of memory");
	error = pem_read_certificates(
		certificate_pem, "the CA's certificate", &made->chain, NULL, why);
	if (error)
		goto out;
	made->certificate = sk_X509_shift(made->chain);
	if (key_pem.len) {
		error = -EINVAL;
		made->key = pem_read_key(key_pem, "the CA's key", why);
		if (!made->key)
			goto out;
		if (X509_check_private_key(made->certificate, made->key) != 1) {
			ERR_clear_error();
			why_set(why, EINVAL,
				"the CA's key does not belong to the first certificate (%s): the "
				"issuing one "
				"comes first, its chain after it",
				certificate_subject(made->certificate).text);
			goto out;
		}
		error = 0;
	}
	*ca = made;
	made = NULL;
out:
	ca_free(made);
	return error;
}

int ca_read_fd(int certificate_fd, int key_fd, struct ca **ca, struct why *why)
{
	struct buf certificate = BUF_EMPTY, key = BUF_EMPTY;
	struct why inner;
	int error;

	*ca = NULL;
	error = pem_read_fd(certificate_fd, FILE_BYTES_MAX, &certificate, &inner);
	if (error)
		why_set(why, -error, "the CA's certificate %s", inner.text);
	if (!error && key_fd >= 0) {
		error = pem_read_fd(key_fd, FILE_BYTES_MAX, &key, &inner);
		if (error)
			why_set(why, -error, "the CA's key %s", inner.text);
		else if (!buf_len(&key))
			error = why_set(why, EINVAL, "the CA's key is an empty file");
	}
	if (!error)
		error = ca_read(buf_slice(&certificate), buf_slice(&key), ca, why);
	buf_free(&certificate);
	buf_wipe(&key);
	return error;
}

void ca_free(struct ca *ca)
{
	if (!ca)
		return;
	X509_free(ca->certificate);
	EVP_PKEY_free(ca->key);
	sk_X509_pop_free(ca->chain, X509_free);
	free(ca);
}

int ca_write_certificates(const struct ca *ca, struct buf *pem)
{
	int error = pem_write_certificate(ca->certificate, pem);

	for (int i = 0; !error && i < sk_X509_num(ca->chain); i++)
		error = pem_write_certificate(sk_X509_value(ca->chain, i), pem);
	return error;
}

int ca_write_key(const struct ca *ca, struct buf *pem)
{
	return pem_write_key(ca->key, pem);
}

/* ---- making one ---- */

static bool ca_add_subtree(STACK_OF(GENERAL_SUBTREE) **list, int type, const void *data, size_t len)
{
	GENERAL_SUBTREE *subtree = GENERAL_SUBTREE_new();
	ASN1_STRING *value =
		ASN1_STRING_type_new(type == GEN_DNS ? V_ASN1_IA5STRING : V_ASN1_OCTET_STRING);

	if (!*list)
		*list = sk_GENERAL_SUBTREE_new_null();
	if (!subtree || !value || !*list || !ASN1_STRING_set(value, data, (int)len))
		goto failed;
	GENERAL_NAME_set0_value(subtree->base, type, value);
	value = NULL;
	if (sk_GENERAL_SUBTREE_push(*list, subtree))
		return true;
failed:
	ASN1_STRING_free(value);
	GENERAL_SUBTREE_free(subtree);
	return false;
}

/* RFC 5280 section 4.2.1.10: these domains and what is below them; and no address at all, because a
 * kind of name without a constraint is unconstrained. */
static int ca_add_constraints(X509 *certificate, const struct ca_options *options, struct why *why)
{
	static const unsigned char everything[32];
	NAME_CONSTRAINTS *constraints = NAME_CONSTRAINTS_new();
	int error = -ENOMEM;

	for (size_t i = 0; constraints && i < options->npermitted; i++) {
		char name[HOST_NAME_SIZE];

		if (!host_name_read(slice_of_string(options->permitted[i]), name)) {
			error = why_set(why, EINVAL,
				"\"%.64s\" is no domain name (expected: as in openai.azure.com, "
				"which "
				"covers all names below it too)",
				options->permitted[i]);
			goto out;
		}
		if (!ca_add_subtree(&constraints->permittedSubtrees, GEN_DNS, name, strlen(name)))
			goto out;
	}
	if (constraints &&
		ca_add_subtree(&constraints->excludedSubtrees, GEN_IPADD, everything, 8) &&
		ca_add_subtree(&constraints->excludedSubtrees, GEN_IPADD, everything, 32) &&
		certificate_add(certificate, NID_name_constraints, true, constraints))
		error = 0;
out:
	NAME_CONSTRAINTS_free(constraints);
	return error;
}

static bool ca_set_validity(X509 *certificate, unsigned days, uint64_t now)
{
	return certificate_set_serial(certificate) &&
	       certificate_set_validity(certificate, now - BACKDATE_NS, now + days * DAY_NS);
}

static int ca_check_days(unsigned days, struct why *why)
{
	return days && days <= DAYS_MAX
		       ? 0
		       : why_set(why, EINVAL, "the validity is 1 to %d days", DAYS_MAX);
}

static int ca_fill(X509 *certificate, EVP_PKEY *key, const struct ca_options *options,
	uint64_t realtime_ns, struct why *why)
{
	/* It signs leaves and no other authority. */
	BASIC_CONSTRAINTS basic = {.ca = DER_TRUE, .pathlen = ASN1_INTEGER_new()};
	X509_NAME *name = X509_get_subject_name(certificate);
	ASN1_OCTET_STRING *id = NULL;
	int error = -ENOMEM;

	if (!basic.pathlen || !X509_set_version(certificate, X509_VERSION_3) ||
		!X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
			(const unsigned char *)options->name, -1, -1, 0) ||
		!X509_set_issuer_name(certificate, name) || !X509_set_pubkey(certificate, key) ||
		!ca_set_validity(certificate, options->days, realtime_ns))
		goto out;
	id = certificate_key_id(certificate);
	if (!id || !certificate_add(certificate, NID_basic_constraints, true, &basic) ||
		!certificate_add_key_usage(certificate, KU_KEY_CERT_SIGN | KU_CRL_SIGN) ||
		!certificate_add(certificate, NID_subject_key_identifier, false, id))
		goto out;
	error = options->npermitted ? ca_add_constraints(certificate, options, why) : 0;
out:
	ASN1_INTEGER_free(basic.pathlen);
	ASN1_OCTET_STRING_free(id);
	return error;
}

int ca_make(const struct ca_options *options, uint64_t realtime_ns, struct ca **ca, struct why *why)
{
	size_t name_len = options->name ? strlen(options->name) : 0;
	struct ca *made;
	int error = -ENOMEM;

	*ca = NULL;
	if (!name_len || name_len > NAME_BYTES_MAX)
		return why_set(why, EINVAL, "the name has 1 to %d bytes", NAME_BYTES_MAX);
	for (size_t i = 0; i < name_len; i++)
		if ((unsigned char)options->name[i] < 0x20 || options->name[i] == 0x7f)
			return why_set(why, EINVAL, "the name holds a control character");
	if (ca_check_days(options->days, why))
		return -EINVAL;

	made = calloc(1, sizeof(*made));
	if (!made)
		return why_set(why, ENOMEM, "out of memory");
	why_set(why, EIO, "OpenSSL could not make the CA");
	made->certificate = X509_new();
	made->chain = sk_X509_new_null();
	made->key = EVP_EC_gen("P-256");
	if (made->certificate && made->chain && made->key)
		error = ca_fill(made->certificate, made->key, options, realtime_ns, why);
	if (!error && !certificate_sign(made->certificate, made->key))
		error = why_set(
			why, EIO, "OpenSSL could not sign the CA: %s", pem_openssl_reason());
	if (error) {
		ca_free(made);
		return error == -ENOMEM ? -EIO : error;
	}
	*ca = made;
	return 0;
}

/* ---- a fresh certificate for one ---- */

/* Whether the extension is written by ca_renew_own, or says what a self-signed one need not. */
static bool ca_renew_skips(int nid)
{
	return nid == NID_basic_constraints || nid == NID_key_usage ||
	       nid == NID_subject_key_identifier || nid == NID_authority_key_identifier;
}

/* Written by OpenSSL from what it reads, and so in DER; what it does not know, as it stands. */
static bool ca_renew_extension(X509 *renewed, X509_EXTENSION *extension)
{
	int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
	bool critical = X509_EXTENSION_get_critical(extension) || nid == NID_name_constraints;
	const X509V3_EXT_METHOD *method = X509V3_EXT_get(extension);
	void *value = method && method->it ? X509V3_EXT_d2i(extension) : NULL;
	bool done;

	if (!value)
		return X509_add_ext(renewed, extension, -1) == 1;
	done = certificate_add(renewed, nid, critical, value);
	ASN1_item_free(value, ASN1_ITEM_ptr(method->it));
	return done;
}

/* What an authority must say; what the old one says of it stays. */
static bool ca_renew_own(X509 *renewed, X509 *old)
{
	BASIC_CONSTRAINTS *before = X509_get_ext_d2i(old, NID_basic_constraints, NULL, NULL);
	BASIC_CONSTRAINTS basic = {.ca = DER_TRUE, .pathlen = before ? before->pathlen : NULL};
	uint32_t usage = X509_get_ext_by_NID(old, NID_key_usage, -1) >= 0
				 ? X509_get_key_usage(old) & 0xff
				 : KU_CRL_SIGN;
	const ASN1_OCTET_STRING *named = X509_get0_subject_key_id(old);
	ASN1_OCTET_STRING *id = named ? ASN1_OCTET_STRING_dup(named) : certificate_key_id(renewed);
	bool done = id && certificate_add(renewed, NID_basic_constraints, true, &basic) &&
		    certificate_add_key_usage(renewed, usage | KU_KEY_CERT_SIGN) &&
		    certificate_add(renewed, NID_subject_key_identifier, false, id);

	BASIC_CONSTRAINTS_free(before);
	ASN1_OCTET_STRING_free(id);
	return done;
}

static bool ca_renew_fill(X509 *renewed, const struct ca *ca, unsigned days, uint64_t now)
{
	X509 *old = ca->certificate;
	const X509_NAME *name = X509_get_subject_name(old);

	if (!X509_set_version(renewed, X509_VERSION_3) || !X509_set_subject_name(renewed, name) ||
		!X509_set_issuer_name(renewed, name) || !X509_set_pubkey(renewed, ca->key) ||
		!ca_set_validity(renewed, days, now) || !ca_renew_own(renewed, old))
		return false;
	for (int i = 0; i < X509_get_ext_count(old); i++) {
		X509_EXTENSION *extension = X509_get_ext(old, i);

		if (!ca_renew_skips(OBJ_obj2nid(X509_EXTENSION_get_object(extension))) &&
			!ca_renew_extension(renewed, extension))
			return false;
	}
	return certificate_sign(renewed, ca->key);
}

int ca_renew(const struct ca *ca, unsigned days, uint64_t realtime_ns, struct ca **renewed,
	struct why *why)
{
	struct ca *made;

	*renewed = NULL;
	if (ca_check_days(days, why))
		return -EINVAL;
	if (!ca->key || X509_verify(ca->certificate, ca->key) != 1) {
		ERR_clear_error();
		return why_set(why, EINVAL,
			"%s did not sign itself: have it renewed by its issuer (%s), and import it",
			certificate_subject(ca->certificate).text,
			certificate_issuer(ca->certificate).text);
	}
	made = calloc(1, sizeof(*made));
	if (!made)
		return why_set(why, ENOMEM, "out of memory");
	made->certificate = X509_new();
	made->chain = sk_X509_new_null();
	if (!made->certificate || !made->chain || !EVP_PKEY_up_ref(ca->key))
		goto failed;
	made->key = ca->key;
	if (!ca_renew_fill(made->certificate, ca, days, realtime_ns))
		goto failed;
	*renewed = made;
	return 0;
failed:
	ca_free(made);
	return why_set(
		why, EIO, "OpenSSL could not make the certificate: %s", pem_openssl_reason());
}
