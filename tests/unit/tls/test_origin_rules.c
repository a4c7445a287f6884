// SPDX-License-Identifier: GPL-2.0-or-later
/* Every rule of the origin's side, with a real handshake against a forged chain: the verdict has
 * the expected name, and no byte of the application reaches the server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tests/support/origin_scene.h"

static void judge(const struct origin_row *row)
{
	struct origin_chain chain = origin_scene_forge(row);
	void *context[2];
	SSL_CTX *server = origin_scene_server(row, &chain, context);
	struct tls_origin_leg *leg = origin_scene_leg(row, &chain);
	struct origin_outcome o =
		origin_scene_call(leg, server, row->host ? row->host : ORIGIN_HOST);

	if (!row->verdict && o.verdict)
		fail_msg("%s: %s: %s", row->title, o.name, o.why.text);
	if (row->verdict && !o.verdict)
		fail_msg("%s: was accepted", row->title);
	if (row->verdict && strcmp(row->verdict, o.name))
		fail_msg(
			"%s: expected %s, is %s: %s", row->title, row->verdict, o.name, o.why.text);
	if (o.bytes != (row->verdict ? 0 : 5))
		fail_msg("%s: %d bytes were sent", row->title, o.bytes);
	if (row->verdict && !*o.why.text)
		fail_msg("%s: no reason", row->title);
	tls_origin_leg_free(leg);
	SSL_CTX_free(server);
	origin_scene_free(&chain);
}

static void judge_all(const struct origin_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		judge(&rows[i]);
}

#define JUDGE(rows) judge_all(rows, sizeof(rows) / sizeof(*(rows)))

/* ---- the rules, in the order of their numbers ---- */

static void good_origins_are_accepted(void **state)
{
	static const struct origin_row rows[] = {
		{"TLS 1.3", NULL, .most = TLS1_3_VERSION},
		{"TLS 1.2", NULL, .most = TLS1_2_VERSION},
		{"RSA", NULL, .leaf.key = "RSA-2048", .middle.key = "RSA-2048",
			.root.key = "RSA-2048"},
		{"RSA, TLS 1.2", NULL, .leaf.key = "RSA-2048", .most = TLS1_2_VERSION},
		{"P-384", NULL, .leaf.key = "P-384", .root.key = "P-521"},
		{"Ed25519", NULL, .leaf.key = "ED25519"},
		{"wildcard", NULL, .leaf.alternative = "DNS:*.openai.azure.com"},
		{"one name of several", NULL, .leaf.alternative = "DNS:a.example,DNS:" ORIGIN_HOST},
		{"issued by the root", NULL, .no_middle = true},
		{"two usages", NULL, .leaf.extended = "clientAuth,serverAuth"},
		{"within permitted names", NULL,
			.middle.constraints = "critical,permitted;DNS:azure.com"},
		{"beside excluded names", NULL,
			.middle.constraints = "critical,excluded;DNS:example.com"},
		{"no subject", NULL, .leaf.name = "",
			.leaf.alternative = "critical,DNS:" ORIGIN_HOST},
	};

	(void)state;
	JUDGE(rows);
}

static void rule_1_somebody_we_trust_issued_it(void **state)
{
	static const struct origin_row rows[] = {
		{"self-signed", "self_signed", .self_signed = true, .no_middle = true},
		{"unknown CA", "unknown_ca", .other_root = OTHER_NAME},
		{"unknown CA, nothing sent", "unknown_ca", .nothing_sent = true},
		{"same name and key id, another key", "bad_signature", .other_root = SAME_NAME,
			.root.subject_id = "01:02:03:04:05:06:07:08", .no_middle = true},
		{"same name, another key", "unknown_ca", .other_root = SAME_NAME,
			.no_middle = true},
		{"bad signature on the leaf", "bad_signature", .leaf.other_key = true},
		{"bad signature on the intermediate", "bad_signature", .middle.other_key = true},
	};

	(void)state;
	JUDGE(rows);
}

static void rule_2_it_is_of_that_name(void **state)
{
	static const struct origin_row rows[] = {
		{"wrong name", "name_mismatch", .leaf.alternative = "DNS:api.openai.com"},
		{"parent domain", "name_mismatch", .leaf.alternative = "DNS:openai.azure.com"},
		{"name only in CN", "name_mismatch", .leaf.name = ORIGIN_HOST,
			.leaf.alternative = "email:a@example.com"},
		{"name only in CN, no SAN", "name_mismatch", .leaf.name = ORIGIN_HOST,
			.leaf.alternative = ""},
		{"NUL in a name", "name_mismatch",
			.leaf.raw_name = {ORIGIN_HOST "\0.example.com", sizeof(ORIGIN_HOST) + 12}},
		{"NUL at the end", "name_mismatch",
			.leaf.raw_name = {ORIGIN_HOST "\0", sizeof(ORIGIN_HOST)}},
		{"partial wildcard", "name_mismatch",
			.leaf.alternative = "DNS:ch*.openai.azure.com"},
		{"wildcard over two labels", "name_mismatch",
			.leaf.alternative = "DNS:*.azure.com"},
		{"wildcard in the middle", "name_mismatch",
			.leaf.alternative = "DNS:chat.*.azure.com"},
		{"bare wildcard", "name_mismatch", .leaf.alternative = "DNS:*"},
		{"an address", "name_mismatch", .leaf.alternative = "IP:10.0.0.1"},
	};

	(void)state;
	JUDGE(rows);
}

static void rule_3_it_is_valid_now(void **state)
{
	static const struct origin_row rows[] = {
		{"leaf expired", "expired", .leaf.from_days = -9, .leaf.until_days = -1},
		{"leaf not yet valid", "not_yet_valid", .leaf.from_days = 1, .leaf.until_days = 9},
		{"intermediate expired", "expired", .middle.from_days = -9,
			.middle.until_days = -1},
		{"intermediate not yet valid", "not_yet_valid", .middle.from_days = 1,
			.middle.until_days = 9},
		{"root expired", "expired", .root.from_days = -9, .root.until_days = -1},
		{"root not yet valid", "not_yet_valid", .root.from_days = 1, .root.until_days = 9},
	};

	(void)state;
	JUDGE(rows);
}

static void rule_4_its_issuers_may_issue(void **state)
{
	static const struct origin_row rows[] = {
		{"CA:FALSE", "issuer_not_ca", .middle.basic = "critical,CA:FALSE"},
		{"no basicConstraints", "issuer_not_ca", .middle.basic = ""},
		{"version 1", "issuer_not_ca", .middle.version = 1},
		{"version 1 root", "issuer_not_ca", .root.version = 1},
		{"no keyCertSign", "issuer_not_ca", .middle.usage = "critical,cRLSign"},
		{"no keyUsage", "not_strict", .middle.usage = ""},
		{"basicConstraints not critical", "not_strict", .middle.basic = "CA:TRUE"},
	};

	(void)state;
	JUDGE(rows);
}

static void rule_5_it_is_a_servers(void **state)
{
	static const struct origin_row rows[] = {
		{"EKU without serverAuth", "purpose", .leaf.extended = "clientAuth"},
		{"any EKU", "purpose", .leaf.extended = "anyExtendedKeyUsage"},
		{"no EKU", "purpose", .leaf.extended = ""},
		{"intermediate's EKU without serverAuth", "purpose",
			.middle.extended = "emailProtection"},
		{"unknown critical extension", "critical_extension", .leaf.unknown = "1.2.3.4"},
		{"unknown critical extension of the issuer", "critical_extension",
			.middle.unknown = "1.2.3.4"},
		{"CA:TRUE leaf", "leaf_is_ca", .leaf.basic = "critical,CA:TRUE"},
		{"CA:TRUE leaf with keyCertSign", "leaf_is_ca", .leaf.basic = "critical,CA:TRUE",
			.leaf.usage = "critical,digitalSignature,keyCertSign"},
		{"keyCertSign of no CA", "leaf_is_ca",
			.leaf.usage = "critical,digitalSignature,keyCertSign"},
	};

	(void)state;
	JUDGE(rows);
}

static void rule_6_its_names_are_within_constraints(void **state)
{
	static const struct origin_row rows[] = {
		{"not permitted", "name_constraints",
			.middle.constraints = "critical,permitted;DNS:example.com"},
		{"excluded", "name_constraints",
			.middle.constraints = "critical,excluded;DNS:azure.com"},
		{"excluded by the root", "name_constraints",
			.root.constraints = "critical,excluded;DNS:" ORIGIN_HOST},
		{"wildcard over an excluded name", "name_constraints",
			.middle.constraints = "critical,excluded;DNS:" ORIGIN_HOST,
			.leaf.alternative = "DNS:*.openai.azure.com"},
		{"wildcard over another excluded name", "name_constraints",
			.middle.constraints = "critical,excluded;DNS:secret.openai.azure.com",
			.leaf.alternative = "DNS:*.openai.azure.com"},
		{"wildcard over an excluded name, by a dot", "name_constraints",
			.middle.constraints = "critical,excluded;DNS:.secret.openai.azure.com",
			.leaf.alternative = "DNS:*.openai.azure.com"},
		{"wildcard beside an excluded name", NULL,
			.middle.constraints = "critical,excluded;DNS:a.secret.openai.azure.com",
			.leaf.alternative = "DNS:*.openai.azure.com"},
		{"another name outside", "name_constraints",
			.middle.constraints = "critical,permitted;DNS:azure.com",
			.leaf.alternative = "DNS:" ORIGIN_HOST ",DNS:example.com"},
	};

	(void)state;
	JUDGE(rows);
}

static void rule_7_its_keys_and_signatures_are_strong(void **state)
{
	const struct origin_row rows[] = {
		{"RSA-1024 leaf", "weak_key", .leaf.key = "RSA-1024"},
		{"RSA-1024 intermediate", "weak_key", .middle.key = "RSA-1024"},
		{"RSA-1024 root", "weak_key", .root.key = "RSA-1024"},
		{"RSA-2047 leaf", "weak_key", .leaf.key = "RSA-2040"},
		{"DSA intermediate", "weak_key", .middle.key = "DSA"},
		{"DSA root", "weak_key", .root.key = "DSA"},
		{"secp256k1 intermediate", "weak_key", .middle.key = "secp256k1"},
		{"SHA-1 leaf", "weak_signature", .leaf.digest = EVP_sha1()},
		{"SHA-1 intermediate", "weak_signature", .middle.digest = EVP_sha1()},
		{"MD5 leaf", "weak_signature", .leaf.digest = EVP_md5(), .middle.key = "RSA-2048"},
		{"MD5 intermediate", "weak_signature", .middle.digest = EVP_md5(),
			.root.key = "RSA-2048"},
		{"SHA-1 root, which nobody needs to believe", NULL, .root.digest = EVP_sha1()},
	};

	(void)state;
	JUDGE(rows);
}

static void rule_8_it_is_not_ours(void **state)
{
	static const struct origin_row rows[] = {
		{"our CA, trusted", "own_ca", .own = OWN_ROOT, .no_middle = true},
		{"our CA above an intermediate", "own_ca", .own = OWN_ROOT},
		{"our CA below an enterprise root", "own_ca", .own = OWN_MIDDLE},
		{"our CA, not sent and not trusted", "own_ca", .own = OWN_MIDDLE,
			.nothing_sent = true},
		{"our CA, not trusted", "own_ca", .own = OWN_ROOT, .other_root = SAME_NAME},
		{"our own CA as the server", "own_ca", .own = OWN_ROOT,
			.leaf.basic = "critical,CA:TRUE"},
	};

	(void)state;
	JUDGE(rows);
}

static void rule_9_it_is_not_revoked(void **state)
{
	static const struct origin_row rows[] = {
		{"by a staple", "revoked", .staple = REVOKED},
		{"by a staple, TLS 1.2", "revoked", .staple = REVOKED, .most = TLS1_2_VERSION},
		{"by an old staple", "revoked", .staple = OLD_REVOKED},
		{"by a CRL", "revoked", .crl = true},
		{"an expired CRL", "crl_unusable", .old_crl = true},
		{"must-staple without a staple", "no_staple", .leaf.feature = "status_request"},
		{"must-staple without a staple, TLS 1.2", "no_staple",
			.leaf.feature = "status_request", .most = TLS1_2_VERSION},
		{"must-staple with an old one", "no_staple", .leaf.feature = "status_request",
			.staple = OLD_GOOD},
		{"must-staple with a stranger's", "no_staple", .leaf.feature = "status_request",
			.staple = FOREIGN_REVOKED},
		{"must-staple with a good one", NULL, .leaf.feature = "status_request",
			.staple = GOOD},
		{"a good staple", NULL, .staple = GOOD},
		{"an old staple that was good", NULL, .staple = OLD_GOOD},
		{"a stranger's revocation", NULL, .staple = FOREIGN_REVOKED},
	};

	(void)state;
	JUDGE(rows);
}

static void rule_10_the_protocol_is_strong(void **state)
{
	static const struct origin_row rows[] = {
		{"TLS 1.1", "protocol_version", .most = TLS1_1_VERSION},
		{"TLS 1.0", "protocol_version", .most = TLS1_VERSION},
		{"CBC", "no_common_cipher", .most = TLS1_2_VERSION,
			.ciphers = "ECDHE-ECDSA-AES128-SHA"},
		{"RSA key exchange", "no_common_cipher", .most = TLS1_2_VERSION,
			.ciphers = "AES128-GCM-SHA256", .leaf.key = "RSA-2048"},
		{"DHE", "no_common_cipher", .most = TLS1_2_VERSION,
			.ciphers = "DHE-RSA-AES128-GCM-SHA256", .leaf.key = "RSA-2048"},
		{"anonymous", "no_common_cipher", .most = TLS1_2_VERSION,
			.ciphers = "ADH-AES128-GCM-SHA256:@SECLEVEL=0"},
		{"NULL", "no_common_cipher", .most = TLS1_2_VERSION,
			.ciphers = "ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0"},
	};

	(void)state;
	JUDGE(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_origins_are_accepted),
		cmocka_unit_test(rule_1_somebody_we_trust_issued_it),
		cmocka_unit_test(rule_2_it_is_of_that_name),
		cmocka_unit_test(rule_3_it_is_valid_now),
		cmocka_unit_test(rule_4_its_issuers_may_issue),
		cmocka_unit_test(rule_5_it_is_a_servers),
		cmocka_unit_test(rule_6_its_names_are_within_constraints),
		cmocka_unit_test(rule_7_its_keys_and_signatures_are_strong),
		cmocka_unit_test(rule_8_it_is_not_ours),
		cmocka_unit_test(rule_9_it_is_not_revoked),
		cmocka_unit_test(rule_10_the_protocol_is_strong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
