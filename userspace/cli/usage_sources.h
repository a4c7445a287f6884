/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sallyport usage --sources: traffic by source address, as the collector was told. */
#ifndef CLI_USAGE_SOURCES_H
#define CLI_USAGE_SOURCES_H

#include "cli/review.h"

/* refused: an option that was given and would have no effect, or NULL. Returns the exit status. */
int usage_sources(const struct review *review, const char *refused);

#endif
