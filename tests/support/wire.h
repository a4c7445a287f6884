/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hand-made frames on the wire before the gate of namespaces.h, from the hop. */
#ifndef SUPPORT_WIRE_H
#define SUPPORT_WIRE_H

#include <stdint.h>

#include "tests/support/namespaces.h"
#include "tests/support/packet.h"

/* A packet socket, to be closed; fails the test when there is none. */
int wire_open(const struct namespaces *namespaces);
/* Sends a frame. segment not 0: one that stands for TCP segments of so many bytes each, which the
 * interface takes apart or not. */
void wire_send(int wire, const struct packet_plan *plan, uint16_t segment);

#endif
