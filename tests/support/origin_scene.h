/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An origin with a forged chain, and one real handshake of the origin's leg with it. */
#ifndef SUPPORT_ORIGIN_SCENE_H
#define SUPPORT_ORIGIN_SCENE_H

#include <stdbool.h>
#include <openssl/ssl.h>

#include "base/why.h"
#include "tests/support/forge.h"
#include "tls/origin_leg.h"

#define ORIGIN_HOST "chat.openai.azure.com"

enum origin_root { THE_ROOT, SAME_NAME, OTHER_NAME };
enum origin_own { NOT_OWN, OWN_ROOT, OWN_MIDDLE };
enum origin_staple { NO_STAPLE, GOOD, REVOKED, OLD_REVOKED, OLD_GOOD, FOREIGN_REVOKED };

/* What is not said is as a good origin has it. */
struct origin_row {
	const char *title;
	const char *verdict; /* NULL: verified */
	struct forge root, middle, leaf;
	bool no_middle;		     /* the root issues the leaf */
	bool self_signed;	     /* nobody issues it */
	enum origin_root other_root; /* which one is trusted instead */
	bool nothing_sent;	     /* the middle is not sent along */
	enum origin_own own;	     /* which authority is our own */
	bool crl;		     /* the middle's CRL is configured, and names the leaf */
	bool old_crl;
	enum origin_staple staple;
	int most;	     /* the server's highest version */
	const char *ciphers; /* the server's, for TLS 1.2 */
	const char *host;
};

struct origin_chain {
	struct forged root, other_root, middle, leaf;
};

struct origin_outcome {
	int verdict;
	const char *name;
	struct why why;
	int bytes; /* of the application, that the server saw */
	bool reused;
	bool offered; /* a session */
};

struct origin_chain origin_scene_forge(const struct origin_row *row);
void origin_scene_free(struct origin_chain *chain);
/* The server of that row; context is two pointers that live as long, needed with a staple only. */
SSL_CTX *origin_scene_server(
	const struct origin_row *row, struct origin_chain *chain, void **context);
/* The leg that trusts what the row says. */
struct tls_origin_leg *origin_scene_leg(const struct origin_row *row, struct origin_chain *chain);
/* What the worker does: handshake, verdict, and bytes only after it. */
struct origin_outcome origin_scene_call(
	struct tls_origin_leg *leg, SSL_CTX *server_context, const char *host);

#endif
