// SPDX-License-Identifier: GPL-2.0-or-later
#include "reply.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "completion.h"
#include "responses.h"

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{200, "OK"},
	{204, "No Content"},
	{304, "Not Modified"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{429, "Too Many Requests"},
	{500, "Internal Server Error"},
	{503, "Service Unavailable"},
	{102, "Processing"},
	{103, "Early Hints"},
};

static const char *reason_of(int status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

void reply_reset(struct reply *r)
{
	encoder_free(r->encoder);
	r->encoder = NULL;
	buf_clear(&r->body);
	buf_clear(&r->piece);
	r->sent = 0;
}

void reply_free(struct reply *r)
{
	reply_reset(r);
	buf_free(&r->body);
	buf_free(&r->piece);
}

static const char *coding_of(const struct call *call, const struct message *m)
{
	if (knob_is(&call->knob.coding, "auto"))
		return encoder_choose(message_find(m, "accept-encoding"));
	return call->knob.coding.text[0] ? call->knob.coding.text : NULL;
}

static void put_azure_headers(const struct call *call, const struct service *service,
	const struct message *m, struct buf *out)
{
	unsigned pid = (unsigned)getpid();
	unsigned long long number = call->number;
	struct slice client_id = message_find(m, "x-ms-client-request-id");

	buf_printf(out,
		"apim-request-id: %08x-0000-4000-8000-%012llx\r\n"
		"x-request-id: %08x-0000-4000-9000-%012llx\r\n"
		"x-ms-region: %s\r\n"
		"x-ms-deployment-name: %s\r\n"
		"x-content-type-options: nosniff\r\n"
		"azureml-model-session: d001\r\n"
		"Strict-Transport-Security: max-age=31536000; includeSubDomains; preload\r\n",
		pid, number, pid, number, service->region,
		call->deployment.text[0] ? call->deployment.text : call->model.text);
	if (client_id.data)
		buf_printf(out, "x-ms-client-request-id: %.*s\r\n", SLICE_ARG(client_id));
}

static void put_openai_headers(const struct call *call, struct buf *out)
{
	buf_printf(out,
		"x-request-id: req_%08x%024llx\r\n"
		"openai-organization: test\r\nopenai-processing-ms: 3\r\nopenai-version: "
		"2020-10-01\r\n"
		"openai-model: %s\r\nx-content-type-options: nosniff\r\n"
		"Server: cloudflare\r\nCF-Ray: 8f0000000000%04llx-AMS\r\nalt-svc: h3=\":443\"; "
		"ma=86400\r\n",
		(unsigned)getpid(), (unsigned long long)call->number, call->answered.text,
		(unsigned long long)call->number & 0xffff);
}

static void put_limits(const struct call *call, struct buf *out)
{
	long after = knob_or(call->knob.retry_after, 1);

	buf_printf(out,
		"x-ratelimit-limit-requests: 1000\r\nx-ratelimit-remaining-requests: %d\r\n"
		"x-ratelimit-limit-tokens: 100000\r\nx-ratelimit-remaining-tokens: %d\r\n",
		call->refusal.status == 429 ? 0 : 999, call->refusal.status == 429 ? 0 : 99000);
	if (call->refusal.status == 429)
		buf_printf(out,
			"retry-after: %ld\r\nretry-after-ms: %ld\r\nx-ratelimit-reset-requests: "
			"%ld\r\n",
			after, after * 1000, after);
}

/* Headers that no reader may accept: knob "bad". */
static void put_bad_headers(const struct call *call, struct buf *out)
{
	const struct knob_word *bad = &call->knob.bad;

	if (knob_is(bad, "cl-te"))
		buf_printf(out, "Content-Length: 5\r\n");
	else if (knob_is(bad, "two-lengths"))
		buf_printf(out, "Content-Length: 1\r\nContent-Length: 2\r\n");
	else if (knob_is(bad, "header"))
		buf_printf(out, "Bad\001Header: x\r\n");
	else if (knob_is(bad, "fold"))
		buf_printf(out, "X-Folded: a\r\n b\r\n");
	else if (knob_is(bad, "bare-lf"))
		buf_printf(out, "X-Bare: a\n");
	else if (knob_is(bad, "te"))
		buf_printf(out, "Transfer-Encoding: gzip, chunked\r\n");
}

static void put_framing(struct reply *r, const struct call *call, struct buf *out)
{
	size_t length = buf_len(&r->body);

	if (knob_is(&call->knob.bad, "short"))
		length += 10;
	if (r->framing == FRAMING_CHUNKED)
		buf_printf(out, "Transfer-Encoding: chunked\r\n");
	else if (r->framing == FRAMING_LENGTH && (r->has_body || r->status == 200))
		buf_printf(out, "Content-Length: %zu\r\n", length);
	if (r->framing == FRAMING_CHUNKED && call->knob.trailers > 0)
		buf_printf(out, "Trailer: x-test-trailer\r\n");
	if (r->close && call->knob.quiet_close <= 0)
		buf_printf(out, "Connection: close\r\n");
}

static void put_head(struct reply *r, const struct call *call, const struct service *service,
	const struct message *m, const char *coding, struct buf *out)
{
	long interim = call->knob.interim;
	time_t now = time(NULL);
	char date[64];
	struct tm tm;

	if (knob_is(&call->knob.bad, "not-http")) {
		buf_printf(out, "SSH-2.0-OpenSSH_9.2\r\n\r\n");
		return;
	}
	if (interim > 0)
		buf_printf(out, "HTTP/1.1 %ld %s\r\nLink: </x>; rel=preload\r\n\r\n", interim,
			reason_of((int)interim));
	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	buf_printf(out, "HTTP/1.1 %s%d %s\r\nDate: %s\r\n",
		knob_is(&call->knob.bad, "status-line") ? "x" : "", r->status, reason_of(r->status),
		date);
	if (r->has_body)
		buf_printf(out, "Content-Type: %s\r\n",
			r->streamed ? call->dialect == DIALECT_OPENAI
					      ? "text/event-stream; charset=utf-8"
					      : "text/event-stream"
				    : "application/json");
	if (coding)
		buf_printf(out, "Content-Encoding: %s\r\nVary: Accept-Encoding\r\n", coding);
	if (call->dialect == DIALECT_OPENAI)
		put_openai_headers(call, out);
	else
		put_azure_headers(call, service, m, out);
	put_limits(call, out);
	if (call->knob.echo == 1)
		buf_printf(out, "x-you-sent: %s\r\n", call->key.text);
	put_bad_headers(call, out);
	put_framing(r, call, out);
	buf_append(out, "\r\n", 2);
}

static int framing_of(const struct reply *r, const struct call *call, const struct message *m)
{
	if (knob_is(&call->knob.framing, "close") || (r->streamed && m->minor == 0))
		return FRAMING_CLOSE;
	if (knob_is(&call->knob.framing, "chunked") || r->streamed)
		return m->minor == 0 ? FRAMING_CLOSE : FRAMING_CHUNKED;
	return FRAMING_LENGTH;
}

void reply_start(struct reply *r, struct call *call, const struct service *service,
	const struct message *m, struct buf *out)
{
	const char *coding = coding_of(call, m);
	bool head_only = slice_equal(m->method, SLICE("HEAD"));

	reply_reset(r);
	r->status =
		call->refusal.status ? call->refusal.status : (int)knob_or(call->knob.status, 200);
	r->has_body = r->status != 204 && r->status != 304;
	r->streamed =
		call->stream && !call->refusal.status && call->operation <= OPERATION_RESPONSES;
	if (!r->has_body || head_only)
		r->streamed = false;
	r->framing = r->has_body ? (unsigned)framing_of(r, call, m) : FRAMING_LENGTH;
	if (coding && r->has_body)
		r->encoder = encoder_new(coding);
	if (!r->encoder)
		coding = NULL;
	r->close = !m->keep_alive || r->framing == FRAMING_CLOSE || call->knob.quiet_close > 0 ||
		   call->knob.bad.text[0];
	if (!r->streamed && r->has_body) {
		struct buf *plain = r->encoder ? &r->piece : &r->body;

		if (call->operation == OPERATION_RESPONSES && !call->refusal.status)
			responses_whole(call, plain);
		else
			completion_whole(call, plain);
		if (r->encoder)
			encoder_write(r->encoder, buf_slice(&r->piece), true, &r->body);
		buf_clear(&r->piece);
	}
	put_head(r, call, service, m, coding, out);
	if (head_only || knob_is(&call->knob.bad, "not-http")) {
		r->has_body = false;
		buf_clear(&r->body);
	}
}

static void put_framed(
	struct reply *r, const struct call *call, struct slice piece, struct buf *out)
{
	long most = knob_or(call->knob.chunk, 0);

	r->sent += piece.len;
	while (piece.len) {
		struct slice span = slice_first(piece, most > 0 ? (size_t)most : piece.len);

		if (r->framing == FRAMING_CHUNKED)
			buf_printf(out, "%s%zx\r\n",
				knob_is(&call->knob.bad, "chunk-size") ? "x" : "", span.len);
		buf_append_slice(out, span);
		if (r->framing == FRAMING_CHUNKED)
			buf_append(out, "\r\n", 2);
		piece = slice_after(piece, span.len);
	}
}

static enum reply_result put_end(struct reply *r, const struct call *call, struct buf *out)
{
	if (r->has_body && r->framing == FRAMING_CHUNKED)
		buf_printf(out, "0\r\n%s\r\n",
			call->knob.trailers > 0 ? "x-test-trailer: sent\r\n" : "");
	return REPLY_END;
}

/* The next piece of a body that is known as a whole. */
static enum reply_result next_span(struct reply *r, struct call *call, struct buf *out)
{
	size_t len = (size_t)knob_or(call->knob.chunk, (long)buf_len(&r->body));
	long cut = call->knob.cut_after;
	struct slice span;

	if (!r->has_body || !buf_len(&r->body))
		return put_end(r, call, out);
	span = slice_first(buf_slice(&r->body), len ? len : 1);
	if (cut != KNOB_ABSENT && r->sent + span.len > (uint64_t)cut) {
		put_framed(r, call, slice_first(span, (size_t)cut - r->sent), out);
		return REPLY_CUT;
	}
	put_framed(r, call, span, out);
	buf_consume(&r->body, span.len);
	return REPLY_MORE;
}

static bool reached(long limit, unsigned long events)
{
	return limit != KNOB_ABSENT && events >= (unsigned long)limit;
}

static enum reply_result next_events(struct reply *r, struct call *call, struct buf *out)
{
	long batch = knob_or(call->knob.batch, 1);
	bool last = false;

	if (reached(call->knob.cut_after, call->events))
		return REPLY_CUT;
	if (reached(call->knob.stall_after, call->events))
		return REPLY_STALL;
	buf_clear(&r->piece);
	for (long i = 0; i < (batch > 0 ? batch : 1) && !last; i++)
		last = call->operation == OPERATION_RESPONSES ? !responses_next(call, &r->piece)
							      : !completion_next(call, &r->piece);
	if (r->encoder) {
		buf_clear(&r->body);
		encoder_write(r->encoder, buf_slice(&r->piece), last, &r->body);
	}
	put_framed(r, call, buf_slice(r->encoder ? &r->body : &r->piece), out);
	if (last && knob_is(&call->knob.end, "cut"))
		return REPLY_CUT;
	if (last && knob_is(&call->knob.end, "stall"))
		return REPLY_STALL;
	return last ? put_end(r, call, out) : REPLY_MORE;
}

enum reply_result reply_next(struct reply *r, struct call *call, struct buf *out)
{
	return r->streamed ? next_events(r, call, out) : next_span(r, call, out);
}
