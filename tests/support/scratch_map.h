/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Maps of the kernel's that a test makes and fills by hand, and addresses to fill them with. */
#ifndef SUPPORT_SCRATCH_MAP_H
#define SUPPORT_SCRATCH_MAP_H

#include <bpf/bpf.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"

/* The fd of a new map; key and value are sizes. Stops the test when the kernel refuses. */
int scratch_map(enum bpf_map_type type, size_t key, size_t value, uint32_t entries);

/* 10.0.0.0/8 by number, below 2^24; and the number of such an address. */
struct abi_address scratch_address(uint32_t number);
uint32_t scratch_number(const void *address);

#endif
