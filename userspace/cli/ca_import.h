/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files from which an enterprise's authority is taken. */
#ifndef CLI_CA_IMPORT_H
#define CLI_CA_IMPORT_H

#include "base/why.h"
#include "tls/ca.h"

struct ca_import_files {
	const char *certificate; /* may hold the key and the chain too */
	const char *key;	 /* NULL: it is in certificate */
	const char *chain;	 /* NULL: none of its own */
	const char *password;	 /* a file; NULL: it is asked for on the terminal, when needed */
};

/* Reads them all, in any form that tls/ca_parts.h knows. left_out is told of certificates that are
 * of no use. 0, or negative errno with why; ca_free. */
int ca_import_read(const struct ca_import_files *files, void (*left_out)(const X509 *certificate),
	struct ca **ca, struct why *why);

#endif
