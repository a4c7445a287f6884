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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice message = slice_of((const char *)data, size);
	struct dns_reply reply, again;
	enum dns_result result = dns_read(message, &reply), records;
	size_t before = 0, after = 0;
	char name[HOST_NAME_SIZE], *copy = malloc(size + 1);

	if (result == DNS_OK && reply.name[0])
		demand(host_name_read(slice_of_string(reply.name), name) &&
			strcmp(name, reply.name) == 0);
	records = dns_addresses(message, count, &before);
	demand(before <= size);
	demand(copy != NULL);
	memcpy(copy, data, size);
	dns_disarm(copy, size);
	message.data = copy;
	demand(dns_read(message, &again) == result && strcmp(again.name, reply.name) == 0);
	demand(dns_addresses(message, count, &after) == records);
	demand(after == before);
	/* ech twice in one record is out of order, and one a pass is all there is. */
	demand(dns_disarm(copy, size) == 0);
	free(copy);
	return 0;
}
