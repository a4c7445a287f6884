/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The values of single keys: text of the YAML file into a member of struct config. */
#ifndef CONFIG_SCALAR_H
#define CONFIG_SCALAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "policy/rule.h"

/* X(KIND, type it fills) */
#define SCALAR_KINDS(X)                                                                           \
	X(TEXT, char *)		   /* one line of text */                                         \
	X(NAME, char *)		   /* letters, digits, '.', '_', '-' */                           \
	X(PATH, char *)		   /* absolute */                                                 \
	X(INTERFACE, char *)                                                                      \
	X(LABEL, char *)	   /* letters, digits, '.', '_', '-', '@' */                       \
	X(LONG, char *)		   /* one line of text, of any length */                          \
	X(GLOB, char *)		   /* lower case; "a", "a*" or "*a" */                            \
	X(HEADER, char *)	   /* a field name (RFC 9110 5.1), lower case */                  \
	X(HOST, char *)		   /* a DNS name, lower case, no final dot */                     \
	X(URL, char *)		   /* "https://", HOST, perhaps a port, and a path without a query */ \
	X(MAPPING, char *)	   /* NAME, "=" and NAME; a NAME may have ':' here */             \
	X(PATTERN, char *)	   /* HOST, or "*." and a HOST */                                 \
	X(CHOICE, int)		   /* an enum whose members are in the order of the range */      \
	X(BOOL, bool)                                                                             \
	X(U16, uint16_t)	   /* decimal, or hexadecimal with 0x */                          \
	X(U32, uint32_t)                                                                          \
	X(U64, uint64_t)	   /* likewise */                                                 \
	X(DECIMAL, uint64_t)	   /* "12.5", in ten-thousandths */                               \
	X(PRICE, uint64_t)	   /* likewise, plus one: 0 is none */                             \
	X(DATE, uint32_t)	   /* "2026-01-31": days since 1970 */                             \
	X(HOURS, struct rule_hours) /* "08:00-18:00" */                                           \
	X(WEEKTIME, uint32_t)	   /* minutes of a week; "mon 12:00" */                           \
	X(WORKERS, uint32_t)	   /* U32, or "auto": the processors online */                    \
	X(DURATION, uint64_t)	   /* ns; "30s", "1h30m" */                                       \
	X(SIZE, uint64_t)	   /* bytes; "64KiB" */                                           \
	X(PREFIX, struct prefix)                                                                  \
	X(ADDRESS_PORT, struct address_port)                                                      \
	X(IDENTITY, struct config_identity)                                                       \
	X(BACKEND, struct config_backend *) /* the name of one of config->backends */             \
	X(POOL, struct config_pool *)	   /* of one of config->pools */                          \
	X(CREDENTIAL, struct config_credential *) /* of one of config->credentials */

enum scalar_kind {
#define SCALAR_ENUM(KIND, type) SCALAR_##KIND,
	SCALAR_KINDS(SCALAR_ENUM)
#undef SCALAR_ENUM
	SCALAR_COUNT
};

size_t scalar_size(enum scalar_kind kind);

/* Parses text as kind within range (see keys.h) into *out, whose former content is forgotten;
 * strings are malloc'ed. config is where a BACKEND, POOL or CREDENTIAL is looked up.
 * 0, -EINVAL, -ENOMEM. */
int scalar_parse(enum scalar_kind kind, const char *range, const char *text,
	const struct config *config, void *out);
/* Frees what scalar_parse allocated in *out. */
void scalar_free(enum scalar_kind kind, void *out);

/* What is expected of the kind in that range, for "expected %s". */
struct scalar_expected {
	char text[256];
};
struct scalar_expected scalar_expect(
	enum scalar_kind kind, const char *range, const struct config *config);

/* "1h30m", "0s", "90ms" … to ns and "64KiB", "512" … to bytes. 0, -EINVAL (syntax), -ERANGE. */
int scalar_duration(const char *text, uint64_t *ns);
int scalar_bytes(const char *text, uint64_t *bytes);
/* The user and group that "user", "user:group" or numbers name. -ENOENT: no such user or group;
 * -EINVAL: cannot be one. */
int scalar_identity(const char *text, uid_t *uid, gid_t *gid);

#endif
