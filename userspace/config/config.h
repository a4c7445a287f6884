/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configuration: read from YAML once, immutable afterwards. appliance/sallyport.yaml
 * documents every key. Durations are ns, sizes bytes. Strings are NUL-terminated and owned. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/address.h"
#include "base/log.h"
#include "base/buf.h"
#include "base/slice.h"
#include "base/why.h"
#include "config/provider.h"

#define CONFIG_DEFAULT_PATH "/etc/sallyport/sallyport.yaml"
/* In appliance.run_directory, while the daemon runs: the text of the configuration in force, behind
 * a line that names the file that it came from. */
#define CONFIG_RUNNING_FILE "running.yaml"
#define CONFIG_RUNNING_HEAD "# sallyportd runs by this, which it read from "

enum config_xdp { CONFIG_XDP_AUTO, CONFIG_XDP_NATIVE, CONFIG_XDP_GENERIC, CONFIG_XDP_OFF };
enum config_fsync { CONFIG_FSYNC_ALWAYS, CONFIG_FSYNC_INTERVAL, CONFIG_FSYNC_NEVER };
enum config_full { CONFIG_FULL_BLOCK, CONFIG_FULL_DROP };
enum config_on_client_close { CONFIG_CLIENT_CLOSE_CANCEL, CONFIG_CLIENT_CLOSE_DRAIN };
enum config_steer { CONFIG_STEER_ENDPOINTS, CONFIG_STEER_ALL };
/* How endpoints are found besides active resolution: two bits. */
enum config_learn { CONFIG_LEARN_OFF, CONFIG_LEARN_DNS, CONFIG_LEARN_SNI, CONFIG_LEARN_BOTH };
/* What becomes of a connection that hides its name: reset tells the client, deny does not. */
enum config_policy { CONFIG_POLICY_PASS, CONFIG_POLICY_RESET, CONFIG_POLICY_DENY };
/* What becomes of new AI connections while nobody is there to inspect them: reset, or passed. */
enum config_fail { CONFIG_FAIL_CLOSED, CONFIG_FAIL_OPEN, CONFIG_FAIL_DEFAULT /* of hosts: datapath.fail */ };
/* What becomes of a request whose body cannot be read, on an operation whose bodies are. */
enum config_unreadable { CONFIG_UNREADABLE_DENY, CONFIG_UNREADABLE_PASS };
/* Who forwards established connections that are not steered. */
enum config_forward { CONFIG_FORWARD_STACK, CONFIG_FORWARD_XDP };

struct config_appliance {
	char *name;		/* default: the host name; observer.name of every event */
	char *run_directory;	/* /run/sallyport: lock, counters */
	uint32_t workers;	/* 0 in YAML ("auto") is resolved to the CPUs online */
};

struct config_datapath {
	char *inside;		/* the interface clients arrive on; required */
	enum config_xdp xdp;
	char *bpf_directory;	/* /sys/fs/bpf/sallyport */
	enum config_fail fail;	/* closed; hosts may differ */
	uint64_t heartbeat_ns;	/* a worker that gave no sign of life for so long is none: 800 ms */
	enum config_forward forward;
	uint32_t mark;		/* 0x5a11 */
	uint32_t table;		/* routing table, 5111 */
	uint16_t queue_base;	/* NFQUEUE numbers from here on, two per CPU: 5110 */
	uint16_t listen_base;	/* worker i listens on 127.0.0.1 and ::1, port listen_base+i: 15100 */
	uint32_t max_sources;	/* map sizes */
	uint32_t max_flows;
	uint32_t max_endpoints;
};

/* Which sources may send, and how much of it. */
struct config_admission {
	struct prefix *allow;	/* empty: every source; else only these */
	size_t nallow;
	struct prefix *deny;	/* the longest prefix of both lists decides */
	size_t ndeny;
	uint32_t syn_rate;	/* SYNs per second and source; 0: no limit */
	uint32_t syn_burst;	/* SYNs at once: 100 */
	uint32_t connections;	/* connections at a time and source; 0: no limit */
	uint32_t flood_rate;	/* new connections per second beyond which none is recorded: 20000; 0: never */
};

struct config_accounting {
	uint64_t summary_ns;	/* between two source.summary events of a source: 60 s */
};

struct config_endpoints {
	uint16_t *ports;	/* destination ports steered: 443 */
	size_t nports;
	char **names;		/* exact names resolved actively, besides the exact hosts */
	size_t nnames;
	struct prefix *prefixes; /* always endpoints */
	size_t nprefixes;
	struct address_port *resolvers; /* empty: those of /etc/resolv.conf */
	size_t nresolvers;
	uint64_t ttl_floor_ns;	/* a shorter TTL is treated as this: 30 s */
	uint64_t ttl_ceiling_ns; /* 10 min */
	enum config_steer steer;
	enum config_learn learn;
	uint64_t hold_ns;	/* the longest that a packet waits for its address to be learned: 100 ms */
	enum config_policy no_sni, ech, encrypted_dns;
	/* Of connections that are steered and name no listed host; the three above hold there too. */
	enum config_policy unlisted, invalid, not_tls;
	/* Addresses that clients alone say to be a listed host's, of a source and of a name. */
	uint32_t claims_per_source, claims_per_name;
	uint64_t grace_ns;	/* an address stays an endpoint this long after it left the DNS: 10 min */
};

enum config_credential_from {
	CONFIG_CREDENTIAL_FILE,
	CONFIG_CREDENTIAL_SYSTEMD,
	/* From here on they are fetched over the network. */
	CONFIG_CREDENTIAL_KEY_VAULT,
	CONFIG_CREDENTIAL_MANAGED_IDENTITY,
	CONFIG_CREDENTIAL_APP,
	CONFIG_CREDENTIAL_JWKS, /* public: the keys of those who issue tokens to clients */
};

/* What calls to a backend are made with. The keeper has it, and workers have the value of now. */
struct config_credential {
	char *name;
	enum config_credential_from from;
	char *file;		/* FILE: one line, opened by the parent */
	char *secret;		/* KEY_VAULT: its URL, https://…/secrets/… */
	uint64_t refresh_ns;	/* KEY_VAULT: so often it is asked whether there is another value: 5 min */
	char *audience;		/* of a token: https://cognitiveservices.azure.com */
	char *identity;		/* client id of a managed identity; NULL: the machine's only one */
	char *tenant, *client_id; /* of an app registration; NULL: the managed identity asks */
	char *client_secret_file, *client_certificate; /* one of the two; opened by the parent */
	char *authority;	/* login.microsoftonline.com */
	char *url;		/* JWKS: where the keys are published */
};

/* Tokens of clients that are checked here (RFC 7519), and say who they are. */
struct config_token {
	char *name;
	struct config_credential *keys; /* from JWKS */
	char **issuers;			/* "iss" is one of them */
	size_t nissuers;
	char **audiences; /* "aud" has one of them */
	size_t naudiences;
	char *tenant;	 /* "tid"; NULL: any */
	int *algorithms; /* TOKEN_ALGORITHMS of policy/token.h */
	size_t nalgorithms;
	uint64_t skew_ns; /* by which clocks may differ */
};

/* A name, or pattern "*.openai.azure.com" (one label), whose calls are inspected. */
struct config_host {
	char *pattern;		/* lower case */
	enum config_provider provider;
	/* At most one of them is there; neither: the origin the client named. */
	struct config_backend *backend;
	struct config_pool *pool;
	enum config_fail fail;	/* CONFIG_FAIL_DEFAULT: as datapath.fail */
	struct prefix *exempt_sources; /* whose calls pass uninspected, for these clients pin */
	size_t nexempt_sources;
};

/* How a backend's deployments are provided: reserved for us alone (PTU), or shared in a place. */
enum config_kind {
	CONFIG_KIND_UNKNOWN,
	CONFIG_KIND_PTU,
	CONFIG_KIND_REGIONAL,
	CONFIG_KIND_DATA_ZONE,
	CONFIG_KIND_GLOBAL,
};

/* Which forms of the API a backend takes. */
enum config_dialect {
	CONFIG_DIALECT_ANY, /* that of the client, whatever it is */
	CONFIG_DIALECT_AZURE_DATED,
	CONFIG_DIALECT_AZURE_V1,
	CONFIG_DIALECT_OPENAI,
	CONFIG_DIALECT_AZURE, /* both of Azure's: of names that are known to be */
};

/* Where the calls of a host go instead of to the address that its name has. */
struct config_backend {
	char *name;
	char *host;		/* the origin's name: SNI, verified name, Host. NULL: the client's */
	struct address_port *addresses;	/* overrides the resolver; port 0: port below */
	size_t naddresses;
	uint16_t port;		/* 443 */
	char *key_file;		/* the short form of a credential from a file */
	struct config_credential *credential; /* NULL: the client's passes; key_file's, too */
	enum { CONFIG_KEY_API_KEY, CONFIG_KEY_BEARER, CONFIG_KEY_AUTO /* in the file */ } key_header;
	enum config_dialect dialect;
	char *api_version;	/* asked for on dated paths, of calls that name none; may be NULL */
	char **roots;		/* PEM files it is verified by, in place of all others; may be empty */
	size_t nroots;
	char *region;		/* for events; may be NULL */
	uint32_t priority;	/* in its pools: the lowest that is alive is asked … */
	uint32_t weight;	/* … each of these as often as its weight says */
	uint64_t capacity;	/* tokens a minute that it takes; 0: not known */
	enum config_kind kind;
	char **models;		/* "name=other": what a model or deployment is called there */
	size_t nmodels;
	char **api_versions;	/* likewise */
	size_t napi_versions;
};

#define CONFIG_POOL_MAX 64 /* backends of a pool */

/* Which calls go to the same backend, so that the provider's prompt cache is of use. */
enum config_affinity { CONFIG_AFFINITY_PROMPT, CONFIG_AFFINITY_KEY, CONFIG_AFFINITY_OFF };

/* Backends that stand in for each other. */
struct config_pool {
	char *name;
	struct config_backend **backends;
	size_t nbackends;
	uint32_t failures;	/* so many in a row take a backend out: 5 … */
	uint32_t failure_rate;	/* … or so many of a hundred calls; 0: they do not: 50 */
	uint64_t out_ns;	/* for so long at first: 10 s */
	uint64_t pause_max_ns;	/* a backend that asks for a longer pause gets this one: 60 s */
	uint32_t retry_budget;	/* further attempts for a hundred calls: 20 */
	uint64_t retry_ns;	/* no further attempt begins this long after the call: 60 s */
	bool spill_context;	/* what is too long for a PTU's model goes to the others: false */
	enum config_affinity affinity;
	uint64_t first_output_ns; /* a backend whose output has not begun by then is left; 0: never */
};

#define CONFIG_GATEWAY_MAX 8 /* addresses that it listens at */

/* Where clients call the appliance itself, by its own name. Off without an address. */
struct config_gateway {
	struct address_port *listen;
	size_t nlisten;
	char *name;		/* SNI, certificate and Host; lower case */
	/* One of them, whose backends all have a host. */
	struct config_backend *backend;
	struct config_pool *pool;
	bool require_key;	/* calls without a key that is issued here are refused */
	struct config_host hosts[2]; /* by enum config_provider, whose paths are called: made of these */
};

struct config_tls {
	char *ca_certificate;	/* PEM, chain allowed: first the issuing CA */
	char *ca_key;		/* PEM, 0600, owned by root or the signer */
	char **origin_roots;	/* PEM files that are trusted besides (or instead of) the system's */
	size_t norigin_roots;
	bool system_roots;	/* true */
	uint64_t leaf_validity_ns;	/* 2 days .. 200 days; default 7 days */
	uint32_t leaf_rate;	/* leaves a second that a worker gets, ten seconds of them at once: 50 */
	uint32_t leaf_cache;	/* leaves a worker keeps: 1024 */
	uint64_t handshake_ns;	/* deadline of a client handshake: 10 s */
	uint64_t ticket_rotation_ns;	/* 8 h; 0 turns tickets off */
};

/* Of the connections of clients and to origins. */
struct config_tcp {
	uint64_t keepalive_idle_ns;	/* silence before the first probe, in whole seconds: 60 s */
	uint64_t keepalive_interval_ns;	/* between two probes, in whole seconds: 15 s */
	uint32_t keepalive_probes;	/* without an answer: the peer is gone: 4 */
};

struct config_http {
	size_t head_max;	/* bytes of a request or response head: 64 KiB */
	uint32_t headers_max;	/* 128 */
	uint64_t head_ns;	/* deadline of a whole request head from its first byte: 10 s */
	uint64_t idle_ns;	/* a kept-alive client connection without a request: 300 s */
	uint64_t body_ns;	/* without progress of a request body: 60 s */
	uint64_t unread_ns;	/* a client that takes nothing of its answer for so long: 1 h; 0: never */
	size_t window;		/* bytes in flight per direction (back-pressure): 64 KiB */
	size_t request_window;	/* bytes of a body held before it goes on: 64 KiB … */
	size_t edit_window;	/* … and of one that may yet be edited: 1 MiB */
	size_t replay_window;	/* bytes kept of a body that goes on, to send it again: 1 MiB */
	size_t held_max;	/* bytes of bodies that a worker holds beyond request_window: 64 MiB */
	uint64_t body_max;	/* 0: no limit */
	enum config_unreadable unreadable;
	uint32_t expansion_max; /* a coded body may grow by this factor, and by 1 MiB: 64 */
	bool inject_usage;	/* true */
	bool tell_backend;	/* to clients, in x-sallyport-backend: false */
	bool h2;		/* HTTP/2 is offered to clients: true */
	uint32_t h2_streams;	/* requests at a time on one of their connections: 100 */
};

struct config_origin {
	uint64_t connect_ns;	/* TCP + TLS: 5 s per address */
	struct address_port proxy; /* by which origins are called (CONNECT); port 0: none */
	uint32_t attempts_max;	/* tries of one request: 4 */
	uint64_t first_byte_ns;	/* 20 min */
	uint64_t idle_ns;	/* between two bytes of a response: 20 min */
	uint64_t keepalive_ns;	/* an unused pooled connection lives this long: 60 s */
	uint32_t pool_max;	/* idle connections per origin and worker: 64 */
	uint32_t pool_total;	/* idle connections per worker: 1024 */
	uint32_t names_max;	/* names whose addresses a worker remembers: 1024 */
	/* When the client leaves: end the origin's call (cancel), or read it to its end. */
	enum config_on_client_close on_client_close;
	uint64_t drain_ns;	/* with drain: 60 s … */
	uint64_t drain_bytes;	/* … and at most this much: 16 MiB */
};

struct config_audit {
	char *collector_socket;	/* /run/sallyport-collector/socket */
	struct address_port collector; /* over TCP, and not the socket; port 0: none */
	struct address_port *collector_others; /* over TCP as well, for when it takes no events */
	size_t ncollector_others;
	char *collector_key_file; /* shared with it, opened by the parent; NULL: no handshake */
	char *collector_ca_file;  /* TLS; opened by the parent as well; NULL: plain */
	char *collector_name;	  /* in its certificate; NULL: its address */
	char *collector_certificate_file, *collector_certificate_key_file; /* ours; NULL: none */
	char *tag;		/* sallyport.exchange */
	char *spool_directory;	/* /var/spool/sallyport */
	uint64_t spool_bytes;	/* 1 GiB */
	uint64_t segment_bytes;	/* 8 MiB */
	enum config_fsync fsync;
	uint64_t fsync_ns;	/* 200 ms: the interval of CONFIG_FSYNC_INTERVAL */
	enum config_full when_full; /* block */
	uint64_t ack_ns;	/* 30 s */
	uint64_t flush_ns;	/* the longest an event waits to make a batch: 100 ms */
	uint32_t batch;		/* most events of a chunk: 500 */
	bool content;		/* record prompts and completions: true */
	size_t content_max;	/* bytes per direction: 256 KiB */
	char **redact_headers;	/* besides the built-in credentials */
	size_t nredact_headers;
	uint64_t ring_bytes;	/* per worker: 16 MiB */
};

/* Who may ask what: in files of their own. */
struct config_policy_files {
	char *file;	 /* policy_file.h; NULL: everything is allowed */
	char *keys_file; /* policy/key_table.h, of root; NULL: no keys are issued */
	uint32_t limit_counters; /* rows of policy/limit_table.h, from the start of the daemon on */
};

struct config_identity {
	uid_t uid;	/* never root's */
	gid_t gid;
	char *name;	/* as written */
	bool missing;	/* there is no such user or group (yet): the ids are nobody's */
};

struct config_processes {
	struct config_identity worker, signer, shipper, scout, keeper; /* "user", "user:group" or numbers */
	uint64_t drain_ns;	/* SIGTERM: exchanges in flight have this long: 30 s */
};

struct config {
	struct config_appliance appliance;
	struct config_datapath datapath;
	struct config_admission admission;
	struct config_accounting accounting;
	struct config_endpoints endpoints;
	struct config_host *hosts;
	size_t nhosts;
	struct config_backend *backends;
	size_t nbackends;
	struct config_pool *pools;
	size_t npools;
	/* As listed in the file, then those of key_file, in the order of their backends. */
	struct config_credential *credentials;
	size_t ncredentials, nlisted_credentials;
	struct config_token *tokens;
	size_t ntokens;
	struct config_tls tls;
	struct config_tcp tcp;
	struct config_http http;
	struct config_gateway gateway;
	struct config_origin origin;
	struct config_audit audit;
	struct config_policy_files policy;
	struct config_processes processes;
};

/* Reads the YAML text; name is used in messages only. On failure -EINVAL (or -ENOMEM) and why is
 * "name:line: key: expected …, found …". Does not look at the system but for the ids of users:
 * one that does not exist is `missing`, because an installation may check its configuration
 * before systemd-sysusers made its users; config_check_system tells. Free with config_free. */
int config_parse(const char *name, struct slice yaml, struct config **config, struct why *why);
/* The same, and tells of all that is wrong, not only of the first; *count is how much it is. */
int config_parse_all(const char *name, struct slice yaml, struct config **config,
	void (*told)(void *context, const char *problem), void *context, size_t *count);
/* The text of a file. Refused when everybody may write to it. 0, or negative errno and why. */
int config_read(const char *path, struct buf *text, struct why *why);
/* As config_parse, from a file. */
int config_load(const char *path, struct config **config, struct why *why);
/* What config_parse cannot know: interface exists, files are there with right owner and mode,
 * spool and run directories can be made, ids exist. Calls told for each problem
 * ("file:line: key: …") and returns how many there are. */
size_t config_check_system(const char *path, const struct config *config,
	void (*told)(void *context, const char *problem), void *context);
/* What it means that its reader may not expect: which calls do not go to which backends. */
void config_notes(const struct config *config, void (*told)(void *context, const char *note),
	void *context);
void config_free(struct config *config);

/* The key of the first of these settings that cannot change in a running appliance and differs;
 * NULL: none. */
const char *config_datapath_restart(
	const struct config_datapath *old, const struct config_datapath *new);

/* CONFIG_FAIL_CLOSED or CONFIG_FAIL_OPEN: what holds for the addresses of this host, or with NULL
 * for those that belong to no host (endpoints.prefixes). */
enum config_fail config_fail_of(const struct config *config, const struct config_host *host);
/* Which of CONFIG_FAIL_CLOSED and CONFIG_FAIL_OPEN holds for any address at all. */
void config_fail_modes(const struct config *config, bool modes[2]);
/* Whether a host of either configuration has another mode in the other. */
bool config_fail_differs(const struct config *a, const struct config *b);

/* The file that the parent opens for a credential; NULL: it has none. The text is valid as long as
 * path, which is filled where the credential does not name the file itself. */
#define CONFIG_PATH_SIZE 4096
const char *config_credential_path(
	const struct config_credential *credential, char path[CONFIG_PATH_SIZE]);

/* Whether the value is a token, which goes as Authorization: Bearer whatever key_header says. */
bool config_credential_is_token(const struct config_credential *credential);
/* Whether any of them is had by the machine's managed identity, at 169.254.169.254. */
bool config_uses_managed_identity(const struct config *config);

/* The parts of a URL that scalar_parse has let pass: https://host[:port]/path. */
struct config_url {
	char host[256];
	uint16_t port;
	const char *path; /* in the URL; "" when there is none */
};
struct config_url config_url_split(const char *url);

/* Whom a token is for by which that Key Vault is asked: its cloud's vaults, which sovereign clouds have
 * of their own. */
#define CONFIG_AUDIENCE_SIZE 272
void config_vault_audience(const char *secret, char audience[CONFIG_AUDIENCE_SIZE]);

/* "file", "key-vault" …: the word of the configuration. */
const char *config_credential_from(const struct config_credential *credential);
/* In appliance.run_directory, while the daemon runs: an array of JSON objects that tells of each
 * credential what `sallyport status` shows. */
#define CREDENTIAL_REPORT_FILE "credentials"

/* Where the events go, for people: the address, or the path of the socket. */
struct log_quoted config_collector_name(const struct config_audit *audit);
/* That of one of all collectors: 0 is the first, n the n-th of the others. */
struct log_quoted config_collector_name_of(const struct config_audit *audit, size_t which);

/* The word of the configuration; NULL: it is not known. */
const char *config_kind_name(enum config_kind kind);
/* Which forms of the API a host is known to take by its name; those of nobody we know take any. */
enum config_dialect config_dialect_of(const char *host);
/* Whether the gateway listens there. */
bool config_gateway_at(const struct config *config, const struct address_port *at);
/* As config_host_find, and for the gateway's name the host of that provider's paths. */
const struct config_host *config_host_called(
	const struct config *config, struct slice name, enum config_provider provider);

/* The host entry that a lower-case name falls under: exact before patterns; NULL: not ours. */
const struct config_host *config_host_find(const struct config *config, struct slice name);
/* Whether the name, in lower case, ends as a pattern does but does not match it: "a.b.openai.azure.com",
 * "my_res.openai.azure.com". Dots at its end do not count. Any bytes may be given. */
bool config_host_below(const struct config *config, struct slice name);

#endif
