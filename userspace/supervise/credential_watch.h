/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files of credentials, which only root can read: the parent opens them for the keeper, and again
 * when they have changed. It never reads one. */
#ifndef SUPERVISE_CREDENTIAL_WATCH_H
#define SUPERVISE_CREDENTIAL_WATCH_H

#include "base/why.h"

struct credential_watch;
struct generation;
struct parent;

/* 0, or negative errno with why. */
int credential_watch_new(struct parent *parent, struct credential_watch **watch, struct why *why);
/* NULL is fine. */
void credential_watch_free(struct credential_watch *watch);

/* Opens all files of the generation's configuration for its keeper, which has just started. */
void credential_watch_tell(struct generation *generation);
/* Looks whether any has changed, in case that nothing was heard of it: a directory that came back, a
 * file system without inotify(7). watch may be NULL. */
void credential_watch_look(struct credential_watch *watch);

#endif
