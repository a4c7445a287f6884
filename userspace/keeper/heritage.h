/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What one keeper leaves to the next, at a reload or an upgrade: values that are still good, so that
 * nobody has to wait for, or depend on, those who give them out just then. A value goes to the
 * credential that is defined in the very same way, whatever its name or place. */
#ifndef KEEPER_HERITAGE_H
#define KEEPER_HERITAGE_H

#include <stddef.h>

#include "base/slice.h"
#include "config/config.h"
#include "keeper/held.h"

struct heritage {
	struct slice value;
	uint64_t got_ns, expires_ns, next_ns; /* CLOCK_MONOTONIC, as in struct held */
};

/* Sends one over the socket to the next keeper. 0, or negative errno as ipc_send. */
int heritage_send(int fd, const struct config_credential *credential, const struct held *held);
/* Reads the body of a CREDENTIAL_HERITAGE: which of the n credentials it is for. -ENOENT: none of
 * them; -EBADMSG: it is no such message. The value lies in body. */
int heritage_read(struct slice body, const struct config_credential *credentials, size_t n,
	size_t *index, struct heritage *heritage);

#endif
