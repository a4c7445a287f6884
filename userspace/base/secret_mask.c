// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "base/secret.h"
#include "base/secret_scan.h"

static int pass(const struct secret *secret, bool written, struct secret_pass *pass,
	struct slice piece, bool fin, struct buf *out)
{
	struct secret_scan scan = {
		.secret = secret, .written = written, .at = pass->at, .matched = pass->matched};
	int error = buf_append_slice(&pass->held, piece);

	if (error)
		return error;
	/* What matches begins at the start of what is held. */
	scan.text = buf_slice(&pass->held);
	while (secret_scan_step(&scan, fin)) {
		if (scan.matched < secret->len)
			continue;
		memset(pass->held.memory + pass->held.start + scan.begin, '*',
			scan.at - scan.begin);
		scan.matched = 0;
		scan.begin = scan.at;
	}
	if (fin)
		scan.begin = scan.text.len;
	error = buf_append_slice(out, slice_first(scan.text, scan.begin));
	buf_consume(&pass->held, scan.begin);
	pass->at = scan.at - scan.begin;
	pass->matched = scan.matched;
	if (fin)
		*pass = (struct secret_pass){.held = pass->held};
	return error;
}

int secret_mask(const struct secret *secret, struct secret_masking *masking, struct slice piece,
	bool fin, struct buf *out)
{
	struct buf literal = BUF_EMPTY;
	int error;

	if (secret->len < SECRET_SHORTEST)
		return buf_append_slice(out, piece);
	error = pass(secret, false, &masking->literal, piece, fin, &literal);
	if (!error)
		error = pass(secret, true, &masking->written, buf_slice(&literal), fin, out);
	buf_wipe(&literal);
	if (error || fin)
		secret_masking_free(masking);
	return error;
}

void secret_masking_free(struct secret_masking *masking)
{
	buf_wipe(&masking->literal.held);
	buf_wipe(&masking->written.held);
	*masking = (struct secret_masking){.literal = {.at = 0}};
}
