// SPDX-License-Identifier: GPL-2.0-or-later
/* YAML text → struct config: the tree for lines, libcyaml for the shape, the rows for values. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "config/config.h"
#include "config/problem.h"
#include "config/rules.h"
#include "config/schema.h"
#include "config/tree.h"

#define CONFIG_MAX (1u << 20)
#define LIST_MAX   4096

/* What is intercepted when the file has no hosts. */
#define DEFAULT_HOSTS(X)                                        \
	X("*.openai.azure.com", CONFIG_PROVIDER_AZURE)          \
	X("*.services.ai.azure.com", CONFIG_PROVIDER_AZURE)     \
	X("*.cognitiveservices.azure.com", CONFIG_PROVIDER_AZURE) \
	X("api.openai.com", CONFIG_PROVIDER_OPENAI)             \
	X("*.api.openai.com", CONFIG_PROVIDER_OPENAI)

struct reader {
	const char *name;
	const struct node *root;
	struct config *config;
	struct problems *problems;
};

/* Where a value stands: "tls.ca_key", "hosts[2].backend", "endpoints.ports[0]". */
struct spot {
	char path[128];
	unsigned line;
};

static int reader_memory(const struct reader *r)
{
	return problem_set(r->problems, ENOMEM, "%s: no memory", r->name);
}

static int reader_refuse(const struct reader *r, const struct spot *spot, const struct key *key,
	const char *found)
{
	bool quoted = found && *found;

	return problem_set(r->problems, EINVAL, "%s:%u: %s: expected %s, found %s%s%s", r->name, spot->line,
		spot->path, scalar_expect(key->kind, key->range, r->config).text,
		quoted ? "\"" : "", quoted ? log_quote(slice_of_string(found)).text : "nothing",
		quoted ? "\"" : "");
}

static int reader_value(const struct reader *r, const struct spot *spot, const struct key *key,
	const char *text, void *out)
{
	int error = scalar_parse(key->kind, key->range, text, r->config, out);

	if (error == -ENOMEM)
		return reader_memory(r);
	return error < 0 ? reader_refuse(r, spot, key, text) : 0;
}

static int reader_scalar(const struct reader *r, const struct spot *spot, const struct key *key,
	const char *text, void *out)
{
	if (text)
		return reader_value(r, spot, key, text, out);
	if (!key->fallback)
		return 0;
	if (strcmp(key->fallback, REQUIRED) == 0)
		return reader_refuse(r, spot, key, NULL);
	return reader_value(r, spot, key, key->fallback, out);
}

static int reader_list(const struct reader *r, const struct spot *spot, const struct key *key,
	const struct node *list, char **texts, size_t count, void **out, size_t *out_count)
{
	const struct node *item = list ? list->first : NULL;
	size_t size = scalar_size(key->kind);
	struct spot at;

	if (!list && key->fallback) {
		texts = (char **)&key->fallback;
		count = 1;
	}
	if (count > LIST_MAX)
		return problem_set(r->problems, EINVAL, "%s:%u: %s: expected at most %d, found %zu", r->name,
			spot->line, spot->path, LIST_MAX, count);
	*out = count ? calloc(count, size) : NULL;
	if (count && !*out)
		return reader_memory(r);
	for (size_t i = 0; i < count; i++, item = item ? item->next : NULL) {
		int error;

		snprintf(at.path, sizeof(at.path), "%.100s[%zu]", spot->path, i);
		at.line = item ? item->line : spot->line;
		*out_count = i + 1;
		for (size_t before = 0; before < i; before++)
			if (strcmp(texts[before], texts[i]) == 0)
				problem_set(r->problems, EINVAL,
					"%s:%u: %s: expected each once, found \"%s\" again", r->name,
					at.line, at.path,
					log_quote(slice_of_string(texts[i])).text);
		error = reader_value(r, &at, key, texts[i], (char *)*out + i * size);
		if (error == -ENOMEM)
			return error;
	}
	return 0;
}

/* One section: node is where it stands in the file, NULL when it does not. Goes on after what is
 * wrong, which was told. 0, or -ENOMEM. */
static int reader_section(const struct reader *r, const struct section *section,
	const char *path, const struct node *node, const void *raw, void *out)
{
	for (size_t i = 0; i < section->nkeys; i++) {
		const struct key *key = &section->keys[i];
		const struct node *child = node_find(node, key->name);
		const char *from = raw;
		char *to = out;
		struct spot spot;
		int error;

		if (child && child->refused)
			continue;
		snprintf(spot.path, sizeof(spot.path), "%s.%s", path, key->name);
		spot.line = child ? child->line : node ? node->line : 1;
		if (key->list)
			error = reader_list(r, &spot, key, child, *(char ***)(from + key->raw),
				*(const unsigned *)(from + key->raw_count), (void **)(to + key->out),
				(size_t *)(to + key->out_count));
		else
			error = reader_scalar(
				r, &spot, key, *(char **)(from + key->raw), to + key->out);
		if (error == -ENOMEM)
			return error;
	}
	return 0;
}

/* hosts, backends or credentials: a list of sections. */
static int reader_entries(const struct reader *r, const struct section *section,
	const char *raw, size_t raw_size, size_t count, char *out, size_t size, size_t *out_count)
{
	const struct node *item = node_element(node_find(r->root, section->name), 0);
	char path[64];

	for (size_t i = 0; i < count; i++, item = item ? item->next : NULL) {
		int error;

		snprintf(path, sizeof(path), "%s[%zu]", section->name, i);
		*out_count = i + 1;
		error = reader_section(r, section, path, item, raw + i * raw_size, out + i * size);
		if (error < 0)
			return error;
	}
	return 0;
}

static int reader_default_hosts(const struct reader *r)
{
	static const struct {
		const char *pattern;
		enum config_provider provider;
	} defaults[] = {
#define DEFAULT_HOST(pattern, provider) {pattern, provider},
		DEFAULT_HOSTS(DEFAULT_HOST)
	};
	const size_t count = sizeof(defaults) / sizeof(defaults[0]);

	r->config->hosts = calloc(count, sizeof(*r->config->hosts));
	if (!r->config->hosts)
		return reader_memory(r);
	for (size_t i = 0; i < count; i++) {
		r->config->hosts[i].provider = defaults[i].provider;
		r->config->hosts[i].fail = CONFIG_FAIL_DEFAULT;
		r->config->hosts[i].pattern = strdup(defaults[i].pattern);
		if (!r->config->hosts[i].pattern)
			return reader_memory(r);
		r->config->nhosts = i + 1;
	}
	return 0;
}

static int reader_name(const struct reader *r)
{
	char name[256] = "";

	if (r->config->appliance.name)
		return 0;
	if (gethostname(name, sizeof(name) - 1) < 0 || !*name)
		strcpy(name, "sallyport");
	r->config->appliance.name = strdup(name);
	return r->config->appliance.name ? 0 : reader_memory(r);
}

/* backends[].key_file is a credential without a name of its own: it has the backend's. */
static int reader_key_files(const struct reader *r)
{
	struct config *c = r->config;

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
			return reader_memory(r);
		backend->credential = made;
	}
	return 0;
}

static int reader_credentials(const struct reader *r, const struct raw *raw)
{
	struct config *c = r->config;
	int error;

	/* With room for those of key_file: backends point into the list. */
	c->credentials = calloc((size_t)raw->credentials_count + raw->backends_count + 1,
		sizeof(*c->credentials));
	if (!c->credentials)
		return reader_memory(r);
	error = reader_entries(r, &section_credential, (const char *)raw->credentials,
		sizeof(*raw->credentials), raw->credentials_count, (char *)c->credentials,
		sizeof(*c->credentials), &c->ncredentials);
	c->nlisted_credentials = c->ncredentials;
	return error;
}

static int reader_config(const struct reader *r, const struct raw *raw)
{
	struct config *c = r->config;
	int error;

	for (size_t i = 0; i < SECTION_COUNT; i++) {
		const struct node *node = node_find(r->root, sections[i].name);

		if (node && node->refused)
			continue;
		error = reader_section(r, &sections[i], sections[i].name, node,
			(const char *)raw + sections[i].raw, (char *)c + sections[i].out);
		if (error < 0)
			return error;
	}
	if (raw->hosts_count > LIST_MAX || raw->backends_count > LIST_MAX ||
		raw->credentials_count > LIST_MAX)
		return problem_set(r->problems, EINVAL,
			"%s:1: expected at most %d hosts, backends and credentials", r->name, LIST_MAX);
	c->backends = calloc(raw->backends_count + 1, sizeof(*c->backends));
	if (!c->backends)
		return reader_memory(r);
	/* Each before those who refer to them. */
	error = reader_credentials(r, raw);
	if (error < 0)
		return error;
	error = reader_entries(r, &section_backend, (const char *)raw->backends,
		sizeof(*raw->backends), raw->backends_count, (char *)c->backends,
		sizeof(*c->backends), &c->nbackends);
	if (error == 0)
		error = reader_key_files(r);
	if (error == 0 && !node_find(r->root, "hosts"))
		error = reader_default_hosts(r);
	else if (error == 0) {
		c->hosts = calloc(raw->hosts_count + 1, sizeof(*c->hosts));
		error = !c->hosts ? reader_memory(r)
				  : reader_entries(r, &section_host, (const char *)raw->hosts,
					    sizeof(*raw->hosts), raw->hosts_count, (char *)c->hosts,
					    sizeof(*c->hosts), &c->nhosts);
	}
	return error < 0 ? error : reader_name(r);
}

/* libcyaml's own words are for the case that it refuses what the tree has let pass. */
__attribute__((format(printf, 3, 0))) static void reader_cyaml_log(
	cyaml_log_t level, void *context, const char *format, va_list args)
{
	if (level >= CYAML_LOG_ERROR)
		vsnprintf(context, 128, format, args);
}

static int reader_raw(const struct reader *r, const cyaml_config_t *cyaml, const char *said,
	struct slice yaml, struct raw **raw)
{
	cyaml_err_t error;

	error = cyaml_load_data((const uint8_t *)yaml.data, yaml.len, cyaml, &schema,
		(cyaml_data_t **)raw, NULL);
	if (error == CYAML_OK)
		return 0;
	if (error == CYAML_ERR_OOM)
		return reader_memory(r);
	return problem_set(r->problems, EINVAL, "%s:1: expected a configuration, found: %s: %s", r->name,
		cyaml_strerror(error), log_quote(slice_of_string(said)).text);
}

/* The text of it, without what libcyaml would take for the end of all. */
static int reader_text(const struct reader *r, struct slice yaml, const cyaml_config_t *cyaml,
	const char *said, struct raw **raw)
{
	struct buf rest = BUF_EMPTY;
	int error;

	if (!r->problems->count)
		return r->root->first ? reader_raw(r, cyaml, said, yaml, raw) : 0;
	error = tree_print(r->root, &rest) ? reader_memory(r)
					   : reader_raw(r, cyaml, said, buf_slice(&rest), raw);
	buf_free(&rest);
	return error;
}

static int parse(
	const char *name, struct slice yaml, struct config **config, struct problems *problems)
{
	static const struct raw nothing;
	struct reader r = {.name = name, .problems = problems};
	struct why why;
	char said[128] = "";
	const cyaml_config_t cyaml = {
		.log_fn = reader_cyaml_log,
		.log_ctx = said,
		.mem_fn = cyaml_mem,
		.log_level = CYAML_LOG_ERROR,
		.flags = CYAML_CFG_NO_ALIAS,
	};
	struct raw *raw = NULL;
	struct node *root = tree_parse(name, yaml, &why);
	int error = 0;

	if (!root)
		return problem_set(problems, EINVAL, "%s", why.text);
	r.root = root;
	r.config = calloc(1, sizeof(*r.config));
	if (!r.config)
		error = reader_memory(&r);
	if (!error)
		schema_verify(name, root, problems);
	if (!error)
		error = reader_text(&r, yaml, &cyaml, said, &raw);
	if (!error)
		error = reader_config(&r, raw ? raw : &nothing);
	/* What contradicts each other must make sense by itself. */
	if (!error && !problems->count)
		rules_check(name, root, r.config, problems);
	if (!error && problems->count)
		error = -EINVAL;
	if (raw)
		cyaml_free(&cyaml, &schema, raw, 0);
	node_free(root);
	if (error == 0)
		*config = r.config;
	else
		config_free(r.config);
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

static void section_free(const struct section *section, void *memory)
{
	for (size_t i = 0; i < section->nkeys; i++) {
		const struct key *key = &section->keys[i];
		char *at = (char *)memory + key->out;

		if (!key->list) {
			scalar_free(key->kind, at);
			continue;
		}
		for (size_t n = 0; n < *(size_t *)((char *)memory + key->out_count); n++)
			scalar_free(key->kind, *(char **)at + n * scalar_size(key->kind));
		free(*(void **)at);
	}
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < SECTION_COUNT; i++)
		section_free(&sections[i], (char *)config + sections[i].out);
	for (size_t i = 0; i < config->nhosts; i++)
		section_free(&section_host, &config->hosts[i]);
	for (size_t i = 0; i < config->nbackends; i++)
		section_free(&section_backend, &config->backends[i]);
	for (size_t i = 0; i < config->ncredentials; i++)
		section_free(&section_credential, &config->credentials[i]);
	free(config->hosts);
	free(config->backends);
	free(config->credentials);
	free(config);
}
