/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IP addresses of both families in one form, IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2). */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct address {
	uint8_t bytes[16]; /* network order */
};

struct address_port {
	struct address address;
	uint16_t port; /* host order */
};

struct prefix {
	struct address address;
	uint8_t bits; /* of the 128: an IPv4 /24 is 120 */
};

struct address_text {
	char text[64];
};

bool address_equal(const struct address *a, const struct address *b);
bool address_is_ipv4(const struct address *a);
/* 127.0.0.0/8 or ::1 */
bool address_is_loopback(const struct address *a);
/* "192.0.2.1" or "2001:db8::1"; use as address_format(&a).text within one full expression. */
struct address_text address_format(const struct address *a);
/* "192.0.2.1:443" or "[2001:db8::1]:443" */
struct address_text address_port_format(const struct address_port *ap);
/* All three: 0, or -EINVAL for what is not exactly one address, "ADDRESS:PORT", or prefix
 * ("192.0.2.0/24"; without /bits one address; bits set beyond the prefix are refused). */
int address_parse(const char *text, struct address *a);
int address_port_parse(const char *text, struct address_port *ap);
int prefix_parse(const char *text, struct prefix *p);
bool prefix_contains(const struct prefix *p, const struct address *a);

/* From an AF_INET or AF_INET6 socket address; -EAFNOSUPPORT for another family. */
int address_port_from_sockaddr(struct address_port *ap, const struct sockaddr *sa);
/* Fills sa (AF_INET for a mapped address, else AF_INET6) and returns its length. */
socklen_t address_port_to_sockaddr(const struct address_port *ap, struct sockaddr_storage *sa);

#endif
