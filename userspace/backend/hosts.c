/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "backend/hosts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define HOSTS_MAX_BYTES (4 << 20) /* block lists are kept in this file on some systems */
#define NAME_MAX_LEN	253

struct host {
	char *name;
	struct address *addresses;
	size_t n;
	size_t line; /* entry's place in the file */
};

struct hosts {
	struct host *hosts; /* sorted by name */
	size_t n;
};

static int host_compare_name(const void *a, const void *b)
{
	return strcmp(((const struct host *)a)->name, ((const struct host *)b)->name);
}

/* By name, IPv4 before IPv6, then as in the file. */
static int host_compare(const void *a, const void *b)
{
	const struct host *x = a, *y = b;
	int names = strcmp(x->name, y->name);
	bool x4 = address_is_ipv4(x->addresses), y4 = address_is_ipv4(y->addresses);

	if (names || x4 != y4)
		return names ? names : (x4 ? -1 : 1);
	return x->line < y->line ? -1 : x->line > y->line;
}

static bool host_push(struct hosts *hosts, struct slice name, const struct address *address)
{
	struct host *host;

	if (name.len > NAME_MAX_LEN)
		return true;
	/* Doubles at each power of two. */
	if ((hosts->n & (hosts->n - 1)) == 0) {
		size_t room = hosts->n ? hosts->n * 2 : 1;
		struct host *grown = realloc(hosts->hosts, room * sizeof(*grown));

		if (!grown)
			return false;
		hosts->hosts = grown;
	}
	host = &hosts->hosts[hosts->n];
	host->name = strndup(name.data, name.len);
	host->addresses = malloc(sizeof(*address));
	if (!host->name || !host->addresses) {
		free(host->name);
		free(host->addresses);
		return false;
	}
	for (char *c = host->name; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	host->addresses[0] = *address;
	host->n = 1;
	host->line = hosts->n++;
	return true;
}

/* Moves the addresses of from to the end of host's. */
static bool host_merge(struct host *host, struct host *from)
{
	struct address *grown = realloc(host->addresses, (host->n + from->n) * sizeof(*grown));

	if (!grown)
		return false;
	memcpy(grown + host->n, from->addresses, from->n * sizeof(*grown));
	host->addresses = grown;
	host->n += from->n;
	free(from->addresses);
	free(from->name);
	return true;
}

/* Of entries with one name, the first takes the addresses of all. */
static bool hosts_fold(struct hosts *hosts)
{
	size_t kept = 0;
	bool whole = true;

	qsort(hosts->hosts, hosts->n, sizeof(*hosts->hosts), host_compare);
	for (size_t i = 0; i < hosts->n; i++) {
		struct host *last = kept ? &hosts->hosts[kept - 1] : NULL;

		if (whole && last && strcmp(last->name, hosts->hosts[i].name) == 0 &&
			(whole = host_merge(last, &hosts->hosts[i])))
			continue;
		hosts->hosts[kept++] = hosts->hosts[i];
	}
	hosts->n = kept;
	return whole;
}

static struct slice word_next(struct slice *line)
{
	struct slice word;
	size_t len = 0;

	while (line->len && (line->data[0] == ' ' || line->data[0] == '\t'))
		*line = slice_after(*line, 1);
	while (len < line->len && line->data[len] != ' ' && line->data[len] != '\t')
		len++;
	word = slice_first(*line, len);
	*line = slice_after(*line, len);
	return word;
}

static bool line_take(struct hosts *hosts, struct slice line)
{
	struct address address;
	struct slice word;
	char text[64];

	line = slice_first(line, slice_index(line, '\r'));
	line = slice_first(line, slice_index(line, '#'));
	word = word_next(&line);
	if (word.len == 0 || word.len >= sizeof(text))
		return true;
	memcpy(text, word.data, word.len);
	text[word.len] = '\0';
	if (address_parse(text, &address) < 0)
		return true;
	while ((word = word_next(&line)).len)
		if (!host_push(hosts, word, &address))
			return false;
	return true;
}

struct hosts *hosts_parse(struct slice text)
{
	struct hosts *hosts = calloc(1, sizeof(*hosts));

	if (!hosts)
		return NULL;
	while (text.len) {
		size_t len = slice_index(text, '\n');

		if (!line_take(hosts, slice_first(text, len)))
			goto fail;
		text = slice_after(text, len + 1);
	}
	if (hosts->n && !hosts_fold(hosts))
		goto fail;
	return hosts;
fail:
	hosts_free(hosts);
	return NULL;
}

struct hosts *hosts_load(const char *path)
{
	FILE *file = fopen(path, "re");
	struct buf text = BUF_EMPTY;
	struct hosts *hosts = NULL;
	size_t got = 1;

	if (!file)
		return NULL;
	while (got && buf_len(&text) < HOSTS_MAX_BYTES) {
		char *at = buf_reserve(&text, 65536);

		if (!at)
			goto out;
		got = fread(at, 1, 65536, file);
		buf_commit(&text, got);
	}
	hosts = hosts_parse(buf_slice(&text));
out:
	fclose(file);
	buf_free(&text);
	return hosts;
}

bool hosts_find(
	const struct hosts *hosts, const char *name, const struct address **addresses, size_t *n)
{
	struct host key = {.name = NULL};
	const struct host *found;
	char copy[NAME_MAX_LEN + 1];
	size_t len = strlen(name);

	if (!hosts || hosts->n == 0 || len >= sizeof(copy))
		return false;
	memcpy(copy, name, len + 1);
	key.name = copy;
	found = bsearch(&key, hosts->hosts, hosts->n, sizeof(key), host_compare_name);
	if (!found)
		return false;
	*addresses = found->addresses;
	*n = found->n;
	return true;
}

void hosts_free(struct hosts *hosts)
{
	if (!hosts)
		return;
	for (size_t i = 0; i < hosts->n; i++) {
		free(hosts->hosts[i].name);
		free(hosts->hosts[i].addresses);
	}
	free(hosts->hosts);
	free(hosts);
}
