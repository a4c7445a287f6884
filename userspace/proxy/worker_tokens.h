/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tokens of clients that a worker has checked: each once, for as long as it is valid, as far as there is
 * room. When the keys of an issuer change, all are checked again. */
#ifndef PROXY_WORKER_TOKENS_H
#define PROXY_WORKER_TOKENS_H

#include "base/why.h"
#include "policy/token.h"

struct worker;
struct worker_tokens;

/* For config.tokens. NULL without memory. */
struct worker_tokens *worker_tokens_new(struct worker *worker);
void worker_tokens_free(struct worker_tokens *tokens);

/* Whose token it is, now. VALID: *token says it, until the next call. */
enum token_state worker_tokens_check(struct worker_tokens *tokens, struct slice text,
	uint64_t now_s, const struct token **token);

#endif
