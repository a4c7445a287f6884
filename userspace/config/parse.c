// SPDX-License-Identifier: GPL-2.0-or-later
/* YAML text → struct config: the tree for lines, libcyaml for the shape, the rows for values. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "config/config.h"
#include "config/gateway_rules.h"
#include "config/problem.h"
#include "config/rules.h"
#include "config/schema.h"

#define CONFIG_MAX (1u << 20)

/* What is intercepted when the file has no hosts. */
#define DEFAULT_HOSTS(X)                                        \
	X("*.openai.azure.com", CONFIG_PROVIDER_AZURE)          \
	X("*.services.ai.azure.com", CONFIG_PROVIDER_AZURE)     \
	X("*.cognitiveservices.azure.com", CONFIG_PROVIDER_AZURE) \
	X("api.openai.com", CONFIG_PROVIDER_OPENAI)             \
	X("*.api.openai.com", CONFIG_PROVIDER_OPENAI)

static int parse_default_hosts(const struct fill *f)
{
	static const struct {
		const char *pattern;
		enum config_provider provider;
	} defaults[] = {
#define DEFAULT_HOST(pattern, provider) {pattern, provider},
		DEFAULT_HOSTS(DEFAULT_HOST)
	};
	const size_t count = sizeof(defaults) / sizeof(defaults[0]);

	f->config->hosts = calloc(count, sizeof(*f->config->hosts));
	if (!f->config->hosts)
		return fill_memory(f);
	for (size_t i = 0; i < count; i++) {
		f->config->hosts[i].provider = defaults[i].provider;
		f->config->hosts[i].fail = CONFIG_FAIL_DEFAULT;
		f->config->hosts[i].pattern = strdup(defaults[i].pattern);
		if (!f->config->hosts[i].pattern)
			return fill_memory(f);
		f->config->nhosts = i + 1;
	}
	return 0;
}

static int parse_name(const struct fill *f)
{
	char name[256] = "";

	if (f->config->appliance.name)
		return 0;
	if (gethostname(name, sizeof(name) - 1) < 0 || !*name)
		strcpy(name, "sallyport");
	f->config->appliance.name = strdup(name);
	return f->config->appliance.name ? 0 : fill_memory(f);
}

/* backends[].key_file is a credential without a name of its own: it has the backend's. */
static int parse_key_files(const struct fill *f)
{
	struct config *c = f->config;

	for (size_t i = 0; i < c->nbackends; i++) {
		struct config_backend *backend = &c->backends[i];
		struct config_credential *made = &c->credentials[c->ncredentials];

		if (!backend->key_file || backend->credential || !backend->name)
			continue;
		c->ncredentials++;
		made->from = CONFIG_CREDENTIAL_FILE;
		made->name = strdup(backend->name);
		made->file = strdup(backend->key_file);
		if (!made->name || !made->file)
			return fill_memory(f);
		backend->credential = made;
	}
	return 0;
}

/* Without a weight a backend gets the part that it has of the capacity. */
static void parse_weights(struct config *c)
{
	for (size_t i = 0; i < c->nbackends; i++) {
		struct config_backend *backend = &c->backends[i];

		if (!backend->weight)
			backend->weight = backend->capacity ? (uint32_t)(backend->capacity / 1000) : 1;
	}
}

/* What the names of providers say by themselves. */
static void parse_dialects(struct config *c)
{
	for (size_t i = 0; i < c->nbackends; i++) {
		struct config_backend *backend = &c->backends[i];

		if (backend->dialect == CONFIG_DIALECT_ANY && backend->host)
			backend->dialect = config_dialect_of(backend->host);
		if (backend->key_header == CONFIG_KEY_AUTO)
			backend->key_header = backend->dialect == CONFIG_DIALECT_OPENAI
						      ? CONFIG_KEY_BEARER
						      : CONFIG_KEY_API_KEY;
	}
}

static int parse_credentials(const struct fill *f, const struct raw *raw)
{
	struct config *c = f->config;
	int error;

	/* With room for those of key_file: backends point into the list. */
	c->credentials = calloc((size_t)raw->credentials_count + raw->backends_count + 1,
		sizeof(*c->credentials));
	if (!c->credentials)
		return fill_memory(f);
	error = fill_entries(f, &section_credential, (const char *)raw->credentials,
		sizeof(*raw->credentials), raw->credentials_count, (char *)c->credentials,
		sizeof(*c->credentials), &c->ncredentials);
	c->nlisted_credentials = c->ncredentials;
	return error;
}

static int parse_tokens(const struct fill *f, const struct raw *raw)
{
	struct config *c = f->config;

	c->tokens = calloc(raw->tokens_count + 1, sizeof(*c->tokens));
	return !c->tokens ? fill_memory(f)
			  : fill_entries(f, &section_token, (const char *)raw->tokens,
				    sizeof(*raw->tokens), raw->tokens_count, (char *)c->tokens,
				    sizeof(*c->tokens), &c->ntokens);
}

/* The backends, and the pools, which refer to them; and before both what backends refer to. */
static int parse_pools(const struct fill *f, const struct raw *raw)
{
	struct config *c = f->config;
	int error;

	c->backends = calloc(raw->backends_count + 1, sizeof(*c->backends));
	c->pools = calloc(raw->pools_count + 1, sizeof(*c->pools));
	if (!c->backends || !c->pools)
		return fill_memory(f);
	error = parse_credentials(f, raw);
	if (error)
		return error;
	error = fill_entries(f, &section_backend, (const char *)raw->backends,
		sizeof(*raw->backends), raw->backends_count, (char *)c->backends,
		sizeof(*c->backends), &c->nbackends);
	parse_dialects(c);
	parse_weights(c);
	if (!error)
		error = parse_key_files(f);
	if (!error)
		error = parse_tokens(f, raw);
	return error ? error
		     : fill_entries(f, &section_pool, (const char *)raw->pools,
			       sizeof(*raw->pools), raw->pools_count, (char *)c->pools,
			       sizeof(*c->pools), &c->npools);
}

static int parse_config(const struct fill *f, const struct raw *raw)
{
	struct config *c = f->config;
	/* Before those who refer to them. */
	int error = parse_pools(f, raw);

	for (size_t i = 0; i < SECTION_COUNT && !error; i++) {
		const struct node *node = node_find(f->root, sections[i].name);

		if (node && node->refused)
			continue;
		error = fill_section(f, &sections[i], sections[i].name, node,
			(const char *)raw + sections[i].raw, (char *)c + sections[i].out);
	}
	gateway_hosts_make(&c->gateway);
	if (error == 0 && !node_find(f->root, "hosts"))
		error = parse_default_hosts(f);
	else if (error == 0) {
		c->hosts = calloc(raw->hosts_count + 1, sizeof(*c->hosts));
		error = !c->hosts ? fill_memory(f)
				  : fill_entries(f, &section_host, (const char *)raw->hosts,
					    sizeof(*raw->hosts), raw->hosts_count, (char *)c->hosts,
					    sizeof(*c->hosts), &c->nhosts);
	}
	return error < 0 ? error : parse_name(f);
}

static int parse(
	const char *name, struct slice yaml, struct config **config, struct problems *problems)
{
	static const struct raw nothing;
	struct fill f = {.name = name, .problems = problems};
	struct why why;
	void *raw = NULL;
	struct node *root = tree_parse(name, yaml, &why);
	int error = 0;

	if (!root)
		return problem_set(problems, EINVAL, "%s", why.text);
	f.root = root;
	f.config = calloc(1, sizeof(*f.config));
	if (!f.config)
		error = fill_memory(&f);
	if (!error)
		fill_verify(&f, schema_sections, root);
	if (!error)
		error = fill_raw(&f, &schema, yaml, &raw);
	if (!error)
		error = parse_config(&f, raw ? raw : &nothing);
	/* What contradicts each other must make sense by itself. */
	if (!error && !problems->count)
		rules_check(name, root, f.config, problems);
	if (!error && problems->count)
		error = -EINVAL;
	fill_raw_free(&schema, raw);
	node_free(root);
	if (error == 0)
		*config = f.config;
	else
		config_free(f.config);
	return error;
}

int config_parse(const char *name, struct slice yaml, struct config **config, struct why *why)
{
	struct problems problems = {.why = why};

	return parse(name, yaml, config, &problems);
}

int config_parse_all(const char *name, struct slice yaml, struct config **config,
	void (*told)(void *context, const char *problem), void *context, size_t *count)
{
	struct problems problems = {.told = told, .context = context};
	int error = parse(name, yaml, config, &problems);

	*count = problems.count;
	return error;
}

int config_read(const char *path, struct buf *text, struct why *why)
{
	struct stat st;
	int fd, error;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return why_set(why, errno, "%s: cannot be opened: %s", path, strerror(errno));
	/* Whoever writes it decides what is inspected, and where the keys go. */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_mode & S_IWOTH)
		error = why_set(why, EPERM, "%s: everybody may write to it: chmod o-w %s", path,
			path);
	else
		error = file_read_fd(fd, CONFIG_MAX, text, why);
	close(fd);
	return error;
}

int config_load(const char *path, struct config **config, struct why *why)
{
	struct buf text = BUF_EMPTY;
	int error = config_read(path, &text, why);

	if (error == 0)
		error = config_parse(path, buf_slice(&text), config, why);
	buf_free(&text);
	return error;
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < SECTION_COUNT; i++)
		fill_free(&sections[i], (char *)config + sections[i].out);
	for (size_t i = 0; i < config->nhosts; i++)
		fill_free(&section_host, &config->hosts[i]);
	for (size_t i = 0; i < config->nbackends; i++)
		fill_free(&section_backend, &config->backends[i]);
	for (size_t i = 0; i < config->npools; i++)
		fill_free(&section_pool, &config->pools[i]);
	free(config->pools);
	for (size_t i = 0; i < config->ntokens; i++)
		fill_free(&section_token, &config->tokens[i]);
	free(config->tokens);
	for (size_t i = 0; i < config->ncredentials; i++)
		fill_free(&section_credential, &config->credentials[i]);
	free(config->credentials);
	free(config->hosts);
	free(config->backends);
	free(config);
}
