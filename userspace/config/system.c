// SPDX-License-Identifier: GPL-2.0-or-later
/* Whether this machine has what the configuration names. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/magic.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "config/config.h"
#include "config/key_file.h"
#include "config/policy_file.h"
#include "config/tree.h"
#include "policy/key_table.h"

struct system_check {
	const char *path;
	struct node *root; /* NULL: lines are not known */
	void (*told)(void *context, const char *problem);
	void *context;
	size_t count;
};

__attribute__((format(printf, 4, 5))) static void tell(
	struct system_check *s, unsigned line, const char *key, const char *format, ...)
{
	char problem[1024], rest[640];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(rest, sizeof(rest), format, arguments);
	va_end(arguments);
	snprintf(problem, sizeof(problem), "%.200s:%u: %s: %s", s->path, line, key, rest);
	s->told(s->context, problem);
	s->count++;
}

static unsigned line_of(const struct system_check *s, const char *section, const char *key)
{
	return s->root ? node_line(s->root, section, key) : 0;
}

static void check_certificate(
	struct system_check *s, unsigned line, const char *key, const char *path)
{
	struct buf b = BUF_EMPTY;
	struct why why;

	if (file_read(path, 1 << 20, &b, &why) < 0)
		tell(s, line, key, "expected a readable file, found: %s", why.text);
	else if (!memmem(buf_slice(&b).data, buf_len(&b), "-----BEGIN", 10))
		tell(s, line, key, "expected certificates in PEM form, found none in %s", path);
	buf_free(&b);
}

/* The descriptor of a file that only its owner can read; -1, and told, when it is not. */
static int check_secret(struct system_check *s, unsigned line, const char *key, const char *path,
	uid_t owner)
{
	struct why why;
	int fd = file_secret_open(path, owner, &why);

	if (fd < 0)
		tell(s, line, key, "expected a file that only its owner can read, found: %s", why.text);
	return fd;
}

static void check_key_file(
	struct system_check *s, unsigned line, const char *key, const char *path)
{
	struct buf content = BUF_EMPTY;
	struct why why;
	int fd = check_secret(s, line, key, path, 0);

	if (fd < 0)
		return;
	if (key_file_read(fd, path, &content, &why) < 0)
		tell(s, line, key, "expected a file with a key, found: %s", why.text);
	buf_wipe(&content);
	close(fd);
}

/* A directory that is there, or can be made below one that is. Sets existing to it. */
static void check_directory(struct system_check *s, unsigned line, const char *key,
	const char *path, char existing[4096])
{
	struct stat st;
	int error;

	snprintf(existing, 4096, "%s", path);
	while ((error = stat(existing, &st)) < 0 && errno == ENOENT && strcmp(existing, "/") != 0)
		dirname(existing);
	if (error < 0)
		tell(s, line, key, "expected a directory that can be made, found: %s: %s", existing,
			strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		tell(s, line, key, "expected a directory, found %s, which is none", existing);
}

static void check_bpf_directory(struct system_check *s, const char *path)
{
	unsigned line = line_of(s, "datapath", "bpf_directory");
	char existing[4096];
	struct statfs fs;

	check_directory(s, line, "datapath.bpf_directory", path, existing);
	if (statfs(existing, &fs) == 0 && (unsigned long)fs.f_type != BPF_FS_MAGIC)
		tell(s, line, "datapath.bpf_directory",
			"expected a directory on a BPF file system, found %s, which is not on one: mount "
			"-t bpf bpf /sys/fs/bpf",
			existing);
}

static void check_credential(struct system_check *s, unsigned line, const char *key,
	const struct config_credential *credential)
{
	char memory[CONFIG_PATH_SIZE];
	const char *path = config_credential_path(credential, memory);
	int fd;

	/* Outside of its service nobody knows where systemd puts it. */
	if (!path)
		return;
	if (!credential->client_certificate) {
		check_key_file(s, line, key, path);
		return;
	}
	fd = check_secret(s, line, key, path, 0);
	if (fd < 0)
		return;
	close(fd);
	check_certificate(s, line, key, path);
}

/* Those of key_file come last, in the order of the backends. */
static void check_credentials(struct system_check *s, const struct config *c)
{
	const struct node *entry = s->root ? node_find(s->root, "credentials") : NULL;
	char key[64];

	entry = entry ? entry->first : NULL;
	for (size_t i = 0; i < c->nlisted_credentials; i++, entry = entry ? entry->next : NULL) {
		const struct config_credential *credential = &c->credentials[i];
		const char *name = credential->file		     ? "file"
				   : credential->client_secret_file ? "client_secret_file"
				   : credential->client_certificate ? "client_certificate"
								    : "name";
		const struct node *value = node_find(entry, name);

		snprintf(key, sizeof(key), "credentials[%zu].%s", i, name);
		check_credential(s, value ? value->line : 0, key, credential);
	}
	entry = s->root ? node_find(s->root, "backends") : NULL;
	entry = entry ? entry->first : NULL;
	for (size_t i = 0; i < c->nbackends; i++, entry = entry ? entry->next : NULL) {
		const struct node *value = node_find(entry, "key_file");

		snprintf(key, sizeof(key), "backends[%zu].key_file", i);
		if (c->backends[i].key_file)
			check_key_file(s, value ? value->line : 0, key, c->backends[i].key_file);
	}
}

static void check_roots(struct system_check *s, const struct config *c)
{
	const struct node *entry = s->root ? node_find(s->root, "backends") : NULL;
	char key[48];

	entry = entry ? entry->first : NULL;
	for (size_t i = 0; i < c->nbackends; i++, entry = entry ? entry->next : NULL) {
		const struct node *value = node_find(entry, "roots");

		snprintf(key, sizeof(key), "backends[%zu].roots", i);
		for (size_t j = 0; j < c->backends[i].nroots; j++)
			check_certificate(s, value ? value->line : 0, key, c->backends[i].roots[j]);
	}
}

/* What is wrong inside the policy is told as it is of a configuration. */
static void check_policy(struct system_check *s, const char *path)
{
	struct buf text = BUF_EMPTY;
	struct policy_file *file = NULL;
	size_t count = 0;
	struct why why;

	if (config_read(path, &text, &why) < 0)
		tell(s, line_of(s, "policy", "file"), "policy.file",
			"expected a policy, found: %s", why.text);
	else
		policy_file_parse(path, buf_slice(&text), &file, s->told, s->context, &count, NULL);
	s->count += count;
	buf_free(&text);
	policy_file_free(file);
}

static void check_issued(struct system_check *s, const char *path)
{
	unsigned line = line_of(s, "policy", "keys_file");
	struct buf text = BUF_EMPTY;
	struct key_table *keys = NULL;
	struct why why;
	int fd = check_secret(s, line, "policy.keys_file", path, 0);

	if (fd < 0)
		return;
	if (file_read_fd(fd, KEY_FILE_MAX, &text, &why) < 0 ||
		key_table_parse(path, buf_slice(&text), &keys, &why) < 0)
		tell(s, line, "policy.keys_file", "expected keys, found: %s", why.text);
	close(fd);
	buf_free(&text);
	key_table_free(keys);
}

static void check_collector(struct system_check *s, const struct config_audit *audit)
{
	int key;

	if (audit->collector_key_file)
		check_key_file(s, line_of(s, "audit", "collector_key_file"),
			"audit.collector_key_file", audit->collector_key_file);
	if (audit->collector_ca_file)
		check_certificate(s, line_of(s, "audit", "collector_ca_file"),
			"audit.collector_ca_file", audit->collector_ca_file);
	if (!audit->collector_certificate_file)
		return;
	check_certificate(s, line_of(s, "audit", "collector_certificate_file"),
		"audit.collector_certificate_file", audit->collector_certificate_file);
	key = check_secret(s, line_of(s, "audit", "collector_certificate_key_file"),
		"audit.collector_certificate_key_file", audit->collector_certificate_key_file, 0);
	if (key >= 0)
		close(key);
}

static void check_identities(struct system_check *s, const struct config_processes *p)
{
	const struct {
		const char *key, *path;
		const struct config_identity *identity;
	} all[] = {{"worker", "processes.worker", &p->worker},
		{"signer", "processes.signer", &p->signer},
		{"shipper", "processes.shipper", &p->shipper},
		{"scout", "processes.scout", &p->scout},
		{"keeper", "processes.keeper", &p->keeper}};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].identity->missing)
			tell(s, line_of(s, "processes", all[i].key), all[i].path,
				"expected an existing user, found \"%s\": run systemd-sysusers, or name "
				"another",
				log_quote(slice_of_string(all[i].identity->name)).text);
}

size_t config_check_system(const char *path, const struct config *c,
	void (*told)(void *context, const char *problem), void *context)
{
	struct system_check s = {.path = path, .told = told, .context = context};
	struct buf text = BUF_EMPTY;
	char existing[4096], key[48];
	int ca_key;

	if (file_read(path, 1 << 20, &text, NULL) == 0)
		s.root = tree_parse(path, buf_slice(&text), NULL);
	buf_free(&text);
	if (!if_nametoindex(c->datapath.inside))
		tell(&s, line_of(&s, "datapath", "inside"), "datapath.inside",
			"expected an interface of this machine, found \"%s\"", c->datapath.inside);
	check_bpf_directory(&s, c->datapath.bpf_directory);
	check_directory(&s, line_of(&s, "appliance", "run_directory"), "appliance.run_directory",
		c->appliance.run_directory, existing);
	check_directory(&s, line_of(&s, "audit", "spool_directory"), "audit.spool_directory",
		c->audit.spool_directory, existing);
	check_certificate(&s, line_of(&s, "tls", "ca_certificate"), "tls.ca_certificate",
		c->tls.ca_certificate);
	ca_key = check_secret(&s, line_of(&s, "tls", "ca_key"), "tls.ca_key", c->tls.ca_key,
		c->processes.signer.uid);
	if (ca_key >= 0)
		close(ca_key);
	for (size_t i = 0; i < c->tls.norigin_roots; i++) {
		snprintf(key, sizeof(key), "tls.origin_roots[%zu]", i);
		check_certificate(
			&s, line_of(&s, "tls", "origin_roots"), key, c->tls.origin_roots[i]);
	}
	check_roots(&s, c);
	check_credentials(&s, c);
	check_collector(&s, &c->audit);
	if (c->policy.file)
		check_policy(&s, c->policy.file);
	if (c->policy.keys_file)
		check_issued(&s, c->policy.keys_file);
	check_identities(&s, &c->processes);
	node_free(s.root);
	return s.count;
}
