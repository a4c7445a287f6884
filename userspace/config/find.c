// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/config.h"

#include <string.h>

/* Lower-case letters, digits and inner hyphens. The name may come from a ClientHello, and what is
 * found here gets a certificate: "*" or a comma must not be a label. */
static bool is_label(struct slice label)
{
	if (label.len == 0 || label.len > 63 || label.data[0] == '-' ||
		label.data[label.len - 1] == '-')
		return false;
	for (size_t i = 0; i < label.len; i++) {
		char c = label.data[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
			return false;
	}
	return true;
}

const struct config_host *config_host_find(const struct config *config, struct slice name)
{
	struct slice label = slice_first(name, slice_index(name, '.'));
	struct slice parent = slice_after(name, label.len + 1);
	const struct config_host *wild = NULL;

	if (!is_label(label))
		return NULL;
	for (size_t i = 0; i < config->nhosts; i++) {
		const struct config_host *host = &config->hosts[i];
		struct slice pattern = slice_of_string(host->pattern);

		if (slice_equal(pattern, name))
			return host;
		if (slice_starts_with(pattern, SLICE("*.")) &&
			slice_equal(slice_after(pattern, 2), parent))
			wild = host;
	}
	return wild;
}

bool config_host_below(const struct config *config, struct slice name)
{
	while (name.len && name.data[name.len - 1] == '.')
		name.len--;
	for (size_t i = 0; i < config->nhosts; i++) {
		struct slice end = slice_after(slice_of_string(config->hosts[i].pattern), 1);

		if (config->hosts[i].pattern[0] == '*' && name.len >= end.len &&
			slice_equal(slice_after(name, name.len - end.len), end))
			return !config_host_find(config, name);
	}
	return false;
}

enum config_fail config_fail_of(const struct config *config, const struct config_host *host)
{
	return host && host->fail != CONFIG_FAIL_DEFAULT ? host->fail : config->datapath.fail;
}

void config_fail_modes(const struct config *config, bool modes[2])
{
	modes[CONFIG_FAIL_CLOSED] = modes[CONFIG_FAIL_OPEN] = false;
	modes[config_fail_of(config, NULL)] = true;
	for (size_t i = 0; i < config->nhosts; i++)
		modes[config_fail_of(config, &config->hosts[i])] = true;
}

bool config_fail_differs(const struct config *a, const struct config *b)
{
	/* Hosts in another order count as others: it does no harm. */
	if (a->nhosts != b->nhosts || config_fail_of(a, NULL) != config_fail_of(b, NULL))
		return true;
	for (size_t i = 0; i < a->nhosts; i++)
		if (strcmp(a->hosts[i].pattern, b->hosts[i].pattern) != 0 ||
			config_fail_of(a, &a->hosts[i]) != config_fail_of(b, &b->hosts[i]))
			return true;
	return false;
}

struct log_quoted config_collector_name(const struct config_audit *audit)
{
	return log_quote(slice_of_string(audit->collector.port
						 ? address_port_format(&audit->collector).text
						 : audit->collector_socket));
}

enum config_dialect config_dialect_of(const char *host)
{
	static const struct {
		const char *end;
		enum config_dialect dialect;
	} ends[] = {{"openai.azure.com", CONFIG_DIALECT_AZURE},
		{"services.ai.azure.com", CONFIG_DIALECT_AZURE},
		{"cognitiveservices.azure.com", CONFIG_DIALECT_AZURE},
		{"api.openai.com", CONFIG_DIALECT_OPENAI}};
	size_t len = strlen(host);

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		size_t end = strlen(ends[i].end);

		if (len >= end && strcmp(host + len - end, ends[i].end) == 0 &&
			(len == end || host[len - end - 1] == '.'))
			return ends[i].dialect;
	}
	return CONFIG_DIALECT_ANY;
}

const char *config_kind_name(enum config_kind kind)
{
	static const char *const names[] = {NULL, "ptu", "regional", "data-zone", "global"};

	return names[kind];
}

struct log_quoted config_collector_name_of(const struct config_audit *audit, size_t which)
{
	if (!which)
		return config_collector_name(audit);
	return log_quote(slice_of_string(address_port_format(&audit->collector_others[which - 1]).text));
}
