// SPDX-License-Identifier: GPL-2.0-or-later
#include "collector/chain.h"

#include <string.h>

/* Numbers as bytes, the lowest first, on every machine. */
static struct slice chain_numbers(uint8_t *out, const uint64_t *numbers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t byte = 0; byte < 8; byte++)
			out[8 * i + byte] = (uint8_t)(numbers[i] >> 8 * byte);
	return slice_of((const char *)out, 8 * n);
}

static struct slice chain_bytes(const struct keyed_link *link)
{
	return slice_of((const char *)link->bytes, sizeof(link->bytes));
}

bool chain_link(struct keyed *keyed, const struct keyed_link *before,
	const struct chain_event *event, struct keyed_link *link)
{
	const uint64_t numbers[] = {(uint64_t)event->id, event->time_ns, event->conflict};
	uint8_t room[sizeof(numbers)];
	const struct slice texts[] = {SLICE("event"), chain_bytes(before),
		chain_numbers(room, numbers, 3), event->event_id, event->record, event->content[0],
		event->content[1], event->content[2]};

	return keyed_link(keyed, texts, sizeof(texts) / sizeof(texts[0]), link);
}

bool chain_mac(struct keyed *keyed, struct slice observer, const struct chain_place *end,
	const struct chain_place *before, struct keyed_link *mac)
{
	const uint64_t numbers[] = {(uint64_t)end->day, (uint64_t)end->length, (uint64_t)end->id,
		(uint64_t)before->day, (uint64_t)before->length, (uint64_t)before->id};
	uint8_t room[sizeof(numbers)];
	const struct slice texts[] = {SLICE("chain"), observer, chain_numbers(room, numbers, 6),
		chain_bytes(&end->link), chain_bytes(&before->link)};

	return keyed_link(keyed, texts, sizeof(texts) / sizeof(texts[0]), mac);
}

bool chain_mac_anchor(struct keyed *keyed, struct slice observer, const struct chain_place *end,
	enum chain_fate fate, uint64_t at_ns, struct keyed_link *mac)
{
	const uint64_t numbers[] = {(uint64_t)end->day, (uint64_t)end->length, (uint64_t)end->id,
		(uint64_t)fate, at_ns};
	uint8_t room[sizeof(numbers)];
	const struct slice texts[] = {SLICE("anchor"), observer, chain_numbers(room, numbers, 5),
		chain_bytes(&end->link)};

	return keyed_link(keyed, texts, sizeof(texts) / sizeof(texts[0]), mac);
}
