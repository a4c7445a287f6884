// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/fill.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define LIST_MAX 4096
#define SAID_MAX 128

const cyaml_schema_value_t fill_text = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 0, CYAML_UNLIMITED),
};

/* Where a value stands: "tls.ca_key", "hosts[2].backend", "endpoints.ports[0]". */
struct spot {
	char path[128];
	unsigned line;
};

int fill_memory(const struct fill *f)
{
	return problem_set(f->problems, ENOMEM, "%s: no memory", f->name);
}

static int fill_refuse(const struct fill *f, const struct spot *spot, const struct key *key,
	const char *found)
{
	bool quoted = found && *found;

	return problem_set(f->problems, EINVAL, "%s:%u: %s: expected %s, found %s%s%s", f->name,
		spot->line, spot->path, scalar_expect(key->kind, key->range, f->config).text,
		quoted ? "\"" : "", quoted ? log_quote(slice_of_string(found)).text : "nothing",
		quoted ? "\"" : "");
}

static int fill_value(const struct fill *f, const struct spot *spot, const struct key *key,
	const char *text, void *out)
{
	int error = scalar_parse(key->kind, key->range, text, f->config, out);

	if (error == -ENOMEM)
		return fill_memory(f);
	return error < 0 ? fill_refuse(f, spot, key, text) : 0;
}

static int fill_scalar(const struct fill *f, const struct spot *spot, const struct key *key,
	const char *text, void *out)
{
	if (text)
		return fill_value(f, spot, key, text, out);
	if (!key->fallback)
		return 0;
	if (strcmp(key->fallback, REQUIRED) == 0)
		return fill_refuse(f, spot, key, NULL);
	return fill_value(f, spot, key, key->fallback, out);
}

static int fill_list(const struct fill *f, const struct spot *spot, const struct key *key,
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
		return problem_set(f->problems, EINVAL, "%s:%u: %s: expected at most %d, found %zu", f->name,
			spot->line, spot->path, LIST_MAX, count);
	*out = count ? calloc(count, size) : NULL;
	if (count && !*out)
		return fill_memory(f);
	for (size_t i = 0; i < count; i++, item = item ? item->next : NULL) {
		int error;

		snprintf(at.path, sizeof(at.path), "%.100s[%zu]", spot->path, i);
		at.line = item ? item->line : spot->line;
		*out_count = i + 1;
		for (size_t before = 0; before < i; before++)
			if (strcmp(texts[before], texts[i]) == 0)
				problem_set(f->problems, EINVAL,
					"%s:%u: %s: expected each once, found \"%s\" again", f->name,
					at.line, at.path,
					log_quote(slice_of_string(texts[i])).text);
		error = fill_value(f, &at, key, texts[i], (char *)*out + i * size);
		if (error == -ENOMEM)
			return error;
	}
	return 0;
}

int fill_section(const struct fill *f, const struct section *section,
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
			error = fill_list(f, &spot, key, child, *(char ***)(from + key->raw),
				*(const unsigned *)(from + key->raw_count), (void **)(to + key->out),
				(size_t *)(to + key->out_count));
		else
			error = fill_scalar(
				f, &spot, key, *(char **)(from + key->raw), to + key->out);
		if (error == -ENOMEM)
			return error;
	}
	return 0;
}

int fill_entries(const struct fill *f, const struct section *section,
	const char *raw, size_t raw_size, size_t count, char *out, size_t size, size_t *out_count)
{
	const struct node *item = node_element(node_find(f->root, section->name), 0);
	char path[64];

	if (count > LIST_MAX)
		return problem_set(f->problems, EINVAL, "%s:%u: %s: expected at most %d, found %zu",
			f->name, node_line(f->root, section->name, NULL), section->name, LIST_MAX,
			count);
	for (size_t i = 0; i < count; i++, item = item ? item->next : NULL) {
		int error;

		snprintf(path, sizeof(path), "%s[%zu]", section->name, i);
		*out_count = i + 1;
		error = fill_section(f, section, path, item, raw + i * raw_size, out + i * size);
		if (error < 0)
			return error;
	}
	return 0;
}

/* libcyaml's own words are for the case that it refuses what the tree has let pass. */
__attribute__((format(printf, 3, 0))) static void fill_cyaml_log(
	cyaml_log_t level, void *context, const char *format, va_list args)
{
	if (level >= CYAML_LOG_ERROR)
		vsnprintf(context, SAID_MAX, format, args);
}

static cyaml_config_t fill_cyaml(char said[SAID_MAX])
{
	return (cyaml_config_t){
		.log_fn = fill_cyaml_log,
		.log_ctx = said,
		.mem_fn = cyaml_mem,
		.log_level = CYAML_LOG_ERROR,
		.flags = CYAML_CFG_NO_ALIAS,
	};
}

static int fill_load(const struct fill *f, const cyaml_schema_value_t *schema, struct slice yaml,
	void **raw)
{
	char said[SAID_MAX] = "";
	const cyaml_config_t cyaml = fill_cyaml(said);
	cyaml_err_t error = cyaml_load_data(
		(const uint8_t *)yaml.data, yaml.len, &cyaml, schema, (cyaml_data_t **)raw, NULL);

	if (error == CYAML_OK)
		return 0;
	if (error == CYAML_ERR_OOM)
		return fill_memory(f);
	return problem_set(f->problems, EINVAL, "%s:1: expected a configuration, found: %s: %s",
		f->name, cyaml_strerror(error), log_quote(slice_of_string(said)).text);
}

int fill_raw(
	const struct fill *f, const cyaml_schema_value_t *schema, struct slice yaml, void **raw)
{
	struct buf rest = BUF_EMPTY;
	int error;

	*raw = NULL;
	if (!f->problems->count)
		return f->root->first ? fill_load(f, schema, yaml, raw) : 0;
	error = tree_print(f->root, &rest) ? fill_memory(f)
					   : fill_load(f, schema, buf_slice(&rest), raw);
	buf_free(&rest);
	return error;
}

void fill_raw_free(const cyaml_schema_value_t *schema, void *raw)
{
	char said[SAID_MAX];
	const cyaml_config_t cyaml = fill_cyaml(said);

	if (raw)
		cyaml_free(&cyaml, schema, raw, 0);
}

void fill_free(const struct section *section, void *memory)
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
