// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static const uint8_t address_mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool address_equal(const struct address *a, const struct address *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool address_is_ipv4(const struct address *a)
{
	return memcmp(a->bytes, address_mapped, sizeof(address_mapped)) == 0;
}

static void address_from_ipv4(struct address *a, const void *four_bytes)
{
	memcpy(a->bytes, address_mapped, sizeof(address_mapped));
	memcpy(a->bytes + 12, four_bytes, 4);
}

/* Writes the number's digits, and returns where they end. */
static char *digits_write(char *at, unsigned number)
{
	char digits[10];
	size_t n = 0;

	do {
		digits[n++] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	while (n)
		*at++ = digits[--n];
	return at;
}

bool address_is_loopback(const struct address *a)
{
	static const uint8_t ipv6[16] = {[15] = 1};

	return address_is_ipv4(a) ? a->bytes[12] == 127
				  : memcmp(a->bytes, ipv6, sizeof(ipv6)) == 0;
}

struct address_text address_format(const struct address *a)
{
	struct address_text text;
	char *at = text.text;

	/* inet_ntop goes through printf: too slow for the common case of every event. */
	if (address_is_ipv4(a)) {
		for (size_t i = 12; i < 16; i++) {
			at = digits_write(at, a->bytes[i]);
			*at++ = '.';
		}
		at[-1] = '\0';
	} else {
		inet_ntop(AF_INET6, a->bytes, text.text, sizeof(text.text));
	}
	return text;
}

struct address_text address_port_format(const struct address_port *ap)
{
	struct address_text address = address_format(&ap->address), text;
	bool ipv4 = address_is_ipv4(&ap->address);
	size_t len = strlen(address.text);
	char *at = text.text;

	if (!ipv4)
		*at++ = '[';
	memcpy(at, address.text, len);
	at += len;
	if (!ipv4)
		*at++ = ']';
	*at++ = ':';
	*digits_write(at, ap->port) = '\0';
	return text;
}

int address_parse(const char *text, struct address *a)
{
	uint8_t bytes[16];

	if (inet_pton(AF_INET, text, bytes) == 1)
		address_from_ipv4(a, bytes);
	else if (inet_pton(AF_INET6, text, bytes) == 1)
		memcpy(a->bytes, bytes, sizeof(bytes));
	else
		return -EINVAL;
	return 0;
}

/* A decimal number without sign, space or leading zero; -EINVAL for another or one above max. */
static int address_number(const char *text, unsigned max)
{
	unsigned number = 0;

	if (!*text || (text[0] == '0' && text[1]))
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		number = number * 10 + (unsigned)(*text - '0');
		if (number > max)
			return -EINVAL;
	}
	return (int)number;
}

/* Copies the part of text before end, if it can be an address, for address_parse. */
static int address_parse_until(const char *text, const char *end, struct address *a)
{
	struct address_text part;
	size_t len = (size_t)(end - text);

	if (len >= sizeof(part.text))
		return -EINVAL;
	memcpy(part.text, text, len);
	part.text[len] = '\0';
	return address_parse(part.text, a);
}

int address_port_parse(const char *text, struct address_port *ap)
{
	const char *colon = strrchr(text, ':');
	struct address address;
	int port, error;

	if (!colon)
		return -EINVAL;
	if (text[0] == '[') {
		if (colon[-1] != ']')
			return -EINVAL;
		error = address_parse_until(text + 1, colon - 1, &address);
		if (error == 0 && !memchr(text, ':', (size_t)(colon - text)))
			return -EINVAL;
	} else {
		/* Without brackets the last group of an IPv6 address would be taken for the port. */
		if (strchr(text, ':') != colon)
			return -EINVAL;
		error = address_parse_until(text, colon, &address);
	}
	port = address_number(colon + 1, UINT16_MAX);
	if (error < 0 || port < 1)
		return -EINVAL;
	*ap = (struct address_port){address, (uint16_t)port};
	return 0;
}

int prefix_parse(const char *text, struct prefix *p)
{
	const char *slash = strchr(text, '/');
	struct prefix prefix = {.bits = 128};
	int bits;

	if (address_parse_until(text, slash ? slash : text + strlen(text), &prefix.address) < 0)
		return -EINVAL;
	if (slash) {
		/* A mapped address written in IPv6 form keeps the lengths of IPv6. */
		bool ipv4 = !memchr(text, ':', (size_t)(slash - text));

		bits = address_number(slash + 1, ipv4 ? 32 : 128);
		if (bits < 0)
			return -EINVAL;
		prefix.bits = (uint8_t)(ipv4 ? bits + 96 : bits);
	}
	for (unsigned bit = prefix.bits; bit < 128; bit++)
		if (prefix.address.bytes[bit / 8] & 0x80 >> bit % 8)
			return -EINVAL;
	*p = prefix;
	return 0;
}

bool prefix_contains(const struct prefix *p, const struct address *a)
{
	unsigned whole = p->bits / 8, rest = p->bits % 8;

	if (memcmp(p->address.bytes, a->bytes, whole) != 0)
		return false;
	return !rest || !((p->address.bytes[whole] ^ a->bytes[whole]) & 0xff00 >> rest & 0xff);
}

int address_port_from_sockaddr(struct address_port *ap, const struct sockaddr *sa)
{
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;

	switch (sa->sa_family) {
	case AF_INET:
		memcpy(&ipv4, sa, sizeof(ipv4));
		address_from_ipv4(&ap->address, &ipv4.sin_addr);
		ap->port = ntohs(ipv4.sin_port);
		return 0;
	case AF_INET6:
		memcpy(&ipv6, sa, sizeof(ipv6));
		memcpy(ap->address.bytes, &ipv6.sin6_addr, sizeof(ap->address.bytes));
		ap->port = ntohs(ipv6.sin6_port);
		return 0;
	default:
		return -EAFNOSUPPORT;
	}
}

socklen_t address_port_to_sockaddr(const struct address_port *ap, struct sockaddr_storage *sa)
{
	struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons(ap->port)};
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(ap->port)};

	memset(sa, 0, sizeof(*sa));
	if (address_is_ipv4(&ap->address)) {
		memcpy(&ipv4.sin_addr, ap->address.bytes + 12, 4);
		memcpy(sa, &ipv4, sizeof(ipv4));
		return sizeof(ipv4);
	}
	memcpy(&ipv6.sin6_addr, ap->address.bytes, sizeof(ap->address.bytes));
	memcpy(sa, &ipv6, sizeof(ipv6));
	return sizeof(ipv6);
}
