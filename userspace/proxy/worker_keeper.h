/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The worker's end of the socket to the keeper. */
#ifndef PROXY_WORKER_KEEPER_H
#define PROXY_WORKER_KEEPER_H

#include "base/why.h"

struct worker;

/* Makes room for the credentials of the configuration, meets the keeper at that socket (-1: there is
 * none yet) and waits for a moment until it was told all that the keeper knows. 0, or negative errno
 * with why. */
int worker_open_keeper(struct worker *worker, int fd, struct why *why);
/* Another keeper came in the place of the one before. What that one told stays until this one tells
 * something newer. */
void worker_meet_keeper(struct worker *worker, int fd);
void worker_close_keeper(struct worker *worker);

#endif
