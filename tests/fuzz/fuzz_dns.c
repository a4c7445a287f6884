// SPDX-License-Identifier: GPL-2.0-or-later
/* Whatever arrives: names are host names, and a disarmed reply says the same but for what was taken
 * out, which is then not found again. */
#include <stdint.h>
#include <stdlib.h>

#include "scout/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void count(void *context, const struct address *address, uint32_t ttl_s)
{
	(void)address;
	demand(ttl_s <= INT32_MAX);
	++*(size_t *)context;
}

static void see(void *context, const char *name, uint32_t ttl_s)
{
	char again[HOST_NAME_SIZE];

	demand(host_name_read(slice_of_string(name), again) && strcmp(name, again) == 0);
	count(context, NULL, ttl_s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice message = slice_of((const char *)data, size);
	struct dns_reply reply, again;
	enum dns_result result = dns_read(message, &reply), records;
	size_t before = 0, after = 0, names = 0;
	char name[HOST_NAME_SIZE], *copy = malloc(size + 1), *first = malloc(size + 1);
	size_t half, found, final, kept;

	if (result == DNS_OK && reply.name[0])
		demand(host_name_read(slice_of_string(reply.name), name) &&
			strcmp(name, reply.name) == 0);
	/* The question is read the same way when there is nothing behind it yet. */
	if (result == DNS_OK) {
		demand(reply.records <= size);
		demand(dns_read(slice_first(message, reply.records), &again) == DNS_OK &&
			strcmp(again.name, reply.name) == 0 && again.records == reply.records);
	}
	records = dns_addresses(message, count, &before);
	demand(before <= size);
	demand(dns_aliases(message, see, &names) == records && names <= size);
	demand(copy && first);
	memcpy(copy, data, size);
	/* In two goes, as it comes over TCP. */
	half = size / 2;
	found = dns_disarm(copy, half, 0, &final);
	demand(final <= half);
	kept = final;
	memcpy(first, copy, kept);
	found += dns_disarm(copy, size, 0, &final);
	demand(final <= size && memcmp(first, copy, kept) == 0);
	memcpy(first, data, size);
	demand(dns_disarm(first, size, 0, &final) == found && memcmp(first, copy, size) == 0);
	message.data = copy;
	demand(dns_read(message, &again) == result && strcmp(again.name, reply.name) == 0);
	demand(dns_addresses(message, count, &after) == records);
	demand(after == before);
	/* A name may point into what was taken out: then it is another one, or none. */
	demand(dns_aliases(message, see, &names) == records);
	/* ech twice in one record is out of order, and one a pass is all there is. */
	demand(dns_disarm(copy, size, 0, &final) == 0);
	free(first);
	free(copy);
	return 0;
}
