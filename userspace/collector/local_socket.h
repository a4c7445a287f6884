/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef COLLECTOR_LOCAL_SOCKET_H
#define COLLECTOR_LOCAL_SOCKET_H

#include "base/why.h"

/* A socket in the file system that listens, or negative errno with why; one on which nobody listens any
 * more is replaced. Every user may connect: who he is, the kernel tells of each connection
 * (SO_PEERCRED). */
int local_socket_listen(const char *path, struct why *why);

#endif
