/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The answers of those who give credentials out: JSON in, a secret or a reason out. Bytes from the
 * network are bounded, and what is told of them is fit for a log line and holds no value. */
#ifndef KEEPER_ANSWER_H
#define KEEPER_ANSWER_H

#include <stdint.h>

#include "base/buf.h"
#include "base/secret.h"
#include "base/slice.h"
#include "base/why.h"

/* An access token (RFC 6749 section 5.1): of the instance metadata service, whose numbers are
 * texts, and of Entra's token endpoint. */
struct answer_token {
	struct secret *token; /* the caller's */
	uint64_t expires_s;   /* from now, at least 1 and at most 30 days */
	uint64_t refresh_s;   /* from now: when it should be asked for again; 0: it does not say */
};
/* 0; or -EINVAL, -ENOMEM with why. */
int answer_token(struct slice body, struct answer_token *token, struct why *why);

/* A secret of a Key Vault (its API 7.4, GetSecret): the value, as it goes into a header. *value is
 * the caller's. 0; or -EINVAL, -ENOMEM with why. */
int answer_secret(struct slice body, struct secret **value, struct why *why);

/* A set of keys (RFC 7517 section 5): those that may sign, with what it takes to check a signature and
 * nothing else, as such a set on one line; appended to keys. 0; or -EINVAL (there is none), -ENOMEM with
 * why. */
int answer_keys(struct slice body, struct buf *keys, struct why *why);

/* What an answer that is none of 200 says: "403 (Forbidden)", "401 (invalid_client, AADSTS7000215)".
 * Only codes are taken out of it, never its prose, which may repeat what it was asked with. */
void answer_refusal(int status, struct slice body, struct why *why);

#endif
