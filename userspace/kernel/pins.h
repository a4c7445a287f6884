/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The directory of pins: bpf_directory/v<SALLYPORT_ABI>/, one appliance at a time. */
#ifndef KERNEL_PINS_H
#define KERNEL_PINS_H

#include <limits.h>
#include <stdint.h>

#include "base/why.h"

struct pins {
	char root[PATH_MAX];	  /* bpf_directory */
	char directory[PATH_MAX]; /* … /v1 */
	int lock;		  /* fd of the directory, flocked; -1: read only */
};

/* Makes and locks the directory, and takes over the links of another version that does not run any
 * more. -EBUSY: another appliance holds it; -ENOTDIR, -EINVAL: no bpffs
 * there; others: see why. */
int pins_open(struct pins *pins, const char *bpf_directory, struct why *why);
/* Only fills in the paths, for reading. -ENAMETOOLONG. */
int pins_name(struct pins *pins, const char *bpf_directory);
/* Unpins whatever is in the directory, and removes the directories. */
void pins_remove(const struct pins *pins);
/* Removes the directories where nothing is pinned. */
void pins_rmdir(const struct pins *pins);
/* Unlocks; the pins stay. */
void pins_close(struct pins *pins);

/* fd of the pinned object, or a negative errno. */
int pins_get(const struct pins *pins, const char *name);
/* The same of a map, with BPF_F_RDONLY or BPF_F_WRONLY. */
int pins_get_restricted(const struct pins *pins, const char *name, uint32_t flags);
/* Pins fd under name, in place of what was pinned there. */
int pins_put(const struct pins *pins, const char *name, int fd);
/* Unpins; nothing there is no error. */
void pins_drop(const struct pins *pins, const char *name);

#endif
