/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file of issued keys, on disk, for one who reads it or changes it. */
#ifndef CLI_KEYS_FILE_H
#define CLI_KEYS_FILE_H

#include <stdbool.h>

#include "base/why.h"
#include "config/config.h"
#include "policy/key_table.h"

struct keys_file {
	struct config *config;
	const char *path; /* policy.keys_file */
	struct key_table *table;
	int lock;	 /* of its directory, while it is changed; -1: none */
	uint64_t looked, refused; /* how often the daemon had looked at it before, and refused it */
};

/* By the configuration at that path. To be changed: nobody else changes it meanwhile, and a file that
 * is not there is made by the first keys_file_write. 0, or negative errno with why: keys_file_close
 * is right after both. */
int keys_file_open(
	const char *config_path, bool changes, struct keys_file *file, struct why *why);
/* Puts the table in its place, all or nothing. 0, or negative errno with why. */
int keys_file_write(struct keys_file *file, struct why *why);
/* Waits until the daemon has read it, and says so if it does not. */
void keys_file_await(struct keys_file *file);
void keys_file_close(struct keys_file *file);

#endif
