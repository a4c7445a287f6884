// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/origin_verdict.h"

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "tls/origin_verify.h"

enum verdict_kind { OF_CERTIFICATE, OF_HANDSHAKE };

static const struct verdict {
	enum verdict_kind kind;
	int code;
	const char *name;
	const char *text; /* of handshakes only: a certificate's reason is told with its subject */
} verdicts[] = {
	{OF_CERTIFICATE, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "self_signed", NULL},
	{OF_CERTIFICATE, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "unknown_ca", NULL},
	{OF_CERTIFICATE, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "unknown_ca", NULL},
	{OF_CERTIFICATE, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "unknown_ca", NULL},
	{OF_CERTIFICATE, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "unknown_ca", NULL},
	{OF_CERTIFICATE, X509_V_ERR_CERT_SIGNATURE_FAILURE, "bad_signature", NULL},
	{OF_CERTIFICATE, X509_V_ERR_SIGNATURE_ALGORITHM_MISMATCH, "bad_signature", NULL},
	{OF_CERTIFICATE, X509_V_ERR_SIGNATURE_ALGORITHM_INCONSISTENCY, "bad_signature", NULL},
	{OF_CERTIFICATE, X509_V_ERR_HOSTNAME_MISMATCH, "name_mismatch", NULL},
	{OF_CERTIFICATE, X509_V_ERR_CERT_HAS_EXPIRED, "expired", NULL},
	{OF_CERTIFICATE, X509_V_ERR_CERT_NOT_YET_VALID, "not_yet_valid", NULL},
	{OF_CERTIFICATE, X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD, "malformed", NULL},
	{OF_CERTIFICATE, X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD, "malformed", NULL},
	{OF_CERTIFICATE, X509_V_ERR_INVALID_EXTENSION, "malformed", NULL},
	{OF_CERTIFICATE, X509_V_ERR_INVALID_CA, "issuer_not_ca", NULL},
	{OF_CERTIFICATE, X509_V_ERR_PATH_LENGTH_EXCEEDED, "path_length", NULL},
	{OF_CERTIFICATE, X509_V_ERR_CERT_CHAIN_TOO_LONG, "path_length", NULL},
	{OF_CERTIFICATE, X509_V_ERR_KEYUSAGE_NO_CERTSIGN, "issuer_not_ca", NULL},
	{OF_CERTIFICATE, X509_V_ERR_PATHLEN_WITHOUT_KU_KEY_CERT_SIGN, "issuer_not_ca", NULL},
	{OF_CERTIFICATE, X509_V_ERR_INVALID_PURPOSE, "purpose", NULL},
	{OF_CERTIFICATE, ORIGIN_RULE_NO_SERVER_AUTH, "purpose", NULL},
	{OF_CERTIFICATE, X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION, "critical_extension", NULL},
	{OF_CERTIFICATE, ORIGIN_RULE_LEAF_IS_CA, "leaf_is_ca", NULL},
	{OF_CERTIFICATE, X509_V_ERR_KU_KEY_CERT_SIGN_INVALID_FOR_NON_CA, "leaf_is_ca", NULL},
	{OF_CERTIFICATE, X509_V_ERR_PERMITTED_VIOLATION, "name_constraints", NULL},
	{OF_CERTIFICATE, X509_V_ERR_EXCLUDED_VIOLATION, "name_constraints", NULL},
	{OF_CERTIFICATE, X509_V_ERR_SUBTREE_MINMAX, "name_constraints", NULL},
	{OF_CERTIFICATE, X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE, "name_constraints", NULL},
	{OF_CERTIFICATE, X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX, "name_constraints", NULL},
	{OF_CERTIFICATE, X509_V_ERR_UNSUPPORTED_NAME_SYNTAX, "name_constraints", NULL},
	{OF_CERTIFICATE, ORIGIN_RULE_NAME_CONSTRAINTS, "name_constraints", NULL},
	{OF_CERTIFICATE, X509_V_ERR_EE_KEY_TOO_SMALL, "weak_key", NULL},
	{OF_CERTIFICATE, X509_V_ERR_CA_KEY_TOO_SMALL, "weak_key", NULL},
	{OF_CERTIFICATE, X509_V_ERR_EC_KEY_EXPLICIT_PARAMS, "weak_key", NULL},
	{OF_CERTIFICATE, ORIGIN_RULE_KEY_KIND, "weak_key", NULL},
	{OF_CERTIFICATE, X509_V_ERR_CA_MD_TOO_WEAK, "weak_signature", NULL},
	{OF_CERTIFICATE, ORIGIN_RULE_OWN_CA, "own_ca", NULL},
	{OF_CERTIFICATE, X509_V_ERR_CERT_REVOKED, "revoked", NULL},
	{OF_CERTIFICATE, ORIGIN_RULE_NO_STAPLE, "no_staple", NULL},
	{OF_CERTIFICATE, X509_V_ERR_CRL_HAS_EXPIRED, "crl_unusable", NULL},
	{OF_CERTIFICATE, X509_V_ERR_CRL_NOT_YET_VALID, "crl_unusable", NULL},
	{OF_CERTIFICATE, X509_V_ERR_CRL_SIGNATURE_FAILURE, "crl_unusable", NULL},
	{OF_CERTIFICATE, X509_V_ERR_KEYUSAGE_NO_CRL_SIGN, "crl_unusable", NULL},
	{OF_CERTIFICATE, X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION, "crl_unusable", NULL},
	{OF_CERTIFICATE, X509_V_ERR_CA_BCONS_NOT_CRITICAL, "not_strict", NULL},
	{OF_CERTIFICATE, X509_V_ERR_CA_CERT_MISSING_KEY_USAGE, "not_strict", NULL},
	{OF_CERTIFICATE, X509_V_ERR_MISSING_AUTHORITY_KEY_IDENTIFIER, "not_strict", NULL},
	{OF_CERTIFICATE, X509_V_ERR_MISSING_SUBJECT_KEY_IDENTIFIER, "not_strict", NULL},
	{OF_CERTIFICATE, X509_V_ERR_AUTHORITY_KEY_IDENTIFIER_CRITICAL, "not_strict", NULL},
	{OF_CERTIFICATE, X509_V_ERR_SUBJECT_KEY_IDENTIFIER_CRITICAL, "not_strict", NULL},
	{OF_CERTIFICATE, X509_V_ERR_PATHLEN_INVALID_FOR_NON_CA, "not_strict", NULL},
	{OF_CERTIFICATE, X509_V_ERR_ISSUER_NAME_EMPTY, "not_strict", NULL},
	{OF_CERTIFICATE, X509_V_ERR_SUBJECT_NAME_EMPTY, "not_strict", NULL},
	{OF_CERTIFICATE, X509_V_ERR_EMPTY_SUBJECT_ALT_NAME, "not_strict", NULL},
	{OF_CERTIFICATE, X509_V_ERR_EMPTY_SUBJECT_SAN_NOT_CRITICAL, "not_strict", NULL},
	{OF_CERTIFICATE, X509_V_ERR_EXTENSIONS_REQUIRE_VERSION_3, "not_strict", NULL},
	{OF_CERTIFICATE, -1, ORIGIN_VERDICT_OTHER, NULL},

	{OF_HANDSHAKE, SSL_R_UNSUPPORTED_PROTOCOL, "protocol_version",
		"it answers with a version below TLS 1.2"},
	{OF_HANDSHAKE, SSL_R_VERSION_TOO_LOW, "protocol_version",
		"it answers with a version below TLS 1.2"},
	{OF_HANDSHAKE, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "protocol_version",
		"it speaks neither TLS 1.2 nor 1.3"},
	{OF_HANDSHAKE, SSL_R_WRONG_SSL_VERSION, "protocol_version",
		"it changed the version of the protocol"},
	{OF_HANDSHAKE, SSL_R_INAPPROPRIATE_FALLBACK, "protocol_version",
		"somebody between us made it answer with an older version"},
	{OF_HANDSHAKE, SSL_R_TLSV1_ALERT_INAPPROPRIATE_FALLBACK, "protocol_version",
		"it refuses the version as a fallback"},
	{OF_HANDSHAKE, SSL_R_WRONG_VERSION_NUMBER, "not_tls", "it does not answer in TLS"},
	{OF_HANDSHAKE, SSL_R_HTTP_REQUEST, "not_tls", "it answers in HTTP without TLS"},
	{OF_HANDSHAKE, SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, "no_common_cipher",
		"it has no cipher suite with ECDHE and AEAD in common with us"},
	{OF_HANDSHAKE, SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY, "no_common_cipher",
		"it finds our cipher suites insufficient"},
	{OF_HANDSHAKE, SSL_R_WRONG_CIPHER_RETURNED, "no_common_cipher",
		"it chose a cipher suite that was not offered"},
	{OF_HANDSHAKE, SSL_R_UNKNOWN_CIPHER_RETURNED, "no_common_cipher",
		"it chose a cipher suite that was not offered"},
	{OF_HANDSHAKE, SSL_R_WRONG_CURVE, "weak_key_exchange",
		"it chose a key exchange that was not offered"},
	{OF_HANDSHAKE, SSL_R_DH_KEY_TOO_SMALL, "weak_key_exchange",
		"its Diffie-Hellman group is too small"},
	{OF_HANDSHAKE, SSL_R_UNSAFE_LEGACY_RENEGOTIATION_DISABLED, "no_secure_renegotiation",
		"it does not know secure renegotiation (RFC 5746)"},
	{OF_HANDSHAKE, SSL_R_UNSUPPORTED_COMPRESSION_ALGORITHM, "compression",
		"it chose compression, which was not offered"},
	{OF_HANDSHAKE, SSL_R_INVALID_COMPRESSION_ALGORITHM, "compression",
		"it chose compression, which was not offered"},
	{OF_HANDSHAKE, SSL_R_COMPRESSION_DISABLED, "compression",
		"it chose compression, which was not offered"},
	{OF_HANDSHAKE, SSL_R_INCONSISTENT_COMPRESSION, "compression", "it changed the compression"},
	{OF_HANDSHAKE, SSL_R_BAD_SIGNATURE, "bad_signature",
		"its handshake is not signed with the key of its certificate"},
	{OF_HANDSHAKE, SSL_R_WRONG_SIGNATURE_TYPE, "weak_signature",
		"it signed the handshake with an algorithm that was not offered"},
	{OF_HANDSHAKE, SSL_R_EE_KEY_TOO_SMALL, "weak_key", "its key is too small"},
	{OF_HANDSHAKE, SSL_R_CA_KEY_TOO_SMALL, "weak_key",
		"the key of one of its CAs is too small"},
	{OF_HANDSHAKE, SSL_R_CA_MD_TOO_WEAK, "weak_signature",
		"a certificate of it is signed with MD5 or SHA-1"},
	{OF_HANDSHAKE, SSL_R_WRONG_CERTIFICATE_TYPE, "weak_key",
		"its key is of a kind that was not offered"},
	{OF_HANDSHAKE, SSL_R_UNKNOWN_CERTIFICATE_TYPE, "weak_key",
		"its key is of a kind that was not offered"},
	{OF_HANDSHAKE, SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, "client_certificate",
		"it demands a client certificate"},
	{OF_HANDSHAKE, SSL_R_TLSV1_UNRECOGNIZED_NAME, "unrecognized_name",
		"it does not know the name that was asked for"},
	{OF_HANDSHAKE, SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL, "no_common_application_protocol",
		"it does not speak HTTP/1.1"},
	{OF_HANDSHAKE, SSL_R_UNEXPECTED_EOF_WHILE_READING, ORIGIN_VERDICT_CLOSED,
		"it closed the connection during the TLS handshake"},
	{OF_HANDSHAKE, -1, ORIGIN_VERDICT_HANDSHAKE, NULL},
};

#define NVERDICTS (sizeof(verdicts) / sizeof(*verdicts))

static const struct verdict *verdict_find(enum verdict_kind kind, long code)
{
	size_t i = 0;

	/* The last one of each kind is for the rest. */
	while (verdicts[i].kind != kind || (verdicts[i].code != code && verdicts[i].code != -1))
		i++;
	return &verdicts[i];
}

const char *origin_verdict_of_certificate(long result)
{
	return verdict_find(OF_CERTIFICATE, result)->name;
}

const char *origin_verdict_of_handshake(int reason, const char **text)
{
	const struct verdict *verdict = verdict_find(OF_HANDSHAKE, reason);

	*text = verdict->text;
	return verdict->name;
}

const char *origin_verdict_name(size_t n)
{
	return n < NVERDICTS ? verdicts[n].name : NULL;
}
