/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One client connection: TLS, requests in order, their answers. */
#ifndef ORIGIN_CONNECTION_H
#define ORIGIN_CONNECTION_H

#include <ev.h>

#include "call.h"
#include "certificate.h"
#include "journal.h"

struct origin {
	struct ev_loop *loop;
	struct certificates *certificates;
	struct service service;
	struct journal journal;
	size_t body_kept; /* bytes of a request body in the journal */
	uint64_t connections, requests;
};

/* Takes over the accepted, non-blocking socket. */
void connection_open(struct origin *origin, int fd);

#endif
