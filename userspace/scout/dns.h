/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DNS replies that pass by (RFC 1035, with SVCB and HTTPS of RFC 9460): which name was asked for,
 * which addresses the answer names. Sans-I/O. */
#ifndef SCOUT_DNS_H
#define SCOUT_DNS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/slice.h"
#include "tls/host_name.h"

enum dns_result {
	DNS_OK,
	DNS_OTHER,     /* no reply to one question of class IN */
	DNS_MALFORMED, /* ends before its records do, or has a name that cannot be */
};

struct dns_reply {
	/* What was asked for, lower case, without the labels with an underscore in front that SVCB
	 * has for other ports (RFC 9460 section 2.3); "" if it is no host name. */
	char name[HOST_NAME_SIZE];
	uint16_t type;
	bool truncated; /* the client will ask again over TCP */
	size_t records; /* offset of the first record, behind the question */
};

/* Reads header and question: of a message that is not whole yet, DNS_OK as soon as these are. */
enum dns_result dns_read(struct slice message, struct dns_reply *reply);

/* Calls each for every address of the records A, AAAA and of the hints of SVCB and HTTPS in the
 * answer and additional sections, whoever owns them: clients differ in how they follow chains of
 * aliases, and an address too many does no harm. ttl_s is the smallest of the record and of all
 * aliases (CNAME, DNAME, SVCB and HTTPS in alias mode) of the answer. DNS_MALFORMED may come after
 * some addresses were told. The number of addresses is bounded by the length of the message alone.
 */
enum dns_result dns_addresses(struct slice message,
	void (*each)(void *context, const struct address *address, uint32_t ttl_s), void *context);

/* Calls each for every name that the answer and additional sections lead on to, whoever owns the
 * record: the targets of CNAME, and of SVCB and HTTPS in alias mode (RFC 9460 section 2.4.2) and in
 * service mode. Lower case, as struct dns_reply.name; what is no host name is left out, and so is
 * ".", the owner itself. ttl_s is the record's. DNS_MALFORMED may come after some were told. */
enum dns_result dns_aliases(struct slice message,
	void (*each)(void *context, const char *name, uint32_t ttl_s), void *context);

/* Takes ech and HTTP/3 out of the SVCB and HTTPS records of a reply (RFC 9460 section 7.1, RFC 9848
 * section 3), without changing the length of anything, so that the reply may be part of a TCP
 * stream and no offset in it moves: the parameter ech makes room for one of the private range at
 * the end of the list, full of zeros, which clients must ignore (section 8); a protocol h3 or h3-…
 * becomes a reserved value that is nobody's protocol (RFC 8701). Returns how many were taken out;
 * records it cannot read stay as they are, as no client can read them either.
 * The message may be the beginning of one: *final is how far it will not change any more, however
 * it goes on. Records that begin before the offset from are left alone. */
size_t dns_disarm(char *message, size_t len, size_t from, size_t *final);

#endif
