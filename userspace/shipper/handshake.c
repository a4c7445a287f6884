// SPDX-License-Identifier: GPL-2.0-or-later
#include "shipper/handshake.h"

void handshake_begin(struct handshake *h, struct slice host, struct slice key)
{
	handshake_free(h);
	*h = (struct handshake){.host = host, .key = key};
	msgpack_scan_init(&h->scan, FORWARD_HANDSHAKE_MAX, FORWARD_HANDSHAKE_VALUES);
}

void handshake_free(struct handshake *h)
{
	buf_free(&h->input);
}

/* Answers the collector's HELO. NULL, or what is wrong. */
static const char *handshake_hello(struct handshake *h, struct slice message, struct buf *out)
{
	struct slice nonce;

	if (!forward_hello_read(message, &nonce) || nonce.len > HANDSHAKE_NONCE_MAX)
		return "it does not begin the handshake of the shared key";
	memcpy(h->nonce, nonce.data, nonce.len);
	h->nonce_len = nonce.len;
	if (forward_nonce_make(&h->salt) < 0 ||
		forward_ping_write(out, h->host, &h->salt, nonce, h->key) < 0)
		return "the handshake cannot be made: out of memory";
	return NULL;
}

static const char *handshake_pong(const struct handshake *h, struct slice message)
{
	switch (forward_pong_read(
		message, h->host, &h->salt, slice_of(h->nonce, h->nonce_len), h->key)) {
	case FORWARD_PONG_OK:
		return NULL;
	case FORWARD_PONG_REFUSED:
		return "it does not take our shared key";
	case FORWARD_PONG_BAD:
		break;
	}
	return "it has not proven that it has the shared key";
}

enum handshake_result handshake_read(struct handshake *h, struct slice input, size_t *consumed,
	struct buf *out, const char **problem)
{
	enum msgpack_scan_result scanned = msgpack_scan_feed(&h->scan, input, consumed);
	struct slice whole = slice_first(input, *consumed);

	*problem = "its answer is no handshake";
	if (scanned == MSGPACK_SCAN_BAD || buf_append_slice(&h->input, whole) < 0)
		return HANDSHAKE_FAILED;
	if (scanned == MSGPACK_SCAN_MORE)
		return HANDSHAKE_MORE;
	whole = buf_slice(&h->input);
	*problem = h->expected == HANDSHAKE_HELLO ? handshake_hello(h, whole, out)
						  : handshake_pong(h, whole);
	buf_clear(&h->input);
	if (*problem)
		return HANDSHAKE_FAILED;
	if (h->expected == HANDSHAKE_PONG)
		return HANDSHAKE_DONE;
	h->expected = HANDSHAKE_PONG;
	return HANDSHAKE_MORE;
}
