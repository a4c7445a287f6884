/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the origin saw, one JSON object per line, each written with one write(2):
 * {"kind":"connection"} when a handshake ended, {"kind":"request"} when a request was read (or
 * ended early), {"kind":"reply"} when its answer ended, {"kind":"close"}. tests/netns/origin.py
 * reads it. */
#ifndef ORIGIN_JOURNAL_H
#define ORIGIN_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct journal {
	int fd; /* -1: nothing is written */
	struct buf line;
};

/* path NULL: no journal. 0, or -errno. */
int journal_open(struct journal *j, const char *path);
void journal_start(struct journal *j, const char *kind, uint64_t connection);
void journal_number(struct journal *j, const char *name, uint64_t value);
void journal_bool(struct journal *j, const char *name, bool value);
/* data NULL: null. */
void journal_bytes(struct journal *j, const char *name, struct slice value);
void journal_string(struct journal *j, const char *name, const char *value);
/* Appends "name": and leaves the value to the caller. */
struct buf *journal_value(struct journal *j, const char *name);
void journal_end(struct journal *j);

#endif
