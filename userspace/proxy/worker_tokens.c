// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/worker_tokens.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "proxy/worker.h"
#include "tls/jwt.h"

#define DIGEST 32
#define SLOTS  2048 /* tokens that are known at a time */
#define WAYS   4    /* of them, where one of them may be */

struct issuer {
	struct token_rule rule;
	const struct config_token *config;
	struct secret *published; /* what keys was made of; NULL: nothing yet */
	struct jwt_keys *keys;
};

struct checked {
	uint8_t digest[DIGEST];
	const struct issuer *issuer; /* NULL: nobody has this place */
	struct token token;
};

struct worker_tokens {
	struct worker *worker;
	struct issuer *issuers;
	size_t nissuers;
	struct checked *checked; /* SLOTS of them */
};

/* ---- its life ---- */

struct worker_tokens *worker_tokens_new(struct worker *worker)
{
	struct worker_tokens *t = calloc(1, sizeof(*t));
	const struct config *config = worker->config;

	if (!t)
		return NULL;
	t->worker = worker;
	t->issuers = calloc(config->ntokens + 1, sizeof(*t->issuers));
	t->checked = calloc(config->ntokens ? SLOTS : 1, sizeof(*t->checked));
	if (!t->issuers || !t->checked) {
		worker_tokens_free(t);
		return NULL;
	}
	for (size_t i = 0; i < config->ntokens; i++) {
		const struct config_token *c = &config->tokens[i];

		t->issuers[i].config = c;
		t->issuers[i].rule = (struct token_rule){c->issuers, c->nissuers, c->audiences,
			c->naudiences, c->tenant, 0, c->skew_ns / NS_PER_S};
		for (size_t k = 0; k < c->nalgorithms; k++)
			t->issuers[i].rule.algorithms |= 1u << c->algorithms[k];
	}
	t->nissuers = config->ntokens;
	return t;
}

static void forget(struct worker_tokens *t, const struct issuer *issuer)
{
	for (size_t i = 0; i < SLOTS; i++)
		if (t->checked[i].issuer == issuer) {
			token_free(&t->checked[i].token);
			t->checked[i].issuer = NULL;
		}
}

void worker_tokens_free(struct worker_tokens *t)
{
	if (!t)
		return;
	for (size_t i = 0; t->checked && i < t->nissuers; i++) {
		forget(t, &t->issuers[i]);
		jwt_keys_free(t->issuers[i].keys);
		secret_free(t->issuers[i].published);
	}
	free(t->issuers);
	free(t->checked);
	free(t);
}

/* ---- keys ---- */

/* Those of now; what other ones have signed is checked again. */
static void renew_keys(struct worker_tokens *t, struct issuer *issuer)
{
	const char *why;
	size_t index = (size_t)(issuer->config->keys - t->worker->config->credentials);
	struct secret *published = credentials_value(
		t->worker->credentials, index, clock_monotonic_ns(), &why);

	if (!published || published == issuer->published)
		return;
	forget(t, issuer);
	jwt_keys_free(issuer->keys);
	secret_free(issuer->published);
	issuer->published = secret_share(published);
	issuer->keys = jwt_keys_new(secret_text(published));
}

/* ---- what was checked ---- */

static struct checked *place_of(struct worker_tokens *t, const uint8_t digest[DIGEST], bool *found)
{
	struct checked *ways, *worst;
	size_t set;

	memcpy(&set, digest, sizeof(set));
	ways = worst = &t->checked[set % (SLOTS / WAYS) * WAYS];
	for (size_t i = 0; i < WAYS; i++) {
		*found = ways[i].issuer && memcmp(ways[i].digest, digest, DIGEST) == 0;
		if (*found)
			return &ways[i];
		/* Else the one that is of use for the shortest time. */
		if (!ways[i].issuer || (worst->issuer && ways[i].token.expires_s <
								 worst->token.expires_s))
			worst = &ways[i];
	}
	return worst;
}

static struct issuer *issuer_of(struct worker_tokens *t, const struct token *token)
{
	for (size_t i = 0; i < t->nissuers; i++)
		if (token_is_of(token, &t->issuers[i].rule))
			return &t->issuers[i];
	return NULL;
}

/* The first time that it comes. */
static enum token_state check(struct worker_tokens *t, const struct token *token,
	struct issuer *issuer, struct slice text, uint64_t now_s)
{
	enum token_state state = token_check_head(token, &issuer->rule);

	if (state != TOKEN_VALID)
		return state;
	if (!issuer->keys)
		return TOKEN_UNCHECKED;
	switch (jwt_verify(
		issuer->keys, token->kid, token_algorithm_name(token->algorithm), text)) {
	case JWT_KEY_UNKNOWN:
		/* Its issuer may have published another one meanwhile. */
		worker_credential_stale(t->worker, issuer->config->keys, issuer->published);
		return TOKEN_KEY_UNKNOWN;
	case JWT_BAD:
		return TOKEN_SIGNATURE;
	default:
		return token_check_claims(token, &issuer->rule, now_s);
	}
}

static enum token_state check_new(struct worker_tokens *t, struct checked *place,
	const uint8_t digest[DIGEST], struct slice text, uint64_t now_s)
{
	struct token token;
	enum token_state state = token_read(text, &token);
	struct issuer *issuer = NULL;

	if (state == TOKEN_VALID) {
		issuer = issuer_of(t, &token);
		state = issuer ? check(t, &token, issuer, text, now_s) : TOKEN_FOREIGN;
	}
	if (state != TOKEN_VALID) {
		token_free(&token);
		return state;
	}
	token_free(&place->token);
	memcpy(place->digest, digest, DIGEST);
	place->issuer = issuer;
	place->token = token;
	return TOKEN_VALID;
}

enum token_state worker_tokens_check(struct worker_tokens *t, struct slice text, uint64_t now_s,
	const struct token **token)
{
	uint8_t digest[DIGEST];
	struct checked *place;
	bool found;
	enum token_state state;

	*token = NULL;
	if (!t->nissuers || text.len > TOKEN_MAX)
		return t->nissuers && slice_starts_with(text, SLICE("eyJ")) ? TOKEN_MALFORMED
									     : TOKEN_FOREIGN;
	if (EVP_Digest(text.data, text.len, digest, NULL, EVP_sha256(), NULL) != 1)
		return TOKEN_UNCHECKED;
	for (size_t i = 0; i < t->nissuers; i++)
		renew_keys(t, &t->issuers[i]);
	place = place_of(t, digest, &found);
	state = found ? token_check_claims(&place->token, &place->issuer->rule, now_s)
		      : check_new(t, place, digest, text, now_s);
	counter_add(t->worker->counters,
		state == TOKEN_VALID	 ? (found ? COUNTER_TOKEN_KNOWN : COUNTER_TOKEN_ACCEPTED)
		: state == TOKEN_FOREIGN ? COUNTER_TOKEN_FOREIGN
					 : COUNTER_TOKEN_REJECTED,
		1);
	if (state == TOKEN_VALID)
		*token = &place->token;
	return state;
}
