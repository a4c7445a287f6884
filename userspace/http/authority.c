// SPDX-License-Identifier: GPL-2.0-or-later
#include "http/authority.h"

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || digit(c) || c == '-' ||
	       c == '.' || c == '_';
}

static bool address_byte(char c)
{
	return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || digit(c) || c == ':' || c == '.';
}

/* The length of the host at the start of text, or 0. */
static size_t host_length(struct slice text)
{
	size_t i = 0;

	if (text.len && text.data[0] == '[') {
		for (i = 1; i < text.len && address_byte(text.data[i]); i++)
			;
		return i > 1 && i < text.len && text.data[i] == ']' ? i + 1 : 0;
	}
	while (i < text.len && name_byte(text.data[i]))
		i++;
	return i;
}

bool authority_parse(struct slice text, struct authority *authority)
{
	size_t length = host_length(text);
	uint32_t port = 0;

	if (!length)
		return false;
	authority->host = slice_first(text, length);
	authority->port = 0;
	text = slice_after(text, length);
	if (!text.len)
		return true;
	if (text.data[0] != ':' || text.len < 2 || text.len > 6)
		return false;
	for (size_t i = 1; i < text.len; i++) {
		if (!digit(text.data[i]))
			return false;
		port = port * 10 + (uint32_t)(text.data[i] - '0');
	}
	authority->port = (uint16_t)port;
	return port > 0 && port <= UINT16_MAX;
}

bool authority_equal(const struct authority *a, const struct authority *b, uint16_t default_port)
{
	return slice_equal_nocase(a->host, b->host) &&
	       (a->port ? a->port : default_port) == (b->port ? b->port : default_port);
}
