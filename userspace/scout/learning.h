/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The scout's eyes: the packet queues, the raw sockets that answer in others' names, and between
 * them scout/learn, which decides. */
#ifndef SCOUT_LEARNING_H
#define SCOUT_LEARNING_H

#include "backend/resolver.h"
#include "supervise/role.h"

struct learning;

/* Opens what needs root. *learning is NULL when endpoints.learn is off. The resolver stays the
 * caller's, and has to live as long. */
int learning_new(struct role_context *context, struct resolver *resolver,
	struct learning **learning, struct why *why);
/* A CONTROL_ENDPOINT of the parent. */
void learning_told(struct learning *learning, const struct ipc_message *message);
/* Lets go what waits; NULL is allowed. */
void learning_free(struct learning *learning);

#endif
