// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/credential.h"

#include <stdint.h>

#include "http/percent.h"

#define NAME_MAX_BYTES 128 /* nobody's credential has a longer name */

struct name {
	char text[NAME_MAX_BYTES];
	size_t len;
};

static void name_add(struct name *plain, char c)
{
	if (plain->len == sizeof(plain->text))
		return;
	if (c >= 'A' && c <= 'Z')
		c = (char)(c - 'A' + 'a');
	plain->text[plain->len++] = c == '_' ? '-' : c;
}

/* Lower case with "-" for "_"; percent-decoded, and without blanks around it, when encoded. */
static struct slice name_plain(struct slice name, bool encoded, struct name *plain)
{
	struct slice result;

	plain->len = 0;
	for (size_t i = 0; !encoded && i < name.len; i++)
		name_add(plain, name.data[i]);
	while (encoded && name.len) {
		bool blank = name.data[0] == '+';
		char c = percent_next(&name);

		name_add(plain, blank ? ' ' : c);
	}
	result = slice_of(plain->text, plain->len);
	return encoded ? slice_trim(result) : result;
}

static bool name_holds(struct slice name, struct slice word)
{
	for (size_t at = 0; at + word.len <= name.len; at++)
		if (!memcmp(name.data + at, word.data, word.len))
			return true;
	return false;
}

/* Wherever it stands in a name. */
static bool name_tells(struct slice plain)
{
	static const struct slice words[] = {{"api-key", 7}, {"apikey", 6},
		{"subscription-key", 16}, {"functions-key", 13}, {"access-key", 10},
		{"authorization", 13}, {"access-token", 12}, {"auth-token", 10},
		{"refresh-token", 13}, {"id-token", 8}, {"session-token", 13},
		{"security-token", 14}, {"secret", 6}, {"password", 8}, {"cookie", 6},
		{"credential", 10}};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (name_holds(plain, words[i]))
			return true;
	return false;
}

bool credential_field(struct slice name)
{
	struct name buffer;
	struct slice plain = name_plain(name, false, &buffer);

	return name_tells(plain) || slice_equal(plain, SLICE("www-authenticate"));
}

bool credential_parameter(struct slice name)
{
	/* API Management, Azure OpenAI's WebSocket and functions, storage signatures, OAuth. */
	static const struct slice names[] = {{"key", 3}, {"code", 4}, {"sig", 3}, {"signature", 9},
		{"token", 5}, {"auth", 4}, {"client-assertion", 16}, {"assertion", 9}};
	struct name buffer;
	struct slice plain = name_plain(name, true, &buffer);

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (slice_equal(plain, names[i]))
			return true;
	return name_tells(plain);
}

bool credential_value(struct slice name, struct slice value)
{
	return slice_equal_nocase(name, SLICE("sec-websocket-protocol")) &&
	       name_holds(value, SLICE("api-key"));
}

static bool separates(char c)
{
	return c == '?' || c == '&' || c == ';' || c == '#';
}

bool credential_query_next(struct slice *rest, struct credential_query *parameter)
{
	size_t end = 1, equals;
	struct slice text;

	if (!rest->len)
		return false;
	while (end < rest->len && !separates(rest->data[end]))
		end++;
	parameter->whole = slice_first(*rest, end);
	text = slice_after(parameter->whole, 1);
	equals = slice_index(text, '=');
	parameter->has_value = equals < text.len;
	parameter->name = slice_first(text, equals);
	parameter->value = slice_after(text, equals + 1);
	*rest = slice_after(*rest, end);
	return true;
}

int credential_strip_query(struct slice path, struct buf *out)
{
	size_t query = slice_index(path, '?');
	struct slice rest = slice_after(path, query);
	int error = buf_append_slice(out, slice_first(path, query));
	struct credential_query parameter;
	bool first = true;

	while (!error && credential_query_next(&rest, &parameter)) {
		if (credential_parameter(parameter.name))
			continue;
		error = buf_append(out, first ? "?" : parameter.whole.data, 1);
		if (!error)
			error = buf_append_slice(out, slice_after(parameter.whole, 1));
		first = false;
	}
	return error;
}
