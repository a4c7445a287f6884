/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Roles that do as the test of the parent tells them, under the privileges of the real ones. */
#ifndef SUPPORT_ROLES_H
#define SUPPORT_ROLES_H

#include "supervise/role.h"

/* A worker accepts connections and obeys bytes, each answered by a line:
 *	i	"index number pid"
 *	n	the names of the descriptors that it got
 *	o	tries to open a file outside of what it may; answers the errno
 *	k	the text of the key of backend "main"
 *	r	writes a record to its ring; answers "ok"
 *	u	makes a system call that it may not make
 *	e	ends with status 3
 * A drained one stays until its connections are closed. The signer fails when the CA key is the
 * text "bad"; it answers each message of a worker. The shipper appends records to the file
 * "records" of the spool. */
extern const struct role_table test_roles;

#endif
