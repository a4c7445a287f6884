// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/reverse.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/ares_loop.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"

#define NAMES		 4096 /* a power of two: places of the cache */
#define PROBES		 8    /* places where an address can be */
#define QUERIES_MAX	 16   /* at a time */
#define QUERY_TIMEOUT_MS 1000
#define QUERY_TRIES	 2
#define ANSWER_NS	 (600 * NS_PER_S)
#define FAILURE_NS	 (60 * NS_PER_S)

enum name_state { NAME_FREE, NAME_ASKED, NAME_KNOWN };

struct reverse_name {
	struct address address;
	enum name_state state;
	uint64_t until_ns; /* NAME_KNOWN: then it is asked for again */
	struct reverse *reverse;
	char text[sizeof(struct log_quoted)]; /* "": it has none */
};

struct reverse {
	struct ares_loop ares;
	unsigned asked;
	struct reverse_name names[NAMES];
};

static void answered(void *context, int status, int timeouts, struct hostent *host)
{
	struct reverse_name *name = context;
	uint64_t now = clock_monotonic_ns();
	bool told = status == ARES_SUCCESS && host && host->h_name;

	(void)timeouts;
	if (status == ARES_EDESTRUCTION)
		return;
	name->reverse->asked--;
	name->state = NAME_KNOWN;
	name->text[0] = '\0';
	name->until_ns =
		now + (told || status == ARES_ENOTFOUND || status == ARES_ENODATA ? ANSWER_NS
										  : FAILURE_NS);
	if (told)
		snprintf(name->text, sizeof(name->text), "%s",
			log_quote(slice_of_string(host->h_name)).text);
}

/* The place of the address: where it is, or the one whose answer ends first; NULL when all of them
 * wait for an answer. */
static struct reverse_name *name_place(struct reverse *reverse, const struct address *address)
{
	struct reverse_name *best = NULL;
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < sizeof(address->bytes); i++)
		hash = (hash ^ address->bytes[i]) * 16777619u;
	for (uint32_t i = 0; i < PROBES; i++) {
		struct reverse_name *name = &reverse->names[(hash + i) & (NAMES - 1)];

		if (name->state != NAME_FREE && address_equal(&name->address, address))
			return name;
		if (name->state != NAME_ASKED && (!best || name->until_ns < best->until_ns))
			best = name;
	}
	return best;
}

static void name_ask(struct reverse *reverse, struct reverse_name *name)
{
	const uint8_t *bytes = name->address.bytes;
	bool ipv4 = address_is_ipv4(&name->address);

	name->state = NAME_ASKED;
	name->reverse = reverse;
	reverse->asked++;
	ares_gethostbyaddr(reverse->ares.channel, ipv4 ? bytes + 12 : bytes, ipv4 ? 4 : 16,
		ipv4 ? AF_INET : AF_INET6, answered, name);
	ares_loop_wait(&reverse->ares, false);
}

bool reverse_lookup(struct reverse *reverse, const struct address *address, const char **name)
{
	struct reverse_name *place = name_place(reverse, address);
	bool here = place && place->state != NAME_FREE && address_equal(&place->address, address);

	*name = NULL;
	if (place && !(here && place->state == NAME_ASKED) && reverse->asked < QUERIES_MAX &&
		(!here || place->until_ns <= clock_monotonic_ns())) {
		if (!here)
			place->text[0] = '\0';
		place->address = *address;
		name_ask(reverse, place); /* /etc/hosts answers at once */
		here = true;
	}
	if (!here || (place->state == NAME_ASKED && !place->text[0]))
		return false;
	/* One that is asked for again is as it was until then. */
	*name = place->text[0] ? place->text : NULL;
	return true;
}

struct reverse *reverse_new(struct ev_loop *loop, const struct config *config, struct why *why)
{
	struct reverse *reverse = calloc(1, sizeof(*reverse));
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH,
		.timeout = QUERY_TIMEOUT_MS,
		.tries = QUERY_TRIES,
	};

	if (!reverse) {
		why_set(why, ENOMEM, "names: no memory");
		return NULL;
	}
	reverse->ares.loop = loop;
	if (ares_loop_open(&reverse->ares, &options,
		    ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES, &config->endpoints,
		    "names", why) == 0)
		return reverse;
	reverse_free(reverse);
	return NULL;
}

void reverse_free(struct reverse *reverse)
{
	if (!reverse)
		return;
	ares_loop_close(&reverse->ares);
	free(reverse);
}
