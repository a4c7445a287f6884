// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/worker.h"

#include "base/clock.h"

struct credential worker_credential(
	const struct worker *worker, const struct config_backend *backend)
{
	struct credential credential = {.kind = CREDENTIAL_CLIENTS};

	if (!backend || !backend->credential)
		return credential;
	credential.secret = credentials_value(worker->credentials,
		(size_t)(backend->credential - worker->config->credentials), clock_monotonic_ns(),
		&credential.why);
	credential.kind = credential.secret ? CREDENTIAL_OURS : CREDENTIAL_MISSING;
	credential.bearer = backend->key_header == CONFIG_KEY_BEARER ||
			    config_credential_is_token(backend->credential);
	return credential;
}

struct tls_origin_leg *worker_origin_leg(
	const struct worker *worker, const struct config_backend *backend)
{
	return backend ? worker->backend_legs[backend - worker->config->backends] : NULL;
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
