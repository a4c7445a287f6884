// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *config_credential_from(const struct config_credential *credential)
{
	static const char *const words[] = {
		[CONFIG_CREDENTIAL_FILE] = "file",
		[CONFIG_CREDENTIAL_SYSTEMD] = "systemd",
		[CONFIG_CREDENTIAL_KEY_VAULT] = "key-vault",
		[CONFIG_CREDENTIAL_MANAGED_IDENTITY] = "managed-identity",
		[CONFIG_CREDENTIAL_APP] = "app",
		[CONFIG_CREDENTIAL_JWKS] = "jwks",
	};

	return words[credential->from];
}

const char *config_credential_path(
	const struct config_credential *credential, char path[CONFIG_PATH_SIZE])
{
	const char *directory;

	if (credential->from != CONFIG_CREDENTIAL_SYSTEMD)
		return credential->file		       ? credential->file
		       : credential->client_secret_file ? credential->client_secret_file
							: credential->client_certificate;
	/* systemd.exec(5), CREDENTIALS: readable by the service alone, in memory that is not swapped. */
	directory = getenv("CREDENTIALS_DIRECTORY");
	if (!directory || snprintf(path, CONFIG_PATH_SIZE, "%s/%s", directory, credential->name) >=
				  CONFIG_PATH_SIZE)
		return NULL;
	return path;
}

bool config_credential_is_token(const struct config_credential *credential)
{
	return credential->from == CONFIG_CREDENTIAL_MANAGED_IDENTITY ||
	       credential->from == CONFIG_CREDENTIAL_APP;
}

bool config_uses_managed_identity(const struct config *config)
{
	for (size_t i = 0; i < config->ncredentials; i++)
		if (config->credentials[i].from >= CONFIG_CREDENTIAL_KEY_VAULT &&
			config->credentials[i].from != CONFIG_CREDENTIAL_JWKS &&
			!config->credentials[i].tenant)
			return true;
	return false;
}

struct config_url config_url_split(const char *url)
{
	struct config_url parts = {.port = 443};
	const char *host = url + strlen("https://");
	size_t len = strcspn(host, ":/");

	if (len >= sizeof(parts.host))
		len = sizeof(parts.host) - 1;
	memcpy(parts.host, host, len);
	parts.path = host + strcspn(host, "/");
	if (host[len] == ':')
		parts.port = (uint16_t)strtoul(host + len + 1, NULL, 10);
	return parts;
}

void config_vault_audience(const char *secret, char audience[CONFIG_AUDIENCE_SIZE])
{
	const struct config_url url = config_url_split(secret);
	const char *cloud = strchr(url.host, '.');

	/* The first label is the vault's own, as in contoso.vault.azure.cn. */
	snprintf(audience, CONFIG_AUDIENCE_SIZE, "https://%s",
		cloud && strncmp(cloud, ".vault.", 7) == 0 ? cloud + 1 : "vault.azure.net");
}
