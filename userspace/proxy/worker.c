// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/worker.h"

const struct secret *worker_key(
	const struct worker *worker, const struct config_backend *backend)
{
	return backend ? worker->keys[backend - worker->config->backends] : NULL;
}

/* xorshift64 (Marsaglia, 2003). */
uint64_t worker_random(struct worker *worker)
{
	worker->random ^= worker->random << 13;
	worker->random ^= worker->random >> 7;
	worker->random ^= worker->random << 17;
	return worker->random;
}

void worker_ended(struct worker *worker)
{
	if (worker->draining && list_empty(&worker->clients) && list_empty(&worker->bypasses) &&
		list_empty(&worker->exchanges))
		role_exit(worker->context);
}
