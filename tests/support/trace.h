/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text in which what a reader did is written down; without memory the process ends. */
#ifndef TESTS_SUPPORT_TRACE_H
#define TESTS_SUPPORT_TRACE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/slice.h"

/* Ends the process unless it holds: fuzzers see that. */
void trace_demand(bool holds);
void trace_add(struct buf *text, struct slice s);
/* What is no printable ASCII as \xNN. */
void trace_add_escaped(struct buf *text, struct slice s);

#endif
