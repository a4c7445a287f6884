/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who began what the service does later, and whether what it cost was told already: a batch, a
 * response in the background, a run. Everybody who asks for it is told its usage, any number of
 * times; it counts once, for who began it. A bounded table beside that of the backends
 * (standing.h), shared by all workers and kept as that is; what began longest ago is forgotten
 * first. */
#ifndef BACKEND_JOB_H
#define BACKEND_JOB_H

#include <stdint.h>

#include "backend/standing.h"
#include "base/slice.h"

/* The owner is a text of at most STANDING_JOB_OWNER - 1 bytes; longer ones are cut. A job that is
 * known already stays as it is: nobody takes it from another. */
void job_begin(struct standing *standing, struct slice id, struct slice owner, uint64_t now_s);
/* What has the name other is a part of the job: it has no usage of its own. */
void job_adopt(struct standing *standing, struct slice id, struct slice other, uint64_t now_s);

enum job_said {
	JOB_FIRST,   /* it was begun, and its usage is told for the first time */
	JOB_UNKNOWN, /* nobody knows who began it; from now on it is known as told */
	JOB_AGAIN,
};

/* Its usage is told. Of several workers that say so, one gets JOB_FIRST. owner: of JOB_FIRST and
 * JOB_AGAIN, else empty. */
enum job_said job_tell(
	struct standing *standing, struct slice id, uint64_t now_s, char owner[STANDING_JOB_OWNER]);

#endif
