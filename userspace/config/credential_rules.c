// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/credential_rules.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

#define FROM(WORD) (1u << CONFIG_CREDENTIAL_##WORD)

/* For which kinds a key may be there, and for which it has to. */
static const struct {
	const char *key;
	unsigned may, must;
} keys[] = {
	{"file", FROM(FILE), FROM(FILE)},
	{"secret", FROM(KEY_VAULT), FROM(KEY_VAULT)},
	{"url", FROM(JWKS), FROM(JWKS)},
	{"refresh", FROM(KEY_VAULT) | FROM(JWKS), 0},
	{"audience", FROM(MANAGED_IDENTITY) | FROM(APP), 0},
	{"identity", FROM(KEY_VAULT) | FROM(MANAGED_IDENTITY), 0},
	{"tenant", FROM(KEY_VAULT) | FROM(APP), FROM(APP)},
	{"client_id", FROM(KEY_VAULT) | FROM(APP), FROM(APP)},
	{"client_secret_file", FROM(KEY_VAULT) | FROM(APP), 0},
	{"client_certificate", FROM(KEY_VAULT) | FROM(APP), 0},
	{"authority", FROM(KEY_VAULT) | FROM(APP), 0},
};

struct place {
	const char *name;
	const struct node *entry;
	size_t index;
	struct problems *problems;
};

__attribute__((format(printf, 3, 4))) static int refuse(
	const struct place *p, const char *key, const char *format, ...)
{
	const struct node *value = node_find(p->entry, key);
	char rest[320];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(rest, sizeof(rest), format, arguments);
	va_end(arguments);
	return problem_set(p->problems, EINVAL, "%s:%u: credentials[%zu].%s: %s", p->name,
		value ? value->line : p->entry ? p->entry->line : 1, p->index, key, rest);
}

/* https://HOST/secrets/NAME, perhaps with a version. */
static bool is_secret(const char *url)
{
	const char *path = config_url_split(url).path, *name = path + strlen("/secrets/");
	size_t len;

	if (strncmp(path, "/secrets/", strlen("/secrets/")) != 0)
		return false;
	len = strcspn(name, "/");
	return len && (!name[len] || (name[len + 1] && !strchr(name + len + 1, '/')));
}

/* Who asks by an app registration needs all of it. */
static int check_app(const struct place *p, const struct config_credential *c)
{
	bool any = c->tenant || c->client_id || c->client_secret_file || c->client_certificate;

	if (!any)
		return 0;
	if (!c->tenant)
		return refuse(p, "tenant", "expected the tenant of client_id, found nothing");
	if (!c->client_id)
		return refuse(p, "client_id", "expected the client id in tenant, found nothing");
	if (!c->client_secret_file == !c->client_certificate)
		return refuse(p, "client_secret_file",
			"expected it or client_certificate, as the proof of client_id, found %s",
			c->client_certificate ? "both" : "neither");
	if (c->identity)
		return refuse(p, "identity",
			"expected a managed identity or an app registration to ask, found both");
	return 0;
}

static int check(const struct place *p, const struct config_credential *c)
{
	const char *from = config_credential_from(c);

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		bool there = node_find(p->entry, keys[i].key);

		if (there && !(keys[i].may & (1u << c->from)))
			return refuse(p, keys[i].key,
				"expected no such key for a credential from: %s, found one", from);
		if (!there && keys[i].must & (1u << c->from))
			return refuse(p, keys[i].key,
				"expected it for a credential from: %s, found nothing", from);
	}
	if (c->secret && !is_secret(c->secret))
		return refuse(p, "secret",
			"expected the address of a secret, such as "
			"\"https://contoso.vault.azure.net/secrets/openai-key\", found \"%s\"",
			log_quote(slice_of_string(c->secret)).text);
	return check_app(p, c);
}

/* Public keys prove nobody's right to call, and a service's key checks no token. */
static int check_user(const char *name, const char *list, const char *key,
	const struct node *entry, size_t i, const struct config_credential *credential, bool public,
	struct problems *problems)
{
	const struct node *value = node_find(entry, key);

	if (!credential || (credential->from == CONFIG_CREDENTIAL_JWKS) == public)
		return 0;
	return problem_set(problems, EINVAL,
		"%s:%u: %s[%zu].%s: expected a credential %sfrom: jwks, found \"%s\", which is from: %s",
		name, value ? value->line : entry ? entry->line : 1, list, i, key,
		public ? "" : "that is not ", credential->name, config_credential_from(credential));
}

int credential_rules_check(const char *name, const struct node *root, const struct config *config,
	struct problems *problems)
{
	const struct node *list = node_find(root, "credentials");
	const struct node *tokens = node_find(root, "tokens");
	const struct node *backends = node_find(root, "backends");
	int error = 0;

	for (size_t i = 0; i < config->nlisted_credentials && !error; i++) {
		const struct place place = {name, node_element(list, i), i, problems};

		error = check(&place, &config->credentials[i]);
	}
	for (size_t i = 0; i < config->nbackends && !error; i++)
		error = check_user(name, "backends", "credential", node_element(backends, i), i,
			config->backends[i].credential, false, problems);
	for (size_t i = 0; i < config->ntokens && !error; i++)
		error = check_user(name, "tokens", "keys", node_element(tokens, i), i,
			config->tokens[i].keys, true, problems);
	return error;
}
