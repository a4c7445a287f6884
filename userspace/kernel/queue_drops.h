/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets that the kernel lost on their way to the scout, because it did not take them fast enough.
 */
#ifndef KERNEL_QUEUE_DROPS_H
#define KERNEL_QUEUE_DROPS_H

#include <stdint.h>

/* What the queues from that number on have lost since they were opened, as the kernel lists them; 0
 * where there are none. */
uint64_t queue_drops_read(unsigned first, unsigned n);

#endif
