/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The keys that were issued here change while workers live: `sallyport keys` writes their file, and all
 * workers hear of it. What cannot be used never replaces what can. */
#ifndef SUPERVISE_KEYS_WATCH_H
#define SUPERVISE_KEYS_WATCH_H

struct keys_watch;
struct parent;

/* Watches the file of keys of the current configuration from now on. NULL without memory. */
struct keys_watch *keys_watch_new(struct parent *parent);
void keys_watch_free(struct keys_watch *watch);
/* The current configuration has changed. watch may be NULL. */
void keys_watch_reconfigure(struct keys_watch *watch);

#endif
