/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Orders to a worker of tests/support/roles.c, which is what lists them. */
#ifndef SUPPORT_WORKER_CALL_H
#define SUPPORT_WORKER_CALL_H

#include <sys/types.h>

/* A connection to a worker; the caller closes it. Fails the test when there is none. */
int worker_call(unsigned worker);
/* The answer's line without its end, until the next order; "" when the worker hung up. */
const char *worker_order(int fd, char what);
/* The same over a connection of its own. */
const char *worker_ask(unsigned worker, char what);
/* The pid in the answer to 'i'; 0: there is none. */
pid_t worker_pid_in(const char *answer);

#endif
