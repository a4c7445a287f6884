/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every key of the configuration, once: the YAML schema, the defaults, the ranges, and what the
 * messages call "expected" are made from these tables.
 *
 *	S(key, kind, member, default, range)	one value
 *	L(key, kind, member, default, range)	a list; the default's items are separated by spaces
 *
 * default is YAML text, NULL (absent stays zero) or REQUIRED. range depends on the kind: "from..to"
 * for numbers, durations and sizes, "a|b|c" for a choice (in the order of its enum), the port of
 * an address that names none ("" = it must). */
#ifndef CONFIG_KEYS_H
#define CONFIG_KEYS_H

#define KEYS_APPLIANCE(S, L)                                                                      \
	S(name, TEXT, name, NULL, "")                                                             \
	S(run_directory, PATH, run_directory, "/run/sallyport", "")                               \
	S(workers, WORKERS, workers, "auto", "1..256")

#define KEYS_DATAPATH(S, L)                                                                       \
	S(inside, INTERFACE, inside, REQUIRED, "")                                                \
	S(xdp, CHOICE, xdp, "auto", "auto|native|generic|off")                                    \
	S(bpf_directory, PATH, bpf_directory, "/sys/fs/bpf/sallyport", "")                        \
	S(fail, CHOICE, fail, "closed", "closed|open")                                            \
	S(heartbeat_timeout, DURATION, heartbeat_ns, "800ms", "300ms..1m")                        \
	S(forward, CHOICE, forward, "stack", "stack|xdp")                                         \
	S(mark, U32, mark, "0x5a11", "1..0xfffffffe")                                             \
	S(table, U32, table, "5111", "1..0xffffffff")                                             \
	S(listen_base, U16, listen_base, "15100", "1024..65535")                                  \
	S(queue_base, U16, queue_base, "5110", "0..65407")                                        \
	S(max_sources, U32, max_sources, "65536", "1024..16777216")                               \
	S(max_flows, U32, max_flows, "262144", "1024..16777216")                                  \
	S(max_endpoints, U32, max_endpoints, "16384", "64..1048576")

#define KEYS_ADMISSION(S, L)                                                                      \
	L(allow, PREFIX, allow, NULL, "")                                                         \
	L(deny, PREFIX, deny, NULL, "")                                                           \
	S(syn_rate, U32, syn_rate, "0", "0..1000000")                                             \
	S(syn_burst, U32, syn_burst, "100", "1..1000000")                                         \
	S(connections, U32, connections, "0", "0..16777216")                                      \
	S(flood_rate, U32, flood_rate, "20000", "0..100000000")

#define KEYS_ACCOUNTING(S, L)                                                                     \
	S(summary_interval, DURATION, summary_ns, "60s", "1s..1d")

#define KEYS_ENDPOINTS(S, L)                                                                      \
	L(ports, U16, ports, "443", "1..65535")                                                   \
	L(names, HOST, names, NULL, "")                                                           \
	L(prefixes, PREFIX, prefixes, NULL, "")                                                   \
	L(resolvers, ADDRESS_PORT, resolvers, NULL, "53")                                         \
	S(ttl_floor, DURATION, ttl_floor_ns, "30s", "1s..1d")                                     \
	S(ttl_ceiling, DURATION, ttl_ceiling_ns, "10m", "1s..7d")                                 \
	S(grace, DURATION, grace_ns, "10m", "0s..7d")                                             \
	S(steer, CHOICE, steer, "endpoints", "endpoints|all")                                     \
	S(learn, CHOICE, learn, "dns+sni", "off|dns|sni|dns+sni")                                 \
	S(hold, DURATION, hold_ns, "100ms", "1ms..2s")                                            \
	S(no_sni, CHOICE, no_sni, "pass", "pass|reset|deny")                                      \
	S(ech, CHOICE, ech, "pass", "pass|reset|deny")                                            \
	S(encrypted_dns, CHOICE, encrypted_dns, "pass", "pass|reset|deny")                        \
	S(unlisted, CHOICE, unlisted, "pass", "pass|reset")                                       \
	S(invalid, CHOICE, invalid, "reset", "pass|reset|deny")                                   \
	S(not_tls, CHOICE, not_tls, "pass", "pass|reset|deny")                                    \
	S(claims_per_source, U32, claims_per_source, "32", "1..65536")                            \
	S(claims_per_name, U32, claims_per_name, "64", "1..65536")

#define KEYS_HOST(S, L)                                                                           \
	S(pattern, PATTERN, pattern, REQUIRED, "")                                                \
	S(provider, CHOICE, provider, REQUIRED, "azure|openai")                                   \
	S(backend, BACKEND, backend, NULL, "")                                                    \
	S(pool, POOL, pool, NULL, "")                                                             \
	S(fail, CHOICE, fail, "default", "closed|open|default")                                   \
	L(exempt_sources, PREFIX, exempt_sources, NULL, "")

#define KEYS_BACKEND(S, L)                                                                        \
	S(name, NAME, name, REQUIRED, "")                                                         \
	S(host, HOST, host, NULL, "")                                                             \
	L(addresses, ADDRESS_PORT, addresses, NULL, "0")                                          \
	S(port, U16, port, "443", "1..65535")                                                     \
	S(key_file, PATH, key_file, NULL, "")                                                     \
	S(credential, CREDENTIAL, credential, NULL, "")                                           \
	S(key_header, CHOICE, key_header, "auto", "api-key|bearer|auto")                          \
	S(dialect, CHOICE, dialect, "auto", "auto|azure-dated|azure-v1|openai")                   \
	S(api_version, NAME, api_version, NULL, "")                                               \
	S(region, NAME, region, NULL, "")                                                         \
	S(priority, U32, priority, "1", "1..1000")                                                \
	S(weight, U32, weight, NULL, "1..1000")                                                   \
	S(capacity, U64, capacity, NULL, "1000..1000000000")                                      \
	S(kind, CHOICE, kind, "unknown", "unknown|ptu|regional|data-zone|global")                 \
	L(roots, PATH, roots, NULL, "")                                                           \
	L(models, MAPPING, models, NULL, "")                                                      \
	L(api_versions, MAPPING, api_versions, NULL, "")

#define KEYS_POOL(S, L)                                                                           \
	S(name, NAME, name, REQUIRED, "")                                                         \
	L(backends, BACKEND, backends, NULL, "")                                                  \
	S(failures, U32, failures, "5", "1..1000")                                                \
	S(failure_rate, U32, failure_rate, "50", "0..100")                                        \
	S(out_time, DURATION, out_ns, "10s", "100ms..1h")                                         \
	S(pause_max, DURATION, pause_max_ns, "60s", "1s..1h")                                     \
	S(retry_budget, U32, retry_budget, "20", "0..100")                                        \
	S(retry_time, DURATION, retry_ns, "60s", "0s..1h")                                        \
	S(spill_context_length, BOOL, spill_context, "false", "")                                 \
	S(first_output_timeout, DURATION, first_output_ns, "0s", "0s..1d")                        \
	S(affinity, CHOICE, affinity, "prompt", "prompt|key|off")

#define KEYS_CREDENTIAL(S, L)                                                                     \
	S(name, NAME, name, REQUIRED, "")                                                         \
	S(from, CHOICE, from, REQUIRED, "file|systemd|key-vault|managed-identity|app|jwks")            \
	S(file, PATH, file, NULL, "")                                                             \
	S(secret, URL, secret, NULL, "")                                                          \
	S(url, URL, url, NULL, "")                                                                \
	S(refresh, DURATION, refresh_ns, "5m", "1s..1d")                                          \
	S(audience, URL, audience, "https://cognitiveservices.azure.com", "")                     \
	S(identity, NAME, identity, NULL, "")                                                     \
	S(tenant, NAME, tenant, NULL, "")                                                         \
	S(client_id, NAME, client_id, NULL, "")                                                   \
	S(client_secret_file, PATH, client_secret_file, NULL, "")                                 \
	S(client_certificate, PATH, client_certificate, NULL, "")                                 \
	S(authority, HOST, authority, "login.microsoftonline.com", "")

#define KEYS_TOKEN(S, L)                                                                          \
	S(name, NAME, name, REQUIRED, "")                                                         \
	S(keys, CREDENTIAL, keys, REQUIRED, "")                                                   \
	L(issuers, URL, issuers, REQUIRED, "")                                                    \
	L(audiences, TEXT, audiences, REQUIRED, "")                                               \
	S(tenant, NAME, tenant, NULL, "")                                                         \
	L(algorithms, CHOICE, algorithms, "RS256",                                                \
		"RS256|RS384|RS512|PS256|PS384|PS512|ES256|ES384|ES512")                          \
	S(skew, DURATION, skew_ns, "60s", "0s..10m")

#define KEYS_TLS(S, L)                                                                            \
	S(ca_certificate, PATH, ca_certificate, "/etc/sallyport/ca.pem", "")                      \
	S(ca_key, PATH, ca_key, "/etc/sallyport/ca.key", "")                                      \
	L(origin_roots, PATH, origin_roots, NULL, "")                                             \
	S(system_roots, BOOL, system_roots, "true", "")                                           \
	S(leaf_validity, DURATION, leaf_validity_ns, "7d", "2d..200d")                            \
	S(leaf_rate, U32, leaf_rate, "50", "1..10000")                                            \
	S(leaf_cache, U32, leaf_cache, "1024", "16..65536")                                       \
	S(handshake_timeout, DURATION, handshake_ns, "10s", "1s..5m")                             \
	S(ticket_rotation, DURATION, ticket_rotation_ns, "8h", "0s..7d")

#define KEYS_TCP(S, L)                                                                            \
	S(keepalive_idle, DURATION, keepalive_idle_ns, "60s", "1s..2h")                           \
	S(keepalive_interval, DURATION, keepalive_interval_ns, "15s", "1s..2h")                   \
	S(keepalive_probes, U32, keepalive_probes, "4", "1..127")

#define KEYS_HTTP(S, L)                                                                           \
	S(head_max, SIZE, head_max, "64KiB", "4KiB..1MiB")                                        \
	S(headers_max, U32, headers_max, "128", "16..1024")                                       \
	S(head_timeout, DURATION, head_ns, "10s", "1s..10m")                                      \
	S(idle_timeout, DURATION, idle_ns, "300s", "1s..1d")                                      \
	S(body_timeout, DURATION, body_ns, "60s", "1s..1d")                                       \
	S(unread_timeout, DURATION, unread_ns, "1h", "0s..7d")                                    \
	S(window, SIZE, window, "64KiB", "16KiB..16MiB")                                          \
	S(request_window, SIZE, request_window, "64KiB", "1KiB..16MiB")                           \
	S(edit_window, SIZE, edit_window, "1MiB", "0..64MiB")                                     \
	S(replay_window, SIZE, replay_window, "1MiB", "0..16GiB")                                 \
	S(held_max, SIZE, held_max, "64MiB", "0..64GiB")                                          \
	S(body_max, SIZE, body_max, "0", "0..1TiB")                                               \
	S(unreadable, CHOICE, unreadable, "deny", "deny|pass")                                    \
	S(expansion_max, U32, expansion_max, "64", "1..1032")                                     \
	S(inject_usage, BOOL, inject_usage, "true", "")                                           \
	S(tell_backend, BOOL, tell_backend, "false", "")                                          \
	S(h2, BOOL, h2, "true", "")                                                               \
	S(h2_streams, U32, h2_streams, "100", "1..1000")

#define KEYS_ORIGIN(S, L)                                                                         \
	S(connect_timeout, DURATION, connect_ns, "5s", "100ms..10m")                              \
	S(attempts_max, U32, attempts_max, "4", "1..8")                                           \
	S(first_byte_timeout, DURATION, first_byte_ns, "20m", "1s..1d")                           \
	S(idle_timeout, DURATION, idle_ns, "20m", "1s..1d")                                       \
	S(keepalive, DURATION, keepalive_ns, "60s", "0s..1d")                                     \
	S(proxy, ADDRESS_PORT, proxy, NULL, "3128")                                               \
	S(pool_max, U32, pool_max, "64", "0..65536")                                              \
	S(pool_total, U32, pool_total, "1024", "0..1048576")                                      \
	S(names_max, U32, names_max, "1024", "16..1048576")                                       \
	S(on_client_close, CHOICE, on_client_close, "cancel", "cancel|drain")                     \
	S(drain_time, DURATION, drain_ns, "60s", "0s..1h")                                        \
	S(drain_size, SIZE, drain_bytes, "16MiB", "0..1GiB")

#define KEYS_AUDIT(S, L)                                                                          \
	S(collector_socket, PATH, collector_socket, "/run/sallyport-collector/socket", "")        \
	S(collector, ADDRESS_PORT, collector, NULL, "")                                           \
	L(collector_others, ADDRESS_PORT, collector_others, NULL, "24224")                        \
	S(collector_key_file, PATH, collector_key_file, NULL, "")                                 \
	S(collector_ca_file, PATH, collector_ca_file, NULL, "")                                   \
	S(collector_name, HOST, collector_name, NULL, "")                                         \
	S(collector_certificate_file, PATH, collector_certificate_file, NULL, "")                 \
	S(collector_certificate_key_file, PATH, collector_certificate_key_file, NULL, "")         \
	S(tag, NAME, tag, "sallyport.exchange", "")                                               \
	S(spool_directory, PATH, spool_directory, "/var/spool/sallyport", "")                     \
	S(spool_size, SIZE, spool_bytes, "1GiB", "1MiB..16TiB")                                   \
	S(segment_size, SIZE, segment_bytes, "8MiB", "64KiB..1GiB")                               \
	S(fsync, CHOICE, fsync, "interval", "always|interval|never")                              \
	S(fsync_interval, DURATION, fsync_ns, "200ms", "1ms..1m")                                 \
	S(when_full, CHOICE, when_full, "block", "block|drop")                                    \
	S(ack_timeout, DURATION, ack_ns, "30s", "1s..10m")                                        \
	S(flush_interval, DURATION, flush_ns, "100ms", "1ms..1m")                                 \
	S(batch, U32, batch, "500", "1..100000")                                                  \
	S(content, BOOL, content, "true", "")                                                     \
	S(content_max, SIZE, content_max, "256KiB", "0..1536KiB")                                 \
	L(redact_headers, HEADER, redact_headers, NULL, "")                                       \
	S(ring_size, SIZE, ring_bytes, "16MiB", "64KiB..1GiB")

#define KEYS_GATEWAY(S, L)                                                                        \
	L(listen, ADDRESS_PORT, listen, NULL, "443")                                              \
	S(name, HOST, name, NULL, "")                                                             \
	S(backend, BACKEND, backend, NULL, "")                                                    \
	S(pool, POOL, pool, NULL, "")                                                             \
	S(require_key, BOOL, require_key, "true", "")

#define KEYS_POLICY(S, L)                                                                         \
	S(file, PATH, file, NULL, "")                                                             \
	S(keys_file, PATH, keys_file, NULL, "")                                                   \
	S(limit_counters, U32, limit_counters, "4096", "256..1048576")

#define KEYS_PROCESSES(S, L)                                                                      \
	S(worker, IDENTITY, worker, "sallyport-worker", "")                                       \
	S(signer, IDENTITY, signer, "sallyport-signer", "")                                       \
	S(shipper, IDENTITY, shipper, "sallyport-shipper", "")                                    \
	S(scout, IDENTITY, scout, "sallyport-scout", "")                                          \
	S(keeper, IDENTITY, keeper, "sallyport-keeper", "")                                       \
	S(drain_timeout, DURATION, drain_ns, "30s", "0s..1h")

/* The sections that are one mapping, and the type and member of struct config they fill. */
#define SECTIONS(X)                                                                               \
	X(appliance, APPLIANCE)                                                                   \
	X(datapath, DATAPATH)                                                                     \
	X(admission, ADMISSION)                                                                   \
	X(accounting, ACCOUNTING)                                                                 \
	X(endpoints, ENDPOINTS)                                                                   \
	X(tls, TLS)                                                                               \
	X(tcp, TCP)                                                                               \
	X(http, HTTP)                                                                             \
	X(gateway, GATEWAY)                                                                       \
	X(origin, ORIGIN)                                                                         \
	X(audit, AUDIT)                                                                           \
	X(policy, POLICY)                                                                         \
	X(processes, PROCESSES)

#endif
