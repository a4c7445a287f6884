// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/ca.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "tls/certificate.h"

/* Who hears of the problems, and which certificate they are of. */
struct lint {
	ca_told *told;
	void *context;
	size_t problems;
	X509 *certificate;
	X509 *issuer; /* the next one of the file; NULL after the last */
	const char *who;
	int below; /* how many authorities are below it */
	uint64_t now;
};

__attribute__((format(printf, 3, 0))) static void lint_say(
	struct lint *lint, enum ca_refused refused, const char *format, va_list arguments)
{
	char problem[400];
	int len = snprintf(problem, sizeof(problem), "%s (%s): ", lint->who,
		certificate_subject(lint->certificate).text);

	vsnprintf(problem + len, sizeof(problem) - (size_t)len, format, arguments);
	lint->problems++;
	lint->told(lint->context, refused, problem);
}

__attribute__((format(printf, 2, 3))) static void lint_tell(
	struct lint *lint, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	lint_say(lint, CA_REFUSED, format, arguments);
	va_end(arguments);
}

__attribute__((format(printf, 2, 3))) static void lint_tell_some(
	struct lint *lint, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	lint_say(lint, CA_REFUSED_BY_SOME, format, arguments);
	va_end(arguments);
}

enum lint_critical { NOT_CRITICAL, CRITICAL, EITHER };

static void lint_extension(
	struct lint *lint, int nid, const char *name, enum lint_critical critical)
{
	int at = X509_get_ext_by_NID(lint->certificate, nid, -1);
	bool is;

	if (at < 0) {
		lint_tell(lint, "the extension %s is missing", name);
		return;
	}
	is = X509_EXTENSION_get_critical(X509_get_ext(lint->certificate, at));
	if (critical != EITHER && is != (critical == CRITICAL))
		lint_tell(lint, "the extension %s must %sbe critical", name, is ? "not " : "");
}

/* RFC 5280 sections 4.2.1.9, 4.2.1.3 and 4.2.1.12. */
static void lint_powers(struct lint *lint)
{
	BASIC_CONSTRAINTS *basic =
		X509_get_ext_d2i(lint->certificate, NID_basic_constraints, NULL, NULL);

	lint_extension(lint, NID_basic_constraints, "basicConstraints (CA:TRUE)", CRITICAL);
	if (basic && !basic->ca)
		lint_tell(lint, "it is no CA: basicConstraints says CA:FALSE");
	if (basic && basic->ca && basic->pathlen && ASN1_INTEGER_get(basic->pathlen) < lint->below)
		lint_tell(lint, "its pathlen of %ld does not allow the %d authorities below it",
			ASN1_INTEGER_get(basic->pathlen), lint->below);
	BASIC_CONSTRAINTS_free(basic);

	lint_extension(lint, NID_key_usage, "keyUsage (keyCertSign)", EITHER);
	if (!(X509_get_key_usage(lint->certificate) & KU_KEY_CERT_SIGN))
		lint_tell(lint, "its keyUsage does not have keyCertSign");
	if ((X509_get_extension_flags(lint->certificate) & EXFLAG_XKUSAGE) &&
		!(X509_get_extended_key_usage(lint->certificate) & (XKU_SSL_SERVER | XKU_ANYEKU)))
		lint_tell(lint, "its extendedKeyUsage does not have serverAuth");
	if (X509_get_ext_by_NID(lint->certificate, NID_name_constraints, -1) >= 0)
		lint_extension(lint, NID_name_constraints, "nameConstraints", CRITICAL);
}

/* RFC 5280 sections 4.2.1.1 and 4.2.1.2. */
static void lint_key_ids(struct lint *lint, bool self_signed)
{
	const ASN1_OCTET_STRING *own = X509_get0_subject_key_id(lint->certificate);
	const ASN1_OCTET_STRING *above = X509_get0_authority_key_id(lint->certificate);

	lint_extension(lint, NID_subject_key_identifier, "subjectKeyIdentifier", NOT_CRITICAL);
	if (own && !ASN1_STRING_length(own))
		lint_tell(lint, "its subjectKeyIdentifier is empty");
	if (X509_get_ext_by_NID(lint->certificate, NID_authority_key_identifier, -1) >= 0) {
		lint_extension(
			lint, NID_authority_key_identifier, "authorityKeyIdentifier", NOT_CRITICAL);
		if (!above)
			lint_tell(lint, "its authorityKeyIdentifier has no keyIdentifier");
	} else if (!self_signed) {
		lint_tell(lint, "the extension authorityKeyIdentifier is missing");
	}
	if (self_signed && own && above && ASN1_OCTET_STRING_cmp(own, above))
		lint_tell(lint, "it signed itself, but its authorityKeyIdentifier is another "
				"than its subjectKeyIdentifier");
}

static void lint_issuer(struct lint *lint)
{
	const ASN1_OCTET_STRING *named = X509_get0_authority_key_id(lint->certificate);
	const ASN1_OCTET_STRING *issuer;

	if (!lint->issuer)
		return;
	issuer = X509_get0_subject_key_id(lint->issuer);
	if (X509_NAME_cmp(
		    X509_get_issuer_name(lint->certificate), X509_get_subject_name(lint->issuer)))
		lint_tell(lint, "the next certificate of the file is not its issuer");
	else if (X509_verify(lint->certificate, X509_get0_pubkey(lint->issuer)) != 1)
		lint_tell(lint, "the next certificate of the file has the name of its issuer, but "
				"not the key");
	else if (named && issuer && ASN1_OCTET_STRING_cmp(named, issuer))
		lint_tell(lint, "its authorityKeyIdentifier is not the subjectKeyIdentifier of "
				"the next certificate of the file");
	ERR_clear_error();
}

static void lint_time(struct lint *lint)
{
	uint64_t from, until;

	if (!certificate_time(X509_get0_notBefore(lint->certificate), &from) ||
		!certificate_time(X509_get0_notAfter(lint->certificate), &until))
		lint_tell(lint, "its validity is not a pair of valid times");
	else if (lint->now < from)
		lint_tell(lint, "it is not valid yet: is the clock right?");
	else if (lint->now > until)
		lint_tell(lint, "it has expired");
}

/* What Go's crypto/x509 and Chromium refuse, and OpenSSL does not. */
static void lint_some_clients(struct lint *lint, bool self_signed)
{
	EVP_PKEY *key = X509_get0_pubkey(lint->certificate);
	char problem[160];

	if (key && EVP_PKEY_is_a(key, "RSA-PSS"))
		lint_tell_some(lint, "its key is for RSASSA-PSS only. Go and Chromium refuse it. "
				     "Cure: a CA with an RSA or ECDSA key");
	if (key && EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) == 521)
		lint_tell_some(lint, "its key is on P-521. Clients built on rustls with ring "
				     "refuse it. Cure: a CA with a "
				     "key on P-256 or P-384, or RSA");
	if (!certificate_is_der(lint->certificate, problem, sizeof(problem)))
		lint_tell_some(lint, "%s. Go and Chromium refuse it. Cure: %s", problem,
			self_signed ? "sallyport ca renew writes it anew, for the same key and name"
				    : "have it issued anew and import it");
}

static void lint_certificate(struct lint *lint)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(lint->certificate);
	uint32_t flags = X509_get_extension_flags(lint->certificate);
	const char *key = certificate_key_problem(X509_get0_pubkey(lint->certificate));
	bool self_signed = flags & EXFLAG_SS;

	if (X509_get_version(lint->certificate) != X509_VERSION_3)
		lint_tell(lint, "it is not of version 3, so that it cannot say that it is a CA");
	if (flags & (EXFLAG_INVALID | EXFLAG_NO_FINGERPRINT))
		lint_tell(lint, "an extension of it is malformed or stands there twice");
	if (flags & EXFLAG_CRITICAL)
		lint_tell(lint, "it has a critical extension that clients do not know");
	if (!X509_NAME_entry_count(X509_get_subject_name(lint->certificate)))
		lint_tell(lint, "its subject is empty");
	if (!X509_NAME_entry_count(X509_get_issuer_name(lint->certificate)))
		lint_tell(lint, "its issuer is empty");
	if (ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER || ASN1_STRING_length(serial) > 20)
		lint_tell(lint, "its serial number is not a positive number of 20 bytes or less");
	if (key)
		lint_tell(lint, "its key is %s", key);
	/* Nobody verifies the signature of a trust anchor. */
	if (!self_signed && certificate_weak_signature(lint->certificate))
		lint_tell(lint, "it is signed with MD5 or SHA-1");
	lint_time(lint);
	lint_powers(lint);
	lint_key_ids(lint, self_signed);
	lint_some_clients(lint, self_signed);
	if (self_signed && lint->issuer)
		lint_tell(
			lint, "it signed itself, and yet another certificate follows in the file");
	else
		lint_issuer(lint);
}

size_t ca_lint(const struct ca *ca, uint64_t realtime_ns, ca_told *told, void *context)
{
	struct lint lint = {.told = told, .context = context, .now = realtime_ns};
	int n = sk_X509_num(ca->chain);

	for (int i = -1; i < n; i++) {
		lint.certificate = i < 0 ? ca->certificate : sk_X509_value(ca->chain, i);
		lint.issuer = i + 1 < n ? sk_X509_value(ca->chain, i + 1) : NULL;
		lint.who = i < 0 ? "the issuing CA" : "a CA above it";
		lint.below = i + 1;
		lint_certificate(&lint);
	}
	return lint.problems;
}

/* A verdict in the making. */
struct lint_verdict {
	struct why first;
	void (*warned)(void *context, const char *problem);
	void *context;
};

static void lint_judge(void *context, enum ca_refused refused, const char *problem)
{
	struct lint_verdict *verdict = context;

	if (refused == CA_REFUSED_BY_SOME)
		verdict->warned(verdict->context, problem);
	else if (!verdict->first.text[0])
		why_set(&verdict->first, EINVAL, "%s", problem);
}

int ca_check(const struct ca *ca, uint64_t realtime_ns,
	void (*warned)(void *context, const char *problem), void *context, struct why *why)
{
	struct lint_verdict verdict = {.warned = warned, .context = context};

	ca_lint(ca, realtime_ns, lint_judge, &verdict);
	if (!verdict.first.text[0])
		return 0;
	return why_set(why, EINVAL,
		"%s; strict clients would refuse it (sallyport ca lint tells all)",
		verdict.first.text);
}
