/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all connections of one worker process share. */
#ifndef PROXY_WORKER_H
#define PROXY_WORKER_H

#include <ev.h>
#include <stdbool.h>

#include "audit/recorder.h"
#include "audit/source_table.h"
#include "backend/credentials.h"
#include "backend/resolver.h"
#include "base/list.h"
#include "base/log_limit.h"
#include "base/secret.h"
#include "config/config.h"
#include "io/hangup.h"
#include "io/share.h"
#include "io/turn.h"
#include "kernel/heartbeat.h"
#include "proxy/edit_memory.h"
#include "proxy/origin.h"
#include "proxy/pool_table.h"
#include "proxy/replay.h"
#include "proxy/worker_policy.h"
#include "supervise/role.h"
#include "tls/client_leg.h"
#include "tls/leaf.h"
#include "tls/origin_leg.h"
#include "tls/ticket_keys.h"

struct bypass_events;
struct worker_tokens;

/* One read of a socket; a TLS record is at most 16 KiB. */
#define WORKER_READ_SIZE 32768
/* A head that goes on has no more fields than it had, and these. */
#define WORKER_FIELDS_MORE 32

/* Of both families of steered connections, and of the gateway. */
#define WORKER_LISTENERS (2 + CONFIG_GATEWAY_MAX)

struct worker {
	struct role_context *context;
	struct ev_loop *loop;
	struct turn turn;
	struct hangups hangups; /* of clients that are not being read */
	const struct config *config;
	struct counters *counters;
	struct resolver *resolver;
	struct tls_client_leg *client_leg;
	struct tls_origin_leg *origin_leg;
	struct tls_origin_leg **backend_legs; /* of those with roots of their own, by index; else NULL */
	const struct ticket_keys *tickets;
	EVP_PKEY *leaf_keys[LEAF_KINDS]; /* this process's own */
	struct leaf_cache *leaves[LEAF_KINDS];
	struct origins *origins;
	struct recorder *recorder;
	struct edit_memory edits;
	struct worker_policy policy;
	struct replay_total replays;
	struct header *fields; /* http.headers_max and WORKER_FIELDS_MORE, of the head that is made
				* right now */
	struct bypass_events *bypass_events;
	const struct source_table *sources; /* totals of the source addresses */
	struct pool_table *pools;
	struct standing *standing; /* what all workers know of the backends */
	uint64_t random;	   /* of worker_random */
	struct credentials *credentials; /* of the configuration, by index */
	struct worker_tokens *tokens;	 /* of clients */
	int signer, keeper;
	unsigned keys_named; /* kinds of leaves whose key that signer was sent */
	ev_io signer_input, keeper_input;
	ev_io listeners[WORKER_LISTENERS];
	unsigned nlisteners;
	ev_prepare turn_end;
	ev_timer accept_pause, beat;
	struct heartbeat *heartbeat;
	struct list clients, bypasses, exchanges;
	struct log_limit accept_log, bypass_log, leaf_log, handshake_log, response_log, backend_log;
	bool draining;
	char scratch[WORKER_READ_SIZE]; /* of the one who reads right now */
};

/* What a call to a backend is made with. */
struct credential {
	enum {
		CREDENTIAL_CLIENTS, /* the client's own passes */
		CREDENTIAL_OURS,
		CREDENTIAL_MISSING, /* it is to be ours, and there is none now */
	} kind;
	struct secret *secret; /* OURS: to be shared by who needs it beyond this turn */
	bool bearer;	       /* OURS: as Authorization: Bearer, else as api-key */
	const char *why;       /* MISSING: for a person, valid in this turn */
};

/* That verifies a backend by roots of its own; NULL: there are none. */
struct tls_origin_leg *worker_origin_leg(
	const struct worker *worker, const struct config_backend *backend);
/* As of now: the next call may get another one. backend NULL: the origin that the client named. */
struct credential worker_credential(
	const struct worker *worker, const struct config_backend *backend);
/* The service has refused the credential: whoever has it may know a newer one. */
void worker_credential_refused(struct worker *worker, const struct config_backend *backend,
	const struct credential *credential);
/* The value is not good any more, as whoever uses it has found out. */
void worker_credential_stale(struct worker *worker, const struct config_credential *credential,
	const struct secret *value);
/* A number for spreading calls, no secret. */
uint64_t worker_random(struct worker *worker);
/* A connection or an exchange ended: a draining worker with none left exits. */
void worker_ended(struct worker *worker);

#endif
