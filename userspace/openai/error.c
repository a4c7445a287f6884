// SPDX-License-Identifier: GPL-2.0-or-later
#include "openai/error.h"

#include <errno.h>
#include <stdio.h>

#include "openai/json_text.h"

static const char *type_of(int status)
{
	switch (status) {
	case 401:
		return "authentication_error";
	case 403:
		return "permission_error";
	case 429:
		return "rate_limit_error";
	default:
		return status >= 500 ? "server_error" : "invalid_request_error";
	}
}

/* As Anthropic names them; their clients go by the status. */
static const char *anthropic_type_of(int status)
{
	switch (status) {
	case 404:
		return "not_found_error";
	case 413:
		return "request_too_large";
	case 503:
		return "overloaded_error";
	case 504:
		return "timeout_error";
	default:
		return status >= 500 ? "api_error" : type_of(status);
	}
}

static int put(struct buf *json, const char *before, const char *text)
{
	size_t room = SIZE_MAX;

	if (buf_append_slice(json, slice_of_string(before)) < 0)
		return -ENOMEM;
	if (!text)
		return buf_append_slice(json, SLICE("null"));
	if (buf_append_slice(json, SLICE("\"")) < 0 ||
		!json_text_escape(json, slice_of_string(text), &room))
		return -ENOMEM;
	return buf_append_slice(json, SLICE("\""));
}

int error_body(
	enum dialect dialect, int status, const char *code, const char *message, struct buf *json)
{
	size_t before = buf_len(json);
	char number[16];
	int error;

	if (dialect == DIALECT_ANTHROPIC) {
		error = put(json, "{\"type\":\"error\",\"error\":{\"type\":",
			anthropic_type_of(status));
		error = error < 0 ? error : put(json, ",\"message\":", message);
	} else if (dialect == DIALECT_AZURE) {
		snprintf(number, sizeof(number), "%d", status);
		error = put(json, "{\"error\":{\"code\":", code ? code : number);
		error = error < 0 ? error : put(json, ",\"message\":", message);
	} else {
		error = put(json, "{\"error\":{\"message\":", message);
		error = error < 0 ? error : put(json, ",\"type\":", type_of(status));
		error = error < 0 ? error : put(json, ",\"param\":null,\"code\":", code);
	}
	error = error < 0 ? error : buf_append_slice(json, SLICE("}}"));
	if (error < 0)
		json->end = json->start + before;
	return error;
}
