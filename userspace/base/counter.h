/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Counters of everything that is dropped, bypassed, denied, retried or failed: one table of names
 * for the metrics, the status command and the documentation. They live in a file that is mapped by
 * every process, each in a slot of its own, so that counting never waits and outlives a crash. */
#ifndef BASE_COUNTER_H
#define BASE_COUNTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/why.h"

/* X(NAME, "name", "help"): one line each, sorted by part. */
#define COUNTERS(X)                                                                            \
	/* audit */ \
	X(AUDIT_RECORDED, "audit.recorded", "events handed to the shipper") \
	X(AUDIT_DROPPED, "audit.dropped", "events lost because the ring was full or their process had no more time") \
	X(AUDIT_BLOCKED, "audit.blocked", "times exchanges began to wait for room in the ring") \
	X(AUDIT_CONTENT_CUT, "audit.content_cut", "events without their content, which was longer than the ring takes") \
	/* accounting */ \
	X(ACCOUNTING_ROUNDS, "accounting.rounds", "times the flow table was swept") \
	X(ACCOUNTING_ROUNDS_FAILED, "accounting.rounds_failed", "sweeps given up because the kernel or memory failed") \
	X(ACCOUNTING_BATCHES_RETRIED, "accounting.batches_retried", "reads of a kernel map repeated with more room") \
	X(ACCOUNTING_FLOWS_FORGOTTEN, "accounting.flows_forgotten", "connections forgotten because they were silent beyond the timeout of their state") \
	X(ACCOUNTING_FLOWS_CHANGED, "accounting.flows_changed", "connections that came alive while they were about to be forgotten, and stayed") \
	X(ACCOUNTING_FLOWS_RESTORED, "accounting.flows_restored", "of those: put back, for they were already taken out") \
	X(ACCOUNTING_LOOKS, "accounting.looks", "times the totals of the source addresses were read and published") \
	X(ACCOUNTING_LOOKS_FAILED, "accounting.looks_failed", "those given up because the kernel or memory failed") \
	X(ACCOUNTING_SOURCES_FULL, "accounting.sources_full", "sources passed over because there are more than datapath.max_sources") \
	X(ACCOUNTING_SUMMARIES, "accounting.summaries", "source.summary events") \
	X(ACCOUNTING_SUMMARIES_LATE, "accounting.summaries_late", "times summaries had to wait for the next look because the ring was half full") \
	X(ACCOUNTING_SUMMARIES_CUT, "accounting.summaries_cut", "times the last summaries could not all be told at the end") \
	X(ACCOUNTING_DROPS, "accounting.drops", "source.drop events") \
	X(ACCOUNTING_DROPS_PUT_OFF, "accounting.drops_put_off", "times a source.drop event was put off for its rate: the next one has its count") \
	X(ACCOUNTING_STATES, "accounting.states", "transitions of the datapath that were told by an event") \
	X(TOTALS_UNKNOWN, "totals.unknown", "events of calls without totals of their source, which were not published yet") \
	X(TOTALS_TORN, "totals.torn", "events of calls without totals of their source, which were being written") \
	/* clients */ \
	X(CLIENT_ACCEPTED, "client.accepted", "connections steered to a worker") \
	X(CLIENT_NOT_ACCEPTED, "client.not_accepted", "connections that could not be accepted for want of descriptors or memory") \
	X(CLIENT_NOT_STEERED, "client.not_steered", "connections closed because a process of the appliance made them, to the listener itself") \
	X(GATEWAY_ACCEPTED, "gateway.accepted", "connections to the gateway, where clients call the appliance by its own name") \
	X(GATEWAY_REFUSED, "gateway.refused", "of those: closed because they are not TLS, or name another host") \
	X(HELLO_NONE, "hello.none", "connections closed before a whole ClientHello") \
	X(HELLO_MALFORMED, "hello.malformed", "connections refused for a malformed, cut off or endless ClientHello") \
	X(BYPASS_NOT_LISTED, "bypass.not_listed", "connections spliced because their name is not on the list") \
	X(BYPASS_NO_SNI, "bypass.no_sni", "connections spliced because TLS named no host") \
	X(BYPASS_NOT_TLS, "bypass.not_tls", "connections spliced because they are not TLS") \
	X(BYPASS_INVALID, "bypass.invalid", "connections spliced although TLS named what is no host name, or ends as listed names do") \
	X(BYPASS_ECH, "bypass.ech", "connections spliced whose unlisted name may be a cover (ECH, or its imitation)") \
	X(BYPASS_ENCRYPTED_DNS, "bypass.encrypted_dns", "connections to known resolvers spliced") \
	X(BYPASS_EXEMPT, "bypass.exempt", "connections spliced because hosts.exempt_sources has their source") \
	X(BYPASS_RECORDED, "bypass.recorded", "events of connections that were spliced, or refused by policy") \
	X(BYPASS_LEFT_OUT, "bypass.left_out", "such connections without an event of their own, for their rate: an event has their number") \
	X(REFUSED_UNLISTED, "refused.unlisted", "steered connections refused by endpoints.unlisted") \
	X(REFUSED_NO_SNI, "refused.no_sni", "steered connections refused by endpoints.no_sni") \
	X(REFUSED_INVALID, "refused.invalid", "steered connections refused by endpoints.invalid") \
	X(REFUSED_ECH, "refused.ech", "steered connections refused by endpoints.ech") \
	X(REFUSED_ENCRYPTED_DNS, "refused.encrypted_dns", "steered connections refused by endpoints.encrypted_dns") \
	X(REFUSED_NOT_TLS, "refused.not_tls", "steered connections refused by endpoints.not_tls") \
	X(BYPASS_UNREACHABLE, "bypass.unreachable", "spliced connections whose destination did not answer") \
	X(CLIENT_STALLED, "client.stalled", "connections cut because the client took nothing of its answer for http.unread_timeout") \
	X(CLIENT_HTTP2, "client.http2", "connections of clients that chose HTTP/2") \
	X(CLIENT_FLOODED, "client.flooded", "connections closed because the client sent too many TLS messages or HTTP/2 frames without payload, or took too many requests back") \
	X(LEAF_FAILED, "leaf.failed", "connections without a leaf from the signer") \
	X(HANDSHAKE_FULL, "handshake.full", "full TLS handshakes with clients") \
	X(HANDSHAKE_RESUMED, "handshake.resumed", "resumed TLS handshakes with clients") \
	X(HANDSHAKE_FAILED, "handshake.failed", "TLS handshakes with clients that failed") \
	X(HANDSHAKE_REJECTED, "handshake.rejected", "of those: the client does not trust the CA") \
	X(HANDSHAKE_TIMEOUT, "handshake.timeout", "TLS handshakes with clients that took too long") \
	/* requests */ \
	X(EXCHANGE_STARTED, "exchange.started", "requests read, or refused as malformed") \
	X(EXCHANGE_FAILED, "exchange.failed", "requests answered by an error of ours") \
	X(EXCHANGE_CUT, "exchange.cut", "responses cut off because their origin failed in the middle") \
	X(EXCHANGE_SHUTDOWN, "exchange.shutdown", "exchanges cut off because their worker had no more time") \
	X(EXCHANGE_ABANDONED, "exchange.abandoned", "exchanges whose client left before their end") \
	X(EXCHANGE_DRAINED, "exchange.drained", "of those: read to their end for the usage") \
	X(EXCHANGE_DRAIN_CAPPED, "exchange.drain_capped", "of those: given up at the cap of time or bytes") \
	X(REQUEST_MALFORMED, "request.malformed", "requests refused as malformed HTTP") \
	X(REQUEST_REFUSED, "request.refused", "requests refused for their Host, path or Upgrade") \
	X(REQUEST_TIMEOUT, "request.timeout", "request heads that did not arrive in time") \
	X(REQUEST_BODY_TIMEOUT, "request.body_timeout", "request bodies that stopped arriving") \
	X(EDIT_REFUSED, "request.edit_refused", "requests sent once more as the client wrote them: the model refused what was added") \
	X(REQUEST_UNREADABLE, "request.unreadable", "request bodies forwarded unread: no JSON, or an unknown coding") \
	X(RESPONSE_MALFORMED, "response.malformed", "responses refused as malformed HTTP") \
	X(RESPONSE_TRUNCATED, "response.truncated", "streams that ended without their end mark") \
	X(RESPONSE_UNREADABLE, "response.unreadable", "response bodies forwarded unread: an unknown coding") \
	/* credentials */ \
	X(CREDENTIAL_RENEWED, "credential.renewed", "times that a credential got another value than before, or its first") \
	X(CREDENTIAL_FAILED, "credential.failed", "attempts to get a credential that failed: the last good value stays") \
	X(CREDENTIAL_REFUSED, "credential.refused", "times that a service did not take the latest value of a credential") \
	X(CREDENTIAL_MISSING, "credential.missing", "requests answered with 503 for there was no credential for their backend") \
	/* origins */ \
	X(ORIGIN_CONNECTED, "origin.connected", "verified connections made to origins") \
	X(ORIGIN_UNRESOLVED, "origin.unresolved", "connections not made: the name has no address") \
	X(ORIGIN_UNREACHABLE, "origin.unreachable", "connections not made: no address answered") \
	X(ORIGIN_UNVERIFIED, "origin.unverified", "connections refused for the origin's certificate") \
	X(ORIGIN_STALE, "origin.stale", "requests sent again because a kept connection had been closed") \
	X(ORIGIN_FLOODED, "origin.flooded", "connections closed because the origin sent too many TLS messages without payload") \
	X(ORIGIN_LOST, "origin.lost", "connections that failed during an exchange") \
	X(ORIGIN_TIMEOUT, "origin.timeout", "origins that did not answer in time") \
	X(BACKEND_TURNED, "backend.turned", "calls sent to another backend because one did not answer") \
	X(BACKEND_NONE, "backend.none", "calls that no backend of their pool could be asked for") \
	X(BACKEND_BUDGET, "backend.budget", "calls not sent to another backend for want of pools.retry_budget") \
	X(BACKEND_OUT, "backend.out", "times that a backend, or a deployment of one, was taken out") \
	X(BACKEND_IN, "backend.in", "times that one was in again") \
	/* policy */ \
	X(RULE_DENIED, "rule.denied", "calls denied by policy.file") \
	X(RULE_SHADOWED, "rule.shadowed", "calls that a rule with the action shadow would have denied") \
	X(LIMIT_REFUSED, "limit.refused", "calls refused because a limit is used up, or too small for them") \
	X(LIMIT_CROWDED, "limit.crowded", "calls refused because it could not be told in time whether a limit is used up") \
	X(LIMIT_SHADOWED, "limit.shadowed", "calls that a limit with the action shadow would have refused") \
	X(LIMIT_ALERTED, "limit.alerted", "times a limit came to one of its alert percentages") \
	X(LIMIT_UNSAVED, "limit.unsaved", "times that what is used of the limits could not be written to the disk") \
	X(RULE_UNRECORDED, "rule.unrecorded", "calls without an event, because a rule says log: none") \
	X(KEYS_LOADED, "keys.loaded", "times the file of issued keys was read anew") \
	X(KEYS_REFUSED, "keys.refused", "times it could not be used, and the keys of before stayed") \
	X(KEY_ACCEPTED, "key.accepted", "calls with a key that was issued here and is valid") \
	X(KEY_REJECTED, "key.rejected", "calls answered by 401: their key is unknown, wrong, expired or revoked") \
	X(TOKEN_ACCEPTED, "token.accepted", "tokens of clients that were checked and are valid") \
	X(TOKEN_KNOWN, "token.known", "calls with a token that was checked before") \
	X(TOKEN_REJECTED, "token.rejected", "calls refused because their token is not valid") \
	X(TOKEN_FOREIGN, "token.foreign", "calls with a token of an issuer that is not in tokens") \
	X(TOKEN_OVERAGE, "token.overage", "calls whose token does not have all groups of its subject") \
	X(KEY_SERVICE, "key.service", "calls whose client presented the service key of a backend") \
	/* process */                                                                          \
	X(PROCESS_STARTED, "process.started", "child processes started")                       \
	X(PROCESS_DIED, "process.died", "child processes that ended unasked")                  \
	X(PROCESS_REFUSED_CALL, "process.refused_call", "children ended by a system call that their role may not make") \
	X(PROCESS_HUNG, "process.hung", "children killed because they no longer answered")     \
	X(WORKER_HUNG, "worker.hung", "times that a worker gave no sign of life for datapath.heartbeat_timeout") \
	X(WORKER_RELIEVED, "worker.relieved", "times that another worker took the place of one that gave no sign of life") \
	X(WORKER_MISSING, "worker.missing", "times that a worker that died was not replaced in that time") \
	X(WORKER_RECOVERED, "worker.recovered", "times that a worker was alive again after either") \
	X(FAIL_CLOSED, "fail.closed", "times that no worker was alive, and hosts failed closed") \
	X(FAIL_OPEN, "fail.open", "times that no worker was alive, and hosts failed open") \
	X(FAIL_OPEN_PERIODS, "fail.open_periods", "times in which new connections to hosts that fail open could pass unseen") \
	X(FAIL_OPEN_PASSED, "fail.open_passed", "connections that did") \
	X(FAIL_ENDED, "fail.ended", "times that a worker was alive again after that") \
	X(PROCESS_OVERDUE, "process.overdue", "children killed because they did not end in time") \
	X(PROCESS_MESSAGE_DROPPED, "process.message_dropped", "messages to or from a child that could not be sent or read") \
	X(PROCESS_ENDPOINT_REFUSED, "process.endpoint_refused", "resolved addresses that could not be steered") \
	X(PROCESS_ENDPOINT_FORGOTTEN, "process.endpoint_forgotten", "learned addresses that are steered no more, to make room for others") \
	X(RELOAD_DONE, "reload.done", "configurations that were reloaded")                     \
	X(RELOAD_REFUSED, "reload.refused", "reloads that failed and kept the old configuration") \
	X(UPGRADE_DONE, "upgrade.done", "times that a new program took over") \
	X(UPGRADE_REFUSED, "upgrade.refused", "upgrades that failed and kept the old processes") \
	/* scout */                                                                            \
	X(SCOUT_RESOLVED, "scout.resolved", "names of endpoints resolved, or resolved again")  \
	X(SCOUT_UNRESOLVED, "scout.unresolved", "lookups of names of endpoints that failed")   \
	X(SCOUT_HUNG, "scout.hung", "scouts killed because they gave no sign of life for datapath.heartbeat_timeout") \
	X(SCOUT_MISSING, "scout.missing", "times that there was no scout that read the packet queues for datapath.heartbeat_timeout") \
	X(QUEUE_PACKETS, "queue.packets", "packets that the kernel showed to the scout") \
	X(QUEUE_UNREADABLE, "queue.unreadable", "of those: malformed or too long, not read: a client's are dropped if hosts fail closed") \
	X(QUEUE_OVERRUN, "queue.overrun", "times the kernel had packets and the scout no room for them") \
	X(QUEUE_DROPPED, "queue.dropped", "packets that the kernel dropped because a queue to the scout was full") \
	X(QUEUE_VERDICT_FAILED, "queue.verdict_failed", "packets that were gone when their verdict came") \
	X(LEARN_DNS, "learn.dns", "addresses learned from DNS replies") \
	X(LEARN_DNS_REFUSED, "learn.dns_refused", "DNS replies dropped because their addresses could not be steered, and nobody looks at connections (endpoints.learn: dns)") \
	X(LEARN_CONFIRMED, "learn.confirmed", "addresses of listed hosts that the appliance's own resolver confirmed") \
	X(LEARN_UNCONFIRMED, "learn.unconfirmed", "those that it did not: they are endpoints only if a client calls a listed host there") \
	X(LEARN_UNASKED, "learn.unasked", "times that it was not asked, for too many asked at once") \
	X(LEARN_OVER_CLAIMS, "learn.over_claims", "addresses not learned because of endpoints.claims_per_source or .claims_per_name: their connections are refused") \
	X(LEARN_DNS_HELD, "learn.dns_held", "DNS replies held until their addresses were endpoints") \
	X(LEARN_DNS_MALFORMED, "learn.dns_malformed", "DNS replies that could not be read: passed") \
	X(LEARN_DNS_DISARMED, "learn.dns_disarmed", "ech and h3 parameters taken out of replies for listed names") \
	X(LEARN_DNS_SPREAD, "learn.dns_spread", "times that segments of DNS over TCP were let go before their message was whole") \
	X(LEARN_DNS_ARMED, "learn.dns_armed", "replies for listed names that passed with ech or h3, for such a segment had passed") \
	X(LEARN_ALIAS, "learn.alias", "names learned that a listed name leads to (CNAME, HTTPS)") \
	X(LEARN_ALIAS_LOST, "learn.alias_lost", "such names forgotten too early, or not learned, for want of room") \
	X(LEARN_SNI, "learn.sni", "addresses learned from a ClientHello that named a listed host") \
	X(LEARN_SNI_RESET, "learn.sni_reset", "connections reset so that they are steered when tried again") \
	X(LEARN_QUIC, "learn.quic", "addresses learned from QUIC that named a listed host") \
	X(LEARN_QUIC_REJECTED, "learn.quic_rejected", "datagrams to endpoints answered with port unreachable, so that clients take TCP") \
	X(LEARN_UNLISTED, "learn.unlisted", "connections passed because their name is not on the list") \
	X(LEARN_NOT_TLS, "learn.not_tls", "connections passed because they begin neither as TLS nor as QUIC we can read") \
	X(LEARN_UNDECIDED, "learn.undecided", "connections passed although their ClientHello could not be put together or read; their address becomes an endpoint") \
	X(LEARN_UNDECIDED_REFUSED, "learn.undecided_refused", "those refused, for there are hosts that fail closed") \
	X(LEARN_UNSTEERED, "learn.unsteered", "connections to a listed host that the kernel does not steer although its address is an endpoint: refused if it fails closed, else passed") \
	X(LEARN_LATE, "learn.late", "packets let go at their deadline, before their address was an endpoint") \
	X(LEARN_UNLEARNED, "learn.unlearned", "connections to hosts that fail closed, refused although their address could not be made an endpoint in time") \
	X(LEARN_UNTOLD, "learn.untold", "resets and rejects that could not be sent") \
	X(LEARN_FULL, "learn.full", "packets that were not looked at, or did not wait, because the scout's tables were full") \
	X(POLICY_NO_SNI_PASSED, "policy.no_sni_passed", "connections to no endpoint, without a name: passed") \
	X(POLICY_NO_SNI_REFUSED, "policy.no_sni_refused", "those refused by endpoints.no_sni") \
	X(POLICY_INVALID_PASSED, "policy.invalid_passed", "connections to no endpoint whose name ends as listed ones do and is none: passed") \
	X(POLICY_INVALID_REFUSED, "policy.invalid_refused", "those refused by endpoints.invalid") \
	X(POLICY_ECH_PASSED, "policy.ech_passed", "connections to no endpoint whose name may be a cover (ECH, or its imitation): passed") \
	X(POLICY_ECH_REFUSED, "policy.ech_refused", "those refused by endpoints.ech") \
	X(POLICY_ENCRYPTED_DNS_PASSED, "policy.encrypted_dns_passed", "connections to known resolvers by TLS, HTTPS or QUIC: passed") \
	X(POLICY_ENCRYPTED_DNS_REFUSED, "policy.encrypted_dns_refused", "those refused by endpoints.encrypted_dns") \
	/* audit: the shipper's side */                                                        \
	X(SPOOL_WRITTEN, "spool.written", "events written to the spool")                       \
	X(SPOOL_REPEATED, "spool.repeated", "events met again after a shipper's death, and spooled once") \
	X(SPOOL_INVALID, "spool.invalid", "records of a worker that are no events: refused")   \
	X(SPOOL_DROPPED, "spool.dropped", "events dropped because spool or disk is full or fails") \
	X(SPOOL_BLOCKED, "spool.blocked", "times that workers wait because spool or disk is full or fails") \
	X(SPOOL_ERROR, "spool.error", "failures of the spool's files")                         \
	X(SPOOL_TORN, "spool.torn", "torn tails dropped when the spool was opened")            \
	X(SPOOL_DAMAGED, "spool.damaged", "damaged places of the spool that were passed over") \
	X(SPOOL_SEGMENT_MISSING, "spool.segment_missing", "segments of the spool that are gone") \
	X(SPOOL_CURSOR_FAILED, "spool.cursor_failed", "times the spool's cursor could not be read or written") \
	X(FORWARD_ACKNOWLEDGED, "forward.acknowledged", "events the collector has acknowledged") \
	X(FORWARD_RESENT, "forward.resent", "chunks sent again")                               \
	X(FORWARD_CONNECT_FAILED, "forward.connect_failed", "connections to the collector that failed or ended") \
	X(FORWARD_ACK_TIMEOUT, "forward.ack_timeout", "chunks not acknowledged in time")       \
	X(FORWARD_ACK_UNKNOWN, "forward.ack_unknown", "answers of the collector that make no sense") \
	X(RING_BROKEN, "ring.broken", "rings of workers given up because of nonsense in them") \
	/* signer */ \
	X(SIGNER_MINTED, "signer.minted", "leaves minted") \
	X(SIGNER_LIMITED, "signer.limited", "times a worker had to wait, for it asked more often than tls.leaf_rate") \
	X(SIGNER_REFUSED, "signer.refused", "requests for a leaf that were refused, or could not be read") \
	X(SIGNER_KEY_REFUSED, "signer.key_refused", "leaf keys of workers that were refused: a second one, or none of its kind") \
	/* end */

/* What is now, not what was counted: one process sets it, in its slot. They stand in the file behind
 * the counters. Times are ns. */
#define GAUGES(X) \
	X(RECORD_TOLD, "record.told", "when the shipper told all this (CLOCK_MONOTONIC)") \
	X(RECORD_CONNECTED, "record.connected", "whether the collector is connected") \
	X(RECORD_BLOCKED, "record.blocked", "whether nothing can be spooled, so that calls will wait") \
	X(RECORD_EVENTS, "record.events", "events in the spool that the collector has not acknowledged") \
	X(RECORD_UNCOUNTED, "record.uncounted", "bytes of the spool whose events are not counted yet") \
	X(RECORD_BYTES, "record.bytes", "bytes of the spool that the collector has not acknowledged") \
	X(RECORD_OLDEST, "record.oldest", "time of the oldest event that waits (CLOCK_REALTIME); 0: none waits") \
	X(RECORD_SPOOL, "record.spool", "bytes of all files of the spool") \
	X(RECORD_LIMIT, "record.limit", "bytes that they may have (audit.spool_size)") \
	/* end */

enum counter {
#define COUNTER_ENUM(NAME, name, help) COUNTER_##NAME,
	COUNTERS(COUNTER_ENUM)
	COUNTER_COUNT,
	COUNTER_BEFORE_GAUGES = COUNTER_COUNT - 1,
	GAUGES(COUNTER_ENUM)
#undef COUNTER_ENUM
	COUNTER_ROWS
};

/* Who counts: a slot of the file. Workers share slots only beyond COUNTER_WORKERS of them and
 * while a reload has two of the same index. */
enum counter_slot {
	COUNTER_SLOT_PARENT,
	COUNTER_SLOT_SIGNER,
	COUNTER_SLOT_SHIPPER,
	COUNTER_SLOT_SCOUT,
	COUNTER_SLOT_KEEPER,
	COUNTER_SLOT_WORKER /* + index of the worker modulo COUNTER_WORKERS */
};
#define COUNTER_WORKERS 64
#define COUNTER_SLOTS	(COUNTER_SLOT_WORKER + COUNTER_WORKERS)

struct counters {
	_Atomic uint64_t *own; /* the caller's slot; NULL when opened to read */
	void *mapped;
	size_t size;	/* of the mapping */
	int fd;		/* of the file: parent only, else -1 */
};

/* Adds n to the caller's slot. counters may be NULL (unit tests): then nothing is counted. */
static inline void counter_add(struct counters *counters, enum counter which, uint64_t n)
{
	if (counters && counters->own)
		atomic_fetch_add_explicit(&counters->own[which], n, memory_order_relaxed);
}

/* Sets a gauge, in the caller's slot. */
static inline void counter_set(struct counters *counters, enum counter which, uint64_t value)
{
	if (counters && counters->own)
		atomic_store_explicit(&counters->own[which], value, memory_order_relaxed);
}

const char *counter_name(enum counter which);
const char *counter_help(enum counter which);

/* Makes the file anew at path (an older one is replaced), mapped whole, own slot the parent's. */
int counters_create(const char *path, struct counters **counters, struct why *why);
/* Goes on with the file at fd, which an earlier program made at path. *older is NULL and the file
 * itself is taken when its table is ours. Else a new file replaces it, which has the totals of the
 * counters of the same names, and *older is the old one for those who still count in it: see
 * counters_move. fd stays the caller's. 0, or negative errno with why. */
int counters_take(const char *path, int fd, struct counters **counters, struct counters **older,
	struct why *why);
/* An older file that was handed on once more. fd stays the caller's. */
int counters_take_older(int fd, struct counters **older, struct why *why);
/* Moves what was counted in the older file to the caller's own slot, by name; nothing that is
 * counted at the same time is lost. What has no such name any more goes. */
void counters_move(struct counters *older, struct counters *to);
/* Maps one slot (enum counter_slot; nothing else of the file is reachable) from the fd that
 * counters_create made. The fd stays the caller's. */
int counters_map(int fd, unsigned slot, struct counters **counters, struct why *why);
/* Opens the file to read all of it, for the status command. It may be of another version of the
 * program: use counters_next, which goes by the names in the file. */
int counters_open(const char *path, struct counters **counters, struct why *why);
void counters_close(struct counters *counters);

/* The sum over all slots. Not for counters_map's, which sees one slot. */
uint64_t counter_total(const struct counters *counters, enum counter which);
/* The value of a gauge, looked up by its name in the file. false: the file has none of that name,
 * for it is of an older version. */
bool counter_gauge(const struct counters *counters, enum counter which, uint64_t *value);
/* Walks the file's own table: sets name, help and total of the counter at *at (start with 0) and
 * moves on, past gauges; false after the last. The texts live as long as the mapping. */
struct counter_reading {
	const char *name, *help;
	uint64_t total;
};
bool counters_next(const struct counters *counters, size_t *at, struct counter_reading *reading);

#endif
