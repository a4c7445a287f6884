// SPDX-License-Identifier: GPL-2.0-or-later
/* The gateway: where clients call the appliance itself. What its keys must be together. */
#include "config/gateway_rules.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool config_gateway_at(const struct config *config, const struct address_port *at)
{
	const struct config_gateway *gateway = &config->gateway;

	for (size_t i = 0; i < gateway->nlisten; i++)
		if (gateway->listen[i].port == at->port &&
			address_equal(&gateway->listen[i].address, &at->address))
			return true;
	return false;
}

const struct config_host *config_host_called(
	const struct config *config, struct slice name, enum config_provider provider)
{
	const struct config_gateway *gateway = &config->gateway;

	if (gateway->nlisten && slice_equal(slice_of_string(gateway->name), name))
		return &gateway->hosts[provider];
	return config_host_find(config, name);
}

void gateway_hosts_make(struct config_gateway *gateway)
{
	for (int provider = 0; provider < 2; provider++)
		gateway->hosts[provider] = (struct config_host){
			.pattern = gateway->name,
			.provider = (enum config_provider)provider,
			.backend = gateway->backend,
			.pool = gateway->pool,
			.fail = CONFIG_FAIL_DEFAULT,
		};
}

/* ---- rules ---- */

__attribute__((format(printf, 5, 6))) static int refuse(const char *file, const struct node *root,
	struct problems *problems, const char *key, const char *format, ...)
{
	char rest[320];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(rest, sizeof(rest), format, arguments);
	va_end(arguments);
	return problem_set(problems, EINVAL, "%s:%u: gateway.%s: %s", file,
		node_line(root, "gateway", key), key, rest);
}

/* What a gateway calls must be somewhere else: it would call itself, without end. */
static int check_backend(const char *file, const struct node *root, const struct config *config,
	const struct config_backend *backend, struct problems *problems)
{
	const struct config_gateway *gateway = &config->gateway;
	const char *key = gateway->pool ? "pool" : "backend";

	if (!backend->host)
		return refuse(file, root, problems, key,
			"expected backends with a host, for clients name the appliance's own, "
			"found "
			"\"%s\" without",
			backend->name);
	if (strcmp(backend->host, gateway->name) == 0)
		return refuse(file, root, problems, key,
			"expected backends elsewhere, found \"%s\", whose host is the gateway's "
			"own name",
			backend->name);
	return 0;
}

/* Likewise by its address, also for those that other hosts have. */
static int check_addresses(const char *file, const struct node *root, const struct config *config,
	struct problems *problems)
{
	for (size_t i = 0; i < config->nbackends; i++) {
		const struct config_backend *backend = &config->backends[i];

		for (size_t j = 0; j < backend->naddresses; j++) {
			struct address_port at = backend->addresses[j];

			at.port = at.port ? at.port : backend->port;
			if (config_gateway_at(config, &at))
				return refuse(file, root, problems, "listen",
					"expected addresses that no backend has, found %s, which "
					"is that "
					"of \"%s\": its calls would come back here",
					address_port_format(&at).text, backend->name);
		}
	}
	return 0;
}

static int check_listen(const char *file, const struct node *root, const struct config *config,
	struct problems *problems)
{
	static const struct address any6, any4 = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}};
	const struct config_gateway *gateway = &config->gateway;
	const struct config_datapath *datapath = &config->datapath;

	if (gateway->nlisten > CONFIG_GATEWAY_MAX)
		return refuse(file, root, problems, "listen",
			"expected at most %d addresses, found %zu", CONFIG_GATEWAY_MAX,
			gateway->nlisten);
	for (size_t i = 0; i < gateway->nlisten; i++) {
		const struct address_port *at = &gateway->listen[i];

		if (address_equal(&at->address, &any4) || address_equal(&at->address, &any6))
			return refuse(file, root, problems, "listen",
				"expected an address of this machine that clients reach, found %s, "
				"which "
				"is all of them",
				address_port_format(at).text);
		if (address_is_loopback(&at->address) && at->port >= datapath->listen_base &&
			at->port < datapath->listen_base + config->appliance.workers)
			return refuse(file, root, problems, "listen",
				"expected a port outside the workers' (datapath.listen_base), "
				"found %u",
				at->port);
		for (size_t before = 0; before < i; before++)
			if (at->port == gateway->listen[before].port &&
				address_equal(&at->address, &gateway->listen[before].address))
				return refuse(file, root, problems, "listen",
					"expected each address once, found %s again",
					address_port_format(at).text);
	}
	return check_addresses(file, root, config, problems);
}

static int check_off(const char *file, const struct node *root,
	const struct config_gateway *gateway, struct problems *problems)
{
	const char *key = gateway->name	     ? "name"
			  : gateway->pool    ? "pool"
			  : gateway->backend ? "backend"
					     : NULL;

	return key ? refuse(file, root, problems, key,
			     "expected listen as well, for without an address the gateway is off, "
			     "found "
			     "none")
		   : 0;
}

int gateway_rules_check(const char *file, const struct node *root, const struct config *config,
	struct problems *problems)
{
	const struct config_gateway *gateway = &config->gateway;
	int error = 0;

	if (!gateway->nlisten)
		return check_off(file, root, gateway, problems);
	if (!gateway->name)
		return refuse(file, root, problems, "name",
			"expected the name that clients call the appliance by, found nothing");
	if (config_host_find(config, slice_of_string(gateway->name)))
		return refuse(file, root, problems, "name",
			"expected a name that is not among hosts, found \"%s\", whose calls are "
			"intercepted",
			gateway->name);
	if (!gateway->pool == !gateway->backend)
		return refuse(file, root, problems, gateway->pool ? "pool" : "backend",
			"expected a backend or a pool, found %s",
			gateway->pool ? "both" : "neither");
	for (size_t i = 0; gateway->pool && i < gateway->pool->nbackends && !error; i++)
		error = check_backend(file, root, config, gateway->pool->backends[i], problems);
	if (gateway->backend)
		error = check_backend(file, root, config, gateway->backend, problems);
	if (!error && gateway->require_key && !config->policy.keys_file)
		error = refuse(file, root, problems, "require_key",
			"expected policy.keys_file as well, which has the keys that clients show, "
			"found "
			"none: set it, or require_key: false, where whoever reaches the address "
			"may use "
			"the backends");
	return error ? error : check_listen(file, root, config, problems);
}
