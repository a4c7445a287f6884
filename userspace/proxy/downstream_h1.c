// SPDX-License-Identifier: GPL-2.0-or-later
#include "proxy/downstream_h1.h"

#include "http/h1_write.h"

static int h1_write_framing(
	struct client *client, struct buf *out, const struct head *head, bool fin)
{
	if (fin) {
		client->framing = FRAMING_NONE;
		/* RFC 9110 section 8.6: a 204 has none. */
		if (head->has_length && head->status != 204)
			return h1_write_header_number(
				out, SLICE("Content-Length"), head->declared_length);
		return 0;
	}
	if (head->framing == HEAD_LENGTH) {
		client->framing = FRAMING_LENGTH;
		return h1_write_header_number(out, SLICE("Content-Length"), head->length);
	}
	if (client->minor >= 1) {
		client->framing = FRAMING_CHUNKED;
		return h1_write_header(out, SLICE("Transfer-Encoding"), SLICE("chunked"));
	}
	client->framing = FRAMING_CLOSE;
	client->close_after = true;
	return 0;
}

static int h1_write_fields(struct buf *out, const struct head *head)
{
	int error = 0;

	for (size_t i = 0; i < head->nheaders && !error; i++) {
		const struct header *field = &head->headers[i];

		if (!field->hop_by_hop &&
			!slice_equal_nocase(field->name, SLICE("content-length")))
			error = h1_write_header(out, field->name, field->value);
	}
	return error;
}

int downstream_h1_head(void *to, const struct head *head, bool fin)
{
	struct client *client = to;
	struct buf *out = stream_out(&client->stream);
	size_t before = buf_len(out);
	int error = h1_write_status_line(out, head->status, head->reason);

	/* An answer that comes before all of the request leaves the rest of it in the way. */
	if (!client->request_whole || client->worker->draining)
		client->close_after = true;
	if (!error)
		error = h1_write_fields(out, head);
	if (!error)
		error = h1_write_framing(client, out, head, fin);
	if (!error && client->close_after)
		error = h1_write_header(out, SLICE("Connection"), SLICE("close"));
	else if (!error && client->minor == 0)
		error = h1_write_header(out, SLICE("Connection"), SLICE("keep-alive"));
	if (!error)
		error = h1_write_end_of_head(out);
	if (error)
		out->end = out->start + before;
	return error;
}

int downstream_h1_body(void *to, struct slice span, bool fin)
{
	struct client *client = to;
	struct buf *out = stream_out(&client->stream);
	bool chunked = client->framing == FRAMING_CHUNKED;
	int error = 0;

	if (span.len && chunked)
		error = h1_write_chunk_head(out, span.len);
	if (!error)
		error = buf_append_slice(out, span);
	if (!error && span.len && chunked)
		error = h1_write_chunk_tail(out);
	if (!error && fin && chunked)
		error = h1_write_last_chunk(out, NULL, 0);
	return error;
}

int downstream_h1_trailers(void *to, const struct header *fields, size_t n)
{
	struct client *client = to;

	return client->framing == FRAMING_CHUNKED
		       ? h1_write_last_chunk(stream_out(&client->stream), fields, n)
		       : 0;
}

size_t downstream_h1_room(const void *to)
{
	const struct client *client = to;

	return stream_room(&client->stream);
}

int downstream_h1_continue(struct client *client)
{
	struct buf *out = stream_out(&client->stream);

	if (h1_write_status_line(out, 100, SLICE_NONE) < 0 || h1_write_end_of_head(out) < 0)
		return -ENOMEM;
	return stream_flush(&client->stream);
}
