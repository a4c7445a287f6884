/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an event says of its source address. */
#ifndef AUDIT_SOURCE_EVENT_H
#define AUDIT_SOURCE_EVENT_H

#include "audit/event.h"
#include "audit/source_table.h"

/* The event's text that is made: "{"martian":3,…}" at its longest. */
struct source_event_text {
	char drops[DROP_COUNT * 48 + 4];
};

/* Fills the members source_… but for address and port. The event borrows the text. */
void source_event_totals(
	struct event *event, const struct source_totals *totals, struct source_event_text *text);

#endif
