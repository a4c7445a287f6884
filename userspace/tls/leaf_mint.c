// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/leaf.h"

#include <errno.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/log.h"
#include "tls/certificate.h"
#include "tls/leaf_message.h"
#include "tls/pem.h"

#define COMMON_NAME_MAX 64 /* RFC 5280 appendix A.1, ub-common-name */
#define DAY_NS		(86400 * NS_PER_S)
#define BACKDATE_NS	DAY_NS /* clients' clocks are not right */
#define VALIDITY_MAX_NS (200 * DAY_NS)
/* Less is left of the authority's own life: an expired CA, not a short leaf. */
#define VALIDITY_MIN_NS (3600 * NS_PER_S)

static bool leaf_add_name(X509 *leaf, const char *host)
{
	X509_NAME *subject = X509_get_subject_name(leaf);
	/* An empty subject makes the subjectAltName critical (RFC 5280 section 4.2.1.6). */
	bool common = strlen(host) <= COMMON_NAME_MAX;
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();
	bool done = false;

	if (!names || !name || !text || !ASN1_STRING_set(text, host, (int)strlen(host)))
		goto out;
	GENERAL_NAME_set0_value(name, GEN_DNS, text);
	text = NULL;
	if (!sk_GENERAL_NAME_push(names, name))
		goto out;
	name = NULL;
	done = (!common || X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_ASC,
				   (const unsigned char *)host, -1, -1, 0)) &&
	       certificate_add(leaf, NID_subject_alt_name, !common, names);
out:
	ASN1_IA5STRING_free(text);
	GENERAL_NAME_free(name);
	GENERAL_NAMES_free(names);
	return done;
}

static bool leaf_add_key_ids(X509 *leaf, const struct ca *ca)
{
	const ASN1_OCTET_STRING *authority = X509_get0_subject_key_id(ca->certificate);
	AUTHORITY_KEYID *above = AUTHORITY_KEYID_new();
	ASN1_OCTET_STRING *own = certificate_key_id(leaf);
	bool done = false;

	if (!authority || !above || !own)
		goto out;
	/* SChannel takes a leaf with its authority's identifier for the authority. */
	if (!ASN1_OCTET_STRING_cmp(own, authority))
		goto out;
	above->keyid = ASN1_OCTET_STRING_dup(authority);
	done = above->keyid && certificate_add(leaf, NID_subject_key_identifier, false, own) &&
	       certificate_add(leaf, NID_authority_key_identifier, false, above);
out:
	AUTHORITY_KEYID_free(above);
	ASN1_OCTET_STRING_free(own);
	return done;
}

static bool leaf_add_powers(X509 *leaf)
{
	BASIC_CONSTRAINTS basic = {.ca = 0};
	EXTENDED_KEY_USAGE *extended = sk_ASN1_OBJECT_new_null();
	ASN1_OBJECT *server = OBJ_nid2obj(NID_server_auth);
	bool done = extended && sk_ASN1_OBJECT_push(extended, server) &&
		    certificate_add(leaf, NID_basic_constraints, true, &basic) &&
		    certificate_add_key_usage(leaf, KU_DIGITAL_SIGNATURE) &&
		    certificate_add(leaf, NID_ext_key_usage, false, extended);

	sk_ASN1_OBJECT_free(extended);
	return done;
}

/* Both ends count as valid (RFC 5280 section 4.1.2.5), hence the second less. */
static int leaf_set_validity(
	X509 *leaf, const struct ca *ca, uint64_t validity_ns, uint64_t now, struct why *why)
{
	uint64_t from = now > BACKDATE_NS ? now - BACKDATE_NS : 0, until, first, last;

	if (validity_ns > VALIDITY_MAX_NS)
		validity_ns = VALIDITY_MAX_NS;
	until = from + validity_ns - NS_PER_S;
	if (!certificate_time(X509_get0_notBefore(ca->certificate), &first) ||
		!certificate_time(X509_get0_notAfter(ca->certificate), &last))
		return why_set(why, EINVAL, "the CA's validity cannot be read");
	if (from < first)
		from = first;
	if (until > last)
		until = last;
	if (now < first || until < now + VALIDITY_MIN_NS)
		return why_set(why, EKEYEXPIRED,
			now < first ? "the CA is not valid yet"
				    : "the CA has expired or does so within the hour: replace it");
	return certificate_set_validity(leaf, from, until) ? 0
							   : why_set(why, ENOMEM, "out of memory");
}

/* A leaf that a constrained authority may not issue would be refused by the client anyway, with a
 * message that leads nobody to the reason. */
static int leaf_check_constraints(X509 *leaf, const struct ca *ca, struct why *why)
{
	int above = sk_X509_num(ca->chain), verdict = X509_V_OK;

	X509_check_purpose(leaf, -1, 0); /* reads the extensions, for the check below */
	for (int i = -1; i < above && verdict == X509_V_OK; i++) {
		X509 *authority = i < 0 ? ca->certificate : sk_X509_value(ca->chain, i);
		NAME_CONSTRAINTS *constraints;

		if (X509_get_ext_by_NID(authority, NID_name_constraints, -1) < 0)
			continue;
		constraints = X509_get_ext_d2i(authority, NID_name_constraints, NULL, NULL);
		verdict = constraints ? NAME_CONSTRAINTS_check(leaf, constraints)
				      : X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX;
		NAME_CONSTRAINTS_free(constraints);
	}
	if (verdict == X509_V_OK)
		return 0;
	return why_set(why, EPERM, "the CA's nameConstraints do not allow this name: %s",
		X509_verify_cert_error_string(verdict));
}

int leaf_mint(const struct ca *ca, struct slice host, EVP_PKEY *leaf_key, uint64_t validity_ns,
	uint64_t realtime_ns, X509 **leaf, struct why *why)
{
	char name[HOST_NAME_SIZE];
	X509 *made;
	int error;

	*leaf = NULL;
	if (!host_name_read(host, name))
		return why_set(why, EINVAL, "%s is no host name", log_quote(host).text);
	made = X509_new();
	if (!made)
		return why_set(why, ENOMEM, "out of memory");
	error = leaf_set_validity(made, ca, validity_ns, realtime_ns, why);
	if (error)
		goto out;
	error = -EIO;
	if (!X509_set_version(made, X509_VERSION_3) || !certificate_set_serial(made) ||
		!X509_set_issuer_name(made, X509_get_subject_name(ca->certificate)) ||
		!X509_set_pubkey(made, leaf_key) || !leaf_add_powers(made) ||
		!leaf_add_name(made, name) || !leaf_add_key_ids(made, ca)) {
		why_set(why, EIO, "the certificate could not be made: %s", pem_openssl_reason());
		goto out;
	}
	if (!certificate_sign(made, ca->key))
		why_set(why, EIO, "the CA's key could not sign: %s", pem_openssl_reason());
	else
		error = leaf_check_constraints(made, ca, why);
out:
	if (error)
		X509_free(made);
	else
		*leaf = made;
	return error;
}

/* ---- the signer's answer ---- */

static int reply_append_certificate(struct buf *reply, X509 *certificate)
{
	unsigned char *der = NULL;
	int len = i2d_X509(certificate, &der), error = -ENOMEM;
	uint32_t bytes = (uint32_t)len;

	if (len > 0 && !buf_append(reply, &bytes, sizeof(bytes)))
		error = buf_append(reply, der, (size_t)len);
	OPENSSL_free(der);
	return error;
}

static int reply_append_chain(struct buf *reply, X509 *leaf, const struct ca *ca)
{
	int error = reply_append_certificate(reply, leaf);

	for (int i = -1; !error && i < sk_X509_num(ca->chain); i++) {
		X509 *authority = i < 0 ? ca->certificate : sk_X509_value(ca->chain, i);

		/* The root is what clients have already. */
		if (!(X509_get_extension_flags(authority) & EXFLAG_SS))
			error = reply_append_certificate(reply, authority);
	}
	if (!error && buf_len(reply) > LEAF_MESSAGE_MAX)
		return -EMSGSIZE;
	return error;
}

int leaf_answer(const struct ca *ca, EVP_PKEY *const *leaf_keys, const struct config *config,
	struct slice request, uint64_t realtime_ns, struct buf *reply)
{
	struct leaf_reply head = {0};
	struct leaf_request asked;
	struct slice host;
	struct why why = {""};
	X509 *leaf = NULL;
	int error;

	if (request.len <= sizeof(asked) || request.len > sizeof(asked) + HOST_NAME_SIZE)
		return -EBADMSG;
	memcpy(&asked, request.data, sizeof(asked));
	host = slice_after(request, sizeof(asked));
	if (asked.kind >= LEAF_KINDS)
		return -EBADMSG;

	buf_clear(reply);
	head.id = asked.id;
	head.kind = asked.kind;
	if (!config_host_called(config, host, CONFIG_PROVIDER_AZURE))
		error = why_set(
			&why, EPERM, "%s is not a host of the configuration", log_quote(host).text);
	else if (!leaf_keys[asked.kind])
		error = why_set(&why, EPERM, "the worker has named no key for this leaf");
	else
		error = leaf_mint(ca, host, leaf_keys[asked.kind], config->tls.leaf_validity_ns,
			realtime_ns, &leaf, &why);
	if (!error) {
		if (buf_append(reply, &head, sizeof(head)))
			error = -ENOMEM;
		else
			error = reply_append_chain(reply, leaf, ca);
		if (error)
			why_set(&why, -error, "the CA's chain does not fit into a message");
	}
	X509_free(leaf);
	if (!error)
		return 1;
	buf_clear(reply);
	head.error = -error;
	if (buf_append(reply, &head, sizeof(head)) ||
		buf_append_slice(reply, slice_of_string(why.text)))
		return -ENOMEM;
	return 0;
}

struct slice leaf_refusal(struct slice reply)
{
	return slice_after(reply, sizeof(struct leaf_reply));
}
