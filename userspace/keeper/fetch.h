/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Gets one credential from where its configuration says: one call after the other, at most one at a
 * time.
 *
 *	managed-identity	instance metadata service → token
 *	app			Entra's token endpoint → token
 *	jwks			the address of a set of public keys → the keys
 *	key-vault		either of these → token for the vault → Key Vault → secret */
#ifndef KEEPER_FETCH_H
#define KEEPER_FETCH_H

#include "keeper/http_call.h"

struct fetch;

struct fetch_result {
	struct slice value; /* empty: there is none, and why */
	uint64_t expires_ns; /* CLOCK_MONOTONIC; 0: never */
	uint64_t next_ns;    /* when to ask again */
	uint64_t pause_ns;   /* without a value: how long who was asked wants to be left alone; 0: does not say */
	struct why why;
};
/* Valid during the call only. */
typedef void fetch_done(void *context, const struct fetch_result *result);

/* Whether the credential is one that is fetched. */
bool fetch_is_needed(const struct config_credential *credential);

/* NULL without memory. */
struct fetch *fetch_new(const struct http_caller *caller, const struct config_credential *credential,
	fetch_done *done, void *context);
void fetch_free(struct fetch *fetch);
/* What is in the file of an app's client secret, or of its certificate: kept for the fetches to come,
 * and wiped. 0; -EINVAL (it is neither), -ENOMEM with why, and the one before stays. */
int fetch_take_file(struct fetch *fetch, struct slice content, struct why *why);
/* Whether it can be fetched: without its file it cannot. */
bool fetch_is_ready(const struct fetch *fetch);
/* Asks; one that is under way goes on. done is called later. */
void fetch_start(struct fetch *fetch);

#endif
