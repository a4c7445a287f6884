/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The chain of an appliance's events in the file of a day: each event's link is made, with the store's
 * key, of all that is stored of it and of the link before. The first follows the chain of an earlier
 * day. What links and seals are made of stands here, for who writes them and who verifies them. */
#ifndef COLLECTOR_CHAIN_H
#define COLLECTOR_CHAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "collector/content.h"
#include "collector/keyed.h"

/* A place in a chain: of the day's n-th event of the appliance, stored under that id. */
struct chain_place {
	int32_t day;	/* from 1970-01-01; -1: none, before the first of all */
	int64_t length; /* n */
	int64_t id;
	struct keyed_link link;
};
#define CHAIN_NOWHERE ((struct chain_place){.day = -1})

struct chain_event {
	int64_t id;
	uint64_t time_ns;
	bool conflict;
	struct slice event_id, record, content[CONTENT_KINDS];
};
/* The link of an event behind another link. False without memory. */
bool chain_link(struct keyed *keyed, const struct keyed_link *before,
	const struct chain_event *event, struct keyed_link *link);

/* What became of the file that an anchor is of; these numbers are in stores. */
enum chain_fate {
	CHAIN_KEPT,
	CHAIN_REMOVED, /* it was older than --retain */
	CHAIN_DAMAGED, /* it was set aside */
	CHAIN_OLDER,   /* it was found as it had been before: events are missing */
};

/* The code (HMAC) of where a chain ends: who has not the key cannot make or change it. Both are false
 * without memory. */
bool chain_mac(struct keyed *keyed, struct slice observer, const struct chain_place *end,
	const struct chain_place *before, struct keyed_link *mac);
bool chain_mac_anchor(struct keyed *keyed, struct slice observer, const struct chain_place *end,
	enum chain_fate fate, uint64_t at_ns, struct keyed_link *mac);

#endif
