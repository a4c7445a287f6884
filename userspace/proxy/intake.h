/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A body on its way through its reader: what came while the turn's work was spent waits here for a
 * later turn. */
#ifndef PROXY_INTAKE_H
#define PROXY_INTAKE_H

#include "base/buf.h"
#include "base/work.h"
#include "openai/reader.h"

enum intake_state {
	INTAKE_OPEN,	   /* more is to come */
	INTAKE_SPENT,	   /* likewise, and of what came some is not read yet */
	INTAKE_SPENT_LAST, /* all has come, and some of it is not read yet */
	INTAKE_WHOLE,	   /* all has come and is read */
};

struct intake {
	enum intake_state state;
	struct reader *reader; /* NULL: nobody reads it, and it passes as it is */
	struct buf unread;
};

/* What may go on now; last: nothing follows but what reader_end has. A negative errno ends the
 * reading. */
typedef int intake_pass(void *user, struct slice span, bool last);

/* Reads the next bytes of the body, fin: the last ones, as far as the work goes. 0; -EAGAIN: the
 * rest waits for intake_read_on, and nothing else may come before; or pass's error, or -ENOMEM. */
int intake_read(struct intake *intake, struct slice span, bool fin, struct work *work,
	intake_pass *pass, void *user);
/* Goes on with what waits. */
int intake_read_on(struct intake *intake, struct work *work, intake_pass *pass, void *user);

static inline bool intake_waits(const struct intake *intake)
{
	return intake->state == INTAKE_SPENT || intake->state == INTAKE_SPENT_LAST;
}

static inline bool intake_is_whole(const struct intake *intake)
{
	return intake->state == INTAKE_WHOLE;
}

/* Frees the reader and what waits; the intake can be used for another body. */
void intake_close(struct intake *intake);

#endif
