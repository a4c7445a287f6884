// SPDX-License-Identifier: GPL-2.0-or-later
#include "tls/hello_policy.h"

#include "tls/encrypted_dns.h"

const char *hello_kind_name(enum hello_kind kind)
{
	static const char *const names[] = {
		[HELLO_LISTED] = "listed",
#define HELLO_KIND_NAME(NAME, name) [HELLO_##NAME] = (name),
		HELLO_KINDS(HELLO_KIND_NAME)
#undef HELLO_KIND_NAME
	};

	return names[kind];
}

enum config_policy hello_policy_of_kind(const struct config *config, enum hello_kind kind)
{
	const struct config_endpoints *endpoints = &config->endpoints;

	switch (kind) {
	case HELLO_UNLISTED:
		return endpoints->unlisted;
	case HELLO_NO_SNI:
		return endpoints->no_sni;
	case HELLO_INVALID:
		return endpoints->invalid;
	case HELLO_ECH:
		return endpoints->ech;
	case HELLO_ENCRYPTED_DNS:
		return endpoints->encrypted_dns;
	case HELLO_NOT_TLS:
		return endpoints->not_tls;
	default:
		return CONFIG_POLICY_PASS; /* HELLO_EXEMPT among them */
	}
}

static enum hello_kind kind_of(const struct config *config, const struct clienthello *hello,
	const struct address *destination, bool endpoint)
{
	if ((hello->sni_valid && encrypted_dns_name(slice_of_string(hello->sni))) ||
		encrypted_dns_address(destination))
		return HELLO_ENCRYPTED_DNS;
	if (!hello->has_sni)
		return HELLO_NO_SNI;
	/* No certificate is valid for what stands below a pattern and does not match it, but the
	 * server behind may answer all the same, by the Host that is inside. */
	if (config_host_below(config, slice_of(hello->named, hello->named_len)))
		return HELLO_INVALID;
	if (!hello->sni_valid)
		return endpoint ? HELLO_INVALID : HELLO_NO_SNI;
	return hello->has_ech ? HELLO_ECH : HELLO_UNLISTED;
}

struct hello_verdict hello_policy_of(const struct config *config, const struct clienthello *hello,
	const struct address *destination, bool endpoint)
{
	struct hello_verdict verdict = {.kind = HELLO_LISTED};

	if (hello->sni_valid)
		verdict.host = config_host_find(config, slice_of_string(hello->sni));
	if (verdict.host)
		return verdict;
	verdict.kind = kind_of(config, hello, destination, endpoint);
	verdict.policy = hello_policy_of_kind(config, verdict.kind);
	if (verdict.kind == HELLO_UNLISTED && !endpoint)
		verdict.policy = CONFIG_POLICY_PASS;
	return verdict;
}

struct hello_verdict hello_policy_of_source(const struct config *config,
	const struct clienthello *hello, const struct address *source,
	const struct address *destination)
{
	struct hello_verdict verdict = hello_policy_of(config, hello, destination, true);
	const struct config_host *host = verdict.host;

	/* The name that counts may be another one, inside. */
	if (!host || (hello->has_ech && config->endpoints.ech != CONFIG_POLICY_PASS))
		return verdict;
	for (size_t i = 0; i < host->nexempt_sources; i++)
		if (prefix_contains(&host->exempt_sources[i], source))
			return (struct hello_verdict){
				.kind = HELLO_EXEMPT, .policy = CONFIG_POLICY_PASS};
	return verdict;
}
