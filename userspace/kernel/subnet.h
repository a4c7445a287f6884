/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interfaces beside datapath.inside in the clients' own networks: ARP and neighbour discovery may
 * answer with either, and what comes in by the other one is past the gate. */
#ifndef KERNEL_SUBNET_H
#define KERNEL_SUBNET_H

#include <stddef.h>

#include "base/address.h"

/* Tells of each address of another interface whose network has an address of inside's in common
 * with it. Returns how many, or a negative errno. */
int subnet_shared(const char *inside,
	void (*each)(void *context, const char *interface, const struct address *address),
	void *context);

#endif
