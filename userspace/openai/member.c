// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/member.h"

#include "openai/json_mend.h"

static void member_overflow(void *context, struct slice bytes)
{
	struct member *member = context;

	if (!abridge_begun(&member->abridge))
		abridge_feed(&member->abridge, buf_slice(&member->into));
	abridge_feed(&member->abridge, bytes);
	buf_clear(&member->into);
	member->keep.max = 0;
}

void member_init(struct member *member, size_t max)
{
	member->max = max;
	abridge_init(&member->abridge, abridge_within(max));
	member->keep = (struct json_keep){
		.into = &member->into,
		.overflow = member->abridge.max ? member_overflow : NULL,
		.context = member,
	};
}

void member_free(struct member *member)
{
	buf_free(&member->into);
	abridge_free(&member->abridge);
}

void member_forget(struct member *member)
{
	buf_free(&member->into);
	abridge_free(&member->abridge);
	abridge_init(&member->abridge, abridge_within(member->max));
	member->keep.max = member->max;
}

void member_keep(struct json_scan *scan, struct member *member)
{
	member_forget(member);
	if (member->max)
		json_scan_keep_raw(scan, &member->keep);
}

struct slice member_end(struct member *member, const struct json_scan *scan, bool unfinished,
	bool *truncated, uint64_t *cut)
{
	bool abridged = abridge_begun(&member->abridge);
	bool open = unfinished || member->keep.cut;

	if (abridged) {
		(void)abridge_end(&member->abridge, &member->into);
		open = open || member->abridge.full;
		*cut += member->abridge.cut;
		*truncated = true;
	}
	*truncated = *truncated || member->keep.cut;
	if (open && json_mend(&member->into) < 0)
		*truncated = true;
	if (json_scan_met_lone_surrogate(scan) && json_mend_surrogates(&member->into) < 0)
		*truncated = true;
	return buf_slice(&member->into);
}
