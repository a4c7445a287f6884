// SPDX-License-Identifier: GPL-2.0-or-later
#include "audit/source_event.h"

#include <stdio.h>

#include "kernel/datapath_status.h"

/* The reasons that have a count, as a JSON object; empty when there are none. */
static struct slice drops_text(const struct source_counters *counters, char *text, size_t size)
{
	size_t len = 0;

	for (enum drop drop = 0; drop < DROP_COUNT; drop++) {
		if (!counters->drops[drop])
			continue;
		len += (size_t)snprintf(text + len, size - len, "%c\"%s\":%llu", len ? ',' : '{',
			drop_name(drop), (unsigned long long)counters->drops[drop]);
	}
	if (len)
		text[len++] = '}';
	return slice_of(text, len);
}

void source_event_totals(
	struct event *event, const struct source_totals *totals, struct source_event_text *text)
{
	const struct source_counters *counters = &totals->counters;

	event->source_packets = event_number(counters->packets);
	event->source_bytes = event_number(counters->bytes);
	event->source_packets_received = event_number(counters->packets_to);
	event->source_bytes_received = event_number(counters->bytes_to);
	event->source_steered_packets = event_number(counters->steered_packets);
	event->source_steered_bytes = event_number(counters->steered_bytes);
	event->source_syns = event_number(counters->syns);
	event->source_syn_retransmits = event_number(counters->syns_again);
	event->source_opened = event_number(counters->opened);
	event->source_active = event_number(totals->active);
	event->source_opening = event_number(totals->opening);
	event->source_closed = event_number(counters->closed);
	event->source_reset = event_number(counters->resets);
	event->source_steered = event_number(counters->steered);
	event->source_passed = event_number(counters->passed);
	event->source_drops = drops_text(counters, text->drops, sizeof(text->drops));
}
