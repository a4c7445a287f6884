/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names of an audit event: OpenTelemetry GenAI and ECS terms where they exist, else our own.
 * This is the only place where a name stands; the event's struct, the encoder and the collector's
 * columns are made from it. A change of meaning raises SCHEMA_VERSION; an addition does not. */
#ifndef AUDIT_SCHEMA_H
#define AUDIT_SCHEMA_H

#include "base/slice.h"

#define SCHEMA_VERSION 1

/* X(KIND, member, "name"). Kinds, with the member's type and when it is absent:
 *   TEXT     struct slice; empty. Repaired to UTF-8, credentials redacted, cut at 8 KiB.
 *   URL      as TEXT; besides, values of credential parameters of the query are redacted.
 *   CONTENT  as TEXT, cut at 4 MiB only. The next member must be the FLAG of its truncation.
 *   NUMBER   struct event_number; not present
 *   REAL     struct event_real; not present
 *   FLAG     enum event_flag; EVENT_UNSET
 *   ADDRESS  struct address; ::
 *   PORT     uint16_t; 0
 * The first three are what identifies an event and stand first in every record: record_check()
 * relies on it. */
#define SCHEMA_FIELDS(X)                                                                       \
	X(TEXT, epoch, "event.epoch")		/* hex, of the daemon's life */                    \
	X(NUMBER, stream, "event.stream")	/* number of the process that made it */           \
	X(NUMBER, sequence, "event.sequence")	/* per stream, from 1, without gaps */             \
	X(TEXT, id, "event.id")			/* UUIDv7 */                                       \
	X(TEXT, kind, "event.kind") /* exchange, handshake, bypass, source.summary … */       \
	X(TEXT, action, "event.action")		/* the verdict: allow, deny, bypass, drop … */     \
	X(TEXT, outcome, "event.outcome")	/* success, failure, unknown */                    \
	X(TEXT, observer, "observer.name")	/* config.appliance.name */                        \
	X(ADDRESS, source_ip, "source.ip")                                                         \
	X(PORT, source_port, "source.port")                                                        \
	X(ADDRESS, client_address, "client.address")                                               \
	X(PORT, client_port, "client.port")                                                        \
	X(ADDRESS, destination_ip, "destination.ip") /* the original one */                        \
	X(PORT, destination_port, "destination.port")                                              \
	X(TEXT, server_address, "server.address") /* the host's name */                            \
	X(PORT, server_port, "server.port")                                                        \
	X(TEXT, tls_server_name, "tls.server_name")                                                \
	X(TEXT, tls_client_version, "tls.client.version")                                          \
	X(FLAG, tls_client_resumed, "tls.client.resumed")                                          \
	X(TEXT, method, "http.request.method")                                                     \
	X(URL, path, "url.path")		/* with its query */                               \
	X(NUMBER, status, "http.response.status_code")                                             \
	X(TEXT, user_agent, "user_agent.original")                                                 \
	X(TEXT, error_type, "error.type")                                                          \
	X(TEXT, error_message, "error.message")                                                    \
	X(TEXT, backend_name, "backend.name")                                                      \
	X(TEXT, backend_address, "backend.address")                                                \
	X(TEXT, backend_region, "backend.region")                                                  \
	X(TEXT, operation, "gen_ai.operation.name")                                                \
	X(TEXT, agent, "gen_ai.agent.name")	/* of Foundry, where one answers */                \
	X(TEXT, provider, "gen_ai.provider.name")                                                  \
	X(TEXT, request_model, "gen_ai.request.model")                                             \
	X(TEXT, azure_deployment, "azure.deployment")                                              \
	X(TEXT, azure_api_version, "azure.api_version")                                            \
	X(FLAG, request_stream, "gen_ai.request.stream")                                           \
	X(NUMBER, request_max_tokens, "gen_ai.request.max_tokens")                                 \
	X(REAL, request_temperature, "gen_ai.request.temperature")                                 \
	X(REAL, request_top_p, "gen_ai.request.top_p")                                             \
	X(NUMBER, request_choices, "gen_ai.request.choice.count")                                  \
	X(FLAG, request_logprobs, "openai.request.logprobs")                                       \
	X(TEXT, request_size, "openai.request.size") /* of an image or a film */                   \
	X(TEXT, request_seconds, "openai.request.seconds") /* of a film */                         \
	X(TEXT, request_effort, "openai.request.reasoning_effort")                                 \
	X(TEXT, request_service_tier, "openai.request.service_tier")                               \
	X(TEXT, request_previous, "openai.request.previous_response_id")                           \
	X(TEXT, request_cache_key, "openai.request.prompt_cache_key")                              \
	X(TEXT, request_safety, "openai.request.safety_identifier")                                \
	X(FLAG, request_store, "openai.request.store")                                             \
	X(FLAG, request_background, "openai.request.background")                                   \
	X(TEXT, request_tool_types, "gen_ai.request.tool_types") /* JSON array */                  \
	X(TEXT, conversation, "gen_ai.conversation.id")                                            \
	X(TEXT, response_id, "gen_ai.response.id")                                                 \
	X(TEXT, response_model, "gen_ai.response.model")                                           \
	X(TEXT, finish_reasons, "gen_ai.response.finish_reasons") /* JSON array */                 \
	X(FLAG, refused, "gen_ai.response.refused") /* by the model */                             \
	X(TEXT, content_filter, "azure.content_filter") /* JSON array: prompt.jailbreak.detected … */ \
	X(TEXT, system_fingerprint, "gen_ai.response.system_fingerprint")                          \
	X(TEXT, response_service_tier, "openai.response.service_tier") /* by which it costs */     \
	X(NUMBER, input_tokens, "gen_ai.usage.input_tokens")                                       \
	X(NUMBER, output_tokens, "gen_ai.usage.output_tokens")                                     \
	X(NUMBER, total_tokens, "gen_ai.usage.total_tokens")                                       \
	/* Parts of them; one that is not told is not there. */                                    \
	X(NUMBER, usage_cache_read, "gen_ai.usage.cache_read.input_tokens")                        \
	X(NUMBER, usage_cache_write, "gen_ai.usage.cache_creation.input_tokens")                   \
	X(NUMBER, usage_input_text, "gen_ai.usage.text.input_tokens")                              \
	X(NUMBER, usage_input_audio, "gen_ai.usage.audio.input_tokens")                            \
	X(NUMBER, usage_input_image, "gen_ai.usage.image.input_tokens")                            \
	X(NUMBER, usage_reasoning, "gen_ai.usage.reasoning.output_tokens")                         \
	X(NUMBER, usage_output_text, "gen_ai.usage.text.output_tokens")                            \
	X(NUMBER, usage_output_audio, "gen_ai.usage.audio.output_tokens")                          \
	X(NUMBER, usage_output_image, "gen_ai.usage.image.output_tokens")                          \
	X(NUMBER, usage_accepted, "gen_ai.usage.accepted_prediction.output_tokens")                \
	X(NUMBER, usage_rejected, "gen_ai.usage.rejected_prediction.output_tokens")                \
	X(REAL, usage_seconds, "gen_ai.usage.audio_seconds") /* where sound is counted */          \
	/* later: of what the call has begun, and tells when it is done; counted: told before, \
	 * and no use any more; their owner is who began that, where it is known. */            \
	X(TEXT, usage_source, "gen_ai.usage.source") /* provider, drained, estimated, none … */ \
	X(TEXT, usage_owner, "gen_ai.usage.owner")                                                 \
	/* What is no text in them, a JSON array: kind, type, size and hash of each image, sound or file. */ \
	X(TEXT, input_parts, "gen_ai.input.parts")                                                 \
	X(CONTENT, input_messages, "gen_ai.input.messages") /* JSON */                             \
	X(FLAG, input_messages_truncated, "gen_ai.input.messages.truncated")                       \
	X(CONTENT, output_messages, "gen_ai.output.messages") /* JSON */                           \
	X(FLAG, output_messages_truncated, "gen_ai.output.messages.truncated")                     \
	X(CONTENT, tools, "gen_ai.tools")	/* JSON */                                         \
	X(FLAG, tools_truncated, "gen_ai.tools.truncated")                                         \
	X(NUMBER, input_messages_cut, "gen_ai.input.messages.cut") /* bytes not in them */         \
	X(NUMBER, output_messages_cut, "gen_ai.output.messages.cut") /* likewise */               \
	X(NUMBER, tools_cut, "gen_ai.tools.cut") /* likewise */                                   \
	X(TEXT, request_user, "gen_ai.request.user")                                               \
	/* Whom the call is from: by what that was found, whose key it has, its public id, the groups \
	 * (separated by commas), what was presented (none, issued, service, other; unknown, wrong,  \
	 * expired, revoked, several: of a key that was issued here, or looks so). */             \
	X(TEXT, subject_found_by, "subject.found_by") /* key, token, address */                          \
	X(TEXT, subject_name, "subject.name")                                                      \
	X(TEXT, subject_key, "subject.key_id")                                                     \
	X(TEXT, subject_object, "subject.object_id") /* of a token: oid, or sub */                 \
	X(TEXT, subject_application, "subject.app_id") /* likewise: azp, or appid */              \
	X(TEXT, subject_tenant, "subject.tenant_id") /* likewise: tid */                          \
	X(FLAG, subject_overage, "subject.groups_overage") /* it is in more groups than it says */ \
	X(TEXT, subject_groups, "subject.groups")                                                  \
	X(TEXT, subject_credential, "subject.credential")                                          \
	X(TEXT, rule_name, "rule.name")		/* of policy.file, that decided; or default */     \
	X(TEXT, rule_shadow, "rule.shadow")	/* that would have denied */                       \
	X(FLAG, rule_unknown, "rule.unknown")	/* what the rule asks of it is never known */      \
	X(TEXT, limit_name, "limit.name")	/* that refused, or of limit.alert */              \
	X(TEXT, limit_who, "limit.who")		/* whose part of it: subject=… model=… */          \
	X(TEXT, limit_shadow, "limit.shadow")	/* that would have refused */                      \
	X(NUMBER, limit_percent, "limit.percent") /* of it that is used: the one of alert */       \
	X(REAL, limit_used, "limit.used")	/* and reserved, for what is refused */            \
	X(REAL, limit_most, "limit.most")                                                          \
	X(FLAG, body_readable, "body.readable")                                                    \
	X(TEXT, body_problem, "body.problem")	/* why it is not readable */                       \
	X(NUMBER, timing_tls_client, "timing.tls_client") /* all timings: ns */                    \
	X(NUMBER, timing_origin_connect, "timing.origin_connect")                                  \
	X(NUMBER, timing_first_byte, "timing.first_byte")                                          \
	X(NUMBER, timing_total, "timing.total")                                                    \
	X(NUMBER, bytes_request, "bytes.request") /* of the bodies, as transferred */              \
	X(NUMBER, bytes_response, "bytes.response")                                                \
	X(NUMBER, bytes_client_in, "bytes.client_in") /* on the wire, inside TLS */                \
	X(NUMBER, bytes_client_out, "bytes.client_out")                                            \
	X(NUMBER, attempts, "attempts")		/* of sending it to an origin */                   \
	X(TEXT, attempts_made, "attempts.made") /* JSON array of all, where there were several */  \
	X(TEXT, request_edit, "request.edit")	/* usage; usage_refused: sent again without */     \
	X(TEXT, response_request_id, "response.request_id") /* apim-request-id or x-request-id */  \
	X(NUMBER, ratelimit_requests, "ratelimit.remaining_requests")                              \
	X(NUMBER, ratelimit_tokens, "ratelimit.remaining_tokens")                                  \
	/* Totals of source.ip, as far as the kernel's tables go back; they begin anew when the    \
	 * appliance was stopped, or the address was forgotten for others. */                      \
	X(NUMBER, source_packets, "source.packets") /* from it */                                  \
	X(NUMBER, source_bytes, "source.bytes")	/* with the Ethernet header */                     \
	X(NUMBER, source_packets_received, "source.packets_received")                              \
	X(NUMBER, source_bytes_received, "source.bytes_received")                                  \
	X(NUMBER, source_steered_packets, "source.steered_packets") /* of those from it */         \
	X(NUMBER, source_steered_bytes, "source.steered_bytes")                                    \
	X(NUMBER, source_syns, "source.syns")	/* each once */                                    \
	X(NUMBER, source_syn_retransmits, "source.syn_retransmits")                                \
	X(NUMBER, source_opened, "source.connections.opened")                                      \
	X(NUMBER, source_active, "source.connections.active") /* at the last sweep */              \
	X(NUMBER, source_opening, "source.connections.opening") /* likewise; not in active */      \
	X(NUMBER, source_closed, "source.connections.closed") /* by both sides */                  \
	X(NUMBER, source_reset, "source.connections.reset")                                        \
	X(NUMBER, source_steered, "source.connections.steered")                                    \
	X(NUMBER, source_passed, "source.connections.passed")                                      \
	X(TEXT, source_drops, "source.drops")	/* JSON object: packets by reason */               \
	X(TEXT, drop_reason, "drop.reason")	/* one of those reasons */                         \
	X(NUMBER, drop_count, "drop.count")	/* packets since the last event of it */           \
	X(NUMBER, drop_total, "drop.total")                                                        \
	X(TEXT, datapath_subject, "datapath.subject") /* whose state changed: worker 1 … */        \
	X(TEXT, datapath_state, "datapath.state") /* the new one: hung, alive … */                 \
	X(TEXT, datapath_reason, "datapath.reason")                                                \
	X(NUMBER, datapath_begin, "datapath.begin") /* of datapath.open: ns since 1970 */          \
	X(NUMBER, datapath_end, "datapath.end")                                                    \
	X(NUMBER, datapath_passed, "datapath.passed") /* connections that passed unseen */         \
	X(TEXT, bypass_reason, "bypass.reason") /* unlisted, exempt, no_sni, invalid, ech … */     \
	X(NUMBER, bypass_left_out, "bypass.left_out") /* connections of source.ip without an event */ \
	/* end */

enum schema_kind {
	SCHEMA_TEXT,
	SCHEMA_URL,
	SCHEMA_CONTENT,
	SCHEMA_NUMBER,
	SCHEMA_REAL,
	SCHEMA_FLAG,
	SCHEMA_ADDRESS,
	SCHEMA_PORT,
};

enum schema_id {
#define SCHEMA_ENUM(KIND, member, name) SCHEMA_ID_##member,
	SCHEMA_FIELDS(SCHEMA_ENUM)
#undef SCHEMA_ENUM
	SCHEMA_COUNT
};

struct schema_field {
	enum schema_kind kind;
	struct slice name;
};

/* Indexed by enum schema_id, in the order in which an encoded record holds its fields. */
extern const struct schema_field schema_fields[SCHEMA_COUNT];

#endif
