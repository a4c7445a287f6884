/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets of IPv4, and of TCP over IPv6, that come in by one interface are put in where those of
 * another come in: by a program on the first that lives as long as that interface. */
#ifndef KERNEL_REDIRECT_H
#define KERNEL_REDIRECT_H

#include "base/why.h"

/* Indexes of the interfaces. The packets must carry the hardware address of `to`, or its stack takes
 * them for somebody else's. 0, or negative errno with why. */
int redirect_ingress(int from, int to, struct why *why);

#endif
