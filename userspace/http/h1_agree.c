// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/h1_agree.h"

#include <llhttp/llhttp.h>

#if defined(LLHTTP_STRICT_MODE) && !LLHTTP_STRICT_MODE
#error "llhttp has to be compiled with -DLLHTTP_STRICT_MODE=1"
#endif

/* What ours read, and how much of it llhttp has confirmed. A negative return makes
 * llhttp_execute fail. */
struct agree {
	const struct h1_head *head; /* NULL: of trailers */
	const struct header *headers;
	size_t count;
	size_t names, values;
	struct slice value;
	bool complete;
};

static int agree_if(bool same)
{
	return same ? 0 : -1;
}

static bool same_span(struct slice ours, const char *at, size_t length)
{
	return ours.len == length && ours.data == at;
}

static int on_url(llhttp_t *parser, const char *at, size_t length)
{
	const struct agree *agree = parser->data;

	return agree_if(agree->head && same_span(agree->head->head.target, at, length));
}

static int on_status(llhttp_t *parser, const char *at, size_t length)
{
	const struct agree *agree = parser->data;

	return agree_if(!length || !agree->head || same_span(agree->head->head.reason, at, length));
}

static int on_header_field(llhttp_t *parser, const char *at, size_t length)
{
	struct agree *agree = parser->data;

	agree->value = SLICE_NONE;
	return agree_if(agree->names < agree->count &&
			same_span(agree->headers[agree->names++].name, at, length));
}

static int on_header_value(llhttp_t *parser, const char *at, size_t length)
{
	struct agree *agree = parser->data;

	/* A second span would be a folded line. */
	if (agree->value.len)
		return -1;
	agree->value = slice_of(at, length);
	return 0;
}

static int on_header_value_complete(llhttp_t *parser)
{
	struct agree *agree = parser->data;
	struct slice ours, theirs = slice_trim(agree->value);

	if (agree->values >= agree->names)
		return -1;
	ours = agree->headers[agree->values++].value;
	return agree_if(ours.len == theirs.len && (!ours.len || ours.data == theirs.data));
}

static bool agree_start_line(const struct h1_head *head, llhttp_t *parser)
{
	const char *method = llhttp_method_name((llhttp_method_t)llhttp_get_method(parser));

	if (llhttp_get_http_major(parser) != 1 || llhttp_get_http_minor(parser) != head->minor)
		return false;
	if (head->head.kind == HEAD_RESPONSE)
		return llhttp_get_status_code(parser) == head->head.status;
	return slice_equal(head->head.method, slice_of_string(method));
}

static bool agree_framing(const struct h1_head *head, llhttp_t *parser)
{
	bool chunked = parser->flags & F_CHUNKED, length = parser->flags & F_CONTENT_LENGTH;
	bool coding = parser->flags & F_TRANSFER_ENCODING;
	bool keep_alive = !(parser->flags & F_CONNECTION_CLOSE) &&
			  (head->minor == 1 || parser->flags & F_CONNECTION_KEEP_ALIVE);

	if (length != head->head.has_length ||
		(length && parser->content_length != head->head.declared_length))
		return false;
	if (chunked != coding)
		return false;
	/* What has no body by its status may name a coding all the same. */
	if (chunked != (head->head.framing == HEAD_STREAMED) &&
		!(head->head.kind == HEAD_RESPONSE && head->head.framing == HEAD_NO_BODY))
		return false;
	return head->head.framing == HEAD_UNTIL_CLOSE || keep_alive == head->keep_alive;
}

/* 1: no body follows; llhttp is not asked for bodies. */
static int on_headers_complete(llhttp_t *parser)
{
	struct agree *agree = parser->data;
	const struct h1_head *head = agree->head;

	agree->complete = agree->names == agree->count && agree->values == agree->count;
	if (head)
		agree->complete = agree->complete && agree_start_line(head, parser) &&
				  agree_framing(head, parser);
	return agree->complete ? 1 : -1;
}

static bool agree_run(
	struct agree *agree, llhttp_type_t type, struct slice before, struct slice bytes)
{
	static const llhttp_settings_t settings = {
		.on_url = on_url,
		.on_status = on_status,
		.on_header_field = on_header_field,
		.on_header_value = on_header_value,
		.on_header_value_complete = on_header_value_complete,
		.on_headers_complete = on_headers_complete,
	};
	llhttp_errno_t result;
	llhttp_t parser;

	llhttp_init(&parser, type, &settings);
	parser.data = agree;
	if (before.len && llhttp_execute(&parser, before.data, before.len) != HPE_OK)
		return false;
	result = llhttp_execute(&parser, bytes.data, bytes.len);
	return agree->complete && (result == HPE_OK || result == HPE_PAUSED_UPGRADE);
}

bool h1_agree_head(const struct h1_head *head, struct slice bytes)
{
	struct agree agree = {.head = head,
		.headers = head->head.headers, .count = head->head.nheaders};

	return agree_run(&agree, head->head.kind == HEAD_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE,
		SLICE_NONE, bytes);
}

bool h1_agree_trailers(const struct header *headers, size_t count, struct slice bytes)
{
	struct agree agree = {.headers = headers, .count = count};

	return agree_run(&agree, HTTP_RESPONSE, SLICE("HTTP/1.1 200 OK\r\n"), bytes);
}
