/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who a call is from: by a key that was issued here, or a token of an issuer that is trusted, or else by
 * its address alone; and the groups that these are in. Nothing else that a client says identifies it. */
#ifndef POLICY_SUBJECT_H
#define POLICY_SUBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/slice.h"
#include "http/head.h"
#include "policy/key_table.h"
#include "policy/policy.h"
#include "policy/rule.h"
#include "policy/token.h"

#define SUBJECT_GROUPS	    64
#define SUBJECT_CREDENTIALS 8 /* that are looked at, of one request */

/* What a request presents, without the scheme in front ("Bearer") and what a query is encoded with. */
struct credentials {
	struct slice texts[SUBJECT_CREDENTIALS];
	size_t n;
	bool more;	    /* than these; or one is too long to be decoded */
	char decoded[1024]; /* where some texts are */
	size_t ndecoded;
};

/* Those of the fields, and of the query. */
void credentials_read(const struct head *head, struct credentials *credentials);
/* Whether a field, or a parameter of the query, holds what has the form of a key issued here: it is
 * nobody else's business. */
bool credentials_issued_field(const struct header *header);
bool credentials_issued_query(struct slice path);

/* By what subjects are found. */
struct subject_means {
	struct policy *policy;
	const struct key_table *keys; /* NULL: none are issued, and nothing is taken for one */
	key_digest_fn digest;
	/* Whose token that text is, now; NULL: tokens say nothing here. */
	enum token_state (*token)(
		void *context, struct slice text, uint64_t now_s, const struct token **token);
	/* Whether that text is the key of one of our backends. */
	bool (*is_service)(void *context, struct slice text);
	void *context;
};

struct subject {
	const struct issued_key *key; /* valid; or NULL */
	const struct token *token;    /* likewise; with neither, it is found by its address */
	enum rule_credential credential;
	/* One has the form of a key issued here, and is not valid; or there are several. */
	bool refused;
	enum key_state state;
	enum token_state token_state; /* VALID, or why a token of ours is refused */
	struct slice groups[SUBJECT_GROUPS]; /* as long as the means are */
	size_t ngroups;
};

void subject_find(const struct subject_means *means, const struct address *address,
	const struct credentials *credentials, uint64_t now_s, struct subject *subject);

#endif
