/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much may be asked: the limits that a call counts in take what it can need at most before it is
 * sent, all of them or none, and take what it has used when it is over. */
#ifndef POLICY_LIMITS_H
#define POLICY_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "policy/facts.h"
#include "policy/limit.h"
#include "policy/limit_amount.h"

/* A call, when all of it is known. Borrowed spans. */
struct limit_call {
	const struct policy_facts *facts;
	struct slice subject; /* the id of its key, or the object of its token, or its address */
	uint64_t input;	      /* tokens, as they are estimated by rule of thumb; 0: none are counted */
	bool generates;	      /* tokens of output may come */
};

/* What one limit has taken for one call. */
struct limit_hold {
	const struct limit *limit;
	struct limit_row *row;
	uint64_t key; /* of the row, while it is that of this limit */
	struct limit_window window;
	uint16_t epoch;
	uint64_t amount;
	bool sent;
};

struct limit_holds {
	struct limit_hold *list;
	size_t n;
	const struct limit *shadow; /* the first that would have refused; NULL: none */
};

enum limit_reason {
	LIMIT_USED_UP,
	LIMIT_TOO_MUCH, /* the call alone may need more than there is in a whole period */
	LIMIT_CROWDED,	/* there is no telling now: the table is full, or others are in the way */
};

struct limit_refusal {
	const struct limit *limit;
	enum limit_reason reason;
	uint64_t wanted, most, used, reserved; /* in the units of its measure */
	uint64_t wait_ms; /* until the period is over, or it is worth another try */
};

/* What the call has used. */
struct limit_spent {
	bool made;    /* it was sent: it counts, unless … */
	bool success; /* … the limit counts those alone that this is true of */
	bool unknown; /* nobody can say yet, or ever: all that was reserved is taken for used */
	struct limit_tokens tokens;
	struct slice model, tier; /* as the answer says; else as was asked */
	uint64_t bytes;
};

struct limits_user {
	/* A limit has come to so much percent of itself, of one of those whom it counts. */
	void (*alert)(void *context, const struct limit_hold *hold, unsigned percent, uint64_t used);
	void *context;
};

struct limits;

/* The set and the table are borrowed; worker: whose cells are used (LIMIT_NOBODY: what would be limited
 * is refused). NULL without memory. */
struct limits *limits_new(
	const struct limit_set *set, struct limit_table *table, uint32_t worker);
void limits_free(struct limits *limits);
/* Whether there are any. */
bool limits_any(const struct limits *limits);

/* 0; -EDQUOT: refused, and nothing is taken; or -ENOMEM. */
int limits_reserve(struct limits *limits, const struct limit_call *call, uint64_t now_ms,
	struct limit_holds *holds, struct limit_refusal *refusal);
/* The call is sent. */
void limits_send(struct limits *limits, struct limit_holds *holds);
/* The call is over: the holds are empty afterwards. */
void limits_settle(struct limits *limits, struct limit_holds *holds,
	const struct limit_spent *spent, uint64_t now_ms, const struct limits_user *user);

/* What is left of a hold's limit now, for telling. */
struct limit_standing {
	uint64_t most, used, reserved, resets_ms; /* resets_ms: from now on */
};
struct limit_standing limits_standing(
	const struct limits *limits, const struct limit_hold *hold, uint64_t now_ms);

/* Whom a limit counts the call for, as the table names it: "subject=k1 model=gpt-4o"; appended to text.
 * 0 or -ENOMEM. */
int limit_who(const struct limit *limit, const struct limit_call *call, struct buf *text);
/* Whether a limit counts the call; what it asks for and is never known is held against it. */
bool limit_counts(const struct limit *limit, const struct policy_facts *facts);

#endif
