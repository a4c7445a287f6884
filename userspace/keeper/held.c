// SPDX-License-Identifier: GPL-2.0-or-later
#include "keeper/held.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"

bool held_take(struct held *held, struct slice value, uint64_t expires_ns, uint64_t next_ns,
	uint64_t now_ns, int *error)
{
	bool same = held->value && slice_equal(secret_text(held->value), value);
	struct secret *taken = same ? held->value : secret_new(value);

	*error = taken ? 0 : -ENOMEM;
	if (!taken)
		return false;
	if (!same)
		secret_free(held->value);
	held->value = taken;
	held->version += !same;
	held->got_ns = now_ns;
	held->expires_ns = expires_ns;
	held->next_ns = next_ns;
	held->failures = 0;
	held->tried = true;
	held->error[0] = '\0';
	return !same;
}

static uint64_t retry_ns(unsigned failures, uint32_t chance)
{
	uint64_t most = HELD_RETRY_FIRST_NS;

	while (failures-- > 1 && most < HELD_RETRY_MOST_NS)
		most *= 2;
	if (most > HELD_RETRY_MOST_NS)
		most = HELD_RETRY_MOST_NS;
	return most / 2 + most / 2 * (chance % 1024) / 1024;
}

void held_fail(struct held *held, const char *why, bool retry, uint64_t pause_ns, uint32_t chance,
	uint64_t now_ns)
{
	uint64_t wait;

	held->failures += held->failures < UINT32_MAX;
	held->tried = true;
	snprintf(held->error, sizeof(held->error), "%s", why);
	held->next_ns = 0;
	if (!retry)
		return;
	wait = retry_ns(held->failures, chance);
	if (pause_ns > HELD_PAUSE_MOST_NS)
		pause_ns = HELD_PAUSE_MOST_NS;
	held->next_ns = now_ns + (pause_ns > wait ? pause_ns : wait);
}

bool held_is_expired(const struct held *held, uint64_t now_ns)
{
	return held->expires_ns && now_ns >= held->expires_ns;
}

enum credential_state held_state(const struct held *held, uint64_t now_ns)
{
	if (held->value && !held_is_expired(held, now_ns))
		return held->error[0] ? CREDENTIAL_STATE_KEPT : CREDENTIAL_STATE_FRESH;
	return held->tried ? CREDENTIAL_STATE_MISSING : CREDENTIAL_STATE_AWAITED;
}

void held_free(struct held *held)
{
	secret_free(held->value);
	held->value = NULL;
}
