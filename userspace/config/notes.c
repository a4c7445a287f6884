// SPDX-License-Identifier: GPL-2.0-or-later
/* What a configuration means that its reader may not expect. */
#include "config/config.h"

#include <stdio.h>

struct notes {
	void (*told)(void *context, const char *note);
	void *context;
};

static const char *form_name(enum config_dialect dialect)
{
	static const char *const names[] = {
		[CONFIG_DIALECT_AZURE_DATED] = "Azure's dated",
		[CONFIG_DIALECT_AZURE_V1] = "Azure's v1",
		[CONFIG_DIALECT_OPENAI] = "OpenAI's",
		[CONFIG_DIALECT_AZURE] = "Azure's v1",
	};

	return names[dialect];
}

/* Whether all that clients of that provider call is said there as it came. */
static bool speaks(const struct config_backend *backend, enum config_provider provider)
{
	if (provider == CONFIG_PROVIDER_OPENAI)
		return backend->dialect == CONFIG_DIALECT_OPENAI;
	return backend->dialect == CONFIG_DIALECT_AZURE;
}

static void note_backend(const struct notes *notes, const struct config_host *host,
	const struct config_backend *backend)
{
	const char *clients = host->provider == CONFIG_PROVIDER_OPENAI ? "OpenAI's" : "Azure's";
	char text[512];

	if (backend->dialect == CONFIG_DIALECT_ANY || speaks(backend, host->provider))
		return;
	if (backend->dialect == CONFIG_DIALECT_AZURE_DATED && !backend->api_version)
		snprintf(text, sizeof(text),
			"%s: of calls in %s form of the API only those with dated paths go to %s, which has "
			"no api_version for others",
			host->pattern, clients, backend->name);
	else
		snprintf(text, sizeof(text),
			"%s: calls in %s form go to %s only where they can be said exactly in %s form of "
			"the API",
			host->pattern, clients, backend->name, form_name(backend->dialect));
	notes->told(notes->context, text);
}

static void note_host(const struct notes *notes, const struct config_host *host)
{
	if (host->backend)
		note_backend(notes, host, host->backend);
	for (size_t i = 0; host->pool && i < host->pool->nbackends; i++)
		note_backend(notes, host, host->pool->backends[i]);
}

void config_notes(const struct config *config, void (*told)(void *context, const char *note),
	void *context)
{
	const struct notes notes = {told, context};

	for (size_t i = 0; i < config->nhosts; i++)
		note_host(&notes, &config->hosts[i]);
	for (int provider = 0; config->gateway.nlisten && provider < 2; provider++)
		note_host(&notes, &config->gateway.hosts[provider]);
}
