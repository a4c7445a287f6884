// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/intake.h"

#include <assert.h>
#include <errno.h>

/* Reads from the front of *span, which it advances. 0, -EAGAIN with the work spent, or pass's
 * error. */
static int intake_feed(struct intake *intake, struct slice *span, bool fin, struct work *work,
	intake_pass *pass, void *user)
{
	enum reader_result result = READER_ALL;
	struct slice piece = *span;
	int error;

	do {
		if (intake->reader)
			result = reader_feed(intake->reader, span, work, &piece);
		else
			*span = SLICE_NONE;
		if (result == READER_SPENT)
			intake->state = fin ? INTAKE_SPENT_LAST : INTAKE_SPENT;
		else if (result == READER_ALL)
			intake->state = fin ? INTAKE_WHOLE : INTAKE_OPEN;
		error = pass(user, piece, intake->state == INTAKE_WHOLE);
	} while (result == READER_AGAIN && !error);
	return !error && result == READER_SPENT ? -EAGAIN : error;
}

int intake_read(struct intake *intake, struct slice span, bool fin, struct work *work,
	intake_pass *pass, void *user)
{
	int error;

	assert(intake->state == INTAKE_OPEN);
	error = intake_feed(intake, &span, fin, work, pass, user);
	if (error == -EAGAIN && buf_append_slice(&intake->unread, span) < 0)
		error = -ENOMEM;
	return error;
}

int intake_read_on(struct intake *intake, struct work *work, intake_pass *pass, void *user)
{
	struct slice span = buf_slice(&intake->unread);
	size_t before = span.len;
	int error;

	assert(intake_waits(intake));
	error = intake_feed(
		intake, &span, intake->state == INTAKE_SPENT_LAST, work, pass, user);
	buf_consume(&intake->unread, before - span.len);
	if (!error)
		buf_wipe(&intake->unread);
	return error;
}

void intake_close(struct intake *intake)
{
	reader_free(intake->reader);
	buf_wipe(&intake->unread);
	*intake = (struct intake){.unread = BUF_EMPTY};
}
