/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One HTTP request and its answer, over a connection of its own, verified as those to origins are.
 * For the few calls of the keeper, minutes apart: bounded in time and size, no redirects, no proxy,
 * nothing kept alive. All memory that held a secret is wiped. */
#ifndef KEEPER_HTTP_CALL_H
#define KEEPER_HTTP_CALL_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "backend/resolver.h"
#include "base/buf.h"
#include "base/why.h"
#include "config/config.h"
#include "io/turn.h"
#include "tls/origin_leg.h"

struct http_call;

/* What all calls share; the caller's. */
struct http_caller {
	struct turn *turn;
	const struct config *config;
	struct resolver *resolver;
	struct tls_origin_leg *leg;
};

struct http_target {
	const char *host; /* the SNI, and the name that is verified */
	uint16_t port;
	const struct address *plain; /* without TLS, at this address; NULL: by the name, with TLS */
};

struct http_answer {
	int status; /* 0: there was none, and why */
	struct why why;
	struct slice body;
	uint64_t pause_ns; /* Retry-After, in seconds or as retry-after-ms; 0: none */
};

/* Valid during the call only. */
typedef void http_call_done(void *context, const struct http_answer *answer);

/* Sends the request, which is taken over and wiped, as it is. done is called once, later, unless the
 * call is cancelled before; then the call is gone. NULL without memory. */
struct http_call *http_call_start(const struct http_caller *caller, const struct http_target *target,
	struct buf *request, http_call_done *done, void *context);
void http_call_cancel(struct http_call *call);

#endif
