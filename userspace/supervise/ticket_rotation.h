/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The keys of session tickets get a successor, again and again. */
#ifndef SUPERVISE_TICKET_ROTATION_H
#define SUPERVISE_TICKET_ROTATION_H

struct parent;

/* Before all else. */
void ticket_rotation_init(struct parent *parent);
/* Goes by the configuration in force from now on. */
void ticket_rotation_schedule(struct parent *parent);

#endif
