// SPDX-License-Identifier: GPL-2.0-or-later
/* What a configuration becomes, and the reference file that comes with the appliance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "config/config.h"
#include "config/schema.h"

#define REFERENCE "appliance/sallyport.yaml"
#define MIB	  (1024ULL * 1024)

static struct config *parsed(const char *yaml)
{
	struct config *config = NULL;
	struct why why = {""};

	if (config_parse("f", slice_of_string(yaml), &config, &why) < 0)
		fail_msg("%s", why.text);
	return config;
}

static void one_key_is_enough_for_the_defaults(void **state)
{
	struct config *c = parsed("datapath: {inside: eth1}\n");
	char host[256] = "";

	(void)state;
	gethostname(host, sizeof(host) - 1);
	assert_string_equal(c->appliance.name, host);
	assert_true(c->appliance.workers >= 1);
	assert_int_equal(c->datapath.mark, 0x5a11);
	assert_int_equal(c->datapath.xdp, CONFIG_XDP_AUTO);
	assert_int_equal(c->endpoints.nports, 1);
	assert_int_equal(c->endpoints.ports[0], 443);
	assert_int_equal(c->endpoints.grace_ns, 600 * NS_PER_S);
	assert_int_equal(c->nhosts, 5);
	assert_int_equal(c->nbackends, 0);
	assert_true(c->tls.system_roots);
	assert_int_equal(c->tls.leaf_validity_ns, 7 * 86400 * NS_PER_S);
	assert_int_equal(c->http.window, 65536);
	assert_int_equal(c->http.body_max, 0);
	assert_int_equal(c->http.expansion_max, 64);
	assert_int_equal(c->origin.drain_bytes, 16 * MIB);
	assert_string_equal(c->audit.collector_socket, "/run/sallyport-collector/socket");
	assert_int_equal(c->audit.collector.port, 0);
	assert_int_equal(c->audit.fsync, CONFIG_FSYNC_INTERVAL);
	assert_int_equal(c->audit.fsync_ns, 200 * NS_PER_MS);
	assert_string_equal(c->processes.signer.name, "sallyport-signer");
	config_free(c);
}

static void every_kind_of_value_is_read(void **state)
{
	struct config *c = parsed("appliance: {name: \"Gate 1\", workers: 3}\n"
				  "datapath: {inside: eth1.5, xdp: \"off\", mark: 0xFF, table: 77}\n"
				  "endpoints:\n"
				  "  ports: [443, 8443]\n"
				  "  names: [API.Example.COM]\n"
				  "  prefixes: [192.0.2.0/24, \"2001:db8::/32\"]\n"
				  "  resolvers: [10.0.0.1, \"10.0.0.2:5353\", \"2001:db8::53\"]\n"
				  "  ttl_floor: 1m30s\n"
				  "http: {head_max: 128KiB, inject_usage: false}\n"
				  "audit: {when_full: drop, redact_headers: [X-Token]}\n"
				  "processes: {worker: \"1001:2002\", signer: 1002}\n");

	(void)state;
	assert_string_equal(c->appliance.name, "Gate 1");
	assert_int_equal(c->appliance.workers, 3);
	assert_string_equal(c->datapath.inside, "eth1.5");
	assert_int_equal(c->datapath.xdp, CONFIG_XDP_OFF);
	assert_int_equal(c->datapath.mark, 255);
	assert_int_equal(c->endpoints.nports, 2);
	assert_int_equal(c->endpoints.ports[1], 8443);
	assert_string_equal(c->endpoints.names[0], "api.example.com");
	assert_int_equal(c->endpoints.prefixes[0].bits, 120);
	assert_int_equal(c->endpoints.prefixes[1].bits, 32);
	assert_string_equal(address_port_format(&c->endpoints.resolvers[0]).text, "10.0.0.1:53");
	assert_string_equal(
		address_port_format(&c->endpoints.resolvers[1]).text, "10.0.0.2:5353");
	assert_string_equal(
		address_port_format(&c->endpoints.resolvers[2]).text, "[2001:db8::53]:53");
	assert_int_equal(c->endpoints.ttl_floor_ns, 90 * NS_PER_S);
	assert_int_equal(c->http.head_max, 128 * 1024);
	assert_false(c->http.inject_usage);
	assert_int_equal(c->audit.when_full, CONFIG_FULL_DROP);
	assert_string_equal(c->audit.redact_headers[0], "x-token");
	assert_int_equal(c->processes.worker.uid, 1001);
	assert_int_equal(c->processes.worker.gid, 2002);
	assert_int_equal(c->processes.signer.gid, 1002);
	config_free(c);
}

static void hosts_refer_to_backends_wherever_they_stand(void **state)
{
	struct config *c = parsed("datapath: {inside: eth1}\n"
				  "hosts:\n"
				  "  - {pattern: a.example, provider: openai, backend: west}\n"
				  "  - {pattern: \"*.B.example\", provider: azure}\n"
				  "backends:\n"
				  "  - {name: east}\n"
				  "  - name: west\n"
				  "    host: west.example\n"
				  "    addresses: [10.0.0.4, \"10.0.0.5:8443\"]\n"
				  "    port: 444\n"
				  "    key_file: /k\n"
				  "    key_header: bearer\n"
				  "    region: westus\n");
	const struct config_backend *west = c->hosts[0].backend;

	(void)state;
	assert_int_equal(c->nhosts, 2);
	assert_ptr_equal(west, &c->backends[1]);
	assert_string_equal(west->host, "west.example");
	assert_int_equal(west->naddresses, 2);
	assert_int_equal(west->addresses[0].port, 0);
	assert_int_equal(west->addresses[1].port, 8443);
	assert_int_equal(west->port, 444);
	assert_int_equal(west->key_header, CONFIG_KEY_BEARER);
	assert_string_equal(west->region, "westus");
	assert_null(c->hosts[1].backend);
	assert_string_equal(c->hosts[1].pattern, "*.b.example");
	assert_int_equal(c->hosts[1].provider, CONFIG_PROVIDER_AZURE);
	assert_null(c->backends[0].host);
	assert_int_equal(c->backends[0].port, 443);
	config_free(c);
}

static void users_that_do_not_exist_are_missing(void **state)
{
	struct config *c = parsed("datapath: {inside: eth1}\n"
				  "processes: {worker: sallyport-test-nobody-has-this}\n");

	(void)state;
	assert_true(c->processes.worker.missing);
	assert_int_not_equal(c->processes.worker.uid, 0);
	assert_string_equal(c->processes.worker.name, "sallyport-test-nobody-has-this");
	config_free(c);
	c = parsed("datapath: {inside: eth1}\nprocesses: {worker: nobody}\n");
	assert_false(c->processes.worker.missing);
	assert_int_equal(c->processes.worker.uid, 65534);
	config_free(c);
}

static void durations_and_sizes_are_read(void **state)
{
	static const struct {
		const char *text;
		uint64_t amount;
	} durations[] = {{"0", 0}, {"0s", 0}, {"30s", 30 * NS_PER_S}, {"1h30m", 5400 * NS_PER_S},
		{"200ms", 200 * NS_PER_MS}, {"5us", 5000}, {"1d", 86400 * NS_PER_S},
		{"1d2h3m4s5ms6us", 93784005006000}},
	  sizes[] = {{"0", 0}, {"512", 512}, {"64KiB", 65536}, {"1GiB", 1ULL << 30},
		  {"1MiB512KiB", 1536 * 1024}, {"7B", 7}, {"16TiB", 1ULL << 44}};
	static const char *const bad[] = {
		"", "s", "5", "-5s", "5S", "5s5s", "5s1m", "5 s", "5s ", "1.5s", "5ns", "5sec"};
	uint64_t amount;

	(void)state;
	for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
		assert_int_equal(scalar_duration(durations[i].text, &amount), 0);
		assert_int_equal(amount, durations[i].amount);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(scalar_bytes(sizes[i].text, &amount), 0);
		assert_int_equal(amount, sizes[i].amount);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (scalar_duration(bad[i], &amount) != -EINVAL)
			fail_msg("'%s' is taken", bad[i]);
	assert_int_equal(scalar_duration("99999999999999999999s", &amount), -ERANGE);
	assert_int_equal(scalar_duration("999999999999d", &amount), -ERANGE);
	assert_int_equal(scalar_bytes("64kib", &amount), -EINVAL);
	assert_int_equal(scalar_bytes("99999999TiB", &amount), -ERANGE);
}

static void assert_found(const struct config *c, const char *name, const char *pattern)
{
	const struct config_host *host = config_host_find(c, slice_of_string(name));

	if (!pattern && host)
		fail_msg("'%s' is found as %s", name, host->pattern);
	if (pattern && (!host || strcmp(host->pattern, pattern) != 0))
		fail_msg("'%s' is found as %s", name, host ? host->pattern : "nothing");
}

static void a_name_is_found_exactly_or_by_one_label(void **state)
{
	struct config *c = parsed("datapath: {inside: eth1}\n"
				  "hosts:\n"
				  "  - {pattern: \"*.example.com\", provider: azure}\n"
				  "  - {pattern: a.example.com, provider: azure}\n"
				  "  - {pattern: deep.b.example.com, provider: azure}\n");

	(void)state;
	assert_found(c, "a.example.com", "a.example.com");
	assert_found(c, "b.example.com", "*.example.com");
	assert_found(c, "deep.b.example.com", "deep.b.example.com");
	assert_found(c, "other.b.example.com", NULL);
	assert_found(c, "example.com", NULL);
	assert_found(c, "com", NULL);
	assert_found(c, "", NULL);
	assert_found(c, "xexample.com", NULL);
	assert_found(c, "b.example.com.evil.net", NULL);
	assert_found(c, "b.example.com.", NULL);
	config_free(c);
}

/* Whose wildcard certificate fits none of these. */
static void what_stands_below_a_pattern_and_does_not_match_it(void **state)
{
	const struct slice below[] = {SLICE("my_res.example.com"),
		SLICE("a.b.example.com"), SLICE("*.example.com"), SLICE(".example.com"),
		SLICE("a.b.example.com.."), SLICE("a\0b.example.com")};
	const struct slice others[] = {SLICE("b.example.com"), SLICE("b.example.com."),
		SLICE("deep.b.example.com"), SLICE("example.com"), SLICE("xexample.com"),
		SLICE("a.b.example.com.evil.net"), SLICE(""), SLICE("..")};
	struct config *c = parsed("datapath: {inside: eth1}\n"
				  "hosts:\n"
				  "  - {pattern: \"*.example.com\", provider: azure}\n"
				  "  - {pattern: deep.b.example.com, provider: azure}\n");

	(void)state;
	for (size_t i = 0; i < sizeof(below) / sizeof(below[0]); i++)
		assert_true(config_host_below(c, below[i]));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(config_host_below(c, others[i]));
	config_free(c);
}

/* Whoever asks may be a worker in foreign hands: what is found here gets a certificate. */
static void what_is_no_host_name_is_not_found(void **state)
{
	struct config *c = parsed("datapath: {inside: eth1}\n"
				  "hosts: [{pattern: \"*.example.com\", provider: azure}]\n");

	(void)state;
	assert_found(c, "*.example.com", NULL);
	assert_found(c, ".example.com", NULL);
	assert_found(c, "a,b.example.com", NULL);
	assert_found(c, "a b.example.com", NULL);
	assert_found(c, "-a.example.com", NULL);
	assert_found(c, "a-.example.com", NULL);
	assert_found(c, "A.example.com", NULL);
	assert_null(config_host_find(c, slice_of("a\0b.example.com", 15)));
	assert_null(config_host_find(c, SLICE_NONE));
	config_free(c);
}

static void a_host_fails_as_it_says_or_else_as_the_datapath(void **state)
{
	struct config *c = parsed("datapath: {inside: eth1, fail: open}\n"
				  "hosts:\n"
				  "- {pattern: a.example.com, provider: azure, fail: closed}\n"
				  "- {pattern: b.example.com, provider: azure}\n");
	struct config *all = parsed("datapath: {inside: eth1}\n");
	bool modes[2];

	(void)state;
	assert_int_equal(config_fail_of(c, NULL), CONFIG_FAIL_OPEN);
	assert_int_equal(
		config_fail_of(c, config_host_find(c, SLICE("a.example.com"))), CONFIG_FAIL_CLOSED);
	assert_int_equal(
		config_fail_of(c, config_host_find(c, SLICE("b.example.com"))), CONFIG_FAIL_OPEN);
	config_fail_modes(c, modes);
	assert_true(modes[CONFIG_FAIL_CLOSED] && modes[CONFIG_FAIL_OPEN]);
	config_fail_modes(all, modes);
	assert_true(modes[CONFIG_FAIL_CLOSED] && !modes[CONFIG_FAIL_OPEN]);
	config_free(c);
	config_free(all);
}

static void only_another_mode_makes_a_difference(void **state)
{
#define ONE_HOST(fail) "hosts: [{pattern: a.example.com, provider: azure, fail: " fail "}]\n"
	static const struct {
		const char *yaml;
		bool differs;
	} cases[] = {
		{"datapath: {inside: eth1}\n" ONE_HOST("default"), false},
		{"datapath: {inside: eth2}\n" ONE_HOST("closed"), false},
		{"datapath: {inside: eth1}\n" ONE_HOST("open"), true},
		{"datapath: {inside: eth1, fail: open}\n" ONE_HOST("closed"), true},
		{"datapath: {inside: eth1}\n", true},
	};
	struct config *c = parsed("datapath: {inside: eth1}\n" ONE_HOST("default"));

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config *other = parsed(cases[i].yaml);

		assert_int_equal(config_fail_differs(c, other), cases[i].differs);
		assert_int_equal(config_fail_differs(other, c), cases[i].differs);
		config_free(other);
	}
	config_free(c);
}

static void assert_strings_equal(const char *key, const char *a, const char *b)
{
	if (!a != !b || (a && strcmp(a, b) != 0))
		fail_msg("%s: '%s' and '%s'", key, a ? a : "(none)", b ? b : "(none)");
}

static void assert_section_equal(const struct section *section, const void *a, const void *b)
{
	for (size_t i = 0; i < section->nkeys; i++) {
		const struct key *key = &section->keys[i];
		const char *x = (const char *)a + key->out, *y = (const char *)b + key->out;
		size_t size = scalar_size(key->kind);

		if (key->list) {
			size_t n = *(const size_t *)((const char *)a + key->out_count);

			assert_int_equal(n, *(const size_t *)((const char *)b + key->out_count));
			/* The lists with a default are of plain numbers. */
			if (n)
				assert_memory_equal(
					*(const char *const *)x, *(const char *const *)y, n * size);
		} else if (key->kind <= SCALAR_PATTERN) {
			assert_strings_equal(
				key->name, *(const char *const *)x, *(const char *const *)y);
		} else if (key->kind == SCALAR_IDENTITY) {
			assert_strings_equal(key->name,
				((const struct config_identity *)(const void *)x)->name,
				((const struct config_identity *)(const void *)y)->name);
		} else if (memcmp(x, y, size) != 0) {
			fail_msg("%s.%s differs", section->name, key->name);
		}
	}
}

static void the_reference_file_is_the_defaults(void **state)
{
	struct config *defaults = parsed("datapath: {inside: eth1}\n"), *reference;
	struct why why = {""};

	(void)state;
	if (config_load(REFERENCE, &reference, &why) < 0)
		fail_msg("%s", why.text);
	for (size_t i = 0; i < SECTION_COUNT; i++)
		assert_section_equal(&sections[i], (const char *)reference + sections[i].out,
			(const char *)defaults + sections[i].out);
	assert_int_equal(reference->nhosts, defaults->nhosts);
	for (size_t i = 0; i < defaults->nhosts; i++)
		assert_section_equal(&section_host, &reference->hosts[i], &defaults->hosts[i]);
	assert_int_equal(reference->nbackends, defaults->nbackends);
	config_free(reference);
	config_free(defaults);
}

/* Whether text has the key at the start of a line: indented, in a list, or commented out. */
static bool explains(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *at = text; (at = strstr(at, key)); at += len) {
		const char *before = at;

		while (before > text && strchr(" #-", before[-1]))
			before--;
		if (at[len] == ':' && before > text && before[-1] == '\n')
			return true;
	}
	return false;
}

static void a_vaults_audience_is_that_of_its_cloud(void **state)
{
	static const char *const cases[][2] = {
		{"https://contoso.vault.azure.net/secrets/a", "https://vault.azure.net"},
		{"https://contoso.vault.azure.cn/secrets/a", "https://vault.azure.cn"},
		{"https://c.vault.usgovcloudapi.net:8443/secrets/a", "https://vault.usgovcloudapi.net"},
		{"https://keys.contoso.example/secrets/a", "https://vault.azure.net"},
		{"https://vault/secrets/a", "https://vault.azure.net"},
	};
	char audience[CONFIG_AUDIENCE_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		config_vault_audience(cases[i][0], audience);
		assert_string_equal(audience, cases[i][1]);
	}
}

/* The part of the reference that begins with the section's line, up to the next section's. */
static char *part_of(const char *text, const char *section)
{
	char line[64];
	const char *start, *end;

	snprintf(line, sizeof(line), "\n%s:", section);
	start = strstr(text, line);
	if (!start) {
		snprintf(line, sizeof(line), "\n# %s:", section);
		start = strstr(text, line);
	}
	if (!start)
		fail_msg("%s is not in " REFERENCE, section);
	end = strstr(start, "\n# ---");
	return end ? strndup(start, (size_t)(end - start)) : strdup(start);
}

static void assert_explained(const char *text, const struct section *section)
{
	char *part = part_of(text, section->name);

	for (size_t i = 0; i < section->nkeys; i++)
		if (!explains(part, section->keys[i].name))
			fail_msg("%s.%s is not in " REFERENCE, section->name,
				section->keys[i].name);
	free(part);
}

static void the_reference_file_has_every_key(void **state)
{
	struct buf text = BUF_EMPTY;
	struct why why = {""};

	(void)state;
	if (file_read(REFERENCE, 1 << 20, &text, &why) < 0)
		fail_msg("%s", why.text);
	buf_append(&text, "", 1);
	for (size_t i = 0; i < SECTION_COUNT; i++)
		assert_explained(buf_slice(&text).data, &sections[i]);
	assert_explained(buf_slice(&text).data, &section_host);
	assert_explained(buf_slice(&text).data, &section_backend);
	assert_explained(buf_slice(&text).data, &section_credential);
	assert_explained(buf_slice(&text).data, &section_token);
	buf_free(&text);
}

static bool is_key(const struct section *section, struct slice name)
{
	for (size_t i = 0; i < section->nkeys; i++)
		if (slice_equal(slice_of_string(section->keys[i].name), name))
			return true;
	return false;
}

/* A comment that begins as "word: " is taken for a key, by readers and for the manual page. */
static void the_reference_file_comments_out_nothing_but_keys(void **state)
{
	struct buf text = BUF_EMPTY;
	const char *at;

	(void)state;
	assert_int_equal(file_read(REFERENCE, 1 << 20, &text, NULL), 0);
	buf_append(&text, "", 1);
	for (at = buf_slice(&text).data; (at = strstr(at, "\n  # ")); at++) {
		struct slice name = slice_of(at + 5, strspn(at + 5, "abcdefghijklmnopqrstuvwxyz_"));
		bool known = false;

		if (!name.len || strncmp(name.data + name.len, ": ", 2) != 0)
			continue;
		for (size_t i = 0; i < SECTION_COUNT; i++)
			known = known || is_key(&sections[i], name);
		if (!known)
			fail_msg("'%.*s' is no key", SLICE_ARG(name));
	}
	buf_free(&text);
}

struct told {
	size_t count;
	char text[4096];
};

static void tell(void *context, const char *problem)
{
	struct told *told = context;
	size_t len = strlen(told->text);

	told->count++;
	snprintf(told->text + len, sizeof(told->text) - len, "%s\n", problem);
}

static void assert_told(const struct told *told, const char *text)
{
	if (!strstr(told->text, text))
		fail_msg("'%s' is not told, but:\n%s", text, told->text);
}

static void what_the_machine_lacks_is_told_with_its_line(void **state)
{
	char path[] = "/tmp/sallyport-test-config-XXXXXX";
	int fd = mkstemp(path);
	struct config *c = NULL;
	struct told told = {0};
	size_t count;
	const char *yaml = "datapath:\n  inside: nosuch0\n"
			   "  bpf_directory: /tmp/x\n"
			   "tls:\n  ca_certificate: /etc/passwd\n  ca_key: /nowhere/key\n"
			   "backends:\n  - name: a\n  - name: b\n    key_file: /etc/passwd\n"
			   "audit:\n  spool_directory: /etc/passwd/spool\n"
			   "processes:\n  worker: sallyport-test-nobody-has-this\n";

	(void)state;
	assert_int_equal(write(fd, yaml, strlen(yaml)), strlen(yaml));
	close(fd);
	assert_int_equal(config_load(path, &c, NULL), 0);
	count = config_check_system(path, c, tell, &told);
	assert_int_equal(count, told.count);
	assert_told(&told, ":2: datapath.inside: expected an interface of this machine, found "
			   "\"nosuch0\"");
	assert_told(&told, ":3: datapath.bpf_directory: expected a directory on a BPF file");
	assert_told(&told, ":5: tls.ca_certificate: expected certificates in PEM form, found none");
	assert_told(&told, ":6: tls.ca_key: expected a file that only its owner can read, found: "
			   "/nowhere/key: cannot be opened");
	assert_told(&told, ":10: backends[1].key_file: expected a file that only its owner can");
	assert_told(&told, ":12: audit.spool_directory: expected a directory that can be made");
	assert_told(&told, ":14: processes.worker: expected an existing user");
	config_free(c);
	unlink(path);
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
	struct config *c = NULL;
	struct why why;

	(void)state;
	assert_int_equal(config_load("/nowhere/sallyport.yaml", &c, &why), -ENOENT);
	assert_string_equal(why.text, "/nowhere/sallyport.yaml: cannot be opened: No such file "
				      "or directory");
	assert_null(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_key_is_enough_for_the_defaults),
		cmocka_unit_test(every_kind_of_value_is_read),
		cmocka_unit_test(hosts_refer_to_backends_wherever_they_stand),
		cmocka_unit_test(users_that_do_not_exist_are_missing),
		cmocka_unit_test(durations_and_sizes_are_read),
		cmocka_unit_test(a_name_is_found_exactly_or_by_one_label),
		cmocka_unit_test(what_stands_below_a_pattern_and_does_not_match_it),
		cmocka_unit_test(what_is_no_host_name_is_not_found),
		cmocka_unit_test(a_host_fails_as_it_says_or_else_as_the_datapath),
		cmocka_unit_test(only_another_mode_makes_a_difference),
		cmocka_unit_test(the_reference_file_is_the_defaults),
		cmocka_unit_test(a_vaults_audience_is_that_of_its_cloud),
		cmocka_unit_test(the_reference_file_has_every_key),
		cmocka_unit_test(the_reference_file_comments_out_nothing_but_keys),
		cmocka_unit_test(what_the_machine_lacks_is_told_with_its_line),
		cmocka_unit_test(a_file_that_cannot_be_read_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
