/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tokens that say who a client is (RFC 7519, as Microsoft Entra issues them): what stands in one, and
 * whether it is to be believed. Nothing of a token is, before its signature was checked. */
#ifndef POLICY_TOKEN_H
#define POLICY_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define TOKEN_MAX 16384 /* bytes; longer ones are no token of anybody's */

/* The order is that of config/keys.h. */
#define TOKEN_ALGORITHMS(X) \
	X(RS256) X(RS384) X(RS512) X(PS256) X(PS384) X(PS512) X(ES256) X(ES384) X(ES512)

enum token_algorithm {
#define TOKEN_ALGORITHM_ENUM(NAME) TOKEN_##NAME,
	TOKEN_ALGORITHMS(TOKEN_ALGORITHM_ENUM)
#undef TOKEN_ALGORITHM_ENUM
	TOKEN_ALGORITHM_COUNT /* none of them */
};

/* Whose tokens are taken. Texts are those of who filled it. */
struct token_rule {
	char *const *issuers;
	size_t nissuers;
	char *const *audiences;
	size_t naudiences;
	const char *tenant; /* NULL: any */
	unsigned algorithms; /* a bit for each that is taken */
	uint64_t skew_s;
};

enum token_state {
	TOKEN_VALID,
	TOKEN_FOREIGN, /* it is none, or of nobody whose tokens are taken: somebody else's business */
	TOKEN_MALFORMED,
	TOKEN_ALGORITHM,   /* another one than is allowed */
	TOKEN_KEY_UNKNOWN, /* it is signed with a key that its issuer does not publish */
	TOKEN_SIGNATURE,
	TOKEN_AUDIENCE,
	TOKEN_TENANT,
	TOKEN_EARLY, /* it is not valid yet */
	TOKEN_EXPIRED,
	TOKEN_UNCHECKED, /* there are no keys by which it could be checked now */
	TOKEN_SEVERAL,	 /* of different people, by one request */
};
/* For people: "expired". */
const char *token_state_name(enum token_state state);

/* What a token says; its texts are its own. */
struct token {
	void *memory;
	enum token_algorithm algorithm;
	struct slice kid, issuer;
	/* Of whom it is: a person or an application, by the number of the object. */
	struct slice object, tenant, application, name;
	uint64_t expires_s, not_before_s; /* 0: it does not say from when on */
	/* Groups as they are numbered, and "role.NAME", "scope.NAME" and "app.ID". */
	struct slice *groups;
	size_t ngroups;
	bool overage; /* it is in more groups than stand in it */
	struct slice *audiences;
	size_t naudiences;
};

/* Reads a token in its compact form. VALID: it is one, of which nothing is checked; FOREIGN, MALFORMED.
 * token_free is right after all of them. */
enum token_state token_read(struct slice text, struct token *token);
void token_free(struct token *token);

/* Whether the rule is one of the token's issuer. */
bool token_is_of(const struct token *token, const struct token_rule *rule);
/* Before its signature is checked, and after. VALID, or why not. */
enum token_state token_check_head(const struct token *token, const struct token_rule *rule);
enum token_state token_check_claims(
	const struct token *token, const struct token_rule *rule, uint64_t now_s);
const char *token_algorithm_name(enum token_algorithm algorithm);

#endif
