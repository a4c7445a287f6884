// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/h1_fields.h"

#include "http/authority.h"
#include "http/credential.h"
#include "http/token.h"

/* The fields that decide how a message is read, found in one pass. */
struct field {
	const struct header *first;
	size_t count;
};

struct fields {
	struct field connection, expect, host, length, coding, upgrade;
	bool connection_close, connection_keep_alive, connection_upgrade, connection_names;
};

static bool refuse(enum h1_error_id *error, enum h1_error_id id)
{
	*error = id;
	return false;
}

/* The one of the fields that the name is, or NULL. *hop_by_hop: RFC 9110 section 7.6.1. */
static struct field *fields_known(struct fields *fields, struct slice name, bool *hop_by_hop)
{
	*hop_by_hop = false;
	switch (name.len) {
	case 2:
		*hop_by_hop = slice_equal_nocase(name, SLICE("te"));
		return NULL;
	case 4:
		return slice_equal_nocase(name, SLICE("host")) ? &fields->host : NULL;
	case 6:
		return slice_equal_nocase(name, SLICE("expect")) ? &fields->expect : NULL;
	case 7:
		*hop_by_hop = slice_equal_nocase(name, SLICE("upgrade"));
		return *hop_by_hop ? &fields->upgrade : NULL;
	case 10:
		*hop_by_hop = slice_equal_nocase(name, SLICE("connection"));
		if (*hop_by_hop)
			return &fields->connection;
		*hop_by_hop = slice_equal_nocase(name, SLICE("keep-alive"));
		return NULL;
	case 14:
		return slice_equal_nocase(name, SLICE("content-length")) ? &fields->length : NULL;
	case 16:
		*hop_by_hop = slice_equal_nocase(name, SLICE("proxy-connection"));
		return NULL;
	case 17:
		*hop_by_hop = slice_equal_nocase(name, SLICE("transfer-encoding"));
		return *hop_by_hop ? &fields->coding : NULL;
	default:
		return NULL;
	}
}

static void fields_collect(struct fields *fields, struct h1_lines *lines)
{
	for (size_t i = 0; i < lines->count; i++) {
		struct header *header = &lines->headers[i];
		struct field *field = fields_known(fields, header->name, &lines->hop[i]);

		if (field && !field->count++)
			field->first = header;
	}
}

/* Marks the fields that Connection names, of which there seldom are any. */
static void connection_mark(struct h1_lines *lines, struct slice option)
{
	for (size_t i = 0; i < lines->count; i++)
		if (slice_equal_nocase(lines->headers[i].name, option))
			lines->hop[i] = true;
}

static bool connection_option(struct fields *fields, struct h1_lines *lines, struct slice option)
{
	if (!token_all(option, TOKEN_NAME))
		return false;
	if (slice_equal_nocase(option, SLICE("close")))
		fields->connection_close = true;
	else if (slice_equal_nocase(option, SLICE("keep-alive")))
		fields->connection_keep_alive = true;
	else if (slice_equal_nocase(option, SLICE("upgrade")))
		fields->connection_upgrade = true;
	else if (slice_equal_nocase(option, SLICE("host")) ||
		 slice_equal_nocase(slice_first(option, 8), SLICE("content-")))
		/* Whoever removes these as told makes another message of it: of another length, or
		 * one whose body is read in another way. */
		return false;
	else
		connection_mark(lines, option);
	return true;
}

static bool connection_read(struct fields *fields, struct h1_head *head, struct h1_lines *lines,
	enum h1_error_id *error)
{
	if (fields->connection.count)
		for (size_t i = 0; i < lines->count; i++) {
			struct slice option, list = lines->headers[i].value;

			if (!slice_equal_nocase(lines->headers[i].name, SLICE("connection")))
				continue;
			while (head_list_next(&list, &option))
				if (!connection_option(fields, lines, option))
					return refuse(error, H1_ERROR_CONNECTION_BAD);
		}
	head->keep_alive =
		!fields->connection_close && (head->minor == 1 || fields->connection_keep_alive);
	head->head.upgrade = fields->upgrade.count && fields->connection_upgrade;
	head->head.websocket = head->head.upgrade && head->minor && fields->upgrade.count == 1 &&
			       slice_equal_nocase(fields->upgrade.first->value, SLICE("websocket"));
	return true;
}

/* RFC 9112 section 6.3, and every ambiguity that it tolerates refused. */
static bool framing_read(const struct fields *fields, struct h1_head *h1, bool no_body,
	uint64_t body_max, enum h1_error_id *error)
{
	struct head *head = &h1->head;

	if (fields->length.count && fields->coding.count)
		return refuse(error, H1_ERROR_LENGTH_AND_CODING);
	if (fields->coding.count > 1)
		return refuse(error, H1_ERROR_CODING_DUPLICATE);
	if (fields->length.count > 1)
		return refuse(error, H1_ERROR_LENGTH_DUPLICATE);
	if (fields->coding.count) {
		if (!h1->minor)
			return refuse(error, H1_ERROR_CODING_HTTP_1_0);
		if (!slice_equal_nocase(fields->coding.first->value, SLICE("chunked")))
			return refuse(error, H1_ERROR_CODING_BAD);
		head->framing = HEAD_STREAMED;
	} else if (fields->length.count) {
		head->has_length = true;
		if (!head_length_read(fields->length.first->value, &head->declared_length))
			return refuse(error, H1_ERROR_LENGTH_BAD);
		head->length = head->declared_length;
		head->framing = head->length ? HEAD_LENGTH : HEAD_NO_BODY;
	} else {
		head->framing = head->kind == HEAD_RESPONSE ? HEAD_UNTIL_CLOSE : HEAD_NO_BODY;
	}
	if (no_body) {
		head->framing = HEAD_NO_BODY;
		head->length = 0;
	}
	if (head->framing == HEAD_UNTIL_CLOSE)
		h1->keep_alive = false;
	if (body_max && head->length > body_max)
		return refuse(error, H1_ERROR_BODY_TOO_LONG);
	return true;
}

/* RFC 9110 section 10.1.1; HTTP/1.0 has no expectations. */
static bool expect_read(
	const struct fields *fields, struct h1_head *head, enum h1_error_id *error)
{
	if (!fields->expect.count || !head->minor)
		return true;
	if (fields->expect.count > 1 ||
		!slice_equal_nocase(fields->expect.first->value, SLICE("100-continue")))
		return refuse(error, H1_ERROR_EXPECTATION);
	head->head.expect_continue = head->head.framing != HEAD_NO_BODY;
	return true;
}

static bool host_read(const struct fields *fields, const struct h1_head *head,
	struct authority *authority, enum h1_error_id *error)
{
	if (!fields->host.count && head->minor)
		return refuse(error, H1_ERROR_HOST_MISSING);
	if (fields->host.count > 1)
		return refuse(error, H1_ERROR_HOST_DUPLICATE);
	if (fields->host.count && !authority_parse(fields->host.first->value, authority))
		return refuse(error, H1_ERROR_HOST_BAD);
	return true;
}

/* "http://authority/path" (RFC 9112 section 3.2.2): the authority has to be Host's. */
static bool target_absolute(struct head *head, struct slice after_scheme, uint16_t default_port,
	const struct authority *host, enum h1_error_id *error)
{
	size_t length = slice_index(after_scheme, '/');
	struct authority authority;

	if (!authority_parse(slice_first(after_scheme, length), &authority))
		return refuse(error, H1_ERROR_TARGET);
	if (!authority_equal(&authority, host, default_port))
		return refuse(error, H1_ERROR_TARGET_AUTHORITY);
	head->path = slice_after(after_scheme, length);
	if (!head->path.len)
		head->path = SLICE("/");
	return true;
}

static bool target_scheme(struct slice target, struct slice scheme)
{
	return slice_equal_nocase(slice_first(target, scheme.len), scheme);
}

static bool target_read(struct head *head, const struct authority *host, enum h1_error_id *error)
{
	static const struct slice http = {"http://", 7}, https = {"https://", 8};
	struct slice target = head->target;

	if (!token_all(target, TOKEN_TARGET))
		return refuse(error, H1_ERROR_TARGET);
	head->path = target;
	if (target.data[0] == '/')
		return true;
	if (target_scheme(target, https))
		return target_absolute(head, slice_after(target, https.len), 443, host, error);
	if (target_scheme(target, http))
		return target_absolute(head, slice_after(target, http.len), 80, host, error);
	if (slice_equal(target, SLICE("*")) && slice_equal(head->method, SLICE("OPTIONS")))
		return true;
	return refuse(error, H1_ERROR_TARGET);
}

bool h1_fields_read(struct h1_head *h1, struct h1_lines *lines, bool to_head, uint64_t body_max,
	enum h1_error_id *error)
{
	struct authority host = {.host = SLICE_NONE};
	struct head *head = &h1->head;
	struct fields fields = {0};
	bool no_body = false;

	fields_collect(&fields, lines);
	if (head->kind == HEAD_REQUEST) {
		if (!host_read(&fields, h1, &host, error) || !target_read(head, &host, error))
			return false;
	} else {
		no_body =
			to_head || head->status < 200 || head->status == 204 || head->status == 304;
	}
	if (!connection_read(&fields, h1, lines, error) ||
		!framing_read(&fields, h1, no_body, body_max, error))
		return false;
	return head->kind == HEAD_RESPONSE || expect_read(&fields, h1, error);
}

bool h1_fields_may_trail(const struct header *headers, size_t count)
{
	/* clang-format off */
	static const struct slice forbidden[] = {
		{"transfer-encoding", 17}, {"content-length", 14}, {"host", 4}, {"connection", 10},
		{"keep-alive", 10}, {"proxy-connection", 16}, {"te", 2}, {"upgrade", 7},
		{"trailer", 7}, {"expect", 6}, {"content-encoding", 16},
		{"content-type", 12}, {"content-range", 13},
	};
	/* clang-format on */

	for (size_t i = 0; i < count; i++) {
		if (credential_field(headers[i].name))
			return false;
		for (size_t j = 0; j < sizeof(forbidden) / sizeof(forbidden[0]); j++)
			if (slice_equal_nocase(headers[i].name, forbidden[j]))
				return false;
	}
	return true;
}
