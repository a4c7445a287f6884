/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A policy as it was written: what a person says about who may ask what. policy.h makes of it what
 * answers quickly. Texts are NUL-terminated and those of the reader who filled the structs. */
#ifndef POLICY_RULE_H
#define POLICY_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

enum rule_action {
	RULE_ALLOW,
	RULE_DENY,
	RULE_SHADOW, /* what it would have denied is recorded, and the next rules are asked */
};

/* How much of a call is recorded. */
enum rule_log {
	RULE_LOG_CONTENT,
	RULE_LOG_METADATA, /* all but prompts, completions and tools */
	RULE_LOG_NONE,	   /* no event, unless the call is denied */
};

/* A condition on what is true or false. */
enum rule_flag { RULE_ANY, RULE_FALSE, RULE_TRUE };

/* What a client proves itself with; as bits of rule.credentials. */
enum rule_credential {
	RULE_CREDENTIAL_NONE,
	RULE_CREDENTIAL_ISSUED,	 /* a key issued here, which is valid */
	RULE_CREDENTIAL_SERVICE, /* the key of one of our backends, which no client should have */
	RULE_CREDENTIAL_OTHER,
	RULE_CREDENTIAL_TOKEN, /* of an issuer that is trusted, and valid */
};

enum rule_body {
	RULE_BODY_NONE,
	RULE_BODY_READ,
	RULE_BODY_UNREADABLE, /* it should be JSON, and is none, or not the same to every reader */
	RULE_BODY_UNREAD,     /* of an operation whose bodies are not read, or of none we know */
};

enum rule_dialect {
	RULE_DIALECT_AZURE,
	RULE_DIALECT_AZURE_V1,
	RULE_DIALECT_OPENAI,
	RULE_DIALECT_ANTHROPIC
};

/* Minutes since midnight, 0 to 1440; to is not of it. from > to: over midnight. from == to: all day. */
struct rule_hours {
	uint16_t from, to;
};

/* Conditions of a rule: all of them must hold; one that is not set always does. Of a list one
 * element must fit. Patterns are lower case, and match without case: "gpt-4o" that, "gpt-4o*" what
 * begins so, "*-mini" what ends so, "*" whatever is there. Of a host, "*.example" is what ends so. */
struct rule {
	char *name;
	unsigned line; /* of the file */
	int action;    /* enum rule_action */
	int log;       /* enum rule_log */
	char *message; /* for the client of a call that is denied; NULL: a general one */

	char **groups;
	size_t ngroups;
	struct prefix *sources;
	size_t nsources;
	int *credentials; /* enum rule_credential */
	size_t ncredentials;
	char **keys; /* public ids of keys */
	size_t nkeys;
	char **operations; /* "unknown": of the API, but none that we know */
	size_t noperations;
	char **models; /* or deployments */
	size_t nmodels;
	char **hosts;
	size_t nhosts;
	char **api_versions;
	size_t napi_versions;
	int *dialects; /* enum rule_dialect */
	size_t ndialects;
	int stream, store, background; /* enum rule_flag */
	uint64_t size_above, size_below; /* bytes of the body; 0: not set */
	uint64_t output_above, output_below; /* tokens allowed; what is not limited is above all */
	int *tools; /* enum request_tool: that the model may use */
	size_t ntools;
	char **service_tiers;
	size_t nservice_tiers;
	int *bodies; /* enum rule_body */
	size_t nbodies;
	int *days; /* 0: Monday */
	size_t ndays;
	struct rule_hours hours;
};

/* The sources of a group: whoever calls from there is in it. */
struct rule_group {
	char *name;
	struct prefix *sources;
	size_t nsources;
};

/* What holds where no rule fits, and how it is called where rules are named. */
#define RULE_DEFAULT_NAME "default"
struct rule_default {
	int action; /* RULE_ALLOW or RULE_DENY */
	int log;
};

struct rule_set {
	struct rule_default fallback;
	struct rule_group *groups;
	size_t ngroups;
	struct rule *rules;
	size_t nrules;
};

#endif
