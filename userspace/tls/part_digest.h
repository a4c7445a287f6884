/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TLS_PART_DIGEST_H
#define TLS_PART_DIGEST_H

#include "openai/parts.h"

/* SHA-256 (FIPS 180-4), for openai/parts.h. */
extern const struct parts_digest part_digest;

#endif
