/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SUPERVISE_TEXT_MEMFD_H
#define SUPERVISE_TEXT_MEMFD_H

#include "base/slice.h"
#include "base/why.h"

/* A sealed memory file with that text, the caller's; or negative errno with why. */
int text_memfd(struct slice text, struct why *why);

#endif
