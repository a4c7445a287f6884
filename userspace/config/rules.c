// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/rules.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "config/credential_rules.h"
#include "config/gateway_rules.h"

struct rules {
	const char *name;
	const struct node *root;
	const struct config *config;
	struct problems *problems;
};

/* "name:line: section.key: " and the rest. */
__attribute__((format(printf, 4, 5))) static int refuse(
	const struct rules *r, const char *section, const char *key, const char *format, ...)
{
	char rest[320];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(rest, sizeof(rest), format, arguments);
	va_end(arguments);
	return problem_set(r->problems, EINVAL, "%s:%u: %s%s%s: %s", r->name,
		node_line(r->root, section, key), section, key ? "." : "", key ? key : "", rest);
}

static unsigned entry_line(
	const struct rules *r, const char *list, size_t index, const char *key)
{
	const struct node *entry = node_element(node_find(r->root, list), index);
	const struct node *value = node_find(entry, key);

	return value ? value->line : entry ? entry->line : 1;
}

static int rules_names(const struct rules *r)
{
	const struct config *c = r->config;

	if (c->nhosts == 0)
		return refuse(r, "hosts", NULL, "expected at least one host, found an empty list");
	for (size_t i = 0; i < c->nhosts; i++)
		for (size_t before = 0; before < i; before++)
			if (strcmp(c->hosts[i].pattern, c->hosts[before].pattern) == 0)
				return problem_set(r->problems, EINVAL,
					"%s:%u: hosts[%zu].pattern: expected each pattern once, "
					"found \"%s\" also in line %u",
					r->name, entry_line(r, "hosts", i, "pattern"), i,
					c->hosts[i].pattern,
					entry_line(r, "hosts", before, "pattern"));
	return 0;
}

/* No two entries of a list have the same name. */
static int rules_once(const struct rules *r, const char *list, size_t n,
	const char *(*name_of)(const struct config *config, size_t i))
{
	for (size_t i = 0; i < n; i++)
		for (size_t before = 0; before < i; before++)
			if (strcmp(name_of(r->config, i), name_of(r->config, before)) == 0)
				return problem_set(r->problems, EINVAL,
					"%s:%u: %s[%zu].name: expected each name once, found "
					"\"%s\" also in line %u",
					r->name, entry_line(r, list, i, "name"), list, i,
					name_of(r->config, i), entry_line(r, list, before, "name"));
	return 0;
}

static const char *backend_name(const struct config *config, size_t i)
{
	return config->backends[i].name;
}

static const char *pool_name(const struct config *config, size_t i)
{
	return config->pools[i].name;
}

static const char *credential_name(const struct config *config, size_t i)
{
	return config->credentials[i].name;
}

static int rules_lists(const struct rules *r)
{
	int error = rules_once(r, "backends", r->config->nbackends, backend_name);

	if (!error)
		error = rules_once(
			r, "credentials", r->config->nlisted_credentials, credential_name);
	return error ? error : rules_once(r, "pools", r->config->npools, pool_name);
}

/* key_file is the short form of a credential that has the backend's name. */
static int rules_key_file(const struct rules *r, size_t i)
{
	const struct config *c = r->config;
	const struct config_backend *backend = &c->backends[i];

	if (!backend->key_file)
		return 0;
	if (backend->credential < &c->credentials[c->nlisted_credentials])
		return problem_set(r->problems, EINVAL,
			"%s:%u: backends[%zu].credential: expected a credential or a key_file, found "
			"both",
			r->name, entry_line(r, "backends", i, "credential"), i);
	for (size_t k = 0; k < c->nlisted_credentials; k++)
		if (strcmp(c->credentials[k].name, backend->name) == 0)
			return problem_set(r->problems, EINVAL,
				"%s:%u: backends[%zu].name: expected another name than that of a "
				"credential, for a backend with a key_file, found \"%s\"",
				r->name, entry_line(r, "backends", i, "name"), i, backend->name);
	return 0;
}

static int rules_credentials(const struct rules *r)
{
	int error = 0;

	for (size_t i = 0; i < r->config->nbackends && !error; i++)
		error = rules_key_file(r, i);
	return error ? error : credential_rules_check(r->name, r->root, r->config, r->problems);
}

/* Under a wildcard the client names the resource: it would get the key of ours. */
static int rules_host_key(
	const struct rules *r, size_t i, const char *key, const struct config_backend *backend)
{
	const struct config_host *host = &r->config->hosts[i];

	if (*host->pattern != '*' || !backend || !backend->credential || backend->host)
		return 0;
	return problem_set(r->problems, EINVAL,
		"%s:%u: hosts[%zu].%s: expected a backend with a host, or without a "
		"key_file or credential, for a pattern with \"*\", found \"%s\", whose key would go to "
		"whatever name under \"%s\" a client asks for; give that backend its host, or "
		"list the names one by one",
		r->name, entry_line(r, "hosts", i, key), i, key, backend->name, host->pattern);
}

static int rules_keys(const struct rules *r)
{
	const struct config *c = r->config;
	int error = 0;

	for (size_t i = 0; i < c->nhosts && !error; i++) {
		const struct config_pool *pool = c->hosts[i].pool;

		error = rules_host_key(r, i, "backend", c->hosts[i].backend);
		for (size_t j = 0; pool && j < pool->nbackends && !error; j++)
			error = rules_host_key(r, i, "pool", pool->backends[j]);
	}
	return error;
}

/* A weight, and a capacity in thousands of tokens, are of one kind only where all of a priority say them. */
static int rules_capacity(const struct rules *r, size_t i, const struct config_pool *pool)
{
	for (size_t j = 0; j < pool->nbackends; j++)
		for (size_t k = 0; k < pool->nbackends; k++) {
			const struct config_backend *a = pool->backends[j], *b = pool->backends[k];
			bool derived = a->capacity && a->weight == a->capacity / 1000;

			if (!derived || b->capacity || a->priority != b->priority || b->weight != 1)
				continue;
			return problem_set(r->problems, EINVAL,
				"%s:%u: pools[%zu].backends: expected capacity or weight of all backends "
				"of priority %u, found \"%s\" with a capacity and \"%s\" with neither",
				r->name, entry_line(r, "pools", i, "backends"), i, a->priority, a->name,
				b->name);
		}
	return 0;
}

/* A pool that could never answer, or not always the same. */
static int rules_pools(const struct rules *r)
{
	const struct config *c = r->config;

	for (size_t i = 0; i < c->npools; i++) {
		const struct config_pool *pool = &c->pools[i];

		if (!pool->nbackends || pool->nbackends > CONFIG_POOL_MAX)
			return problem_set(r->problems, EINVAL,
				"%s:%u: pools[%zu].backends: expected the names of 1 to %d backends, "
				"found %zu",
				r->name, entry_line(r, "pools", i, "backends"), i, CONFIG_POOL_MAX,
				pool->nbackends);
		if (rules_capacity(r, i, pool))
			return -EINVAL;
	}
	for (size_t i = 0; i < c->nhosts; i++)
		if (c->hosts[i].backend && c->hosts[i].pool)
			return problem_set(r->problems, EINVAL,
				"%s:%u: hosts[%zu].pool: expected either a backend or a pool, found "
				"both",
				r->name, entry_line(r, "hosts", i, "pool"), i);
	return 0;
}

/* A client's own key is none of another provider. */
static int rules_dialect(const struct rules *r, size_t i, const struct config_backend *backend)
{
	const struct config_host *host = &r->config->hosts[i];
	const char *key = host->pool ? "pool" : "backend";
	bool openai = backend->dialect == CONFIG_DIALECT_OPENAI;

	if (backend->dialect == CONFIG_DIALECT_AZURE_DATED &&
		host->provider == CONFIG_PROVIDER_OPENAI && !backend->api_version)
		return problem_set(r->problems, EINVAL,
			"%s:%u: hosts[%zu].%s: expected an api_version of \"%s\", for clients of "
			"OpenAI's API name none, found nothing: it can never answer",
			r->name, entry_line(r, "hosts", i, key), i, key, backend->name);

	if (backend->dialect == CONFIG_DIALECT_ANY || backend->credential ||
		openai == (host->provider == CONFIG_PROVIDER_OPENAI))
		return 0;
	return problem_set(r->problems, EINVAL,
		"%s:%u: hosts[%zu].%s: expected backends that speak the API of the host's provider, or "
		"have a key of their own, found \"%s\" at %s, which can never answer",
		r->name, entry_line(r, "hosts", i, key), i, key, backend->name,
		backend->host ? backend->host : host->pattern);
}

static int rules_dialects(const struct rules *r)
{
	const struct config *c = r->config;
	int error = 0;

	for (size_t i = 0; i < c->nhosts && !error; i++) {
		const struct config_pool *pool = c->hosts[i].pool;

		if (c->hosts[i].backend)
			error = rules_dialect(r, i, c->hosts[i].backend);
		for (size_t j = 0; pool && j < pool->nbackends && !error; j++)
			error = rules_dialect(r, i, pool->backends[j]);
	}
	return error;
}

/* Addresses of both families share the tries of the kernel programs. */
static int rules_prefixes(const struct rules *r, const char *section, const char *key,
	const struct prefix *prefixes, size_t n)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	struct address ipv4 = {{0}};

	memcpy(ipv4.bytes, mapped, sizeof(mapped));
	for (size_t i = 0; i < n; i++)
		if (prefixes[i].bits < 96 && prefix_contains(&prefixes[i], &ipv4))
			return refuse(r, section, key,
				"expected \"0.0.0.0/0\" for all of IPv4 and \"2000::/3\" for IPv6, found "
				"an IPv6 prefix that contains IPv4 as well");
	return 0;
}

static int rules_admission(const struct rules *r)
{
	const struct config_admission *a = &r->config->admission;
	int error = rules_prefixes(r, "admission", "allow", a->allow, a->nallow);

	if (!error)
		error = rules_prefixes(r, "admission", "deny", a->deny, a->ndeny);
	for (size_t i = 0; !error && i < a->nallow; i++)
		for (size_t j = 0; !error && j < a->ndeny; j++)
			if (a->allow[i].bits == a->deny[j].bits &&
				address_equal(&a->allow[i].address, &a->deny[j].address))
				error = refuse(r, "admission", "deny",
					"expected each prefix in one of the lists, found one that stands in "
					"allow as well");
	return error;
}

#define RULES_COLLECTORS 8 /* besides the first */

static int rules_collector(const struct rules *r)
{
	const struct config_audit *a = &r->config->audit;

	if (a->ncollector_others && !a->collector.port)
		return refuse(r, "audit", "collector_others",
			"expected collector as well, the first of them, found others alone");
	if (a->ncollector_others > RULES_COLLECTORS)
		return refuse(r, "audit", "collector_others", "expected up to %d, found %zu",
			RULES_COLLECTORS, a->ncollector_others);
	if (a->collector_key_file && !a->collector.port)
		return refuse(r, "audit", "collector_key_file",
			"expected collector as well, for on the socket the kernel says who is there, "
			"found a key file alone");
	if (a->collector_ca_file && !a->collector.port)
		return refuse(r, "audit", "collector_ca_file",
			"expected collector as well, for TLS is for TCP, found an authority alone");
	if ((a->collector_name || a->collector_certificate_file ||
		    a->collector_certificate_key_file) &&
		!a->collector_ca_file)
		return refuse(r, "audit",
			a->collector_name ? "collector_name"
			: a->collector_certificate_file
				? "collector_certificate_file"
				: "collector_certificate_key_file",
			"expected collector_ca_file as well, by which the collector is known, found "
			"none");
	if (!a->collector_certificate_file != !a->collector_certificate_key_file)
		return refuse(r, "audit",
			a->collector_certificate_file ? "collector_certificate_file"
						      : "collector_certificate_key_file",
			"expected collector_certificate_file and collector_certificate_key_file, found "
			"one of them");
	return 0;
}

static int rules_datapath(const struct rules *r)
{
	const struct config *c = r->config;
	const struct config_datapath *d = &c->datapath;
	const struct config_endpoints *e = &c->endpoints;

	if (d->table >= 253 && d->table <= 255)
		refuse(r, "datapath", "table",
			"expected a routing table of its own, found %u, which is the system's", d->table);
	if (d->listen_base + c->appliance.workers > 65536)
		refuse(r, "datapath", "listen_base",
			"expected room for the ports of %u workers below 65536, found %u",
			c->appliance.workers, d->listen_base);
	if (c->audit.collector.port >= d->listen_base &&
		c->audit.collector.port < d->listen_base + c->appliance.workers)
		refuse(r, "audit", "collector",
			"expected a port outside the workers' %u to %u, found %u", d->listen_base,
			d->listen_base + c->appliance.workers - 1, c->audit.collector.port);
	rules_collector(r);
	if (d->forward == CONFIG_FORWARD_XDP &&
		(d->xdp == CONFIG_XDP_OFF || d->xdp == CONFIG_XDP_GENERIC))
		refuse(r, "datapath", "forward",
			"expected stack, for xdp needs datapath.xdp: native or auto, found xdp");
	if (e->nports == 0)
		refuse(
			r, "endpoints", "ports", "expected at least one port, found an empty list");
	if (e->ttl_floor_ns > e->ttl_ceiling_ns)
		refuse(r, "endpoints", "ttl_ceiling",
			"expected at least ttl_floor, found less than it");
	return rules_prefixes(r, "endpoints", "prefixes", e->prefixes, e->nprefixes);
}

static int rules_audit(const struct rules *r)
{
	const struct config_audit *a = &r->config->audit;

	if (a->segment_bytes > a->spool_bytes / 2)
		refuse(r, "audit", "segment_size",
			"expected at most half of spool_size, found more");
	/* The longest event has to fit half of the ring (base/ring.h), and a segment. */
	if (a->content && a->ring_bytes / 8 < a->content_max)
		refuse(r, "audit", "ring_size",
			"expected at least 8 times content_max, found less");
	if (a->content && a->segment_bytes / 4 < a->content_max)
		refuse(r, "audit", "segment_size",
			"expected at least 4 times content_max, found less");
	if (strcmp(a->spool_directory, r->config->appliance.run_directory) == 0)
		refuse(r, "audit", "spool_directory",
			"expected a directory of its own, found appliance.run_directory");
	return 0;
}

static int rules_tls(const struct rules *r)
{
	const struct config_tls *t = &r->config->tls;

	if (!t->system_roots && !t->norigin_roots)
		refuse(r, "tls", "system_roots",
			"expected true, or files in origin_roots, found no root to trust at all");
	if (strcmp(t->ca_certificate, t->ca_key) == 0)
		refuse(r, "tls", "ca_key",
			"expected a file of its own, found the one of ca_certificate, which workers "
			"read");
	for (size_t i = 0; i < t->norigin_roots; i++)
		if (strcmp(t->origin_roots[i], t->ca_certificate) == 0)
			refuse(r, "tls", "origin_roots",
				"expected the roots of origins, found ca_certificate: a chain of the "
				"appliance's own CA is never trusted");
	for (size_t i = 0; i < r->config->nbackends; i++)
		for (size_t j = 0; j < r->config->backends[i].nroots; j++)
			if (strcmp(r->config->backends[i].roots[j], t->ca_certificate) == 0)
				return problem_set(r->problems, EINVAL,
					"%s:%u: backends[%zu].roots: expected the roots of origins, found "
					"tls.ca_certificate: a chain of the appliance's own CA is never trusted",
					r->name, entry_line(r, "backends", i, "roots"), i);
	return 0;
}

/* Who holds the CA's key or the services' has a uid of its own: processes of one uid can look at
 * each other. */
static int rules_processes(const struct rules *r)
{
	const struct config_processes *p = &r->config->processes;
	const struct {
		const char *key, *holds;
		const struct config_identity *identity;
	} all[] = {{"signer", "the CA's key", &p->signer},
		{"keeper", "the services' keys", &p->keeper}, {"worker", NULL, &p->worker},
		{"shipper", NULL, &p->shipper}, {"scout", NULL, &p->scout}};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (size_t before = 0; before < i && all[before].holds; before++) {
			if (all[i].identity->uid != all[before].identity->uid ||
				all[i].identity->missing || all[before].identity->missing)
				continue;
			return refuse(r, "processes", all[i].key,
				"expected another user than that of %s, who holds %s, found \"%s\"",
				all[before].key, all[before].holds,
				log_quote(slice_of_string(all[i].identity->name)).text);
		}
	return 0;
}

static int rules_gateway(const struct rules *r)
{
	return gateway_rules_check(r->name, r->root, r->config, r->problems);
}

void rules_check(const char *name, const struct node *root, const struct config *config,
	struct problems *problems)
{
	static int (*const rules[])(const struct rules *) = {rules_names, rules_lists, rules_credentials,
		rules_keys,
		rules_pools, rules_dialects, rules_datapath, rules_admission, rules_tls,
		rules_audit, rules_processes, rules_gateway};
	const struct rules r = {name, root, config, problems};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		rules[i](&r);
}
