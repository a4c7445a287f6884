/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The privileges of a child process, given up for good. */
#ifndef SUPERVISE_SANDBOX_H
#define SUPERVISE_SANDBOX_H

#include "base/why.h"
#include "config/config.h"
#include "supervise/role.h"

/* No core dump of this process, and nobody but root reads its memory. For the parent, too. */
int sandbox_no_dump(struct why *why);
/* Drops root for the role's identity: no capability in any set, bounding and ambient included (but
 * for the scout's CAP_NET_ADMIN, when endpoints.learn has it answer for packets), none to be gained, no dumps; files reachable only as sandbox.c's table says (landlock, where the
 * kernel has it), and system calls by the role's list (seccomp; another one kills the process). The
 * signer's and the keeper's memory is locked before. 0; or negative errno with why, and then the process must end.
 */
int sandbox_enter(enum role_kind kind, const struct config *config, struct why *why);
/* The identity that a role runs under. */
const struct config_identity *sandbox_identity(enum role_kind kind, const struct config *config);
/* The name of a system call by its number on this machine ("openat"), or "?". */
struct sandbox_call {
	char name[32];
};
struct sandbox_call sandbox_call_name(long number);

#endif
