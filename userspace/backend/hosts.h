/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of hosts(5), read once: a sandboxed process cannot open it later. */
#ifndef BACKEND_HOSTS_H
#define BACKEND_HOSTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/address.h"
#include "base/slice.h"

struct hosts;

/* Reads lines "ADDRESS NAME [NAME …]" up to the first '#'; others are skipped, names are taken
 * without case. NULL without memory. Free with hosts_free. */
struct hosts *hosts_parse(struct slice text);
/* As hosts_parse, from a file; NULL when it cannot be read: no hosts. */
struct hosts *hosts_load(const char *path);
/* The addresses of a lower-case name, IPv4 first, owned by hosts; false: not in the table.
 * hosts may be NULL. */
bool hosts_find(
	const struct hosts *hosts, const char *name, const struct address **addresses, size_t *n);
void hosts_free(struct hosts *hosts);

#endif
