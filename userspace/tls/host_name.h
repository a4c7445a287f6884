/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one gate through which a name passes before it goes into a certificate, a lookup or a log. */
#ifndef TLS_HOST_NAME_H
#define TLS_HOST_NAME_H

#include <stdbool.h>

#include "base/slice.h"

#define HOST_NAME_SIZE 256

/* Reads an LDH host name (RFC 1123 section 2.1, RFC 5890 section 2.3.1): labels of 1 to 63 letters,
 * digits and inner hyphens, 253 bytes at most, at least one letter in the last label, so that no
 * address passes. One dot at the end is taken off. False: not a host name, and name is "". */
bool host_name_read(struct slice input, char name[HOST_NAME_SIZE]);

#endif
