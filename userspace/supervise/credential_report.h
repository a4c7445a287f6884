/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the keeper says of its credentials, told on: an event for each change, and a file in the run
 * directory for `sallyport status`. Never a value. */
#ifndef SUPERVISE_CREDENTIAL_REPORT_H
#define SUPERVISE_CREDENTIAL_REPORT_H

#include "base/ipc.h"

struct parent;
struct service;

/* A CONTROL_CREDENTIAL of the keeper in that place. */
void credential_report_take(
	struct parent *parent, const struct service *keeper, const struct ipc_message *message);
/* Writes the file for the configuration in force. */
void credential_report_write(const struct parent *parent);
/* Takes it away. */
void credential_report_remove(const struct parent *parent);

#endif
