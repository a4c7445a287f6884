/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's trie of sources that may send, or may not. */
#ifndef KERNEL_ADMISSION_MAP_H
#define KERNEL_ADMISSION_MAP_H

#include "base/why.h"
#include "config/config.h"

/* Puts a trie with exactly these prefixes in the place of the one in force, at once: no packet is
 * judged by half of it. map: the fd of the map of maps. 0; -ENOSPC when there are too many; others,
 * explained in why. */
int admission_map_set(int map, const struct config_admission *admission, struct why *why);

#endif
