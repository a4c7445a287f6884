// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/h2_head.h"

#include <nghttp2/nghttp2.h>

#include "http/authority.h"
#include "http/h1_fields.h"
#include "http/method.h"
#include "http/token.h"

#define H2_PORT 443 /* of the scheme https */

enum pseudo { PSEUDO_METHOD, PSEUDO_SCHEME, PSEUDO_PATH, PSEUDO_AUTHORITY, PSEUDO_STATUS, PSEUDOS };

/* The pseudo-header fields of a section, and what is seen of the others in one pass. */
struct seen {
	struct slice pseudo[PSEUDOS];
	bool has[PSEUDOS];
	const struct header *host, *length, *expect; /* in the fields */
	size_t hosts, lengths, expects, cookies;
};

bool h2_head_is_connection(struct slice name)
{
	switch (name.len) {
	case 7:
		return slice_equal_nocase(name, SLICE("upgrade"));
	case 10:
		return slice_equal_nocase(name, SLICE("connection")) ||
		       slice_equal_nocase(name, SLICE("keep-alive"));
	case 16:
		return slice_equal_nocase(name, SLICE("proxy-connection"));
	case 17:
		return slice_equal_nocase(name, SLICE("transfer-encoding"));
	default:
		return false;
	}
}

static bool name_accepted(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.data[i] >= 'A' && name.data[i] <= 'Z')
			return false;
	return token_valid(name);
}

/* RFC 9113 section 8.2.1: neither begins nor ends with a space. */
static bool value_accepted(struct slice value)
{
	return token_all(value, TOKEN_VALUE) && slice_trim(value).len == value.len;
}

static enum h2_error_id field_check(struct slice name, struct slice value)
{
	bool named = nghttp2_check_header_name((const uint8_t *)name.data, name.len),
	     valued = nghttp2_check_header_value_rfc9113((const uint8_t *)value.data, value.len);

	if (!name_accepted(name))
		return H2_ERROR_NAME;
	if (!value_accepted(value))
		return H2_ERROR_VALUE;
	return named && valued ? H2_ERROR_NONE : H2_ERROR_CHECKERS_DIFFER;
}

/* One of those that begin with a colon. */
static enum h2_error_id pseudo_take(struct seen *seen, struct slice name, struct slice value)
{
	static const struct slice names[PSEUDOS] = {
		[PSEUDO_METHOD] = {":method", 7},
		[PSEUDO_SCHEME] = {":scheme", 7},
		[PSEUDO_PATH] = {":path", 5},
		[PSEUDO_AUTHORITY] = {":authority", 10},
		[PSEUDO_STATUS] = {":status", 7},
	};

	for (int i = 0; i < PSEUDOS; i++) {
		if (!slice_equal(name, names[i]))
			continue;
		if (seen->has[i])
			return H2_ERROR_PSEUDO;
		seen->has[i] = true;
		seen->pseudo[i] = value;
		return H2_ERROR_NONE;
	}
	return H2_ERROR_PSEUDO;
}

/* Whether the field goes on as the others do; false: it has been taken care of. */
static bool field_known(struct seen *seen, const struct header *field, bool request)
{
	switch (field->name.len) {
	case 4:
		if (slice_equal(field->name, SLICE("host"))) {
			seen->hosts++;
			seen->host = field;
		}
		return true;
	case 6:
		if (slice_equal(field->name, SLICE("expect"))) {
			seen->expects++;
			seen->expect = field;
		}
		if (!slice_equal(field->name, SLICE("cookie")))
			return true;
		seen->cookies++;
		return !request;
	case 14:
		if (slice_equal(field->name, SLICE("content-length"))) {
			seen->lengths++;
			seen->length = field;
		}
		return true;
	default:
		return true;
	}
}

/* All fields of the section in its list; in that of a request the first place is left free. */
static enum h2_error_id section_sort(struct h2_section *section, struct seen *seen, bool request)
{
	bool regular = false;
	size_t n = request;

	*seen = (struct seen){0};
	if (section->error)
		return section->error;
	if (!h2_section_open_fields(section, section->count + 2))
		return H2_ERROR_MEMORY;
	for (size_t i = 0; i < section->count; i++) {
		struct header *field = &section->fields[n];
		enum h2_error_id error = H2_ERROR_NONE;

		*field = (struct header){
			h2_section_name(section, i), h2_section_value(section, i)};
		if (field->name.len && field->name.data[0] == ':') {
			error = regular ? H2_ERROR_PSEUDO
					: pseudo_take(seen, field->name, field->value);
		} else {
			regular = true;
			error = field_check(field->name, field->value);
			if (!error && h2_head_is_connection(field->name))
				error = H2_ERROR_CONNECTION_FIELD;
			if (slice_equal(field->name, SLICE("te"))) {
				if (!error && !slice_equal_nocase(field->value, SLICE("trailers")))
					error = H2_ERROR_CONNECTION_FIELD;
			} else {
				n += field_known(seen, field, request);
			}
		}
		if (error)
			return error;
	}
	section->nfields = n;
	return H2_ERROR_NONE;
}

/* The crumbs of a cookie are one field for everybody but HTTP/2 (RFC 9113 section 8.2.3). Their text
 * goes behind the section's, which has moved afterwards. */
static enum h2_error_id cookies_join(struct h2_section *section)
{
	size_t at, left = 0;

	for (size_t i = 0; i < section->count; i++)
		if (slice_equal(h2_section_name(section, i), SLICE("cookie")))
			left += section->places[i].value_len + 2;
	if (!left)
		return H2_ERROR_NONE;
	if (!buf_reserve(&section->text, left))
		return H2_ERROR_MEMORY;
	at = section->text.end;
	for (size_t i = 0; i < section->count; i++) {
		if (!slice_equal(h2_section_name(section, i), SLICE("cookie")))
			continue;
		if (section->text.end > at)
			(void)buf_append_slice(&section->text, SLICE("; "));
		(void)buf_append_slice(&section->text, h2_section_value(section, i));
	}
	return H2_ERROR_NONE;
}

static enum h2_error_id length_read(
	const struct seen *seen, bool fin, bool no_body, struct head *head)
{
	head->framing = fin || no_body ? HEAD_NO_BODY : HEAD_STREAMED;
	if (!seen->lengths)
		return H2_ERROR_NONE;
	if (seen->lengths > 1)
		return H2_ERROR_LENGTH_DUPLICATE;
	if (!head_length_read(seen->length->value, &head->declared_length))
		return H2_ERROR_LENGTH_BAD;
	head->has_length = true;
	if (no_body)
		return H2_ERROR_NONE;
	if (fin && head->declared_length)
		return H2_ERROR_LENGTH_DIFFERS;
	if (!fin && head->declared_length) {
		head->framing = HEAD_LENGTH;
		head->length = head->declared_length;
	}
	return H2_ERROR_NONE;
}

/* The host that the request is for, as the first field; *authority and a Host must agree. */
static enum h2_error_id host_read(struct h2_section *section, const struct seen *seen)
{
	struct slice host = seen->pseudo[PSEUDO_AUTHORITY];
	struct authority named, other;
	size_t n = 1;

	if (seen->hosts > 1)
		return H2_ERROR_HOST_DUPLICATE;
	if (!seen->has[PSEUDO_AUTHORITY] && !seen->hosts)
		return H2_ERROR_HOST_MISSING;
	if (!seen->has[PSEUDO_AUTHORITY])
		host = seen->host->value;
	if (!authority_parse(host, &named) ||
		(seen->hosts && !authority_parse(seen->host->value, &other)))
		return H2_ERROR_AUTHORITY;
	if (!nghttp2_check_authority((const uint8_t *)host.data, host.len))
		return H2_ERROR_CHECKERS_DIFFER;
	if (seen->hosts && !authority_equal(&named, &other, H2_PORT))
		return H2_ERROR_HOST_DIFFERS;
	/* The Host that was among them goes. */
	for (size_t i = 1; seen->hosts && i < section->nfields; i++)
		if (&section->fields[i] != seen->host)
			section->fields[n++] = section->fields[i];
	if (seen->hosts)
		section->nfields = n;
	section->fields[0] = (struct header){SLICE("host"), host};
	return H2_ERROR_NONE;
}

static enum h2_error_id target_read(const struct seen *seen, struct head *head)
{
	head->method = seen->pseudo[PSEUDO_METHOD];
	head->target = head->path = seen->pseudo[PSEUDO_PATH];
	if (!token_valid(head->method))
		return H2_ERROR_METHOD;
	if (slice_equal(head->method, SLICE("CONNECT")))
		return H2_ERROR_CONNECT;
	if (!method_known(head->method))
		return H2_ERROR_METHOD;
	if (!seen->has[PSEUDO_SCHEME] || !seen->has[PSEUDO_PATH])
		return H2_ERROR_PSEUDO;
	if (!slice_equal_nocase(seen->pseudo[PSEUDO_SCHEME], SLICE("https")))
		return H2_ERROR_SCHEME;
	if (!head->path.len || !token_all(head->path, TOKEN_TARGET) ||
		(head->path.data[0] != '/' && !(slice_equal(head->path, SLICE("*")) &&
						      slice_equal(head->method, SLICE("OPTIONS")))))
		return H2_ERROR_TARGET;
	if (!nghttp2_check_method((const uint8_t *)head->method.data, head->method.len) ||
		!nghttp2_check_path((const uint8_t *)head->path.data, head->path.len))
		return H2_ERROR_CHECKERS_DIFFER;
	return H2_ERROR_NONE;
}

static enum h2_error_id expect_read(const struct seen *seen, struct head *head)
{
	if (!seen->expects)
		return H2_ERROR_NONE;
	if (seen->expects > 1 || !slice_equal_nocase(seen->expect->value, SLICE("100-continue")))
		return H2_ERROR_EXPECTATION;
	head->expect_continue = head->framing != HEAD_NO_BODY;
	return H2_ERROR_NONE;
}

enum h2_error_id h2_head_request(
	struct h2_section *section, bool fin, uint64_t body_max, struct head *head)
{
	size_t cookie = section->text.end;
	struct seen seen;
	enum h2_error_id error = section->error ? section->error : cookies_join(section);

	*head = (struct head){.kind = HEAD_REQUEST};
	if (!error)
		error = section_sort(section, &seen, true);
	if (!error && (!seen.has[PSEUDO_METHOD] || seen.has[PSEUDO_STATUS]))
		error = H2_ERROR_PSEUDO;
	if (!error)
		error = target_read(&seen, head);
	if (!error)
		error = length_read(&seen, fin, false, head);
	if (!error)
		error = expect_read(&seen, head);
	if (!error)
		error = host_read(section, &seen);
	if (!error && body_max && head->length > body_max)
		error = H2_ERROR_BODY_TOO_LONG;
	if (error)
		return error;
	if (seen.cookies)
		section->fields[section->nfields++] = (struct header){
			SLICE("cookie"), slice_of(section->text.memory + cookie,
						 section->text.end - cookie)};
	head->headers = section->fields;
	head->nheaders = section->nfields;
	return H2_ERROR_NONE;
}

static bool status_read(struct slice text, int *status)
{
	if (text.len != 3 || text.data[0] < '1' || text.data[0] > '9')
		return false;
	*status = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		*status = *status * 10 + (text.data[i] - '0');
	}
	return *status != 101; /* RFC 9113 section 8.6 */
}

enum h2_error_id h2_head_response(
	struct h2_section *section, bool fin, bool no_body, struct head *head)
{
	struct seen seen;
	enum h2_error_id error = section_sort(section, &seen, false);

	*head = (struct head){.kind = HEAD_RESPONSE};
	if (error)
		return error;
	for (int i = 0; i < PSEUDOS; i++)
		if (seen.has[i] != (i == PSEUDO_STATUS))
			return H2_ERROR_PSEUDO;
	if (!status_read(seen.pseudo[PSEUDO_STATUS], &head->status))
		return H2_ERROR_STATUS;
	no_body |= head->status < 200 || head->status == 204 || head->status == 304;
	error = length_read(&seen, fin, no_body, head);
	if (error)
		return error;
	head->headers = section->fields;
	head->nheaders = section->nfields;
	return H2_ERROR_NONE;
}

enum h2_error_id h2_head_trailers(struct h2_section *section, bool fin)
{
	struct seen seen;
	enum h2_error_id error = section_sort(section, &seen, false);

	if (error)
		return error;
	for (int i = 0; i < PSEUDOS; i++)
		if (seen.has[i])
			return H2_ERROR_PSEUDO;
	if (!fin)
		return H2_ERROR_TRAILERS_OPEN;
	if (seen.cookies || !h1_fields_may_trail(section->fields, section->nfields))
		return H2_ERROR_TRAILER_FORBIDDEN;
	return H2_ERROR_NONE;
}
