/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every key of a policy, once, as keys.h has those of the configuration. */
#ifndef CONFIG_POLICY_KEYS_H
#define CONFIG_POLICY_KEYS_H

#define KEYS_DEFAULT(S, L)                                                                        \
	S(action, CHOICE, action, "allow", "allow|deny")                                          \
	S(log, CHOICE, log, "content", "content|metadata|none")

#define KEYS_GROUP(S, L)                                                                          \
	S(name, LABEL, name, REQUIRED, "")                                                        \
	L(sources, PREFIX, sources, REQUIRED, "")

#define KEYS_RULE(S, L)                                                                           \
	S(name, LABEL, name, REQUIRED, "")                                                        \
	S(action, CHOICE, action, REQUIRED, "allow|deny|shadow")                                  \
	S(log, CHOICE, log, "content", "content|metadata|none")                                   \
	S(message, TEXT, message, NULL, "")                                                   

/* The conditions of a rule, which a limit has as well. */
#define KEYS_WHEN(S, L)                                                                           \
	L(groups, LABEL, groups, NULL, "")                                                        \
	L(sources, PREFIX, sources, NULL, "")                                                     \
	L(credentials, CHOICE, credentials, NULL, "none|issued|service|other|token")                    \
	L(keys, LABEL, keys, NULL, "")                                                            \
	L(operations, GLOB, operations, NULL, "")                                                 \
	L(models, GLOB, models, NULL, "")                                                         \
	L(hosts, GLOB, hosts, NULL, "")                                                           \
	L(api_versions, GLOB, api_versions, NULL, "")                                             \
	L(dialects, CHOICE, dialects, NULL, "azure|azure-v1|openai|anthropic")                    \
	S(stream, CHOICE, stream, "any", "any|false|true")                                        \
	S(store, CHOICE, store, "any", "any|false|true")                                          \
	S(background, CHOICE, background, "any", "any|false|true")                                \
	L(service_tiers, GLOB, service_tiers, NULL, "")                                           \
	L(tools, CHOICE, tools, NULL,                                                             \
		"function|custom|mcp|web_search|file_search|code_interpreter|image_generation|computer|" \
		"shell|other")                                                                    \
	S(size_above, SIZE, size_above, NULL, "1..1TiB")                                          \
	S(size_below, SIZE, size_below, NULL, "1..1TiB")                                          \
	S(output_above, U64, output_above, NULL, "1..1000000000000")                              \
	S(output_below, U64, output_below, NULL, "1..1000000000000")                              \
	L(bodies, CHOICE, bodies, NULL, "none|read|unreadable|unread")                            \
	L(days, CHOICE, days, NULL, "mon|tue|wed|thu|fri|sat|sun")                                \
	S(hours, HOURS, hours, NULL, "")

#define KEYS_LIMIT(S, L)                                                                          \
	S(name, LABEL, name, REQUIRED, "")                                                        \
	S(requests, U64, requests, NULL, "1..1000000000000")                                      \
	S(tokens, U64, tokens, NULL, "1..100000000000")                                           \
	S(cost, DECIMAL, cost, NULL, "")                                                          \
	S(bytes, SIZE, bytes, NULL, "1..100TiB")                                                  \
	S(concurrent, U64, concurrent, NULL, "1..1000000")                                        \
	S(every, CHOICE, every, "minute", "second|minute|hour|day|week|month")                    \
	L(per, CHOICE, per, NULL, "subject|group|address|model|operation|host")                   \
	S(action, CHOICE, action, "throttle", "throttle|cut-off|shadow")                          \
	S(count, CHOICE, count, "all", "all|success")                                             \
	L(alert, U32, alert, NULL, "1..1000")                                                     \
	S(tell, BOOL, tell, "false", "")                                                          \
	S(output, U64, output, "4096", "0..100000000")                                            \
	S(input_weight, DECIMAL, weight.input, "1", "")                                           \
	S(cached_weight, DECIMAL, weight.cached, "1", "")                                         \
	S(output_weight, DECIMAL, weight.output, "1", "")                                         \
	S(reasoning_weight, DECIMAL, weight.reasoning, "1", "")

#define KEYS_PRICE(S, L)                                                                          \
	L(models, GLOB, models, REQUIRED, "")                                                     \
	L(tiers, GLOB, tiers, NULL, "")                                                           \
	S(from, DATE, from, NULL, "")                                                             \
	S(input, PRICE, input, REQUIRED, "")                                                      \
	S(cached, PRICE, cached, NULL, "")                                                        \
	S(output, PRICE, output, REQUIRED, "")                                                    \
	S(reasoning, PRICE, reasoning, NULL, "")

#define KEYS_TEST(S, L)                                                                           \
	S(name, TEXT, name, REQUIRED, "")                                                         \
	S(source, PREFIX, source, REQUIRED, "")                                                   \
	L(groups, LABEL, groups, NULL, "")                                                        \
	S(credential, CHOICE, credential, "none", "none|issued|service|other|token")                    \
	S(key, LABEL, key, NULL, "")                                                              \
	S(method, NAME, method, "POST", "")                                                       \
	S(url, LONG, url, REQUIRED, "")                                                           \
	S(body, LONG, body, NULL, "")                                                             \
	S(time, WEEKTIME, minute, "mon 12:00", "")                                                \
	S(expect, CHOICE, expect, REQUIRED, "allow|deny")                                         \
	S(rule, LABEL, rule, NULL, "")                                                            \
	S(shadow, LABEL, shadow, NULL, "")

#endif
