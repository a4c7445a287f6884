/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who a call is from, and whether it may be made: asked when its head was read, and again, where
 * that does not tell, when its body was, before the last of it goes on. */
#ifndef PROXY_EXCHANGE_POLICY_H
#define PROXY_EXCHANGE_POLICY_H

#include <stdbool.h>

#include "audit/event.h"
#include "http/head.h"
#include "policy/policy.h"

struct exchange;
struct exchange_policy;

/* The head was read. True: the call is denied, and answered. */
bool exchange_policy_head(struct exchange *exchange, const struct head *head);
/* So many bytes more of the body were read, or the last of them. True: likewise. */
bool exchange_policy_body(struct exchange *exchange, size_t more);
/* Whether a field goes on to the origin, as far as policy says, and whether the query must be taken
 * for one with credentials: a key that was issued here is nobody else's. */
bool exchange_policy_hides_field(const struct exchange *exchange, const struct header *header);
bool exchange_policy_hides_query(const struct exchange *exchange);
/* What the event says of it; and whether there is an event at all. */
void exchange_policy_event(const struct exchange *exchange, struct event *event);
bool exchange_policy_records(const struct exchange *exchange);
void exchange_policy_free(struct exchange *exchange);

#endif
