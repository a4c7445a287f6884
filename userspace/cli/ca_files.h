/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two files of an authority, on disk. */
#ifndef CLI_CA_FILES_H
#define CLI_CA_FILES_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/why.h"
#include "tls/ca.h"

struct ca_files {
	char *certificate; /* paths, owned */
	char *key;
	uid_t owner; /* besides root, of the key that is there: the signer */
};

/* Reads both; key may be NULL. 0, or negative errno and why; ca_free. */
int ca_files_read(const char *certificate, const char *key, struct ca **ca, struct why *why);
/* As ca_files_read of files in use: the key is opened as a secret (file_secret_open). */
int ca_files_read_own(const struct ca_files *files, struct ca **ca, struct why *why);
/* Writes the certificates (0644) and the key (0600), each all or nothing, in a directory that is
 * made when it is missing. A file that is there already is replaced with force only: -EEXIST. */
int ca_files_write(const struct ca_files *files, const struct ca *ca, bool force, struct why *why);
/* Replaces the certificates alone, all or nothing. */
int ca_files_write_certificate(const struct ca_files *files, const struct ca *ca, struct why *why);
void ca_files_free(struct ca_files *files);

#endif
