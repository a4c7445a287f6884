/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the configuration says of a connection by its ClientHello: is it for a listed host, and if
 * not, may it pass? */
#ifndef TLS_HELLO_POLICY_H
#define TLS_HELLO_POLICY_H

#include "base/address.h"
#include "config/config.h"
#include "tls/clienthello.h"

/* X(NAME, "name"): the reasons why a connection is not inspected, as events name them. */
#define HELLO_KINDS(X)                                                                             \
	X(UNLISTED, "unlisted")		  /* a host name that is not under `hosts` */              \
	X(NO_SNI, "no_sni")		  /* no name at all */                                     \
	X(INVALID, "invalid")		  /* what is no host name, or looks like a listed one */   \
	X(ECH, "ech")			  /* an unlisted name that may cover another one */        \
	X(ENCRYPTED_DNS, "encrypted_dns") /* a public resolver */                                  \
	X(NOT_TLS, "not_tls")		  /* there is no ClientHello */                            \
	X(EXEMPT, "exempt")		  /* of a source that hosts.exempt_sources lets pass */

enum hello_kind {
	HELLO_LISTED,
#define HELLO_KIND_ENUM(NAME, name) HELLO_##NAME,
	HELLO_KINDS(HELLO_KIND_ENUM)
#undef HELLO_KIND_ENUM
		HELLO_KIND_COUNT
};

struct hello_verdict {
	enum hello_kind kind;
	const struct config_host *host; /* of HELLO_LISTED, else NULL */
	enum config_policy policy;	/* of all others */
};

/* endpoint: the destination is known to be an AI endpoint's. Elsewhere an unlisted name always
 * passes, and a name that is no host name counts as none, unless it ends as listed ones do. */
struct hello_verdict hello_policy_of(const struct config *config, const struct clienthello *hello,
	const struct address *destination, bool endpoint);
/* What becomes of a connection of this source: as hello_policy_of says, but for a listed host whose
 * exempt_sources have the source. What endpoints.ech does not let pass is not exempt. */
struct hello_verdict hello_policy_of_source(const struct config *config,
	const struct clienthello *hello, const struct address *source,
	const struct address *destination);
/* What the configuration says of all connections of a kind, but for HELLO_LISTED. */
enum config_policy hello_policy_of_kind(const struct config *config, enum hello_kind kind);
/* "unlisted", … */
const char *hello_kind_name(enum hello_kind kind);

#endif
