// SPDX-License-Identifier: GPL-2.0-or-later
#include "keeper/heritage.h"

#include <errno.h>
#include <string.h>

#include "backend/credential_message.h"
#include "base/buf.h"
#include "base/ipc.h"
#include "keeper/fetch.h"

struct heritage_head {
	uint64_t got_ns, expires_ns, next_ns;
	uint64_t definition; /* bytes of it; behind them comes the value */
};

static const char *or_none(const char *text)
{
	return text ? text : "";
}

/* All that says which credential it is; what proves who asks for it may change. */
static int add_definition(struct buf *out, const struct config_credential *c)
{
	return buf_printf(out, "%d\n%s\n%s\n%s\n%s\n%s\n%s\n", (int)c->from, or_none(c->secret),
		or_none(c->audience), or_none(c->identity), or_none(c->authority),
		or_none(c->tenant), or_none(c->client_id));
}

int heritage_send(int fd, const struct config_credential *credential, const struct held *held)
{
	struct heritage_head head = {held->got_ns, held->expires_ns, held->next_ns, 0};
	struct buf definition = BUF_EMPTY, message = BUF_EMPTY;
	int error = add_definition(&definition, credential);

	head.definition = buf_len(&definition);
	if (!error)
		error = buf_append(&message, &head, sizeof(head));
	if (!error)
		error = buf_append_slice(&message, buf_slice(&definition));
	if (!error)
		error = buf_append_slice(&message, secret_text(held->value));
	if (!error)
		error = ipc_send(fd, CREDENTIAL_HERITAGE, buf_slice(&message).data,
			buf_len(&message), NULL, 0);
	buf_free(&definition);
	buf_wipe(&message);
	return error;
}

int heritage_read(struct slice body, const struct config_credential *credentials, size_t n,
	size_t *index, struct heritage *heritage)
{
	struct heritage_head head;
	struct slice definition;
	int error = -ENOENT;

	if (body.len < sizeof(head))
		return -EBADMSG;
	memcpy(&head, body.data, sizeof(head));
	body = slice_after(body, sizeof(head));
	if (head.definition > body.len || head.definition == body.len ||
		body.len - head.definition > CREDENTIAL_TEXT_MAX)
		return -EBADMSG;
	definition = slice_first(body, head.definition);
	*heritage = (struct heritage){slice_after(body, head.definition), head.got_ns,
		head.expires_ns, head.next_ns};
	for (size_t i = 0; i < n && error == -ENOENT; i++) {
		struct buf mine = BUF_EMPTY;

		if (!fetch_is_needed(&credentials[i]))
			continue;
		error = add_definition(&mine, &credentials[i]);
		if (!error && !slice_equal(buf_slice(&mine), definition))
			error = -ENOENT;
		buf_free(&mine);
		*index = i;
	}
	return error;
}
