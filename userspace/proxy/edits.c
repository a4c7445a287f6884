// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/edits.h"

#include <errno.h>
#include <string.h>

int edits_add(struct edits *edits, const struct request_splice *splice)
{
	unsigned at = 0;

	if (edits->count == EDITS_MAX)
		return -ENOSPC;
	while (at < edits->count && edits->list[at].offset < splice->offset)
		at++;
	if (at > 0 && edits->list[at - 1].offset + edits->list[at - 1].remove > splice->offset)
		return -EINVAL;
	if (at < edits->count && splice->offset + splice->remove > edits->list[at].offset)
		return -EINVAL;
	memmove(&edits->list[at + 1], &edits->list[at],
		(edits->count - at) * sizeof(edits->list[0]));
	edits->list[at] = *splice;
	edits->count++;
	return 0;
}

int64_t edits_growth(const struct edits *edits)
{
	int64_t growth = 0;

	for (unsigned i = 0; i < edits->count; i++)
		growth += (int64_t)edits->list[i].insert.len - (int64_t)edits->list[i].remove;
	return growth;
}

int edits_apply(const struct edits *edits, uint64_t offset, struct slice span, bool last,
	int (*piece)(void *to, struct slice piece), void *to)
{
	uint64_t at = offset, end = offset + span.len;
	int error = 0;

	for (unsigned i = 0; i < edits->count && !error; i++) {
		const struct request_splice *edit = &edits->list[i];
		uint64_t removed = edit->offset + edit->remove;

		if (edit->offset < offset && removed <= offset)
			continue; /* it went before */
		if (edit->offset > end || (edit->offset == end && !last))
			break;
		if (edit->offset >= offset) {
			error = piece(to, slice_first(slice_after(span, (size_t)(at - offset)),
						 (size_t)(edit->offset - at)));
			if (!error)
				error = piece(to, edit->insert);
		}
		at = removed < end ? removed : end;
	}
	return error ? error : piece(to, slice_after(span, (size_t)(at - offset)));
}
