// SPDX-License-Identifier: GPL-2.0-or-later
/* Every way to get it wrong, and the exact words that it gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"

/* The one key that must be there, in the first line. */
#define INSIDE "datapath: {inside: eth1}\n"

struct refusal {
	const char *yaml, *why;
};

static void assert_refused(const struct refusal *table, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct config *config = NULL;
		struct why why;

		assert_int_equal(config_parse("f", slice_of_string(table[i].yaml), &config, &why),
			-EINVAL);
		assert_null(config);
		assert_string_equal(why.text, table[i].why);
	}
}

#define ASSERT_REFUSED(...)                                                               \
	static const struct refusal table[] = {__VA_ARGS__};                              \
	(void)state;                                                                      \
	assert_refused(table, sizeof(table) / sizeof(table[0]))

static void what_is_no_yaml(void **state)
{
	ASSERT_REFUSED({"datapath:\n\tinside: eth1\n",
			       "f:2: expected YAML, found what is not: found character that "
			       "cannot start any token"},
		{"a: b: c\n", "f:1: expected YAML, found what is not: mapping values are not "
			      "allowed in this context"},
		{"\n\na: \"b\n", "f:4: expected YAML, found what is not: found unexpected end of "
				 "stream"},
		{"\xff\xfe\xfd", "f:1: expected YAML, found what is not: incomplete UTF-16 "
				 "character"},
		{"a: [b\n", "f:2: expected YAML, found what is not: did not find expected ',' or "
			    "']'"});
}

static void yaml_that_is_more_than_a_configuration_needs(void **state)
{
	ASSERT_REFUSED({"- a\n", "f:1: expected the sections of a configuration, found a list"},
		{"text\n", "f:1: expected the sections of a configuration, found \"text\""},
		{INSIDE "---\n" INSIDE, "f:2: expected one document, found another one"},
		{"datapath: &x {inside: eth1}\n",
			"f:1: expected the value itself, found an anchor or alias"},
		{"datapath: *x\n", "f:1: expected the value itself, found an anchor or alias"},
		{"datapath: {inside: !!str eth1}\n", "f:1: expected a plain value, found a tag"},
		{"? [a]\n: b\n", "f:1: expected a key, found something else"},
		{"datapath: {inside: \"eth1\\0\"}\n",
			"f:1: expected text of one line, found a line break or control character"},
		{"appliance:\n  name: |\n    a\n    b\n",
			"f:2: expected text of one line, found a line break or control character"},
		{"a: [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]\n",
			"f:1: expected the keys of a configuration, found deeper nesting"});
}

static void unknown_and_repeated_keys(void **state)
{
	ASSERT_REFUSED(
		{INSIDE "nonsense: 1\n",
			"f:2: nonsense: expected one of the keys appliance, datapath, admission, accounting, endpoints, tls, "
			"tcp, http, gateway, origin, audit, policy, processes, hosts, backends, "
			"credentials, tokens, pools"},
		{INSIDE "appliance:\n  nme: x\n",
			"f:3: appliance.nme: expected one of the keys name, run_directory, workers; is "
			"it name?"},
		{INSIDE "hosts:\n  - pattern: a.b\n    provider: azure\n    back\x65nds: x\n",
			"f:5: hosts[0].backends: expected one of the keys pattern, provider, backend, "
			"pool, fail, exempt_sources; is it backend?"},
		{INSIDE "appliance:\n  \"a\\tb\": x\n",
			"f:3: expected text of one line, found a line break or control character"},
		{INSIDE "appliance:\n  \xc3\xa9: x\n",
			"f:3: appliance.\\xc3\\xa9: expected one of the keys name, run_directory, "
			"workers"},
		{INSIDE "tls: {}\nhttp: {}\ntls: {}\n",
			"f:4: tls: expected each key once, found it also in line 2"},
		{"datapath:\n  inside: a\n  mark: 1\n  inside: b\n",
			"f:4: inside: expected each key once, found it also in line 2"});
}

static void values_of_the_wrong_shape(void **state)
{
	ASSERT_REFUSED(
		{INSIDE "tls:\n", "f:2: tls: expected keys, indented below it, found nothing"},
		{INSIDE "tls: on\n", "f:2: tls: expected keys, indented below it, found \"on\""},
		{INSIDE "tls: [a]\n", "f:2: tls: expected keys, indented below it, found a list"},
		{INSIDE "hosts: {a: b}\n",
			"f:2: hosts: expected a list, \"[a, b]\" or lines of \"- a\", found keys"},
		{INSIDE "hosts: [a.b]\n",
			"f:2: hosts[0]: expected keys, indented below it, found \"a.b\""},
		{INSIDE "endpoints: {ports: 443}\n",
			"f:2: endpoints.ports: expected a list, \"[a, b]\" or lines of \"- a\", found "
			"\"443\""},
		{INSIDE "endpoints:\n  ports:\n    - 443\n    - [80]\n",
			"f:5: endpoints.ports[1]: expected one value, found a list"},
		{INSIDE "tls:\n  ca_key:\n    file: x\n",
			"f:3: tls.ca_key: expected one value, found keys"});
}

static void what_must_be_there_and_is_not(void **state)
{
	ASSERT_REFUSED(
		{"", "f:1: datapath.inside: expected the name of a network interface, found "
		     "nothing"},
		{"# only this\n", "f:1: datapath.inside: expected the name of a network interface, "
				  "found nothing"},
		{"tls: {}\n\ndatapath:\n  mark: 1\n",
			"f:3: datapath.inside: expected the name of a network interface, found nothing"},
		{"datapath:\n  inside:\n",
			"f:2: datapath.inside: expected the name of a network interface, found nothing"},
		{INSIDE "hosts:\n  - provider: azure\n",
			"f:3: hosts[0].pattern: expected a host name, or a pattern such as "
			"\"*.openai.azure.com\", found nothing"},
		{INSIDE "hosts:\n  - pattern: a.b\n    provider: azure\n  - pattern: c.d\n",
			"f:5: hosts[1].provider: expected azure or openai, found nothing"},
		{INSIDE "hosts: []\n", "f:2: hosts: expected at least one host, found an empty list"},
		{INSIDE "endpoints: {ports: []}\n",
			"f:2: endpoints.ports: expected at least one port, found an empty list"});
}

static void numbers(void **state)
{
	ASSERT_REFUSED({"datapath:\n  inside: a\n  mark: 0\n",
			       "f:3: datapath.mark: expected a number from 1 to 0xfffffffe, found "
			       "\"0\""},
		{"datapath:\n  inside: a\n  mark: 0x100000000\n",
			"f:3: datapath.mark: expected a number from 1 to 0xfffffffe, found "
			"\"0x100000000\""},
		{"datapath:\n  inside: a\n  mark: 99999999999999999999999\n",
			"f:3: datapath.mark: expected a number from 1 to 0xfffffffe, found "
			"\"99999999999999999999999\""},
		{"datapath:\n  inside: a\n  table: -1\n",
			"f:3: datapath.table: expected a number from 1 to 0xffffffff, found \"-1\""},
		{"datapath:\n  inside: a\n  listen_base: 80\n",
			"f:3: datapath.listen_base: expected a number from 1024 to 65535, found \"80\""},
		{INSIDE "endpoints:\n  ports: [443, 65536]\n",
			"f:3: endpoints.ports[1]: expected a number from 1 to 65535, found \"65536\""},
		{INSIDE "appliance: {workers: 0}\n",
			"f:2: appliance.workers: expected auto, or a number from 1 to 256, found \"0\""},
		{INSIDE "http: {headers_max: 1e3}\n",
			"f:2: http.headers_max: expected a number from 16 to 1024, found \"1e3\""});
}

static void durations_and_sizes(void **state)
{
	ASSERT_REFUSED({INSIDE "tls: {leaf_validity: 1h}\n",
			       "f:2: tls.leaf_validity: expected a duration from 2d to 200d, such "
			       "as \"30s\", found \"1h\""},
		{INSIDE "tls: {leaf_validity: 201d}\n",
			"f:2: tls.leaf_validity: expected a duration from 2d to 200d, such as \"30s\", "
			"found \"201d\""},
		{INSIDE "http: {head_timeout: 10}\n",
			"f:2: http.head_timeout: expected a duration from 1s to 10m, such as \"30s\", "
			"found \"10\""},
		{INSIDE "http: {head_timeout: 10 s}\n",
			"f:2: http.head_timeout: expected a duration from 1s to 10m, such as \"30s\", "
			"found \"10 s\""},
		{INSIDE "http: {head_timeout: 1s1m}\n",
			"f:2: http.head_timeout: expected a duration from 1s to 10m, such as \"30s\", "
			"found \"1s1m\""},
		{INSIDE "http: {head_timeout: 99999999999999d}\n",
			"f:2: http.head_timeout: expected a duration from 1s to 10m, such as \"30s\", "
			"found \"99999999999999d\""},
		{INSIDE "http: {head_max: 64KB}\n",
			"f:2: http.head_max: expected a size from 4KiB to 1MiB, such as \"64KiB\", found "
			"\"64KB\""},
		{INSIDE "http: {head_max: 100}\n",
			"f:2: http.head_max: expected a size from 4KiB to 1MiB, such as \"64KiB\", found "
			"\"100\""},
		{INSIDE "http: {head_max: 20000000TiB}\n",
			"f:2: http.head_max: expected a size from 4KiB to 1MiB, such as \"64KiB\", found "
			"\"20000000TiB\""});
}

static void names_paths_and_choices(void **state)
{
	ASSERT_REFUSED({"datapath: {inside: eth1, xdp: fast}\n",
			       "f:1: datapath.xdp: expected auto, native, generic or off, found "
			       "\"fast\""},
		{"datapath: {inside: a/b}\n",
			"f:1: datapath.inside: expected the name of a network interface, found "
			"\"a/b\""},
		{"datapath: {inside: sixteenletters16}\n",
			"f:1: datapath.inside: expected the name of a network interface, found "
			"\"sixteenletters16\""},
		{INSIDE "tls: {ca_key: ca.key}\n",
			"f:2: tls.ca_key: expected an absolute path, found \"ca.key\""},
		{INSIDE "tls: {system_roots: yes}\n",
			"f:2: tls.system_roots: expected true or false, found \"yes\""},
		{INSIDE "audit: {tag: a b}\n",
			"f:2: audit.tag: expected a name of letters, digits, '.', '_' and '-', found "
			"\"a b\""},
		{INSIDE "audit: {redact_headers: [\"x:y\"]}\n",
			"f:2: audit.redact_headers[0]: expected the name of an HTTP header, found "
			"\"x:y\""});
}

#define HOSTS_MESSAGE(found) \
	"f:2: hosts[0].pattern: expected a host name, or a pattern such as " \
	"\"*.openai.azure.com\", found \"" found "\""
#define HOSTS(pattern) INSIDE "hosts: [{provider: azure, pattern: \"" pattern "\"}]\n"

static void host_patterns(void **state)
{
	ASSERT_REFUSED({HOSTS("*"), HOSTS_MESSAGE("*")}, {HOSTS("*.com"), HOSTS_MESSAGE("*.com")},
		{HOSTS("a.*.com"), HOSTS_MESSAGE("a.*.com")},
		{HOSTS("a*.b.com"), HOSTS_MESSAGE("a*.b.com")},
		{HOSTS("*.*.b.com"), HOSTS_MESSAGE("*.*.b.com")},
		{HOSTS("a..b"), HOSTS_MESSAGE("a..b")}, {HOSTS("a.b."), HOSTS_MESSAGE("a.b.")},
		{HOSTS("-a.b"), HOSTS_MESSAGE("-a.b")}, {HOSTS("a-.b"), HOSTS_MESSAGE("a-.b")},
		{HOSTS("a_b.c"), HOSTS_MESSAGE("a_b.c")},
		{HOSTS("192.0.2.1"), HOSTS_MESSAGE("192.0.2.1")},
		{HOSTS("a.b:443"), HOSTS_MESSAGE("a.b:443")},
		{HOSTS("https://a.b"), HOSTS_MESSAGE("https://a.b")},
		{HOSTS("a.b,c.d"), HOSTS_MESSAGE("a.b,c.d")});
}

static void addresses(void **state)
{
	ASSERT_REFUSED({INSIDE "audit: {collector: localhost:24224}\n",
			       "f:2: audit.collector: expected an address and port such as "
			       "\"192.0.2.1:443\" or \"[2001:db8::1]:443\", found \"localhost:24224\""},
		{INSIDE "audit: {collector: 127.0.0.1}\n",
			"f:2: audit.collector: expected an address and port such as "
			"\"192.0.2.1:443\" or \"[2001:db8::1]:443\", found \"127.0.0.1\""},
		{INSIDE "endpoints: {resolvers: [10.0.0.256]}\n",
			"f:2: endpoints.resolvers[0]: expected an address, or an address and port such "
			"as \"192.0.2.1:443\" or \"[2001:db8::1]:443\", found \"10.0.0.256\""},
		{INSIDE "endpoints: {prefixes: [10.0.0.1/8]}\n",
			"f:2: endpoints.prefixes[0]: expected a prefix such as \"192.0.2.0/24\" or "
			"\"2001:db8::/32\", no bit set beyond its length, found \"10.0.0.1/8\""},
		{INSIDE "endpoints: {prefixes: [\"::/0\"]}\n",
			"f:2: endpoints.prefixes: expected \"0.0.0.0/0\" for all of IPv4 and "
			"\"2000::/3\" for IPv6, found an IPv6 prefix that contains IPv4 as well"});
}

static void the_same_twice(void **state)
{
	ASSERT_REFUSED({INSIDE "endpoints:\n  ports:\n    - 443\n    - 8443\n    - 443\n",
			       "f:6: endpoints.ports[2]: expected each once, found \"443\" again"},
		{INSIDE "hosts:\n  - {pattern: a.b, provider: azure}\n"
			"  - {pattern: A.B, provider: openai}\n",
			"f:4: hosts[1].pattern: expected each pattern once, found \"a.b\" also in line "
			"3"},
		{INSIDE "backends:\n  - name: x\n  - name: y\n  - name: x\n",
			"f:5: backends[2].name: expected each name once, found \"x\" also in line 3"});
}

static void a_key_that_would_follow_a_wildcard(void **state)
{
	ASSERT_REFUSED({INSIDE "backends: [{name: east, key_file: /k}]\n"
			       "hosts:\n  - pattern: \"*.openai.azure.com\"\n    provider: azure\n"
			       "    backend: east\n",
			       "f:6: hosts[0].backend: expected a backend with a host, or without a "
			       "key_file or credential, for a pattern with \"*\", found \"east\", whose key would go "
			       "to whatever name under \"*.openai.azure.com\" a client asks for; give that "
			       "backend its host, or list the names one by one"},
		/* An address of its own does not help: who answers there is named by the client too. */
		{INSIDE "backends: [{name: east, key_file: /k, addresses: [10.0.0.1]}]\n"
			"hosts: [{pattern: \"*.a.b\", provider: azure, backend: east}]\n",
			"f:3: hosts[0].backend: expected a backend with a host, or without a "
			"key_file or credential, for a pattern with \"*\", found \"east\", whose key would go to "
			"whatever name under \"*.a.b\" a client asks for; give that backend its host, or "
			"list the names one by one"});
}

static void mappings_that_are_none(void **state)
{
	ASSERT_REFUSED({INSIDE "backends: [{name: east, models: [gpt-4o]}]\n",
			       "f:2: backends[0].models[0]: expected \"name=other\" of letters, digits, "
			       "'.', '_', '-' and ':', found \"gpt-4o\""},
		{INSIDE "backends: [{name: east, models: [\"a=b=c\"]}]\n",
			"f:2: backends[0].models[0]: expected \"name=other\" of letters, digits, '.', "
			"'_', '-' and ':', found \"a=b=c\""},
		{INSIDE "backends: [{name: east, models: [\"a=b/../c\"]}]\n",
			"f:2: backends[0].models[0]: expected \"name=other\" of letters, digits, '.', "
			"'_', '-' and ':', found \"a=b/../c\""},
		{INSIDE "backends: [{name: east, api_versions: [\"2024-10-21=\"]}]\n",
			"f:2: backends[0].api_versions[0]: expected \"name=other\" of letters, digits, "
			"'.', '_', '-' and ':', found \"2024-10-21=\""});
}

#define EAST_AND_WEST "backends: [{name: east, key_file: /e}, {name: west, host: w.openai.azure.com}]\n"

static void pools_that_could_never_answer(void **state)
{
	ASSERT_REFUSED(
		{INSIDE EAST_AND_WEST "pools:\n  - name: p\n",
			"f:4: pools[0].backends: expected the names of 1 to 64 backends, found 0"},
		{INSIDE EAST_AND_WEST "pools:\n  - name: p\n    backends: []\n",
			"f:5: pools[0].backends: expected the names of 1 to 64 backends, found 0"},
		{INSIDE EAST_AND_WEST "pools: [{name: p, backends: [east, north]}]\n",
			"f:3: pools[0].backends[1]: expected the name of a backend (east, west), found "
			"\"north\""},
		{INSIDE EAST_AND_WEST "pools: [{name: p, backends: [east, east]}]\n",
			"f:3: pools[0].backends[1]: expected each once, found \"east\" again"},
		{INSIDE EAST_AND_WEST "pools:\n  - {name: p, backends: [east]}\n"
				      "  - {name: p, backends: [west]}\n",
			"f:5: pools[1].name: expected each name once, found \"p\" also in line 4"},
		{INSIDE "backends: [{name: a, host: a.c, capacity: 50000}, {name: b, host: b.c}]\n"
			"pools: [{name: p, backends: [a, b]}]\n",
			"f:3: pools[0].backends: expected capacity or weight of all backends of priority "
			"1, found \"a\" with a capacity and \"b\" with neither"},
		{INSIDE EAST_AND_WEST "pools: [{name: p, backends: [east]}]\n"
				      "hosts: [{pattern: a.b, provider: azure, pool: q}]\n",
			"f:4: hosts[0].pool: expected the name of a pool (p), found \"q\""},
		{INSIDE "hosts: [{pattern: a.b, provider: azure, pool: q}]\n",
			"f:2: hosts[0].pool: expected the name of a pool, and there is none, found "
			"\"q\""},
		{INSIDE EAST_AND_WEST
			"pools: [{name: p, backends: [east]}]\n"
			"hosts: [{pattern: a.b, provider: azure, pool: p, backend: east}]\n",
			"f:4: hosts[0].pool: expected either a backend or a pool, found both"},
		/* Its paths are Azure's: every call would be answered by 404. */
		{INSIDE EAST_AND_WEST "pools: [{name: p, backends: [west]}]\n"
				      "hosts: [{pattern: a.b, provider: openai, pool: p}]\n",
			"f:4: hosts[0].pool: expected backends that speak the API of the host's "
			"provider, or have a key of their own, found \"west\" at w.openai.azure.com, which "
			"can never answer"},
		{INSIDE "backends: [{name: d, host: a.c, key_file: /k, dialect: azure-dated}]\n"
			"hosts: [{pattern: a.b, provider: openai, backend: d}]\n",
			"f:3: hosts[0].backend: expected an api_version of \"d\", for clients of "
			"OpenAI's API name none, found nothing: it can never answer"},
		{INSIDE "backends: [{name: o, host: eu.api.openai.com}]\n"
			"hosts: [{pattern: a.b, provider: azure, backend: o}]\n",
			"f:3: hosts[0].backend: expected backends that speak the API of the host's "
			"provider, or have a key of their own, found \"o\" at eu.api.openai.com, which can "
			"never answer"},
		/* The key would go to whatever resource the client names. */
		{INSIDE EAST_AND_WEST "pools: [{name: p, backends: [west, east]}]\n"
				      "hosts: [{pattern: \"*.a.b\", provider: azure, pool: p}]\n",
			"f:4: hosts[0].pool: expected a backend with a host, or without a key_file or credential, "
			"for a pattern with \"*\", found \"east\", whose key would go to whatever name "
			"under \"*.a.b\" a client asks for; give that backend its host, or list the "
			"names one by one"});
}

static void backends_that_are_not_there(void **state)
{
	ASSERT_REFUSED({INSIDE "hosts:\n  - pattern: a.b\n    provider: azure\n    backend: x\n",
			       "f:5: hosts[0].backend: expected the name of a backend, and there is "
			       "none, found \"x\""},
		{INSIDE "backends: [{name: east}, {name: west}]\n"
			"hosts: [{pattern: a.b, provider: azure, backend: north}]\n",
			"f:3: hosts[0].backend: expected the name of a backend (east, west), found "
			"\"north\""});
}

#define GATES "backends: [{name: west, host: west.b, addresses: [10.0.0.9]}, {name: bare}]\n"
#define GATED INSIDE GATES "policy: {keys_file: /k}\n"

static void a_gateway_that_makes_no_sense(void **state)
{
	ASSERT_REFUSED({INSIDE "gateway: {name: a.b}\n",
			       "f:2: gateway.name: expected listen as well, for without an address the "
			       "gateway is off, found none"},
		{GATED "gateway: {listen: [10.0.0.1], backend: west}\n",
			"f:4: gateway.name: expected the name that clients call the appliance by, found "
			"nothing"},
		{GATED "gateway: {listen: [10.0.0.1], name: a.openai.azure.com, backend: west}\n",
			"f:4: gateway.name: expected a name that is not among hosts, found "
			"\"a.openai.azure.com\", whose calls are intercepted"},
		{GATED "gateway: {listen: [10.0.0.1], name: a.b}\n",
			"f:4: gateway.backend: expected a backend or a pool, found neither"},
		{GATED "gateway: {listen: [10.0.0.1], name: west.b, backend: west}\n",
			"f:4: gateway.backend: expected backends elsewhere, found \"west\", whose host is "
			"the gateway's own name"},
		{GATED "gateway: {listen: [10.0.0.1], name: a.b, backend: bare}\n",
			"f:4: gateway.backend: expected backends with a host, for clients name the "
			"appliance's own, found \"bare\" without"},
		{GATED "gateway: {listen: [10.0.0.9], name: a.b, backend: west}\n",
			"f:4: gateway.listen: expected addresses that no backend has, found 10.0.0.9:443, "
			"which is that of \"west\": its calls would come back here"},
		{GATED "gateway: {listen: [0.0.0.0], name: a.b, backend: west}\n",
			"f:4: gateway.listen: expected an address of this machine that clients reach, "
			"found 0.0.0.0:443, which is all of them"},
		{GATED "gateway: {listen: [10.0.0.1, \"10.0.0.1:443\"], name: a.b, backend: west}\n",
			"f:4: gateway.listen: expected each address once, found 10.0.0.1:443 again"},
		{GATED "gateway: {listen: [\"127.0.0.1:15100\"], name: a.b, backend: west}\n",
			"f:4: gateway.listen: expected a port outside the workers' "
			"(datapath.listen_base), found 15100"},
		{INSIDE GATES "gateway: {listen: [10.0.0.1], name: a.b, backend: west}\n",
			"f:3: gateway.require_key: expected policy.keys_file as well, which has the keys "
			"that clients show, found none: set it, or require_key: false, where whoever "
			"reaches the address may use the backends"});
}

static void keys_that_contradict_each_other(void **state)
{
	ASSERT_REFUSED({"datapath: {inside: a, table: 254}\n",
			       "f:1: datapath.table: expected a routing table of its own, found "
			       "254, which is the system's"},
		{"appliance: {workers: 4}\ndatapath: {inside: a, listen_base: 65534}\n",
			"f:2: datapath.listen_base: expected room for the ports of 4 workers below "
			"65536, found 65534"},
		{INSIDE "appliance: {workers: 4}\naudit: {collector: \"127.0.0.1:15103\"}\n",
			"f:3: audit.collector: expected a port outside the workers' 15100 to 15103, "
			"found 15103"},
		{INSIDE "audit: {collector_others: [192.0.2.9]}\n",
			"f:2: audit.collector_others: expected collector as well, the first of them, "
			"found others alone"},
		{INSIDE "audit: {collector: \"192.0.2.1:1\", collector_others: [10.0.0.1, 10.0.0.2, "
			"10.0.0.3, 10.0.0.4, 10.0.0.5, 10.0.0.6, 10.0.0.7, 10.0.0.8, 10.0.0.9]}\n",
			"f:2: audit.collector_others: expected up to 8, found 9"},
		{INSIDE "audit: {collector_key_file: /k}\n",
			"f:2: audit.collector_key_file: expected collector as well, for on the "
			"socket the kernel says who is there, found a key file alone"},
		{INSIDE "audit: {collector_ca_file: /k}\n",
			"f:2: audit.collector_ca_file: expected collector as well, for TLS is for TCP, "
			"found an authority alone"},
		{INSIDE "audit: {collector: \"192.0.2.9:1\", collector_name: c.example}\n",
			"f:2: audit.collector_name: expected collector_ca_file as well, by which the "
			"collector is known, found none"},
		{INSIDE "audit: {collector: \"192.0.2.9:1\", collector_ca_file: /k, "
			"collector_certificate_file: /c}\n",
			"f:2: audit.collector_certificate_file: expected collector_certificate_file "
			"and collector_certificate_key_file, found one of them"},
		{INSIDE "endpoints:\n  ttl_floor: 1h\n",
			"f:2: endpoints.ttl_ceiling: expected at least ttl_floor, found less than it"},
		{INSIDE "tls: {system_roots: false}\n",
			"f:2: tls.system_roots: expected true, or files in origin_roots, found no root "
			"to trust at all"},
		{INSIDE "tls: {ca_key: /etc/sallyport/ca.pem}\n",
			"f:2: tls.ca_key: expected a file of its own, found the one of ca_certificate, "
			"which workers read"},
		{INSIDE "tls: {origin_roots: [/etc/sallyport/ca.pem]}\n",
			"f:2: tls.origin_roots: expected the roots of origins, found ca_certificate: a "
			"chain of the appliance's own CA is never trusted"},
		{INSIDE "audit:\n  spool_size: 10MiB\n",
			"f:2: audit.segment_size: expected at most half of spool_size, found more"},
		{INSIDE "audit: {ring_size: 1MiB}\n",
			"f:2: audit.ring_size: expected at least 8 times content_max, found less"},
		{INSIDE "audit: {segment_size: 512KiB}\n",
			"f:2: audit.segment_size: expected at least 4 times content_max, found less"},
		{INSIDE "audit: {content_max: 1537KiB}\n",
			"f:2: audit.content_max: expected a size from 0 to 1536KiB, such as "
			"\"64KiB\", found \"1537KiB\""},
		{INSIDE "audit: {spool_directory: /run/sallyport}\n",
			"f:2: audit.spool_directory: expected a directory of its own, found "
			"appliance.run_directory"});
}

#define USER "expected a user, \"user:group\" or numbers, and not root, found "

static void identities(void **state)
{
	ASSERT_REFUSED(
		{INSIDE "processes: {worker: root}\n", "f:2: processes.worker: " USER "\"root\""},
		{INSIDE "processes: {worker: 0}\n", "f:2: processes.worker: " USER "\"0\""},
		{INSIDE "processes: {worker: \"1000:0\"}\n",
			"f:2: processes.worker: " USER "\"1000:0\""},
		{INSIDE "processes: {worker: 4294967295}\n",
			"f:2: processes.worker: " USER "\"4294967295\""},
		{INSIDE "processes: {worker: \"1000:\"}\n",
			"f:2: processes.worker: " USER "\"1000:\""},
		{INSIDE "processes: {worker: -1}\n", "f:2: processes.worker: " USER "\"-1\""},
		{INSIDE "processes:\n  signer: 1000\n  scout: \"1000:1001\"\n",
			"f:4: processes.scout: expected another user than that of signer, who holds "
			"the CA's key, found \"1000:1001\""},
		{INSIDE "processes:\n  keeper: 1000\n  worker: 1000\n",
			"f:4: processes.worker: expected another user than that of keeper, who holds "
			"the services' keys, found \"1000\""},
		{INSIDE "processes:\n  keeper: 1000\n  signer: 1000\n",
			"f:3: processes.keeper: expected another user than that of signer, who holds "
			"the CA's key, found \"1000\""});
}

#define APP "{name: a, from: app, tenant: t.example, client_id: c"
#define VAULT "{name: a, from: key-vault, secret: \"https://"

static void credentials_that_make_no_sense(void **state)
{
	ASSERT_REFUSED({INSIDE "credentials: [{name: a, from: file}]\n",
			       "f:2: credentials[0].file: expected it for a credential from: file, "
			       "found nothing"},
		{INSIDE "credentials:\n  - name: a\n    from: systemd\n    file: /k\n",
			"f:5: credentials[0].file: expected no such key for a credential from: "
			"systemd, found one"},
		{INSIDE "credentials:\n  - name: a\n    from: managed-identity\n    refresh: 1m\n",
			"f:5: credentials[0].refresh: expected no such key for a credential from: "
			"managed-identity, found one"},
		{INSIDE "credentials: [{name: a, from: key-vault}]\n",
			"f:2: credentials[0].secret: expected it for a credential from: key-vault, "
			"found nothing"},
		{INSIDE "credentials: [" VAULT "c.vault.azure.net/keys/x\"}]\n",
			"f:2: credentials[0].secret: expected the address of a secret, such as "
			"\"https://contoso.vault.azure.net/secrets/openai-key\", found "
			"\"https://c.vault.azure.net/keys/x\""},
		{INSIDE "credentials: [" VAULT "c.vault.azure.net/secrets/x/1/2\"}]\n",
			"f:2: credentials[0].secret: expected the address of a secret, such as "
			"\"https://contoso.vault.azure.net/secrets/openai-key\", found "
			"\"https://c.vault.azure.net/secrets/x/1/2\""},
		{INSIDE "credentials:\n  - name: a\n    from: key-vault\n    secret: http://x/secrets/y\n",
			"f:5: credentials[0].secret: expected an address such as "
			"\"https://contoso.vault.azure.net/secrets/key\", found \"http://x/secrets/y\""},
		{INSIDE "credentials: [" APP "}]\n",
			"f:2: credentials[0].client_secret_file: expected it or client_certificate, as "
			"the proof of client_id, found neither"},
		{INSIDE "credentials: [" APP ", client_secret_file: /s, client_certificate: /c}]\n",
			"f:2: credentials[0].client_secret_file: expected it or client_certificate, as "
			"the proof of client_id, found both"},
		{INSIDE "credentials: [" VAULT "c.vault.azure.net/secrets/x\", client_id: c}]\n",
			"f:2: credentials[0].tenant: expected the tenant of client_id, found nothing"},
		{INSIDE "credentials: [" VAULT "c.vault.azure.net/secrets/x\", client_id: c, tenant: t, "
			"client_secret_file: /s, identity: i}]\n",
			"f:2: credentials[0].identity: expected a managed identity or an app "
			"registration to ask, found both"},
		{INSIDE "credentials:\n  - {name: a, from: systemd}\n  - {name: a, from: systemd}\n",
			"f:4: credentials[1].name: expected each name once, found \"a\" also in line "
			"3"},
		{INSIDE "credentials: [{name: a, from: systemd}]\n"
			"backends:\n  - name: x\n    credential: b\n",
			"f:5: backends[0].credential: expected the name of a credential (a), found "
			"\"b\""},
		{INSIDE "credentials: [{name: a, from: systemd}]\n"
			"backends:\n  - name: x\n    credential: a\n    key_file: /k\n",
			"f:5: backends[0].credential: expected a credential or a key_file, found both"},
		{INSIDE "credentials: [{name: x, from: systemd}]\n"
			"backends:\n  - name: x\n    key_file: /k\n",
			"f:4: backends[0].name: expected another name than that of a credential, for a "
			"backend with a key_file, found \"x\""});
}

static void told(void *context, const char *problem)
{
	char *all = context;

	strcat(all, problem);
	strcat(all, "\n");
}

static void assert_all_told(const char *yaml, const char *problems)
{
	struct config *config = NULL;
	char all[4096] = "";
	size_t count, lines = 0;

	assert_int_equal(config_parse_all("f", slice_of_string(yaml), &config, told, all, &count),
		*problems ? -EINVAL : 0);
	assert_string_equal(all, problems);
	for (const char *c = problems; *c; c++)
		lines += *c == '\n';
	assert_int_equal(count, lines);
	config_free(config);
}

static void all_that_is_wrong_is_told_at_once(void **state)
{
	(void)state;
	assert_all_told(INSIDE, "");
	/* Unknown keys, wrong shapes, and wrong values besides them. */
	assert_all_told("datapath:\n  insdie: eth1\n  inside: a/b\n  mark: [1]\n"
			"tls: on\n"
			"endpoints:\n  ports: [443, 0, {a: b}]\n  names: [-, a.b, a.b]\n"
			"audit: {tag: a b, ring_size: 1}\n"
			"hosts: [{pattern: a.b, provider: azrue, back: x}, {provider: azure}]\n",
		"f:2: datapath.insdie: expected one of the keys inside, xdp, bpf_directory, fail, "
		"heartbeat_timeout, forward, mark, table, listen_base, queue_base, max_sources, "
		"max_flows, max_endpoints; is it inside?\n"
		"f:4: datapath.mark: expected one value, found a list\n"
		"f:5: tls: expected keys, indented below it, found \"on\"\n"
		"f:7: endpoints.ports[2]: expected one value, found keys\n"
		"f:10: hosts[0].back: expected one of the keys pattern, provider, backend, pool, "
		"fail, exempt_sources\n"
		"f:3: datapath.inside: expected the name of a network interface, found \"a/b\"\n"
		"f:8: endpoints.names[0]: expected a host name such as \"api.openai.com\", found "
		"\"-\"\n"
		"f:8: endpoints.names[2]: expected each once, found \"a.b\" again\n"
		"f:9: audit.tag: expected a name of letters, digits, '.', '_' and '-', found "
		"\"a b\"\n"
		"f:9: audit.ring_size: expected a size from 64KiB to 1GiB, such as \"64KiB\", found "
		"\"1\"\n"
		"f:10: hosts[0].provider: expected azure or openai, found \"azrue\"\n"
		"f:10: hosts[1].pattern: expected a host name, or a pattern such as "
		"\"*.openai.azure.com\", found nothing\n");
	/* Contradictions of several sections. */
	assert_all_told("datapath: {inside: a, table: 254}\n"
			"endpoints: {ttl_floor: 1h, ports: []}\n"
			"tls: {system_roots: false}\n"
			"audit: {spool_size: 10MiB}\n",
		"f:1: datapath.table: expected a routing table of its own, found 254, which is the "
		"system's\n"
		"f:2: endpoints.ports: expected at least one port, found an empty list\n"
		"f:2: endpoints.ttl_ceiling: expected at least ttl_floor, found less than it\n"
		"f:3: tls.system_roots: expected true, or files in origin_roots, found no root to "
		"trust at all\n"
		"f:4: audit.segment_size: expected at most half of spool_size, found more\n");
}

static void a_file_that_everybody_may_write_to_is_refused(void **state)
{
	char path[] = "/tmp/sallyport-config.XXXXXX", expected[128];
	struct config *config = NULL;
	int fd = mkstemp(path);
	struct why why;

	(void)state;
	assert_int_equal(write(fd, INSIDE, strlen(INSIDE)), strlen(INSIDE));
	assert_int_equal(fchmod(fd, 0664), 0);
	assert_int_equal(config_load(path, &config, &why), 0);
	config_free(config);
	assert_int_equal(fchmod(fd, 0646), 0);
	assert_int_equal(config_load(path, &config, &why), -EPERM);
	snprintf(expected, sizeof(expected), "%s: everybody may write to it: chmod o-w %s", path,
		path);
	assert_string_equal(why.text, expected);
	close(fd);
	unlink(path);
}

/* A list of what would be a slow comparison of all with all. */
static void too_much(void **state)
{
	size_t size = 5000 * 16 + 100, at;
	char *yaml = malloc(size);
	struct config *config;
	struct why why;

	(void)state;
	at = (size_t)snprintf(yaml, size, INSIDE "endpoints:\n  names:\n");
	for (int i = 0; i < 5000; i++)
		at += (size_t)snprintf(yaml + at, size - at, "  - a%d.b\n", i);
	assert_int_equal(config_parse("f", slice_of(yaml, at), &config, &why), -EINVAL);
	assert_string_equal(
		why.text, "f:3: endpoints.names: expected at most 4096, found 5000");
	at = (size_t)snprintf(yaml, size, "datapath:\n");
	for (int i = 0; i < 300; i++)
		at += (size_t)snprintf(yaml + at, size - at, "  k%d: 1\n", i);
	assert_int_equal(config_parse("f", slice_of(yaml, at), &config, &why), -EINVAL);
	assert_string_equal(
		why.text, "f:258: expected fewer keys, found more than any section has");
	free(yaml);
	yaml = calloc(1, (1 << 20) + 1);
	assert_int_equal(
		config_parse("f", slice_of(yaml, (1 << 20) + 1), &config, &why), -EINVAL);
	assert_string_equal(why.text, "f:1: expected at most 1 MiB, found 1048577 bytes");
	free(yaml);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_yaml),
		cmocka_unit_test(yaml_that_is_more_than_a_configuration_needs),
		cmocka_unit_test(unknown_and_repeated_keys),
		cmocka_unit_test(values_of_the_wrong_shape),
		cmocka_unit_test(what_must_be_there_and_is_not),
		cmocka_unit_test(numbers),
		cmocka_unit_test(durations_and_sizes),
		cmocka_unit_test(names_paths_and_choices),
		cmocka_unit_test(host_patterns),
		cmocka_unit_test(addresses),
		cmocka_unit_test(the_same_twice),
		cmocka_unit_test(a_key_that_would_follow_a_wildcard),
		cmocka_unit_test(mappings_that_are_none),
		cmocka_unit_test(pools_that_could_never_answer),
		cmocka_unit_test(backends_that_are_not_there),
		cmocka_unit_test(a_gateway_that_makes_no_sense),
		cmocka_unit_test(keys_that_contradict_each_other),
		cmocka_unit_test(identities),
		cmocka_unit_test(credentials_that_make_no_sense),
		cmocka_unit_test(all_that_is_wrong_is_told_at_once),
		cmocka_unit_test(a_file_that_everybody_may_write_to_is_refused),
		cmocka_unit_test(too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
