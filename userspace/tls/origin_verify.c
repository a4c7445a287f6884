// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/origin_verify.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include "base/slice.h"
#include "tls/certificate.h"

#define STATUS_REQUEST 5 /* the TLS feature of RFC 7633 that means OCSP stapling */
#define OCSP_SKEW_S    300

static bool origin_refuse(
	X509_STORE_CTX *store, int rule, struct why *why, X509 *certificate, const char *problem)
{
	X509_STORE_CTX_set_error(store, rule);
	why_set(why, EKEYREJECTED, "%s: %s", certificate_subject(certificate).text, problem);
	return false;
}

/* ---- our own authority ---- */

static bool origin_is_ours(X509 *certificate, X509 *own_ca)
{
	if (certificate_same_key(certificate, own_ca))
		return true;
	return !X509_NAME_cmp(X509_get_issuer_name(certificate), X509_get_subject_name(own_ca)) &&
	       X509_verify(certificate, X509_get0_pubkey(own_ca)) == 1;
}

/* Looked for in what was sent, before trust is asked for: the reason is then told by its name also
 * where the authority is not trusted. */
static bool origin_check_own_ca(X509_STORE_CTX *store, X509 *own_ca, struct why *why)
{
	STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(store);
	X509 *ours = NULL;

	if (!own_ca)
		return true;
	if (origin_is_ours(X509_STORE_CTX_get0_cert(store), own_ca))
		ours = X509_STORE_CTX_get0_cert(store);
	for (int i = 0; !ours && i < sk_X509_num(sent); i++)
		if (origin_is_ours(sk_X509_value(sent, i), own_ca))
			ours = sk_X509_value(sent, i);
	ERR_clear_error();
	return !ours ||
	       origin_refuse(store, ORIGIN_RULE_OWN_CA, why, ours,
		       "it comes from this appliance's own CA: the connection leads back to an "
		       "appliance with our key, or somebody else has it");
}

/* ---- rules that OpenSSL does not have ---- */

static bool origin_check_leaf(X509_STORE_CTX *store, X509 *leaf, struct why *why)
{
	uint32_t flags = X509_get_extension_flags(leaf);

	if (flags & EXFLAG_CA)
		return origin_refuse(store, ORIGIN_RULE_LEAF_IS_CA, why, leaf,
			"the server's certificate is a CA's (basicConstraints CA:TRUE)");
	if (!(flags & EXFLAG_XKUSAGE) || !(X509_get_extended_key_usage(leaf) & XKU_SSL_SERVER))
		return origin_refuse(store, ORIGIN_RULE_NO_SERVER_AUTH, why, leaf,
			"the server's certificate does not have the extendedKeyUsage serverAuth");
	return true;
}

static bool origin_check_keys(X509_STORE_CTX *store, STACK_OF(X509) *chain, struct why *why)
{
	for (int i = 0; i < sk_X509_num(chain); i++) {
		X509 *certificate = sk_X509_value(chain, i);
		EVP_PKEY *key = X509_get0_pubkey(certificate);
		const char *problem = certificate_key_problem(key);

		if (problem && key &&
			(EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448")))
			continue;
		if (problem) {
			X509_STORE_CTX_set_error(store, ORIGIN_RULE_KEY_KIND);
			why_set(why, EKEYREJECTED, "%s: its key is %s",
				certificate_subject(certificate).text, problem);
			return false;
		}
	}
	return true;
}

static struct slice origin_ia5(const ASN1_IA5STRING *string)
{
	return slice_of(
		(const char *)ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string));
}

/* Whether name is the domain or below it. */
static bool origin_is_below(struct slice name, struct slice domain)
{
	if (!domain.len)
		return true;
	if (name.len < domain.len ||
		!slice_equal_nocase(slice_after(name, name.len - domain.len), domain))
		return false;
	return name.len == domain.len || name.data[name.len - domain.len - 1] == '.';
}

/* Whether a certificate for name may be used for something in the excluded domain. OpenSSL compares
 * the text "*.example.com" and so finds it outside of secret.example.com. */
static bool origin_reaches(struct slice name, struct slice excluded)
{
	struct slice parent = slice_after(excluded, slice_index(excluded, '.') + 1);

	if (!slice_starts_with(name, SLICE("*.")))
		return origin_is_below(name, excluded);
	name = slice_after(name, 2);
	return origin_is_below(name, excluded) || slice_equal_nocase(parent, name);
}

static bool origin_excluded(struct slice name, const NAME_CONSTRAINTS *constraints)
{
	for (int i = 0; i < sk_GENERAL_SUBTREE_num(constraints->excludedSubtrees); i++) {
		GENERAL_NAME *base =
			sk_GENERAL_SUBTREE_value(constraints->excludedSubtrees, i)->base;
		struct slice domain;

		if (base->type != GEN_DNS)
			continue;
		domain = origin_ia5(base->d.dNSName);
		if (slice_starts_with(domain, SLICE(".")))
			domain = slice_after(domain, 1);
		if (origin_reaches(name, domain))
			return true;
	}
	return false;
}

static bool origin_leaf_excluded(
	struct slice host, const GENERAL_NAMES *names, const NAME_CONSTRAINTS *constraints)
{
	if (origin_excluded(host, constraints))
		return true;
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS &&
			origin_excluded(origin_ia5(name->d.dNSName), constraints))
			return true;
	}
	return false;
}

static bool origin_check_constraints(
	X509_STORE_CTX *store, STACK_OF(X509) *chain, const char *host, struct why *why)
{
	GENERAL_NAMES *names = NULL;
	X509 *refused_by = NULL;

	for (int i = 1; i < sk_X509_num(chain) && !refused_by; i++) {
		X509 *authority = sk_X509_value(chain, i);
		NAME_CONSTRAINTS *constraints;

		if (X509_get_ext_by_NID(authority, NID_name_constraints, -1) < 0)
			continue;
		if (!names)
			names = X509_get_ext_d2i(
				sk_X509_value(chain, 0), NID_subject_alt_name, NULL, NULL);
		constraints = X509_get_ext_d2i(authority, NID_name_constraints, NULL, NULL);
		if (!constraints || !names ||
			origin_leaf_excluded(slice_of_string(host), names, constraints))
			refused_by = authority;
		NAME_CONSTRAINTS_free(constraints);
	}
	GENERAL_NAMES_free(names);
	return !refused_by ||
	       origin_refuse(store, ORIGIN_RULE_NAME_CONSTRAINTS, why, refused_by,
		       "its nameConstraints exclude a name of the server's certificate");
}

/* An issuer without a CRL is no failure: CRLs are what the configuration brought. */
static int origin_pass_missing_crl(int ok, X509_STORE_CTX *store)
{
	if (!ok && X509_STORE_CTX_get_error(store) == X509_V_ERR_UNABLE_TO_GET_CRL) {
		X509_STORE_CTX_set_error(store, X509_V_OK);
		return 1;
	}
	return ok;
}

bool origin_verify_chain(X509_STORE_CTX *store, const char *host, X509 *own_ca, struct why *why)
{
	STACK_OF(X509) *chain;

	if (!origin_check_own_ca(store, own_ca, why))
		return false;
	X509_STORE_CTX_set_verify_cb(store, origin_pass_missing_crl);
	if (X509_verify_cert(store) <= 0) {
		X509 *current = X509_STORE_CTX_get_current_cert(store);
		int error = X509_STORE_CTX_get_error(store);

		if (error == X509_V_OK)
			X509_STORE_CTX_set_error(store, X509_V_ERR_UNSPECIFIED);
		why_set(why, EKEYREJECTED, "%s: %s",
			certificate_subject(current ? current : X509_STORE_CTX_get0_cert(store))
				.text,
			X509_verify_cert_error_string(error));
		return false;
	}
	chain = X509_STORE_CTX_get0_chain(store);
	for (int i = 0; own_ca && i < sk_X509_num(chain); i++)
		if (certificate_same_key(sk_X509_value(chain, i), own_ca))
			return origin_refuse(store, ORIGIN_RULE_OWN_CA, why,
				sk_X509_value(chain, i), "it is this appliance's own CA");
	return origin_check_leaf(store, sk_X509_value(chain, 0), why) &&
	       origin_check_keys(store, chain, why) &&
	       origin_check_constraints(store, chain, host, why);
}

/* ---- stapled OCSP ---- */

static bool origin_demands_staple(X509 *leaf)
{
	TLS_FEATURE *features = X509_get_ext_d2i(leaf, NID_tlsfeature, NULL, NULL);
	bool demands = false;

	for (int i = 0; i < sk_ASN1_INTEGER_num(features); i++)
		if (ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) == STATUS_REQUEST)
			demands = true;
	TLS_FEATURE_free(features);
	return demands;
}

/* Whether this part of a response is about the leaf, whatever digest its responder chose. */
static bool origin_is_about(OCSP_SINGLERESP *single, X509 *leaf, X509 *issuer)
{
	OCSP_CERTID *id = (OCSP_CERTID *)(uintptr_t)OCSP_SINGLERESP_get0_id(single), *own;
	ASN1_OBJECT *algorithm = NULL;
	const EVP_MD *digest;
	bool same;

	OCSP_id_get0_info(NULL, &algorithm, NULL, NULL, id);
	digest = algorithm ? EVP_get_digestbyobj(algorithm) : NULL;
	own = digest ? OCSP_cert_to_id(digest, leaf, issuer) : NULL;
	same = own && !OCSP_id_cmp(own, id);
	OCSP_CERTID_free(own);
	return same;
}

/* V_OCSP_CERTSTATUS_REVOKED, …_GOOD (and current), else …_UNKNOWN. */
static int origin_staple_status(OCSP_BASICRESP *basic, X509 *leaf, X509 *issuer)
{
	int answer = V_OCSP_CERTSTATUS_UNKNOWN;

	for (int i = 0; i < OCSP_resp_count(basic); i++) {
		OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
		ASN1_GENERALIZEDTIME *from, *until;
		int status;

		if (!origin_is_about(single, leaf, issuer))
			continue;
		status = OCSP_single_get0_status(single, NULL, NULL, &from, &until);
		if (status == V_OCSP_CERTSTATUS_REVOKED)
			return status;
		if (status == V_OCSP_CERTSTATUS_GOOD &&
			OCSP_check_validity(from, until, OCSP_SKEW_S, -1))
			answer = status;
	}
	return answer;
}

static int origin_read_staple(SSL *ssl, STACK_OF(X509) *chain)
{
	const unsigned char *der = NULL;
	long len = SSL_get_tlsext_status_ocsp_resp(ssl, &der);
	X509_STORE *roots = SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl));
	OCSP_RESPONSE *response = der && len > 0 ? d2i_OCSP_RESPONSE(NULL, &der, len) : NULL;
	OCSP_BASICRESP *basic = NULL;
	int status = V_OCSP_CERTSTATUS_UNKNOWN;

	if (response && OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL)
		basic = OCSP_response_get1_basic(response);
	if (basic && sk_X509_num(chain) > 1 && OCSP_basic_verify(basic, chain, roots, 0) > 0)
		status = origin_staple_status(
			basic, sk_X509_value(chain, 0), sk_X509_value(chain, 1));
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
	ERR_clear_error();
	return status;
}

long origin_verify_staple(SSL *ssl, struct why *why)
{
	STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
	X509 *leaf = chain ? sk_X509_value(chain, 0) : NULL;
	int status;

	if (!leaf)
		return X509_V_ERR_UNSPECIFIED;
	status = origin_read_staple(ssl, chain);
	if (status == V_OCSP_CERTSTATUS_REVOKED) {
		why_set(why, EKEYREJECTED, "%s: revoked, says the OCSP response that came with it",
			certificate_subject(leaf).text);
		return X509_V_ERR_CERT_REVOKED;
	}
	if (status != V_OCSP_CERTSTATUS_GOOD && origin_demands_staple(leaf)) {
		why_set(why, EKEYREJECTED,
			"%s: it demands an OCSP response (must-staple), and no good one came with "
			"it",
			certificate_subject(leaf).text);
		return ORIGIN_RULE_NO_STAPLE;
	}
	return X509_V_OK;
}
